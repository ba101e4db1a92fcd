"""`quanheng demo`: a pack's traffic through the main path in this process, and what the decisions were worth.

Beside it stands `quanheng demo ledger`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cyclopts

from quanheng.cli.common import HERE, Flag, Json, Place, console, locked_engine, progress_bar, show_json
from quanheng.cli.demo_ledger import ledger

if TYPE_CHECKING:
    from quanheng.engine import Engine
    from quanheng.server.config import Config

app = cyclopts.App(name="demo")
app.command(ledger)


@app.default
def demo(
    pack: str = "",
    /,
    *,
    process: Flag = False,
    events: int = 20_000,
    seed: int | None = None,
    group: int = 256,
    loans: int = 5_000,
    years: int = 1,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Play a pack's simulated traffic, or its life cycles, through the main path, in this process, durable on disk.

    For example:
      quanheng demo my_pack --events 20000 --json
      quanheng demo my_pack --process

    Parameters
    ----------
    pack : str
        The pack (default: the first of packs.load).
    process : bool
        Play the pack's demo.toml: its life cycles over weeks by a clock that is moved, with partners on this machine
        that take its messages and answer; then prove from the log that nothing was lost. Exit code 1 if that fails.
    events : int
        How many events.
    seed : int
        Seed of the traffic (default: that of the pack).
    group : int
        Events that share one durable commit.
    loans : int
        Where people borrow: loans of the book that is served after the applications are decided.
    years : int
        Years that the book lives.
    json : bool
        Last line is one line of JSON.
    """
    from quanheng.cli.simulate import Score, simulation_of
    from quanheng.engine import steady_memory
    from quanheng.kernel.errors import InputError

    if min(events, group, loans, years) < 1:
        raise InputError(
            "the number must be positive",
            where="--events, --group, --loans, --years",
            found=f"{events}, {group}, {loans}, {years}",
            allowed="1 or more",
        )
    if process:
        return _play(pack, json, place)
    with folders(place) as config:
        from quanheng.server.opening import available_packs, chosen_packs

        name = pack or _first(config)
        declared, files = chosen_packs([name], available_packs(config.packs.folders))
        simulation = simulation_of(declared, name)
        if simulation.declared.kind == "borrowing":
            found = _borrowing(config, declared, files, name, events, seed, group, loans, years)
            return _show_borrowing(name, events, group, found, simulation.currency, json)
        score = Score(simulation.outcomes, simulation.currency)
        with locked_engine(config) as engine, progress_bar() as progress:
            engine.activate(files)
            steady_memory()
            task = progress.add_task(f"deciding {name}", total=events)
            source = simulation.events(events, seed)
            busy_s = 0.0
            while chunk := list(islice(source, group)):
                busy_s += _group(engine, chunk, score)
                progress.advance(task, len(chunk))
    return _show(name, events, group, score.result(busy_s), json)


def _show(name: str, events: int, group: int, result: dict[str, Any], json: bool) -> int:
    from quanheng.cli.run import table

    if json:
        show_json({"pack": name, "events": events, "group": group, **result})
    else:
        console().print(table(f"{name}: {events} simulated events", result))
    return 0


def _show_borrowing(name: str, events: int, group: int, result: dict[str, Any], currency: str, json: bool) -> int:
    from quanheng.cli.demo_borrowing_table import borrowing_table

    if json:
        show_json({"pack": name, "events": events, "group": group, **result})
    else:
        title = f"{name}: {events:,} simulated events, then a book of {result['book_loans']:,} loans"
        console().print(borrowing_table(title, result, currency))
    return 0


def _borrowing(
    config: Config, declared: Any, files: Any, name: str, events: int, seed: int | None, group: int, loans: int,
    years: int,
) -> dict[str, Any]:  # fmt: skip
    from quanheng.cli.demo_borrowing import play_borrowing
    from quanheng.engine import steady_memory

    at = next(place for place, one in enumerate(declared) if one.name == name)
    with locked_engine(config) as engine, progress_bar() as progress:
        engine.activate(files)
        steady_memory()
        return play_borrowing(
            engine, declared[at], files[at], events=events, seed=seed, group=group, loans=loans, years=years,
            progress=progress,
        )  # fmt: skip


def _play(pack: str, json: bool, place: Place) -> int:
    from quanheng.cli.demo_process import play_processes

    return play_processes(pack or _first(place.read()), json, place)


def _group(engine: Engine, chunk: list[Any], score: Any) -> float:
    """Seconds of one group, from bytes to durable answers; making the events is not counted."""
    from quanheng.events.intake import Request

    requests = [Request("demo", one.id, one.type, one.data) for one in chunk]
    started_s = time.perf_counter()
    replies = engine.submit(requests)
    seconds = time.perf_counter() - started_s
    for sent, reply in zip(chunk, replies, strict=True):
        score.add(sent, reply.status, reply.outcome, seconds * 1000)
    return seconds


@contextmanager
def folders(place: Place, store: str | None = None) -> Iterator[Config]:
    """The configured folders if --data was given, else folders that last as long as the demo.

    store : where the log is kept (default: storage.store)
    """
    if place.data is not None:
        yield place.read(storage__store=store)
        return
    from dataclasses import replace

    with tempfile.TemporaryDirectory(prefix="quanheng-demo-") as folder:
        yield replace(place, data=Path(folder) / "data", keys=Path(folder) / "keys").read(storage__store=store)


def _first(config: Config) -> str:
    from quanheng.kernel.errors import InputError

    if not config.packs.load:
        raise InputError(
            "no pack is named", where="PACK", found="nothing", cure="Name one, or set packs.load in quanheng.toml."
        )
    return config.packs.load[0]
