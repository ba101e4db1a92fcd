"""Every kind of fold over every kind of window in the real path: live, restarted, replayed, backtested, trained."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from itertools import count

import numpy as np
import polars as pl
import pytest
from shop import T0, HandClock, shop
from test_engine import fresh

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.features.fold import BUILT
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.follower import write_snapshot
from quanheng.kernel.log.records import DECISION
from quanheng.loading import check_pack
from quanheng.loading.files import PackFiles
from quanheng.loading.find import read_packs
from quanheng.models.history import history
from quanheng.models.vectors import vectors
from quanheng.offline.build import Build
from quanheng.offline.events import LogEvents
from quanheng.offline.spine import SpineColumns
from quanheng.past import side
from quanheng.past.backtest import Settings, backtest
from quanheng.past.versions import Asked
from quanheng.past.window import activations_of
from quanheng.replay import replay

MINUTE_MS = 60_000
CURRENCY = 'currency     = {type = "text", pattern = "^[A-Z]{3}$", length_max = 3}'
FIELDS = """
partner = {type = "key", entity = "party.customer", optional = true}
channel = {type = "choice", choices = ["web", "desk"], optional = true}
gift = {type = "boolean", optional = true}
tip = {type = "decimal", scale = 3, optional = true}
latitude = {type = "decimal", scale = 6, optional = true}
longitude = {type = "decimal", scale = 6, optional = true}
"""
WINDOWS = (
    {},
    {"window": "2h"},
    {"window": "1h", "delay": "20m"},
    {"window": "3h", "current": "out"},
    {"since": "day", "zone": "Asia/Shanghai"},
    {"since": "month", "current": "out"},
    {"last": 3},
    {"window": "2h", "last": 4, "current": "out"},
    {"window": "2h", "gap": "7m"},
    {"window": "2h", "age_max": "15m"},
    {"window": "2h", "where": 'channel = "web" and not(gift = true)'},
    {"window": "2h", "where": 'floor(amount_minor / 3) > 0 and (tip / 3 > -1.5 or starts with(channel, "w"))'},
    {"where": "customer = partner or moment.minute < 20", "window": "2h", "zone": "Asia/Shanghai"},
    {"by": ["partner"], "match": ["customer"], "window": "2h"},
    {"by": ["partner"], "through": "usual", "window": "2h"},
    {"by": ["customer", "partner"], "window": "2h"},
)
SETTINGS = {
    "ratio": {"other": "tip"},
    "trend": {"per": "1h"},
    "nth_last": {"nth": 2},
    "percentile": {"quantile": 0.9, "accuracy": 0.02},
    "distance": {"value": "latitude", "other": "longitude"},
    "speed": {"value": "latitude", "other": "longitude"},
    "decayed_count": {"half_life": "30m"},
    "decayed_sum": {"half_life": "30m"},
    "decayed_mean": {"half_life": "30m"},
    "streak": {"value": "gift"},
    "last": {"value": "partner"},
    "first": {"value": "partner"},
    "top": {"value": "partner"},
    "distinct": {"value": "channel"},
    "holiday": {"calendar": "china"},
    "workday": {"calendar": "china"},
}
OF_KEYS = ("last", "first", "top")  # Their answers are bits of pseudonyms: no file of names knows them.


def declared_folds() -> list[dict[str, object]]:
    """Every kind over every window, and a few that read in another way."""
    numbers, made = count(), [{"name": "usual", "fold": "last", "value": "partner", "by": ["customer"]}]
    for kind in BUILT:
        for window in [{}] if kind in CALENDAR_KINDS else WINDOWS:
            if kind == "change" and ("window" not in window or {"last", "gap"} & set(window)):
                continue
            one = {"name": f"{kind}_{next(numbers)}", "fold": kind}
            if kind in CALENDAR_KINDS:
                one["zone"] = "Asia/Shanghai"
            else:
                one["by"] = ["customer"]
            if KINDS[kind].reads != "nothing":
                one["value"] = "amount_minor"
            made.append(one | SETTINGS.get(kind, {}) | window)
    made += [
        {"name": "bounded", "fold": "distinct", "value": "amount_minor", "exact_max": 3, "by": ["customer"]},
        {"name": "growth", "fold": "change", "window": "30m", "by": ["customer"]},
        {"name": "of_tips", "fold": "stddev", "value": "tip", "decimals": 9, "by": ["partner"]},
    ]
    return made


def pack() -> PackFiles:
    folds = [{"of": "shop.request", **one} for one in declared_folds()]
    text = "\n".join(
        "[[fold]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in one.items()) for one in folds
    )
    formula = "[[formula]]"
    return shop(("events.toml", CURRENCY, CURRENCY + FIELDS), ("features.toml", formula, f"{text}\n\n{formula}"))


def rows(groups: int) -> list[list[dict[str, object]]]:
    """Groups of requests, some late and some with fields left out."""
    rng, at, made = random.Random(4), T0, []
    for _ in range(groups):
        group = []
        for _ in range(rng.randint(1, 6)):
            at += rng.choice([0, 1, MINUTE_MS, 6 * MINUTE_MS, 9 * MINUTE_MS])
            late = rng.choice([0, 0, 0, 10 * MINUTE_MS, 31 * 86_400_000 if rng.random() < 0.2 else 0])
            data = {
                "time_ms": at - late,
                "customer": rng.choice(["ann", "bob", "eve"]),
                "amount_minor": rng.choice([1, 700, 20_000, 500_000, rng.randint(1, 10_000_000)]),
                "currency": "EUR",
                "partner": rng.choice(["ann", "bob", "zoe"]),
                "channel": rng.choice(["web", "desk"]),
                "gift": rng.random() < 0.6,
                "tip": f"{rng.randint(-5000, 5000) / 1000:.3f}",
                "latitude": f"{rng.uniform(-89, 89):.6f}",
                "longitude": f"{rng.uniform(-179, 179):.6f}",
            }
            left_out = [name for name in list(data)[4:] if rng.random() < 0.15]
            group.append({name: value for name, value in data.items() if name not in left_out})
        made.append(group)
    return made


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The engine over one log: opened again without a snapshot, then with one, and asked between."""
    folder, clock, numbers, digest = tmp_path_factory.mktemp("every"), HandClock(), count(), None
    groups = rows(40)
    for part in (groups[:15], groups[15:30], groups[30:], []):
        engine = Engine.open(folder / "data", clock=clock)
        if digest is None:
            engine.activate([read_packs()["party"], pack()])
        assert digest in (None, engine.state.digest())
        for group in part:
            clock.now_ms = max(clock.now_ms, *(one["time_ms"] for one in group))
            texts = [json.dumps(one).encode() for one in group]
            engine.submit([Request("web", f"r{next(numbers)}", "shop.request", text) for text in texts])
        digest = engine.state.digest()
        if not part:
            break
        engine.close()
        if len(part) == 15 and part != groups[:15]:
            write_snapshot(folder / "data")
    yield engine, folder
    engine.close()


