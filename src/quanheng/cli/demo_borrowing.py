"""`quanheng demo` of a pack whose traffic is of kind "borrowing": applications decided, then a book served."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.cli.borrowing_book import YEAR_DAYS, run_book
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration, Rule
from quanheng.loading.traffic.borrowing.run import BorrowingTraffic, as_events
from quanheng.models.chance import wilson
from quanheng.models.effect.difference import ratio
from quanheng.models.settings import choose_model
from quanheng.models.train_scorecard import ranked, ripened, table_of
from quanheng.models.validation.bands import equal_bands

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

BANDS = 5
LATER_MONTHS = 24
"""The people of a demo apply so many months after the declaration's start: after those that a model is trained on."""
_OF_BOOK = ("days", "loans", "refused", "opened", "paid", "prepaid", "written_off", "recoveries")
Floats = NDArray[np.float64]


class Applicants:
    """People of some months after those of the training, with all that is hidden, in order of application.

    frame : events as they arrive, outcomes left out (they ripen after the demo)
    bad, stops, worth : of each applicant; asked : what each asked for, by measure
    """

    def __init__(self, declared: BorrowingDeclaration, events: int, seed: int) -> None:
        self.traffic = BorrowingTraffic(declared, seed)
        frames, people, asked, size = [], [], [], 0
        month = LATER_MONTHS
        while size < events:
            made = self.traffic.months(1, month)
            frames.append(made)
            people.append(self.traffic.people(month))
            asked.append(self.traffic.asked(month))
            size += int((made["type"] != declared.outcome.type).sum())
            month += 1
        whole = pl.concat(frames, how="diagonal_relaxed").sort("arrive_ms", maintain_order=True)
        told = whole.filter(pl.col("type") != declared.outcome.type)
        self.frame = told.head(events)
        self.count = int((self.frame["type"] == declared.application.type).sum())
        self.bad = np.concatenate([one.bad for one in people])[: self.count] == 1
        self.stops = np.concatenate([one.stops for one in people])[: self.count]
        self.worth = np.concatenate([one.worth for one in people])[: self.count]
        self.asked = {name: np.concatenate([one[name] for one in asked])[: self.count] for name in asked[0]}
        numbers = np.concatenate([one.number for one in people])[: self.count]
        self.ids = ("a" + pl.Series(numbers).cast(pl.String).str.zfill(7)).to_list()
        # The same observations with outcomes of other people: what a model finds there, it finds in nothing.
        placebo = BorrowingTraffic(declared, seed, signal=0)
        others = [placebo.people(one).bad for one in range(LATER_MONTHS, month)]
        self.placebo_bad = np.concatenate(others)[: self.count] == 1
        labels = whole.filter(pl.col("type") == declared.outcome.type)
        self.labelled = pl.concat([self.frame, labels], how="diagonal_relaxed").sort("arrive_ms", maintain_order=True)


def scores_of(declared: Declared, files: Any, people: Applicants) -> Floats:
    """Probability of default of each applicant by the pack's scorecard, at the moment of the application."""
    from quanheng.models.scorecard.scorecard import Scorecard

    model = choose_model(declared)
    card = Scorecard.from_bytes(files.files[f"models/{model.weights}"])
    told = ripened(declared, people.labelled, model.name)
    found = dict(
        zip(told.ids, card.probability(table_of(model.inputs, told.rows, told.bad).rows).tolist(), strict=True)
    )
    return np.array([found[one] for one in people.ids])


def profits(rule: Rule, amount: NDArray[np.int64], periods: NDArray[np.int64], stops: NDArray[np.int64]) -> Floats:
    """Profit of a loan to each, minor units: interest received, less cost of funds, less principal not recovered.

    An annuity at one rate; the first instalment never paid is `stops` (0 = all are paid). Not discounted.
    """
    monthly, funds = float(rule.rate) / 12, float(rule.funds_rate) / 12
    instalment = amount * monthly / (1 - (1 + monthly) ** -periods.astype(float))
    paid = np.where(stops > 0, np.minimum(stops - 1, periods), periods)
    owed, profit = amount.astype(float), np.zeros(len(amount))
    for number in range(1, int(periods.max(initial=0)) + 1):
        running = number <= paid
        interest = owed * monthly
        profit += np.where(running, interest - owed * funds, 0.0)
        owed = np.where(running, owed + interest - instalment, owed)
    return profit - np.where(paid < periods, owed * (1 - float(rule.recovered)), 0.0)


def plain_policy(declared: BorrowingDeclaration, people: Applicants) -> NDArray[np.bool_]:
    """Whom the declared plain policy lends to: an income multiple, and a threshold of what one source tells."""
    rule = declared.rule
    known = people.frame.filter(pl.col("type") == rule.source).select(declared.application.subject, rule.field)
    values = dict(zip(*(known[name].to_list() for name in known.columns), strict=True))
    enough = np.array([(values.get(f"b{one[1:]}") or -(10**12)) >= rule.least for one in people.ids])
    most = people.asked[rule.income] * float(rule.multiple)
    return enough & (people.asked[declared.event.amount] <= most)


