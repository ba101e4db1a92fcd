"""Sources with state of another distribution in the past: backtests, shadows, explanations and training read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from alike import Alike
from shop import T0, ask, packs
from test_governing import drafted, take
from test_past import folder, recorded, run
from test_stateful_sources import DECLARED, installed, opened, stream  # noqa: F401 - a fixture

from quanheng.engine import Engine
from quanheng.kernel.errors import InputError
from quanheng.loading.files import read_pack
from quanheng.models.history import history
from quanheng.models.vectors import vectors
from quanheng.past.backtest import Band
from quanheng.past.explaining import explain_decision
from quanheng.shadow import catch_up
from quanheng.shadow_book import Book

STRICT = (*DECLARED, ("policies/answer.dmn", "&gt; customer_count_1d_max", "&gt;= customer_count_1d_max"))
"""One request for an amount fewer before a person looks."""
OTHER_FIELD = (
    *DECLARED[:1],
    ("features.toml", 'field = "amount_minor"', 'field = "time_ms"'),
    *DECLARED[1:],
)


def filled(place: Path, *changes, seeds=(1, 2, 3, 4)) -> Engine:
    engine = opened(place)
    if changes:  # Without its golden cases, which are about what was in force before.
        party, mine = packs(*changes)
        files = {name: data for name, data in mine.files.items() if not name.startswith("cases/")}
        engine.activate([party, read_pack(files, "shop")])
    for seed in seeds:
        for group in stream(seed):
            engine.submit(group)
    return engine


def matrix(one: Engine, other: Engine) -> list[list[int]]:
    """What two engines decided of the same requests."""
    outcomes = one.state.program.outcomes
    found = [[0] * len(outcomes) for _ in outcomes]
    for (_, was), (_, now) in zip(recorded(one), recorded(other), strict=True):
        found[outcomes.index(was.outcome)][outcomes.index(now.outcome)] += 1
    return found


@pytest.mark.parametrize("rebuilt", [False, True], ids=["served", "rebuilt"])
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_the_deciding_version_says_what_it_said(tmp_path, rebuilt, columns):
    engine = filled(tmp_path / "a")
    found = run(engine, rebuilt=rebuilt, columns=columns, segments=(Band("alike_before", (1, 3)),))
    assert (found["changed"], found["only_reasons"], found["left_out"]["not_readable"]) == (0, 0, 0)
    assert found["decisions"] == len(recorded(engine)) > 50
    assert found["candidate"]["engine"]["mode"] == ("columns" if columns else "rows")
    (segment,) = found["segments"]
    assert sum(row["decisions"] for row in segment["rows"]) == found["decisions"]
    assert len(segment["rows"]) > 1
    engine.close()


@pytest.mark.parametrize("rebuilt", [False, True], ids=["served", "rebuilt"])
def test_a_change_gives_what_an_engine_with_it_would_have_decided(tmp_path, rebuilt):
    engine, other = filled(tmp_path / "a"), filled(tmp_path / "b", *STRICT)
    found = run(engine, folder(tmp_path, "strict", *STRICT), rebuilt=rebuilt)
    assert found["matrix"] == matrix(engine, other)
    assert found["changed"] > 0
    for one in (engine, other):
        one.close()


def test_a_source_with_other_settings_must_fold_the_log_again(tmp_path):
    engine, other = filled(tmp_path / "a"), filled(tmp_path / "b", *OTHER_FIELD)
    place = folder(tmp_path, "other", *OTHER_FIELD)
    text = r"the version reads folds that were not recorded with the decisions; was alike; allowed: folds, and sources with state, that the deciding version declared alike. Fold the log again under this version: --rebuilt."  # noqa: E501
    with pytest.raises(InputError, match=text):
        run(engine, place)
    found = run(engine, place, rebuilt=True)
    assert found["matrix"] == matrix(engine, other)
    assert found["changed"] > 0
    for one in (engine, other):
        one.close()


def test_what_another_version_of_the_source_answered_is_not_taken(tmp_path, monkeypatch):
    engine = filled(tmp_path / "a")
    monkeypatch.setattr(Alike, "version", "2")
    with pytest.raises(InputError, match="not recorded with the decisions; was alike;"):
        run(engine)
    assert run(engine, rebuilt=True)["changed"] == 0
    engine.close()


def test_a_shadow_judges_by_what_the_source_answered(tmp_path):
    engine = opened(tmp_path / "a")
    hash = drafted(engine, *STRICT)
    take(engine, "shadow", version=hash)
    first = engine.log.head
    for group in stream(5, groups=20):
        engine.submit(group)
    book = Book(tmp_path)
    assert catch_up(engine.reader, book) == engine.log.head
    told = book.told("shop", hash)
    assert not told["problem"]
    wanted = run(engine, hash, "recorded")
    judged = [row for row in recorded(engine) if row[0] > first]
    assert sum(cell["count"] for cell in told["matrix"]) == len(judged)
    changed = sum(cell["count"] for cell in told["matrix"] if cell["champion"] != cell["shadow"])
    assert changed == wanted["changed"] > 0
    book.close()
    engine.close()


def test_an_explanation_names_what_the_source_answered(tmp_path):
    engine = opened(tmp_path / "a")
    replies = engine.submit([ask(f"r{n}", customer=f"c{n}") for n in range(5)])
    told = explain_decision(engine.reader, replies[3].decision)
    assert told.outcome == "review"
    assert told.search is not None
    assert [(change.name, change.would_be) for change in told.search.found[0].changes] == [("alike", 3)]
    engine.close()


def test_training_reads_what_the_source_answered_live(tmp_path):
    """The vectors of a history are, bit for bit, what the engine knew when it decided the same events."""
    engine = opened(tmp_path / "a")
    requests = [one for group in stream(6, groups=20) for one in group]
    kept = [one for one in requests if json.loads(one.data)["amount_minor"] > 0]
    for one in kept:
        engine.submit([one])
    declared = engine.state.program.packs["shop"]
    rows = [{"id": one.id, "type": "shop.request", "arrive_ms": T0, **json.loads(one.data)} for one in kept]
    names = ["alike_before", "customer_count_1d", "alike", "alike_share", "amount_minor"]
    events = history(pl.DataFrame(rows), declared.events)
    found = vectors(declared, events, "shop.request", names, np.ones(len(rows), bool))
    shown = [engine.decision(offset) for offset, _ in recorded(engine)]
    served = [
        [
            one["sources"]["shop.alike_before"],
            one["features"]["shop.customer_count_1d"],
            one["sources"]["shop.alike"],
            one["formulas"]["shop.alike_share"],
            one["event"]["data"],
        ]
        for one in shown
    ]
    amounts = [json.loads(bytes(row[4]))["amount_minor"] for row in served]
    wanted = [[*map(float, row[:4]), float(amount)] for row, amount in zip(served, amounts, strict=True)]
    assert found.tolist() == wanted
    assert len({row[0] for row in found.tolist()}) > 3
    engine.close()


def test_training_asks_no_source_that_no_input_needs(tmp_path, monkeypatch):
    engine = opened(tmp_path / "a")
    declared = engine.state.program.packs["shop"]
    rows = [{"id": "1", "type": "shop.request", "arrive_ms": T0, **json.loads(ask("1").data)}]
    monkeypatch.setattr(Alike, "apply", lambda *_: pytest.fail("nobody needs it"))
    events = history(pl.DataFrame(rows), declared.events)
    assert vectors(declared, events, "shop.request", ["amount_minor"], np.ones(1, bool)).tolist() == [[20_000.0]]
    engine.close()


def test_events_of_one_moment_reach_a_source_as_one_group(tmp_path, monkeypatch):
    engine = opened(tmp_path / "a")
    declared = engine.state.program.packs["shop"]
    stamps = [T0, T0, T0 + 5, T0 + 9, T0 + 9]
    rows = [
        {"id": str(n), "type": "shop.request", "arrive_ms": stamp, **json.loads(ask(str(n)).data)}
        for n, stamp in enumerate(stamps)
    ]
    seen = []
    whole = Alike.apply

    def noted(self, batch, read=True):
        seen.append((len(batch.times), batch.received_ms))
        return whole(self, batch)

    monkeypatch.setattr(Alike, "apply", noted)
    found = vectors(declared, history(pl.DataFrame(rows), declared.events), "shop.request", ["alike"], np.ones(5, bool))
    assert seen == [(2, T0), (1, T0 + 5), (2, T0 + 9)]
    assert found[:, 0].tolist() == [1, 2, 3, 4, 5]
    engine.close()
