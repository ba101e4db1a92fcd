"""Engines whose packs declare life cycles drawn at random: those stand in pack.toml as a remark, so that what is kept
of a pack says them and recovery finds them again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import msgspec
from tests.properties.processes.lives import LIFE, T0, Rounds, pack_with

from quanheng import activation, recovery
from quanheng.engine import Engine
from quanheng.kernel.log.records import DECISION
from quanheng.loading import pack as loading
from quanheng.loading.declared import Declared
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.files import PackFiles, read_pack
from quanheng.replay import replay

_REMARK = b"# lives: "


def files_with(*made: ProcessDeclaration) -> PackFiles:
    """The pack in tests/packs/life with life cycles."""
    files = dict(read_pack(LIFE).files)
    files["pack.toml"] += b"\n" + _REMARK + msgspec.json.encode(made) + b"\n"
    return read_pack(files, "life")


def _load(
    names: Sequence[str], available: Mapping[str, PackFiles], in_force: Sequence[str] = ()
) -> dict[str, Declared]:
    found = loading.load_packs(names, available, in_force)
    for name in found:
        remark = available[name].files["pack.toml"].partition(_REMARK)[2]
        if remark:
            found[name] = pack_with(*msgspec.json.decode(remark, type=tuple[ProcessDeclaration, ...]))
    return found


@contextmanager
def lives_are_read() -> Iterator[None]:
    """Activation and recovery read the remark."""
    with patch.object(activation, "load_packs", _load), patch.object(recovery, "load_packs", _load):
        yield


class Clock:
    """One that is moved by hand."""

    def __init__(self) -> None:
        self.now_ms = T0

    def __call__(self) -> int:
        return self.now_ms


class Living:
    """An engine that lives, with a clock of its own."""

    def __init__(self, folder: Path, **more: object) -> None:
        self.folder, self.clock, self.number = folder, Clock(), 0
        self.more = more
        self.engine = Engine.open(folder, clock=self.clock, log_ahead_ms_max=None, **more)  # type: ignore[arg-type]

    def live(self, made: Rounds) -> None:
        for passed_ms, group in made:
            self.clock.now_ms += passed_ms
            self.fire()
            requests = []
            for one in group:
                self.number += 1
                requests.append(one.request(f"r{self.number}", T0))
            self.engine.submit(requests)

    def fire(self) -> None:
        for _ in range(10_000):
            if not self.engine.writer.is_due:
                return
            self.engine.submit([])
        raise AssertionError("timers are due for ever")

    def again(self) -> None:
        """Close it, and open it again."""
        self.engine.close()
        self.engine = Engine.open(self.folder, clock=self.clock, log_ahead_ms_max=None, **self.more)  # type: ignore[arg-type]

    def replays(self, every: int = 1) -> int:
        """Every so many-th decision is the same when it is made again; how many."""
        reader, count = self.engine.reader, 0
        for offset in range(self.engine.log.head):
            if self.engine.log.record(offset).kind == DECISION:
                count += 1
                if count % every == 0:
                    report = replay(reader, self.engine.snapshots, offset)
                    assert report.same, (offset, report)
        return count

    def fired(self) -> list[tuple[int, int]]:
        """(serial, due moment) of every timer that was told, in order."""
        told = []
        code = self.engine.state.program.codes["life.timer.fired"]
        for offset in range(self.engine.log.head):
            record = self.engine.log.record(offset)
            if record.kind == 1 and record.type == code:
                data = json.loads(self.engine.reader.event(offset).body.data)
                told.append((data["serial"], data["due_ms"]))
        return told
