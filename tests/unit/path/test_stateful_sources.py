"""A source with state of another distribution: live, after a crash, in snapshots, in replay, in a dry run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from alike import Alike
from shop import T0, HandClock, ask, packs
from test_engine import LOWER, WIDER

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.features.fold import EventLayout
from quanheng.features.source import Batch
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError, InputError
from quanheng.kernel.log.records import DECISION
from quanheng.replay import replay
from quanheng.state import Activated, State
from quanheng.testing.source_kit import check_stateful_source

DECLARED = (
    (
        "features.toml",
        "[[formula]]",
        """[[source]]
name = "alike"
settings = {of = "shop.request", field = "amount_minor"}

[[formula]]
name = "alike_share"
feel = "alike_before / alike"

[[formula]]""",
    ),
    ("policies/answer.dmn", "customer_count_1d_max", "the_max"),
    ("policies/answer.dmn", "customer_count_1d", "alike"),
    ("policies/answer.dmn", "the_max", "customer_count_1d_max"),
)
"""The shop sends the fourth request for one amount to a person, whoever asks: as the source knows it."""


@pytest.fixture(autouse=True)
def installed(tmp_path_factory, monkeypatch) -> Path:
    """A distribution that names the source in the entry point group `quanheng.sources`, as pip would leave it."""
    site = tmp_path_factory.mktemp("site")
    info = site / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[quanheng.sources]\nalike = alike:Alike\nlost = no_such:Thing\nodd = alike:EventLayout\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *sys.path]))
    yield site
    recovery._programs.clear()


def opened(folder: Path) -> Engine:
    engine = Engine.open(folder / "data", keys=folder.parent / "keys", clock=HandClock())
    if engine.state.program.activation < 0:
        engine.activate(packs(*DECLARED))
    return engine


def stream(seed: int, groups: int = 10) -> list[list]:
    rng = random.Random(seed)
    return [
        [
            ask(f"{seed}.{group}.{number}", rng.choice([-1, 10_000, 20_000, 30_000]), customer=f"c{rng.randint(1, 9)}")
            for number in range(rng.randint(1, 8))
        ]
        for group in range(groups)
    ]


def decisions(engine: Engine) -> list[int]:
    return [offset for offset in range(engine.log.head) if engine.log.record(offset).kind == DECISION]


def bodies(engine: Engine) -> list[tuple]:
    """What was decided, without the offsets of one log."""
    found = [engine.reader.recorded_decision(offset).body for offset in decisions(engine)]
    return [(one.outcome, tuple(one.reasons), one.vector, one.formulas, one.sources) for one in found]


def test_it_keeps_the_laws():
    layout = EventLayout("shop.request", 16, ("customer",), ("amount_minor",), (0,))
    batch = Batch(
        np.array([16, 16, 17, 16, 16, 16], np.int32), np.arange(6), np.zeros((6, 1, 2), np.uint64),
        np.array([[5], [5], [5], [7], [5], [7]]), offset=3, received_ms=T0,
    )  # fmt: skip
    assert check_stateful_source(lambda: Alike([layout], {"of": "shop.request", "field": "amount_minor"}), batch) == []


def test_each_decision_is_taken_with_what_was_known_at_its_own_moment(tmp_path):
    engine = opened(tmp_path / "a")
    replies = engine.submit([ask(f"r{n}", customer=f"c{n}") for n in range(5)])
    assert [one.outcome for one in replies] == ["approve", "approve", "approve", "review", "review"]
    assert [engine.decision(one.decision)["sources"]["shop.alike"] for one in replies] == [1, 2, 3, 4, 5]
    shown = engine.decision(replies[3].decision)
    assert shown["sources"] == {"shop.alike": 4, "shop.alike_before": 3}
    assert shown["formulas"]["shop.alike_share"] == 0.75
    assert shown["versions"]["packs"]["shop"]["sources"] == {"alike": "1"}
    engine.close()


def test_groups_answer_as_requests_alone(tmp_path):
    together, alone = opened(tmp_path / "a"), opened(tmp_path / "b")
    for group in stream(1):
        together.submit(group)
        for request in group:
            alone.submit([request])
    assert bodies(together) == bodies(alone)
    assert together.state.sources[0].digest() == alone.state.sources[0].digest()
    together.close()
    alone.close()


def test_a_dry_run_answers_as_the_real_request_and_changes_nothing(tmp_path):
    engine = opened(tmp_path / "a")
    engine.submit([ask(f"r{n}") for n in range(3)])
    before = engine.state.digest()
    dry = engine.dry_run([ask("x"), ask("y")])
    assert [one.outcome for one in dry] == ["review", "review"]  # Each alone.
    assert engine.state.digest() == before
    assert engine.submit([ask("x")])[0].outcome == "review"
    assert engine.state.digest() != before
    engine.close()


CRASHES = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_stateful_sources import opened, stream
engine = opened(Path({folder!r}))
for group in stream(2):
    engine.submit(group)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_it_is_folded_again_from_the_log(tmp_path):
    code = CRASHES.format(path=[str(Path(__file__).parent)], folder=str(tmp_path / "a"))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    crashed, spared = opened(tmp_path / "a"), opened(tmp_path / "b")
    for group in stream(2):
        spared.submit(group)
    assert crashed.state.digest() == spared.state.digest()
    for group in stream(3):
        crashed.submit(group)
        spared.submit(group)
    assert bodies(crashed) == bodies(spared)
    crashed.close()
    spared.close()


def test_a_snapshot_holds_it_and_the_restart_begins_there(tmp_path, monkeypatch):
    engine = opened(tmp_path / "a")
    for group in stream(4):
        engine.submit(group)
    assert write_snapshot(tmp_path / "a" / "data", check=True).digest == engine.state.digest()
    for group in stream(5, 2):
        engine.submit(group)
    live = engine.state.digest()
    head, rows = engine.log.head, []
    engine.close()
    fold = Alike._fold

    def counting(self, batch, came):
        rows.append(len(batch.times))
        return fold(self, batch, came)

    monkeypatch.setattr(Alike, "_fold", counting)
    engine = opened(tmp_path / "a")
    assert engine.state.digest() == live
    assert 0 < sum(rows) < head / 4  # Those after the snapshot.
    engine.close()


@pytest.mark.parametrize("with_snapshots", [True, False])
def test_every_decision_replays_byte_for_byte(tmp_path, with_snapshots):
    engine = opened(tmp_path / "a")
    for group in stream(6):
        engine.submit(group)
    write_snapshot(tmp_path / "a" / "data")
    engine.activate(packs(*DECLARED, *LOWER))
    for group in stream(7, 4):
        engine.submit(group)
    for offset in decisions(engine):
        report = replay(engine.reader, engine.snapshots if with_snapshots else None, offset)
        assert report.same, report
    engine.close()


def test_other_settings_and_other_folds_are_folded_again_from_the_beginning(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs())
    engine.submit([ask(f"r{n}") for n in range(3)])
    engine.activate(packs(*DECLARED))  # Brings the source in; it knows what was before it.
    assert engine.submit([ask("x")])[0].outcome == "review"
    engine.activate(packs(*DECLARED, *WIDER))
    live = engine.state.digest()
    assert live == recovery.rebuild(engine.log, engine.content, None).digest()
    engine.close()
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    assert engine.state.digest() == live
    engine.close()


def test_another_version_passes_snapshots_over_and_decisions_name_it(tmp_path, monkeypatch):
    engine = opened(tmp_path / "a")
    [old] = engine.submit([ask("a")])
    engine.close()
    write_snapshot(tmp_path / "a" / "data")
    recovery._programs.clear()
    monkeypatch.setattr(Alike, "version", "2")
    log, content, kept, arrays = newest_snapshot(tmp_path / "a" / "data")
    program = recovery.rebuild(log, content, None).program
    with pytest.raises(InputError, match="the dump belongs to other sources"):
        State.restore(program, kept, arrays)
    engine = opened(tmp_path / "a")
    [new] = engine.submit([ask("b")])
    assert engine.decision(old.decision)["versions"]["packs"]["shop"]["sources"] == {"alike": "1"}
    assert engine.decision(new.decision)["versions"]["packs"]["shop"]["sources"] == {"alike": "2"}
    assert engine.decision(new.decision)["sources"]["shop.alike"] == 2
    monkeypatch.setattr(Alike, "apply", lambda self, batch, read=True: np.zeros((len(batch.times), 2)))
    report = replay(engine.reader, None, old.decision)
    assert (report.same, report.cause) == (False, "source shop.alike was 1, is 2")
    engine.close()


def newest_snapshot(data: Path):
    from quanheng.kernel.content import ContentStore
    from quanheng.kernel.log.log import Log
    from quanheng.kernel.log.sqlite import SqliteLogStore
    from quanheng.kernel.snapshot import Snapshots

    parts = dict(Snapshots(data / "snapshots").newest().parts)
    log = Log.reader(SqliteLogStore(data / "log.db"))
    return log, ContentStore(data / "content"), parts.pop("state"), parts


def test_settings_that_do_not_fit_are_refused_before_anything_is_in_force(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    wrong = (DECLARED[0][0], DECLARED[0][1], DECLARED[0][2].replace('of = "shop.request"', 'of = "shop.nothing"'))
    with pytest.raises(InputError, match=r"no such event; was shop\.nothing; allowed: shop\.request"):
        engine.activate(packs(wrong, *DECLARED[1:]))
    assert engine.health()["packs"] == {}
    engine.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gone", "no installed distribution brings this source; was 'gone'; allowed: alike, lost, odd"),
        ("lost", "the source cannot be imported (No module named 'no_such')"),
        ("odd", "is no class of a source with state: it lacks version, columns, apply, peek, dump, load, digest"),
    ],
)
def test_a_source_that_cannot_be_used_is_a_problem_of_the_pack(tmp_path, name, text):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    with pytest.raises(DeclarationError) as caught:
        engine.activate(packs(("features.toml", "[[formula]]", f'[[source]]\nname = "{name}"\n\n[[formula]]')))
    assert text in str(caught.value)
    engine.close()


def test_a_log_is_not_opened_without_the_source_that_folds_it(tmp_path, installed):
    engine = opened(tmp_path / "a")
    engine.close()
    recovery._programs.clear()
    (installed / "theirs-1.0.dist-info" / "entry_points.txt").write_text("")
    with pytest.raises(DeclarationError, match="no installed distribution brings this source"):
        opened(tmp_path / "a")


def test_an_activation_written_before_there_were_sources_is_read(tmp_path):
    old = msgspec.json.encode({"packs": {}, "versions": {}, "codes": {}, "engine": "0.1.0"})
    assert msgspec.json.decode(old, type=Activated).sources == {}
