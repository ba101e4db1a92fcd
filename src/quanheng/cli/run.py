"""`quanheng run`: start on embedded defaults, play simulated traffic over HTTP, show the result, serve on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from quanheng.cli.common import HERE, Flag, Json, Place, console, show_json
from quanheng.kernel.errors import QuanhengError
from quanheng.kernel.money import Money

if TYPE_CHECKING:
    from rich.table import Table

    from quanheng.cli.simulate import Score, Sent
    from quanheng.server.config import Config

MARK = "made-by-quanheng-run"
RUN_FOLDER = Path(".quanheng/run")
# A first start compiles, which takes minutes on a slow machine. A child that dies is seen at once.
START_S_MAX = 900.0
EVENTS_MAX = 10_000_000
LINE_EVERY_S = 10.0


class ServerDidNotStart(QuanhengError):
    """The server that `run` starts ended or did not answer."""


def run(
    *,
    pack: str = "",
    seconds: int = 60,
    connections: int = 16,
    seed: int | None = None,
    port: int | None = None,
    once: Flag = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Start a server, play simulated traffic through it for a minute, show the result, and go on serving.

    Without --data a fresh folder under .quanheng/run is used, and emptied by the next run.

    For example:
      quanheng run --pack my_pack
      quanheng run --pack my_pack --seconds 10 --once

    Parameters
    ----------
    pack : str
        The pack whose traffic is played (default: the first of packs.load).
    seconds : int
        How long to play.
    connections : int
        HTTP connections that send at the same time.
    seed : int
        Seed of the traffic (default: that of the pack).
    port : int
        Port of the HTTP API (server.port; default 8770).
    once : bool
        End after the table.
    json : bool
        Last line of standard output is one line of JSON.
    """
    import asyncio

    from quanheng.cli.demo import _first
    from quanheng.cli.simulate import simulation_of
    from quanheng.server.opening import available_packs, chosen_packs

    place = place if place.data is not None else _fresh(place)
    config = place.read(packs__load=[pack] if pack else None, server__port=port)
    name = pack or _first(config)
    declared, _ = chosen_packs([name], available_packs(config.packs.folders))
    simulation = simulation_of(declared, name)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    child, log_file = _start(config, name, place)
    try:
        _wait(child, config, log_file)
        played = asyncio.run(play(config, simulation, seconds, connections, seed))
        _result(name, played, json)
        if not once:
            where = f"http://{config.server.address}:{config.server.port}"
            console().print(f"Serving on {where} (documentation: {where}/schema). Stop with Ctrl-C.")
            return child.wait()
    except KeyboardInterrupt:
        console().print("stopping")
    finally:
        _stop(child, config)
    return 0


async def play(config: Config, simulation: Any, seconds: int, connections: int, seed: int | None) -> dict[str, Any]:
    """Send traffic over HTTP for `seconds`, one event a request, and give the figures.

    Parameters
    ----------
    config : where the server is
    simulation : a `quanheng.cli.simulate.Simulation`
    seconds : how long
    connections : requests under way at the same time
    seed : seed of the traffic; None takes the pack's own
    """
    import asyncio

    from quanheng.cli.simulate import Ahead, Score
    from quanheng.server.client import Connection
    from quanheng.server.opening import read_token

    score = Score(simulation.outcomes, simulation.currency)
    ahead = Ahead(simulation.events(EVENTS_MAX, seed))
    await asyncio.to_thread(ahead.full.wait)
    token, source = read_token(config), iter(ahead)
    links = [await Connection.open(config.server.address, config.server.port) for _ in range(connections)]
    started_s = time.perf_counter()
    until_s = started_s + seconds
    watcher = asyncio.create_task(_watch(score, started_s, until_s))
    try:
        await asyncio.gather(*(_sender(link, source, score, token, until_s) for link in links))
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        for link in links:
            link.close()
        ahead.close()
    return score.result(time.perf_counter() - started_s)


async def _sender(link: Any, source: Iterator[Sent], score: Score, token: str, until_s: float) -> None:
    """One connection: the next event, its answer, and again."""
    import asyncio

    from quanheng.cli.ingest import Refused
    from quanheng.server.client import request_bytes

    decode = msgspec.json.Decoder(_Reply).decode
    for sent in source:
        body = b'{"id":%b,"type":%b,"data":%b}' % (
            msgspec.json.encode(sent.id),
            msgspec.json.encode(sent.type),
            sent.data,
        )
        started_s = time.perf_counter()
        response = await link.send(request_bytes("POST", "/v1/events", token, body))
        ended_s = time.perf_counter()
        if response.status == 429:
            await asyncio.sleep(int(response.header("retry-after") or "1"))
        elif response.status in (200, 409, 422):
            reply = decode(response.body)
            score.add(sent, reply.status, reply.outcome, (ended_s - started_s) * 1000)
        else:
            raise Refused("the server refused an event", found=f"HTTP {response.status} {response.body.decode()[:300]}")
        if ended_s >= until_s:
            return


