"""`quanheng ingest`: the rows of a file through the same path as HTTP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from quanheng.cli.common import HERE, Json, Place, console, locked_engine, progress_bar, show_json
from quanheng.cli.row_files import Unread, count_rows
from quanheng.cli.rows import Arrival, arrivals, ready_events
from quanheng.kernel.errors import InputError, NotFound, QuanhengError

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared, FileMapping
    from quanheng.server.config import Config

Send = Callable[[Sequence[Arrival]], Sequence[Any]]
GROUP = 500


class Refused(QuanhengError):
    """The running server did not take a batch."""


class Answer(msgspec.Struct):
    """What matters of a reply, as `writer.Reply`."""

    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: list[str] = []
    error: str = ""
    transfers: list[dict[str, Any]] = []


def ingest(
    file: Path,
    /,
    *,
    pack: str = "",
    map: str = "",
    rejects: Path | None = None,
    out: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Send the rows of a .csv, .parquet or .jsonl file through the main path. Safe to run again: ids are the same.

    If a server is running on the data folder the events go through it, else the folder is opened here.

    For example:
      quanheng ingest payments.csv --pack my_pack --map my_columns
      quanheng ingest events.jsonl --pack my_pack --out answers.jsonl

    Parameters
    ----------
    file : Path
        The file, its rows in order of time.
    pack : str
        Pack whose mapping is used (default: the first of packs.load).
    map : str
        Mapping of the pack (mappings/NAME.toml; default: its only one). Without it a .jsonl file holds events:
        {"id", "type", "data"}.
    rejects : Path
        Where rejected events are written with their reasons (default: FILE.rejects.jsonl).
    out : Path
        A .jsonl file to write the answers to: row, id, status, outcome, and the offsets of event and decision.
    json : bool
        One line of JSON.
    """
    config = place.read(packs__load=[pack] if pack else None)
    batches = _events_of(config, file, map)
    total = count_rows(file)
    answers = _Answers(rejects or file.with_name(file.name + ".rejects.jsonl"), out)
    group_max = min(GROUP, config.limits.events_max)
    started_s = time.perf_counter()
    with sender(config) as send, progress_bar() as progress:
        task = progress.add_task(file.name, total=total)
        for batch in batches:
            answers.unread([one for one in batch if isinstance(one, Unread)])
            read = [one for one in batch if isinstance(one, Arrival)]
            for first in range(0, len(read), group_max):
                group = read[first : first + group_max]
                answers.take(group, send(group))
                progress.update(task, completed=max(arrival.row for arrival in group))
        progress.update(task, completed=total)
    found = answers.figures(total, time.perf_counter() - started_s)
    if json:
        show_json(found)
    else:
        print(", ".join(f"{key} {value}" for key, value in found.items() if value != ""))
        for remark in answers.remarks():
            console().print(remark)
    return 0


class _Answers:
    """What was answered: counted, and written to files; each file is begun anew.

    rejects : events that were not taken, with the reason
    out : every answer, if wanted
    decisions : smallest and largest log offset of a decision
    """

    def __init__(self, rejects: Path, out: Path | None) -> None:
        self.rejects, self.out = rejects, out
        self.counts: Counter[str] = Counter()
        self.decisions: tuple[int, int] | None = None
        for written in filter(None, (rejects, out)):
            written.unlink(missing_ok=True)

    def unread(self, rows: Sequence[Unread]) -> None:
        """Rows that are no events."""
        self.counts.update(["rejected"] * len(rows))
        told = [{"row": one.row, "status": "rejected", "error": one.error} for one in rows]
        _write_lines(self.rejects, told)
        if self.out:
            _write_lines(self.out, told)

    def take(self, group: Sequence[Arrival], replies: Sequence[Any]) -> None:
        """The answers to a group, in its order."""
        self.counts.update(reply.status for reply in replies)
        told = [_told(one, reply) for one, reply in zip(group, replies, strict=True)]
        _write_lines(self.rejects, [one for one in told if one["status"] in ("rejected", "conflict")])
        if self.out:
            _write_lines(self.out, told)
        offsets = [*(self.decisions or ()), *(reply.decision for reply in replies if reply.decision >= 0)]
        self.decisions = (min(offsets), max(offsets)) if offsets else None

    @property
    def bad(self) -> int:
        """Events that were not taken."""
        return self.counts["rejected"] + self.counts["conflict"]

    def figures(self, rows: int, seconds: float) -> dict[str, Any]:
        """The summary."""
        events = sum(self.counts.values())
        found: dict[str, Any] = {"rows": rows, "events": events, **self.counts, "seconds": round(seconds, 3)}
        found["events_per_s"] = round(events / seconds) if seconds else 0
        found |= dict(zip(("first_decision", "last_decision"), self.decisions or (), strict=False))
        return found | {"rejects_file": str(self.rejects) if self.bad else ""}

    def remarks(self) -> Iterator[str]:
        """What to do next."""
        if self.bad:
            yield f"{self.bad} events were not taken; why stands in {self.rejects}"
        if self.decisions:
            every = f"each stands in {self.out}" if self.out else "--out FILE writes each"
            yield f"the newest: quanheng explain {self.decisions[1]}; {every}"