def decisions(engine: Engine) -> list[int]:
    return [offset for offset in range(engine.log.head) if engine.log.record(offset).kind == DECISION]


def features(engine: Engine) -> list[dict[str, Decimal | None]]:
    """What each decision was served, by the names of the pack."""
    found = [engine.reader.decision(offset)["features"] for offset in decisions(engine)]
    return [{name.removeprefix("shop."): value for name, value in one.items()} for one in found]


def test_every_kind_is_in_the_pack_and_answers(served):
    engine, _ = served
    found = features(engine)
    for one in declared_folds():
        assert {row[one["name"]] for row in found} - {None}, one


def test_a_restart_folds_the_same_with_and_without_a_snapshot(served):
    engine, _ = served
    assert engine.snapshots.newest() is not None
    assert fresh(engine) == engine.state.digest()


@pytest.mark.parametrize("with_snapshots", [True, False], ids=["snapshot", "from the beginning"])
def test_decisions_replay_to_the_same_bytes(served, with_snapshots):
    engine, _ = served
    for offset in decisions(engine)[3::29]:
        report = replay(engine.reader, engine.snapshots if with_snapshots else None, offset)
        assert report.same, report


def test_folding_the_log_again_gives_the_served_columns(served, monkeypatch):
    engine, _ = served
    known, seen = side.JudgedSide.known, {False: [], True: []}

    def kept(self, *arguments):
        found = known(self, *arguments)
        seen[self.rebuilt].append(np.array(found.raw))
        return found

    monkeypatch.setattr(side.JudgedSide, "known", kept)
    for rebuilt in (False, True):
        settings = Settings("shop", Asked("active", None), Asked("recorded", None), rebuilt=rebuilt)
        report = backtest(engine.reader, read_packs(), settings)
        assert (report["changed"], report["only_reasons"]) == (0, 0)
        assert report["decisions"] == len(decisions(engine))
    assert (np.concatenate(seen[True]) == np.concatenate(seen[False])).all()