class _Reply(msgspec.Struct):
    status: str
    outcome: str = ""


async def _watch(score: Score, started_s: float, until_s: float) -> None:
    """Show how it goes: live on a terminal, a line now and then elsewhere."""
    import asyncio

    from rich.live import Live

    screen = console()
    if not screen.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            done = score.result(time.perf_counter() - started_s)
            screen.print(f"{done['seconds']:.0f} s: {done['decided']} decided, {done['decisions_per_s']:.0f}/s")
    with Live(console=screen, refresh_per_second=4, transient=True) as live:
        while True:
            now_s = time.perf_counter()
            result = score.result(now_s - started_s)
            result["p50_ms"], result["p99_ms"] = (round(score.quantile_ms(q, 5_000), 3) for q in (0.5, 0.99))
            live.update(table(f"{max(0.0, until_s - now_s):.0f} s to go", result))
            await asyncio.sleep(0.25)


def table(title: str, result: dict[str, Any]) -> Table:
    """The figures as a table for people."""
    from rich.table import Table

    shown = Table(title=title, show_header=False, title_justify="left")
    shown.add_column(style="bold")
    shown.add_column(justify="right")
    names = list(result)
    outcomes = names[1 : names.index("frauds")]
    total = max(1, result["decided"])
    shown.add_row("payments decided", f"{result['decided']:,}")
    for outcome in outcomes:
        shown.add_row(f"  {outcome}", f"{result[outcome]:,}  ({result[outcome] / total:.2%})")
    share = result["fraud_value_stopped"]
    stopped = " of ".join(
        amount(result[key], result["currency"]) for key in ("fraud_value_stopped_minor", "fraud_value_minor")
    )
    shown.add_row("fraud value stopped (not approved)", "none seen" if share is None else f"{share:.1%}  ({stopped})")
    rate = result["false_positive_rate"]
    shown.add_row("false-positive rate (honest, not approved)", "none seen" if rate is None else f"{rate:.2%}")
    shown.add_row("decisions per second", f"{result['decisions_per_s']:,.0f}")
    shown.add_row("latency p50 / p99", f"{result['p50_ms']:.2f} ms / {result['p99_ms']:.2f} ms")
    others = ", ".join(f"{result[key]:,} {key}" for key in ("recorded", "repeated", "rejected", "failed"))
    shown.add_row("other events", others)
    return shown


def amount(minor: int, currency: str) -> str:
    """An amount for people: 494,680.20 EUR; in minor units where the currency is not known."""
    return f"{Money(minor, currency).amount:,f} {currency}" if currency else f"{minor:,} minor units"


def _result(name: str, played: dict[str, Any], json: bool) -> None:
    from rich.console import Console

    Console(highlight=False).print(table(f"{name}: {played['seconds']:.0f} s of simulated traffic", played))
    if json:
        show_json({"pack": name, **played})


def _fresh(place: Place) -> Place:
    """A folder of our own, empty: the traffic of a second run would else fall into the windows of the first."""
    if (RUN_FOLDER / MARK).is_file():
        shutil.rmtree(RUN_FOLDER)
    (RUN_FOLDER / "data").mkdir(parents=True, exist_ok=True)
    (RUN_FOLDER / MARK).write_text("`quanheng run` empties this folder when it starts.\n", encoding="utf-8")
    return replace(place, data=RUN_FOLDER / "data", keys=place.keys or RUN_FOLDER / "keys")


def _start(config: Config, name: str, place: Place) -> tuple[subprocess.Popen[bytes], Path]:
    from quanheng.server.process import check_address

    check_address(config)
    log_file = Path(config.storage.data) / "serve.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "quanheng.cli", "serve", "--pack", name]
    command += ["--port", str(config.server.port), "--data", config.storage.data, "--keys", config.storage.keys]
    command += ["--config", str(place.config)] if place.config else []
    with log_file.open("ab") as log:
        # Its own session: Ctrl-C reaches `run` only, which then stops it in order.
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True), log_file


def _wait(child: subprocess.Popen[bytes], config: Config, log_file: Path) -> None:
    import socket

    until_s = time.monotonic() + START_S_MAX
    with console().status("starting (the first time, compiling takes a while)"):
        while child.poll() is None and time.monotonic() < until_s:
            with suppress(OSError), socket.create_connection((config.server.address, config.server.port), 0.5):
                return
            time.sleep(0.1)
    lines = [line for line in log_file.read_text(errors="replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "nothing")
    raise ServerDidNotStart("the server did not start", where=str(log_file), found=said.removeprefix("error: "))


def _stop(child: subprocess.Popen[bytes], config: Config) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(config.server.stop_ms_max / 1000 + 5)
        except subprocess.TimeoutExpired:
            child.kill()


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