def decided(engine: Any, people: Applicants, group: int, kind: str, advance: Any) -> tuple[dict[str, str], list[float]]:
    """(outcome by application, ms of each group that held one): every event goes through the engine, durably."""
    import msgspec

    from quanheng.events.intake import Request

    encode = msgspec.json.Encoder(decimal_format="number").encode
    source = as_events(people.frame)
    found: dict[str, str] = {}
    taken_ms: list[float] = []
    while chunk := list(islice(source, group)):
        requests = [Request("demo", one.id, one.type, encode(one.data)) for one in chunk]
        started_s = time.perf_counter()
        replies = engine.submit(requests)
        passed_ms = (time.perf_counter() - started_s) * 1000
        here = {sent.id: reply.outcome for sent, reply in zip(chunk, replies, strict=True) if sent.type == kind}
        found |= here
        taken_ms += [passed_ms] * len(here)
        advance(len(chunk))
    return found, taken_ms


def figures(
    declared: BorrowingDeclaration, people: Applicants, outcomes: Sequence[str], scores: Floats, taken_ms: list[float]
) -> dict[str, Any]:
    """What the decisions were worth, since the truth is known of everybody."""
    rule, count = declared.rule, people.count
    granted = np.array([one in rule.granted for one in outcomes])
    named = [people.asked[one.field] for one in declared.application.measures if one.number]
    periods = named[0] if named else np.full(count, 12)
    profit = profits(rule, people.asked[declared.event.amount], periods, people.stops)
    plain = plain_policy(declared, people)
    bands = [people.bad[rows] for rows in equal_bands(scores, BANDS)]
    result: dict[str, Any] = {
        "applications": count,
        "approval_rate": round(float(granted.mean()), 4),
        "straight_through": round(1 - float(np.mean([one in rule.asked for one in outcomes])), 4),
        "bad_rate_of_all": round(float(people.bad.mean()), 4),
        "bad_rate_of_approved": round(float(people.bad[granted].mean()), 4) if granted.any() else None,
    }
    for number, rows in enumerate(bands, 1):
        result[f"bad_rate_band_{number}"] = round(float(rows.mean()), 4)
    result["bad_rate_band_last_high"] = round(wilson(int(bands[-1].sum()), len(bands[-1])).high, 4)
    ranks = {"": (people.bad, scores), "oracle_": (people.bad, -people.worth.astype(float)),
             "placebo_": (people.placebo_bad, scores)}  # fmt: skip
    for name, (labels, values) in ranks.items():
        if labels.any() and not labels.all():
            for measure, one in ranked(labels, values, 1).items():
                key = f"{name}{measure.removesuffix('_roc')}"
                result |= {key: round(one.value, 4), f"{key}_low": round(one.low, 4), f"{key}_high": round(one.high, 4)}
    result["profit_minor"] = round(float(profit[granted].sum()))
    result["profit_approve_all_minor"] = round(float(profit.sum()))
    result["profit_plain_policy_minor"] = round(float(profit[plain].sum()))
    result["profit_oracle_minor"] = round(float(profit[profit > 0].sum()))
    for name, other in (("all", np.ones(count, np.bool_)), ("plain", plain)):
        result |= gained(f"profit_over_{name}", profit * (granted.astype(float) - other))
    result["plain_policy_approval_rate"] = round(float(plain.mean()), 4)
    ordered = sorted(taken_ms) or [0.0]
    result["decision_p50_ms"] = round(ordered[len(ordered) // 2], 3)
    result["decision_p99_ms"] = round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3)
    return result


def gained(name: str, gains: Floats) -> dict[str, Any]:
    """A sum of gains, one an applicant, with its 95 % interval by Student's t: what other applicants would give."""
    mean = ratio(gains, np.ones(len(gains)))
    found = {"": mean.value, "_low": mean.low, "_high": mean.high}
    return {f"{name}{end}_minor": round(len(gains) * one) if isfinite(one) else None for end, one in found.items()}


def play_borrowing(
    engine: Any, declared: Declared, files: Any, *, events: int, seed: int | None, group: int, loans: int, years: int,
    progress: Any,
) -> dict[str, Any]:  # fmt: skip
    """Decide the applications of `events` events, then let a book of `loans` loans live for `years` years."""
    traffic = declared.traffic
    assert isinstance(traffic, BorrowingDeclaration)
    seed = traffic.seed if seed is None else seed
    people = Applicants(traffic, events, seed)
    task = progress.add_task(f"deciding {declared.name}", total=len(people.frame))
    kind = traffic.application.type
    by_id, taken_ms = decided(engine, people, group, kind, lambda done: progress.advance(task, done))
    scores = scores_of(declared, files, people)
    result = figures(traffic, people, [by_id.get(one, "") for one in people.ids], scores, taken_ms)
    task = progress.add_task(f"serving {loans} loans", total=years * YEAR_DAYS + years // 4)
    with tempfile.TemporaryDirectory(prefix="quanheng-book-") as folder:
        book = run_book(traffic, Path(folder) / "log", loans, years, seed, lambda: progress.advance(task, 1))
    named = {f"book_{name}" if name in _OF_BOOK else name: value for name, value in book.result().items()}
    return {**result, **named}
