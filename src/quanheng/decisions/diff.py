"""What differs between two versions of a pack, in words: rule by rule, value by value. Pure.

Rules are paired as `backtest.rules.align` pairs them, so that a rule that moved is not one that went and one that came.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from quanheng.decisions.backtest.rules import Rule, RuleBook, align, rule_book
from quanheng.decisions.dmn import read_model
from quanheng.decisions.dmn.model import Definitions, Table
from quanheng.feel.scope import ANY_NAME

T = TypeVar("T")
_PLACES = re.compile(r"\bat=\d+")
POLICY, PARAMETER, MODEL, REASON, FILE = "policy", "parameter", "model", "reason", "file"
ADDED, REMOVED, CHANGED, MOVED = "added", "removed", "changed", "moved"


class Dated(NamedTuple):
    """A value of a parameter from a day on; the text of the value and where it is from."""

    value: str
    source: str


class Contents(NamedTuple):
    """What a version declares, as far as it is compared in words.

    policies : file → DMN
    parameters : name → day from which a value is in force → value
    models : name → hash of its weights; reasons : code → sentences
    files : everything else by name
    """

    policies: Mapping[str, bytes]
    parameters: Mapping[str, Mapping[str, Dated]]
    models: Mapping[str, str]
    reasons: Mapping[str, Sequence[str]]
    files: Mapping[str, bytes]


class Change(NamedTuple):
    """One thing that differs.

    kind : policy | parameter | model | reason | file
    where : file and table, name of the parameter, model or file
    what : added | removed | changed | moved
    words : the change as a sentence
    """

    kind: str
    where: str
    what: str
    words: str

    def __str__(self) -> str:
        kind = "" if self.kind in (POLICY, FILE) else f"{self.kind} "  # A file says what it is by its folder.
        return f"{kind}{self.where}: {self.words}"


def differences(before: Contents, after: Contents) -> list[Change]:
    """Everything that differs: policies, parameters, models, reasons, then the other files."""
    return [
        *_policies(before.policies, after.policies),
        *_parameters(before.parameters, after.parameters),
        *_named(MODEL, before.models, after.models, _weights),
        *_named(REASON, before.reasons, after.reasons, _sentences),
        *_named(FILE, before.files, after.files, lambda was, now: "differs"),
    ]


def _weights(was: str, now: str) -> str:
    return f"weights {was[:12]} become {now[:12]}"


def _sentences(was: Sequence[str], now: Sequence[str]) -> str:
    return "; ".join(f'"{one}" becomes "{other}"' for one, other in zip(was, now, strict=True) if one != other)


def _named(
    kind: str, before: Mapping[str, T], after: Mapping[str, T], words: Callable[[T, T], str]
) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(kind, name, ADDED, "added")
        elif name not in after:
            yield Change(kind, name, REMOVED, "removed")
        elif before[name] != after[name]:
            yield Change(kind, name, CHANGED, words(before[name], after[name]))


def _parameters(
    before: Mapping[str, Mapping[str, Dated]], after: Mapping[str, Mapping[str, Dated]]
) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            said = ", ".join(f"{one.value} from {day}" for day, one in sorted((now or was or {}).items()))
            what = ADDED if was is None else REMOVED
            yield Change(PARAMETER, name, what, f"{what} ({said})")
            continue
        for day in sorted({*was, *now}):
            one, other = was.get(day), now.get(day)
            if one is None and other is not None:
                yield Change(PARAMETER, name, ADDED, f"from {day} it is {other.value} (source: {other.source})")
            elif other is None and one is not None:
                yield Change(PARAMETER, name, REMOVED, f"the value from {day}, {one.value}, is gone")
            elif one is not None and other is not None and one != other:
                value = f"{one.value} becomes {other.value}" if one.value != other.value else ""
                source = f'source "{one.source}" becomes "{other.source}"' if one.source != other.source else ""
                yield Change(PARAMETER, name, CHANGED, f"from {day} {'; '.join(filter(None, (value, source)))}")


# -- policies


def _policies(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[Change]:
    for file in sorted({*before, *after}):
        if file not in before or file not in after:
            what = ADDED if file not in before else REMOVED
            yield Change(POLICY, file, what, what)
        elif before[file] != after[file]:
            # Each was checked with what it imports; here it is read alone.
            was, now = (read_model(one[file], file, False, lists=ANY_NAME).definitions for one in (before, after))
            found = [*_decisions(file, was, now), *_rules(file, was, now)]
            yield from found or [
                Change(POLICY, file, CHANGED, "the text differs; no input, expression or rule says otherwise")
            ]


def _decisions(file: str, before: Definitions, after: Definitions) -> Iterator[Change]:
    """Inputs, decisions and whatever is no table."""
    inputs = ({one.name for one in definitions.inputs} for definitions in (before, after))
    was_inputs, now_inputs = inputs
    for name in sorted(was_inputs ^ now_inputs):
        what = ADDED if name in now_inputs else REMOVED
        yield Change(POLICY, f"{file}, input {name}", what, what)
    was, now = ({one.name: one.expression for one in definitions.decisions} for definitions in (before, after))
    for name in sorted({*was, *now}):
        place = f"{file}, {name}"
        if name not in was or name not in now:
            what = ADDED if name not in was else REMOVED
            yield Change(POLICY, place, what, f"the decision is {what}")
        elif isinstance(one := was[name], Table) and isinstance(other := now[name], Table):
            yield from _headers(place, one, other)
        elif _plain(was[name]) != _plain(now[name]):
            yield Change(POLICY, place, CHANGED, "the expression differs")
    others = ((_plain(one.items), _plain(one.knowledge), _plain(one.services)) for one in (before, after))
    for title, one, other in zip(("types", "knowledge models", "services"), *others, strict=True):
        if one != other:
            yield Change(POLICY, file, CHANGED, f"the {title} differ")


def _plain(parsed: object) -> str:
    """What an element says, wherever in the file it stands."""
    return _PLACES.sub("", repr(parsed))


def _headers(place: str, before: Table, after: Table) -> Iterator[Change]:
    for title in ("hit_policy", "aggregation"):
        was, now = getattr(before, title, ""), getattr(after, title, "")
        if was != now:
            yield Change(POLICY, place, CHANGED, f"{title.replace('_', ' ')} {was or 'none'} becomes {now or 'none'}")
    for title, was, now in (
        ("input", [one.expression for one in before.inputs], [one.expression for one in after.inputs]),
        ("output", [one.name for one in before.outputs], [one.name for one in after.outputs]),
    ):
        for name in [one for one in now if one not in was]:
            yield Change(POLICY, place, ADDED, f"column of {title} {name} added")
        for name in [one for one in was if one not in now]:
            yield Change(POLICY, place, REMOVED, f"column of {title} {name} removed")


def _rules(file: str, before: Definitions, after: Definitions) -> Iterator[Change]:
    was, now = rule_book([before]), rule_book([after])
    partners = align(was, now)
    moved = _moved(partners)
    for key, rule in now.rules.items():
        place = f"{file}, {rule.table} rule {rule.number}"
        partner = partners.get(key)
        if partner is None:
            yield Change(POLICY, place, ADDED, f"added: {rule.text}")
            continue
        for words in _cells(was.rules[partner], rule):
            yield Change(POLICY, place, CHANGED, words)
        if key in moved:
            yield Change(POLICY, place, MOVED, f"was rule {partner[1]}")
    yield from _gone(file, was, {*partners.values()})


def _gone(file: str, was: RuleBook, kept: set[tuple[str, int]]) -> Iterator[Change]:
    for key, rule in was.rules.items():
        if key not in kept:
            yield Change(POLICY, f"{file}, {rule.table} rule {rule.number}", REMOVED, f"removed: {rule.text}")


def _cells(before: Rule, after: Rule) -> Iterator[str]:
    """Cell by cell, what a rule says otherwise."""
    for was, now in ((before.tests, after.tests), (before.outputs, after.outputs)):
        one, other = _by_name(was), _by_name(now)
        for name in dict.fromkeys([*one, *other]):
            if one.get(name, "-") != other.get(name, "-"):
                yield f"{name[0]}: {one.get(name, '-')} becomes {other.get(name, '-')}"
    if before.note != after.note:
        yield f'note "{before.note}" becomes "{after.note}"'


def _by_name(cells: Sequence[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Cells by column; columns of one expression are told apart by their order."""
    seen: Counter[str] = Counter()
    found = {}
    for name, text in cells:
        found[name, seen[name]] = text
        seen[name] += 1
    return found


def _moved(partners: Mapping[tuple[str, int], tuple[str, int]]) -> set[tuple[str, int]]:
    """Rules that changed their place among those that stayed: the fewest that explain the new order."""
    moved: set[tuple[str, int]] = set()
    for table in {key[0] for key in partners}:
        keys = sorted(key for key in partners if key[0] == table)
        numbers = [partners[key][1] for key in keys]
        if any(one > other for one, other in pairwise(numbers)):
            kept = _longest_rise(numbers)
            moved.update(key for at, key in enumerate(keys) if at not in kept)
    return moved


def _longest_rise(numbers: Sequence[int]) -> set[int]:
    """Places of a longest rising part."""
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for at, number in enumerate(numbers):
        length = bisect_left(tails, number)
        tails[length : length + 1], places[length : length + 1] = [number], [at]
        before.append(places[length - 1] if length else -1)
    found: set[int] = set()
    at = places[-1] if places else -1
    while at >= 0:
        found.add(at)
        at = before[at]
    return found
