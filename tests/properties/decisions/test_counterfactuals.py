"""Every change that is given flips the outcome, and nothing smaller does: brute force over all values."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import HealthCheck, given, settings
from small_policies import COLOURS, HIGH, LOW, policies

from quanheng.decisions.bounds import Bounds, Changeable
from quanheng.decisions.counterfactual import search
from quanheng.decisions.dmn import compile_decision, read_model

NUMBERS = tuple(range(LOW, HIGH + 1))
DOMAINS = {"x": NUMBERS, "y": NUMBERS, "colour": COLOURS}
CHANGEABLE = [Changeable("x", 1, LOW, HIGH), Changeable("y", 1, LOW, HIGH), Changeable("colour", choices=COLOURS)]


def outcome_of(policy):
    return lambda values: policy(values).result["outcome"]


def distance(was, value):
    return abs(value - was) if isinstance(was, int) else int(was != value)


def flips(policy, values, wanted, names):
    """Every assignment of these inputs, all of them changed, that gives the outcome: slow and plain."""
    names_of = [one.name for one in policy.inputs]
    for chosen in product(*(DOMAINS[name] for name in names)):
        if any(value == values[name] for name, value in zip(names, chosen, strict=True)):
            continue
        changed = {**values, **dict(zip(names, chosen, strict=True))}
        if outcome_of(policy)([changed[name] for name in names_of]) == wanted:
            yield chosen


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies())
def test_changes_flip_the_outcome_and_none_is_smaller(drawn):
    xml, values = drawn
    model = read_model(xml, "small.dmn")
    policy = compile_decision(model, "answer")
    was = outcome_of(policy)([values[one.name] for one in policy.inputs])
    for wanted in {"approve", "review", "decline"} - {was}:
        found = search(model, policy, values, CHANGEABLE, wanted, outcome_of(policy))
        assert found.complete
        least = next(
            (
                size
                for size in (1, 2, 3)
                if any(any(flips(policy, values, wanted, names)) for names in combinations(DOMAINS, size))
            ),
            None,
        )
        assert (least is None) == (not found.found)
        for one in found.found:
            check(policy, values, wanted, one, least)


def check(policy, values, wanted, one, least):
    """It flips, it changes as few inputs as possible, and no flip of the same inputs is smaller in each of them."""
    changes = {change.name: change.would_be for change in one.changes}
    assert all(change.was == values[change.name] != change.would_be for change in one.changes)
    changed = {**values, **changes}
    assert outcome_of(policy)([changed[each.name] for each in policy.inputs]) == wanted
    assert len(changes) == least
    mine = [distance(values[name], value) for name, value in changes.items()]
    for other in flips(policy, values, wanted, tuple(changes)):
        theirs = [distance(values[name], value) for name, value in zip(changes, other, strict=True)]
        assert theirs == mine or any(a > b for a, b in zip(theirs, mine, strict=True)), (other, one)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies())
def test_between_two_candidates_nothing_turns(drawn):
    """The law behind the search: moved alone, an input changes the outcome nowhere but next to a candidate."""
    xml, values = drawn
    model = read_model(xml, "small.dmn")
    policy = compile_decision(model, "answer")
    names = [one.name for one in policy.inputs]
    bounds = Bounds(model, "answer", values)
    for one in CHANGEABLE[:2]:
        near = {values[one.name], *bounds.candidates(one)}
        outcomes = [outcome_of(policy)([{**values, one.name: value}[name] for name in names]) for value in NUMBERS]
        for at in range(1, len(NUMBERS)):
            if outcomes[at] != outcomes[at - 1]:
                assert {NUMBERS[at], NUMBERS[at - 1]} <= near