def _told(one: Arrival, reply: Any) -> dict[str, Any]:
    """An answer as it is written: no offset where there is none."""
    from quanheng.reading import shown_transfer

    told = {"row": one.row, "id": one.id, "type": one.type, "status": reply.status}
    told |= {name: at for name in ("offset", "decision") if (at := getattr(reply, name)) >= 0}
    told |= {name: value for name in ("outcome", "reasons", "error") if (value := getattr(reply, name))}
    # A running server has shown them already.
    moved = [one if isinstance(one, dict) else shown_transfer(one) for one in reply.transfers]
    return told | ({"transfers": moved} if moved else {})


def mapping_of(declared: Sequence[Declared], pack: str, name: str) -> FileMapping:
    """A mapping of a pack; without a name its only one.

    Raises
    ------
    NotFound : the pack has no such mapping, or none was named and it has not exactly one
    """
    mappings = {one.name: one for held in declared if held.name == pack for one in held.mappings}
    if not name and len(mappings) == 1:
        return next(iter(mappings.values()))
    if name not in mappings:
        raise NotFound(
            "the pack has no such mapping",
            where=f"pack {pack}",
            found=repr(name) if name else "no name",
            allowed=", ".join(sorted(mappings)) or "none is declared",
            cure="Give one with --map, or add mappings/NAME.toml to the pack.",
        )
    return mappings[name]


@contextmanager
def sender(config: Config) -> Iterator[Send]:
    """A function that sends a group of events and gives the replies, in order.

    Through the running server if it owns the data folder, else through an engine of our own.

    Raises
    ------
    Refused : the running server did not take a batch
    """
    from quanheng.server.lock import FolderInUse

    try:
        with locked_engine(config) as engine:
            from quanheng.server.intake import token_digest
            from quanheng.server.opening import activate, development_token, read_token

            activate(engine, config)
            development_token(engine, config)
            client = engine.authorise(token_digest(read_token(config).encode()), "ingest")
            from quanheng.events.intake import Request

            yield lambda group: engine.submit([Request(client, one.id, one.type, one.data) for one in group])
    except FolderInUse as error:
        if not read_token_of(config):
            raise
        console().print(f"process {error.found.removeprefix('process ')} owns the folder; sending to it over HTTP")
        with _http_sender(config) as send:
            yield send


def read_token_of(config: Config) -> str:
    """The token this machine uses."""
    from quanheng.server.opening import read_token

    return read_token(config)


@contextmanager
def _http_sender(config: Config) -> Iterator[Send]:
    import asyncio

    from quanheng.server.client import Connection, request_bytes

    token = read_token_of(config)
    decode = msgspec.json.Decoder(list[Answer]).decode
    with asyncio.Runner() as runner:
        connection = runner.run(Connection.open(config.server.address, config.server.port))

        async def post(group: Sequence[Arrival]) -> list[Answer]:
            events = [{"id": one.id, "type": one.type, "data": msgspec.Raw(one.data)} for one in group]
            body = request_bytes("POST", "/v1/events", token, msgspec.json.encode(events))
            while True:
                response = await connection.send(body)
                if response.status != 429:
                    break
                await asyncio.sleep(int(response.header("retry-after") or "1"))
            if response.status != 200:
                raise Refused(
                    "the running server did not take a batch",
                    where=f"{config.server.address}:{config.server.port}",
                    found=f"HTTP {response.status} {response.body.decode(errors='replace')[:300]}",
                    cure="Run the command again: what was recorded is answered once, not twice.",
                )
            return decode(response.body)

        try:
            yield lambda group: runner.run(post(group))
        finally:
            connection.close()


def _events_of(config: Config, file: Path, name: str) -> Iterator[list[Arrival | Unread]]:
    if not name and file.suffix == ".jsonl":
        return ready_events(file)
    from quanheng.server.opening import available_packs, chosen_packs

    if not config.packs.load:
        raise InputError(
            "no pack is named", where="--pack", found="nothing", cure="Give --pack NAME, whose mapping is used."
        )
    declared, _ = chosen_packs(config.packs.load, available_packs(config.packs.folders))
    mapping = mapping_of(declared, config.packs.load[0], name)
    return arrivals(file, mapping, {event.name: event for one in declared for event in one.events})


def _write_lines(file: Path, lines: Sequence[dict[str, Any]]) -> None:
    if lines:
        with file.open("ab") as out:
            out.write(b"".join(msgspec.json.encode(one) + b"\n" for one in lines))
