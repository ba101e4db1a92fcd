"""Faults that a hostile reader would look for: each was once possible, and each is told or healed."""

from __future__ import annotations

import re
import shutil
from decimal import Decimal

import pytest
from shop import LIMIT_MINOR, T0, HandClock, ask, opened, packs

from quanheng import program as program_module
from quanheng import recovery
from quanheng.decisions.policy import Judgement
from quanheng.engine import Engine
from quanheng.events.intake import DATA_BYTES_MAX, Request
from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.features.formulas import rounded
from quanheng.feel import Range
from quanheng.follower import write_snapshot
from quanheng.kernel.entries import Entry
from quanheng.kernel.errors import DeclarationError, LogCorrupt
from quanheng.kernel.log.records import NONE_16
from quanheng.loading.declared import Declared
from quanheng.program import Program


def test_the_widths_of_a_program_hold_the_numbers_of_its_decisions():
    """An event without number fields once made the log impossible to open again."""
    fields = {"time_ms": FieldDeclaration(kind="time")}
    event = EventDeclaration(name="a.b", fields=fields)
    assert Program({"a": Declared(name="a", version="1", events=(event,))}, {"a.b": 16}).numbers_max == 3


def test_the_largest_float_has_a_decimal():
    assert rounded(1.7e308, 4).as_tuple().exponent == -4
    assert rounded(0.00005, 4) == Decimal("0.0001")  # The float lies a little above the half.


def test_a_result_that_cannot_be_recorded_is_a_failed_decision_and_the_others_are_answered(tmp_path, monkeypatch):
    engine = opened(tmp_path)
    [[flow]] = engine.state.program.flows.values()
    policy = flow.quick

    def odd(values):
        judgement = policy(values)
        if 13 in values:
            return Judgement(judgement.result, (("x", (), Range(1, 2)),))
        return judgement

    monkeypatch.setattr(flow, "quick", odd)
    replies = engine.submit([ask("a"), ask("b", 13), ask("c")])
    assert [reply.status for reply in replies] == ["decided", "failed", "decided"]
    assert replies[1].reasons == ["policy_failed"]
    assert engine.decision(replies[1].decision)["status"] == "failed"
    engine.close()


def test_reasons_that_are_no_texts_are_a_failed_decision(tmp_path, monkeypatch):
    engine = opened(tmp_path)
    [[flow]] = engine.state.program.flows.values()
    monkeypatch.setattr(flow, "quick", lambda values: Judgement({"outcome": "approve", "reasons": [7]}, ()))
    assert engine.submit([ask("a")])[0].status == "failed"
    engine.close()


def test_fields_of_events_in_the_log_may_only_be_appended(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a")])
    declaration = engine.state.program.packs["shop"].events[0]
    line = next(name for name in declaration.fields if name == "amount_minor")
    with pytest.raises(DeclarationError, match="the packs are not activated") as caught:
        engine.activate(packs(("events.toml", f"{line} ", f'weight = {{type = "integer", optional = true}}\n{line} ')))
    assert "to which keys, numbers and choices may only be appended" in str(caught.value)
    assert "weight (scale 0)" in str(caught.value)
    engine.close()


def test_a_snapshot_of_another_timeline_is_passed_over_and_its_index_built_again(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a")])
    engine.close()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    engine = opened(tmp_path)
    engine.submit([ask(f"old{number}") for number in range(20)])
    engine.close()
    write_snapshot(tmp_path / "data")
    data, aside = tmp_path / "data", tmp_path / "aside"
    aside.mkdir()
    for file in [*data.glob("log.db*"), *data.glob("index.db*")]:  # The log is restored; the snapshot stays.
        shutil.move(file, aside / file.name)
    for file in (tmp_path / "copy").glob("log.db*"):
        shutil.copy(file, data / file.name)
    engine = opened(tmp_path)
    engine.submit([ask(f"new{number}", customer="bert") for number in range(30)])
    engine.close()
    for file in aside.glob("index.db*"):
        shutil.copy(file, data / file.name)
    engine = opened(tmp_path)
    assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest()
    assert engine.submit([ask("old3")])[0].status == "decided"
    assert engine.submit([ask("new3", customer="bert")])[0].status == "repeated"
    engine.close()


def test_a_snapshot_of_other_folds_is_passed_over(tmp_path, monkeypatch):
    engine = opened(tmp_path)
    engine.submit([ask("a"), ask("b")])
    engine.close()
    write_snapshot(tmp_path / "data")
    monkeypatch.setattr(program_module, "LATENESS_MS", program_module.LATENESS_MS + 1)  # As an upgrade would.
    recovery._programs.clear()
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    assert sum(engine.state.events.values()) == 2
    engine.close()
    recovery._programs.clear()


def test_an_index_that_speaks_of_another_log_is_found_when_it_is_used(tmp_path):
    engine = opened(tmp_path)
    [one] = engine.submit([ask("a")])
    engine.writer.forget_recent()
    key = engine.ring.request_key("web", "b")
    engine.index.add([(key, Entry(one.offset, NONE_16, one.decision))], engine.log.head)
    with pytest.raises(LogCorrupt, match="the request index belongs to another log"):
        engine.submit([ask("b")])


def test_a_refused_request_is_erased_with_its_subject(tmp_path):
    engine = opened(tmp_path)
    assert engine.submit([ask("a", "much")])[0].status == "rejected"
    [shown] = engine.rejects()["items"]
    assert "anna" in shown["data"]
    entity = engine.state.program.types["shop.request"].subject[1]
    engine.erase(entity, "anna")
    [shown] = engine.rejects()["items"]
    assert "anna" not in str(shown)
    assert "erased" in shown["error"]
    engine.close()


def test_padding_is_refused(tmp_path):
    engine = opened(tmp_path)
    small = ask("a")
    padded = Request(small.client, "a", small.type, small.data[:-1] + b" " * DATA_BYTES_MAX + b"}")
    [reply] = engine.submit([padded])
    assert reply.status == "rejected"
    assert "the event's data is too large" in reply.error
    engine.close()


def test_a_dry_run_of_a_recorded_request_gives_the_recorded_answer(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a", LIMIT_MINOR + 1)])
    assert [reply.status for reply in engine.dry_run([ask("a", LIMIT_MINOR + 1), ask("a", 1), ask("b")])] == [
        "repeated", "conflict", "decided",
    ]  # fmt: skip
    engine.close()


def test_a_pack_that_is_no_toml_is_refused_with_its_problems(tmp_path):
    from quanheng.loading.files import read_pack

    engine = opened(tmp_path)
    with pytest.raises(DeclarationError, match=re.escape("pack.toml")):
        engine.activate([read_pack({"pack.toml": b"[[["}, "bad")])
    assert engine.submit([ask("a", at=T0)])[0].status == "decided"
    engine.close()
