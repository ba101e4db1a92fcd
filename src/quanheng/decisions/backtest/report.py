"""The report of a backtest as plain data, ready for JSON: what was compared, what changed, why, and its worth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from quanheng.decisions.backtest.compare import OTHER, SCORE_BINS, Comparison
from quanheng.decisions.backtest.rows import Shape
from quanheng.decisions.backtest.rules import Names, Rule, RuleBook, RuleKey, align

SIDES = ("baseline", "candidate")
CHANGES_SHOWN_MAX = 100
EXAMPLES_MAX = 5
_DAY_MS = 86_400_000
NO_ORDERS: Mapping[str, Sequence[str]] = MappingProxyType({})


class Books(NamedTuple):
    """The rules of both sides, what inputs are called, what reasons say and the outcomes in rising severity."""

    baseline: RuleBook
    candidate: RuleBook
    names: Names
    reasons: Mapping[str, Mapping[str, str]]
    outcomes: Sequence[str]


def report(comparison: Comparison, books: Books, orders: Mapping[str, Sequence[str]] = NO_ORDERS) -> dict[str, Any]:
    """Everything that was counted.

    Parameters
    ----------
    orders : the values of a segment in the order in which they are to stand; default: the largest first

    Returns
    -------
    decisions, changed, only_reasons : counts
    outcomes : in rising severity; rows and columns of every matrix (rows: baseline, columns: candidate)
    matrix : decisions; value : per currency ("" = none said) the same in minor units
    changes : groups of changed decisions with the rules and reasons that differ, the largest first
    rules : per side every rule with its hits; never_fired : those without one; rules_changed : between the versions
    segments, days, score, sample : see the keys
    """
    told = _Told(comparison, books, orders)
    return {
        "decisions": comparison.count,
        "changed": comparison.changed,
        "only_reasons": comparison.only_reasons,
        "first_ms": comparison.first_ms,
        "last_ms": comparison.last_ms,
        "outcomes": told.outcomes,
        "matrix": _matrix(told.outcomes, ((was, now, n) for (was, now, _), n in comparison.pairs.items())),
        "value": told.value(),
        "changes": told.changes(),
        "rules_changed": told.rules_changed(),
        "rules": {side: told.rules(side) for side in SIDES},
        "never_fired": {side: [one for one in told.rules(side) if not one["hits"]] for side in SIDES},
        "reasons": told.reasons(),
        "segments": told.segments(),
        "days": told.days(),
        "score": told.score(),
        "sample": told.sample(),
    }


def _matrix(outcomes: Sequence[str], counts: Iterable[tuple[str, str, int]]) -> list[list[int]]:
    place = {outcome: index for index, outcome in enumerate(outcomes)}
    made = [[0] * len(outcomes) for _ in outcomes]
    for was, now, count in counts:
        made[place[was]][place[now]] += count
    return made


class _Told:
    def __init__(self, comparison: Comparison, books: Books, orders: Mapping[str, Sequence[str]]) -> None:
        self.counted, self.books, self.orders = comparison, books, orders
        seen = dict.fromkeys(shape.outcome for shape in comparison.shapes.known)
        self.outcomes = [*books.outcomes, *(one for one in seen if one not in books.outcomes)]
        self.partners = align(books.baseline, books.candidate)

    def value(self) -> dict[str, list[list[int]]]:
        """Minor units by currency, outcome and outcome."""
        values = self.counted.values["pairs"]
        currencies = sorted({currency for _, _, currency in values})
        return {
            currency: _matrix(self.outcomes, ((was, now, v) for (was, now, c), v in values.items() if c == currency))
            for currency in currencies
        }

    # -- changes

    def changes(self) -> list[dict[str, Any]]:
        """Changed decisions by what differs; groups that read the same are one."""
        counts: Counter[tuple] = Counter()
        values: dict[tuple, Counter[str]] = defaultdict(Counter)
        for (was, now, currency), count in self.counted.groups.items():
            key = self._difference(was, now)
            counts[key] += count
            values[key][currency] += self.counted.values["groups"][was, now, currency]
        examples: dict[tuple, list[int]] = defaultdict(list)
        for sample in self.counted.samples():
            kept = examples[self._difference(sample.baseline, sample.candidate)]
            if len(kept) < EXAMPLES_MAX:
                kept.append(sample.id)
        ordered = sorted(counts, key=lambda key: (-counts[key], repr(key)))
        return [self._change(key, counts[key], values[key], examples[key]) for key in ordered[:CHANGES_SHOWN_MAX]]

    def _difference(self, was: int, now: int) -> tuple:
        """(outcome, outcome, rules lost, rules gained, reasons lost, reasons gained), by the baseline's rules."""
        if was < 0:
            return (OTHER, OTHER, (), (), (), ())
        one, other = self.counted.shapes.known[was], self.counted.shapes.known[now]
        before = set(_fired(one))
        after = {self.partners.get(key, ("", key)) for key in _fired(other)}
        lost = [key for key in _fired(one) if key not in after]
        gained = [key for key in _fired(other) if self.partners.get(key) not in before]
        reasons = (_without(one.reasons, other.reasons), _without(other.reasons, one.reasons))
        return (one.outcome, other.outcome, tuple(lost), tuple(gained), *reasons)

    def _change(self, key: tuple, count: int, value: Counter[str], examples: list[int]) -> dict[str, Any]:
        was, now, lost, gained, reasons_lost, reasons_gained = key
        return {
            "from": was,
            "to": now,
            "count": count,
            "value": {currency: amount for currency, amount in sorted(value.items()) if amount},
            "rules_lost": [self._rule(self.books.baseline.find(*one)) for one in lost],
            "rules_gained": [self._rule(self.books.candidate.find(*one)) for one in gained],
            "reasons_lost": [self._reason(code) for code in reasons_lost],
            "reasons_gained": [self._reason(code) for code in reasons_gained],
            "by_expression": not lost and not gained,
            "examples": examples,
        }

    # -- rules

    def _rule(self, rule: Rule) -> dict[str, Any]:
        told = {"table": rule.table, "rule": rule.number, "text": rule.text, "words": rule.words(self.books.names)}
        return {**told, "note": rule.note} if rule.note else told

    def rules(self, side: str) -> list[dict[str, Any]]:
        """Every rule of a side with its hits, most hits first; hits of rules that the book lacks are kept."""
        hits: Counter[RuleKey] = Counter()
        for number, count in self.counted.hits[SIDES.index(side)].items():
            for key in _fired(self.counted.shapes.known[number]):
                hits[key] += count
        book: RuleBook = getattr(self.books, side)
        keys = [*book.rules, *(key for key in hits if key not in book.rules)]
        ordered = sorted(keys, key=lambda key: -hits[key])
        return [{**self._rule(book.find(*key)), "hits": hits[key]} for key in ordered]

    def rules_changed(self) -> dict[str, Any]:
        """Rules that were altered, added and removed between the two versions."""
        before, after = self.books.baseline, self.books.candidate
        altered = [
            {"was": self._rule(before.rules[old]), "now": self._rule(after.rules[new])}
            for new, old in self.partners.items()
            if before.rules[old].content != after.rules[new].content
        ]
        return {
            "altered": altered,
            "added": [self._rule(rule) for key, rule in after.rules.items() if key not in self.partners],
            "removed": [
                self._rule(rule) for key, rule in before.rules.items() if key not in set(self.partners.values())
            ],
        }

    def _reason(self, code: str) -> dict[str, str]:
        return {"code": code, **self.books.reasons.get(code, {"en": code, "zh": code})}

    def reasons(self) -> list[dict[str, Any]]:
        """How often each reason was given, by either side."""
        counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for side, hits in enumerate(self.counted.hits):
            for number, count in hits.items():
                for code in set(self.counted.shapes.known[number].reasons):
                    counts[side][code] += count
        codes = sorted({*counts[0], *counts[1]}, key=lambda code: (-counts[1][code], -counts[0][code], code))
        return [{**self._reason(code), "baseline": counts[0][code], "candidate": counts[1][code]} for code in codes]

    # -- segments, days, scores

    def segments(self) -> list[dict[str, Any]]:
        """Per segment its values."""
        return [
            {"by": name, "rows": self._segment(name, counts, self.counted.values[f"by {name}"])}
            for name, counts in self.counted.segments.items()
        ]

    def _segment(self, name: str, counts: Counter, values: Counter) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for (value, was, now, currency), count in counts.items():
            empty = {"value": value, "decisions": 0, "changed": 0, "baseline": self._none(), "candidate": self._none()}
            row = rows.setdefault(value, {**empty, "changed_value": Counter()})
            row["decisions"] += count
            row["baseline"][was] += count
            row["candidate"][now] += count
            if was != now:
                row["changed"] += count
                row["changed_value"][currency] += values[value, was, now, currency]
        places = {value: place for place, value in enumerate(self.orders.get(name, ()))}
        last = len(places)
        return sorted(rows.values(), key=lambda row: (places.get(row["value"], last), -row["decisions"], row["value"]))

    def _none(self) -> dict[str, int]:
        return dict.fromkeys(self.outcomes, 0)

    def days(self) -> list[dict[str, Any]]:
        """Outcomes per day (UTC) on either side."""
        rows: dict[int, dict[str, Any]] = {}
        for (day, was, now), count in sorted(self.counted.days.items()):
            row = rows.setdefault(
                day, {"day_ms": day * _DAY_MS, "changed": 0, **{side: self._none() for side in SIDES}}
            )
            row["baseline"][was] += count
            row["candidate"][now] += count
            row["changed"] += count if was != now else 0
        return list(rows.values())

    def score(self) -> dict[str, Any] | None:
        """Outcomes by bin of the score, which lies between 0 and 1; None where no decision has a score."""
        if not any(at >= 0 for at, _, _ in self.counted.scores):
            return None
        made: dict[str, Any] = {side: {one: [0] * SCORE_BINS for one in self.outcomes} for side in SIDES}
        missing = 0
        for (at, was, now), count in self.counted.scores.items():
            if at < 0:
                missing += count
                continue
            made["baseline"][was][at] += count
            made["candidate"][now][at] += count
        return {"bins": SCORE_BINS, "missing": missing, **made}

    def sample(self) -> list[dict[str, Any]]:
        """Changed decisions by id."""
        known = self.counted.shapes.known
        return [
            {
                "decision": one.id,
                "time_ms": one.time_ms,
                "from": known[one.baseline].outcome,
                "to": known[one.candidate].outcome,
                "reasons_from": list(known[one.baseline].reasons),
                "reasons_to": list(known[one.candidate].reasons),
                "money": one.money,
                "currency": one.currency,
            }
            for one in self.counted.samples()
        ]


def _fired(shape: Shape) -> list[RuleKey]:
    return [(table, number) for table, numbers in shape.hits for number in numbers]


def _without(codes: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for code in codes if code not in others))
