"""The packs that ship: good by the kit that outside packs are held to, and by what their own pages promise."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from quanheng.loading import Declared, check_pack, load_packs, read_packs
from quanheng.loading.process_drawing import mermaid
from quanheng.testing.pack_kit import assert_pack

PACKS = read_packs()


@pytest.fixture(scope="module")
def card_fraud() -> Declared:
    return load_packs(["card_fraud"], PACKS)["card_fraud"]


@pytest.mark.parametrize("name", PACKS)
def test_a_shipped_pack_is_good(name):
    assert_pack(PACKS[name])


def test_the_policy_holds_no_number(card_fraud):
    """Thresholds are dated parameters; a number in the policy would have no date and no source."""
    root = etree.fromstring(card_fraud.policies["authorise"])
    texts = [text.text or "" for entry in root.iter("{*}inputEntry") for text in entry.iter("{*}text")]
    assert len(texts) > 50
    assert not [text for text in texts if re.search(r"(?<![\w])\d", text)]


def test_every_parameter_is_used_by_the_policy_or_a_process(card_fraud):
    xml = card_fraud.policies["authorise"].decode()
    processes = card_fraud.processes.processes
    moves = [move for one in processes for part in one.parts for state in part.states for move in state.moves]
    words = " ".join(text for move in moves for text in (move.where, *move.set.values()))
    unused = [one.name for one in card_fraud.parameters if f'name="{one.name}"' not in xml and one.name not in words]
    assert not unused


@pytest.mark.parametrize("name", ["review", "dispute"])
def test_the_readme_shows_the_processes_as_they_are_declared(card_fraud, name):
    process = next(one for one in card_fraud.processes.processes if one.name == name)
    assert f"```mermaid\n{mermaid(process)}```" in card_fraud.readme


def test_every_state_of_every_process_is_reached_by_a_case(card_fraud):
    expected = {
        (process, state.rpartition(".")[2])
        for case in card_fraud.cases
        for event in case.events
        for process, states in ((event.expect and event.expect.instances) or {}).items()
        for state in states
    }
    declared = {
        (one.name, state.name) for one in card_fraud.processes.processes for part in one.parts for state in part.states
    }
    assert declared == expected - {("review", "")}


def test_every_threshold_is_tried_at_its_boundary(card_fraud):
    """Its name says which cases: each reason has at least one case with it and one just short of it."""
    with_reason: dict[str, int] = {}
    without = 0
    for case in card_fraud.cases:
        for event in case.events:
            for code in (event.expect.reasons or ()) if event.expect else ():
                with_reason[code] = with_reason.get(code, 0) + 1
            without += bool(event.expect and event.expect.reasons == ())
    assert set(with_reason) == {reason.code for reason in card_fraud.reasons}
    assert len(card_fraud.cases) >= 30
    assert without >= 12


def test_the_pack_has_at_least_25_features_over_customer_terminal_device_and_pairs(card_fraud):
    folds = card_fraud.folds
    assert len(folds) + len(card_fraud.formulas) >= 25
    assert {("customer",), ("terminal",), ("device",), ("customer", "terminal")} <= {fold.by for fold in folds}


def test_the_twelve_aggregates_of_the_handbook_are_there(card_fraud):
    day = 86_400_000
    have = {
        (fold.of, fold.by, fold.fold, fold.value, fold.window_ms, fold.delay_ms, fold.current)
        for fold in card_fraud.folds
    }
    for days in (1, 7, 30):
        window = days * day
        assert ("card.payment", ("customer",), "count", "", window, 0, "in") in have
        assert ("card.payment", ("customer",), "mean", "amount_minor", window, 0, "in") in have
        assert ("card.payment", ("terminal",), "count", "", window, 7 * day, "in") in have
        assert ("card.fraud_report", ("terminal",), "count", "", window, 7 * day, "in") in have


def test_a_report_is_placed_at_the_moment_of_its_payment(card_fraud):
    events = {event.name: event for event in card_fraud.events}
    assert events["card.fraud_report"].time == "payment_time_ms"


def test_the_readme_names_every_reason_and_no_other(card_fraud):
    table = [line for line in card_fraud.readme.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table)))
    assert named == {reason.code for reason in card_fraud.reasons}


def test_the_weights_in_the_wheel_are_those_that_were_trained():
    files = dict(PACKS["card_fraud"].files)
    weights = next(name for name in files if name.endswith(".trees"))
    from quanheng.loading import read_pack

    spoilt = read_pack({**files, weights: files[weights] + b"x"}, "card_fraud")
    (problem,) = check_pack(spoilt, PACKS)[1]
    assert "the weights file is not the one that was trained" in str(problem)