def floats(engine: Engine) -> list[dict[str, float | None]]:
    """The vector of each decision as models see it, from the words that the decision keeps."""
    plan, bodies = engine.state.program.plan, [engine.reader.recorded_decision(one).body for one in decisions(engine)]
    raw = np.array([np.frombuffer(one.vector, np.int64) for one in bodies])
    names = [name.removeprefix("shop.") for name in plan.names]
    return [dict(zip(names, nulls(row), strict=True)) for row in plan.floats(raw).tolist()]


def nulls(row: list[float]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in row]


def test_a_training_set_of_the_log_holds_the_served_vectors(served, tmp_path):
    engine, _ = served
    declared, problems = check_pack(pack(), read_packs())
    assert not problems
    events = [engine.reader.decision(offset)["event"]["offset"] for offset in decisions(engine)]
    pl.DataFrame({"event": events}).write_parquet(tmp_path / "spine.parquet")
    source = LogEvents(engine.reader, declared.events, activations_of(engine.reader)[-1].codes)
    columns = SpineColumns("", offset="event")
    Build(declared, source, tmp_path / "spine.parquet", columns, tmp_path / "out.parquet").run(lambda *_: None)
    built = pl.read_parquet(tmp_path / "out.parquet")
    for row, one in zip(built.iter_rows(named=True), floats(engine), strict=True):
        assert [(name, value, row[name]) for name, value in one.items() if value != row[name]] == []


def test_vectors_of_training_are_those_that_were_served(served):
    engine, _ = served
    declared, _ = check_pack(pack(), read_packs())
    event = declared.events[0]
    data = [
        {name: one.get(name) for name in event.fields} | {"id": str(number), "type": event.name, "arrive_ms": number}
        for number, one in enumerate(one for group in rows(40) for one in group)
    ]
    frame = pl.DataFrame(data, infer_schema_length=None)
    frame = frame.with_columns(pl.col(name).cast(pl.Decimal(38, 6)) for name in ("tip", "latitude", "longitude"))
    names = [one["name"] for one in declared_folds() if one["fold"] not in OF_KEYS]
    made = vectors(declared, history(frame, declared.events), event.name, names, np.ones(len(data), bool))
    for row, one in zip(made, floats(engine), strict=True):
        mine = dict(zip(names, nulls(row.tolist()), strict=True))
        assert [(name, one[name], mine[name]) for name in names if one[name] != mine[name]] == []


def test_a_moment_of_its_own_is_compared_by_the_number_it_gives(served, tmp_path):
    engine, _ = served
    declared, _ = check_pack(pack(), read_packs())
    names = [one["name"] for kind in ("zscore", "mean", "stddev") for one in declared_folds() if one["fold"] == kind]
    chosen = [next(name for name in names if name.startswith(kind)) for kind in ("zscore", "mean", "stddev")]
    at = max(one["time_ms"] for group in rows(40) for one in group)
    moment = {"time_ms": [at], "customer": ["ann"], "amount_minor": [7_000_000], "upto": [engine.log.head]}
    pl.DataFrame(moment).write_parquet(tmp_path / "moment.parquet")
    source = LogEvents(engine.reader, declared.events, activations_of(engine.reader)[-1].codes)
    columns, out = SpineColumns("time_ms", offset="upto"), tmp_path / "out.parquet"
    Build(declared, source, tmp_path / "moment.parquet", columns, out, features=chosen).run(lambda *_: None)
    zscore, mean, stddev = (pl.read_parquet(out)[name][0] for name in chosen)
    assert zscore == pytest.approx((7_000_000 - mean) / stddev)
