"""The simulation as a stream of arrivals: payments, their doubles and late ones, and the reports that follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from quanheng.loading.traffic.days import DAY_MS, Day, Days
from quanheng.loading.traffic.declaration import TrafficDeclaration
from quanheng.loading.traffic.draws import Draws, Integers

ARRIVAL_STREAM = 6
LATENCY_MS = 800
DOUBLE_MS = (1_000, 120_000)
PAYMENT, REPORT = 0, 1
HONEST, DUPLICATE, LATE, MALFORMED = 0, 1, 2, 3
FAULTS = (None, "duplicate", "late", "malformed")
MALFORMATIONS = ("payer_missing", "amount_as_text", "amount_negative", "unknown_field", "time_as_text")
DAYS_EMPTY_MAX = 400

_ARRIVALS = (
    "arrive_ms",
    "kind",
    "number",
    "copy",
    "fault",
    "time_ms",
    "payer",
    "place",
    "device",
    "amount",
    "channel",
    "attack",
)


class TrafficEvent(NamedTuple):
    """One arrival, ready for intake, with what is true about it.

    id, type, data : what the client sends; a double delivery has the same three again
    arrive_ms : when it reaches the door (ms UTC); events come in this order
    attack : name of the attack this payment (or the reported one) is part of, None for an honest one
    fault : duplicate | late | malformed, None when it comes as it should
    """

    id: str
    type: str
    data: dict[str, object]
    arrive_ms: int
    attack: str | None
    fault: str | None


class Traffic:
    """A seeded stream of events with ground truth.

    The same declaration and seed give the same events on every machine; the first n events of a longer run are those
    of a shorter one.

    Parameters
    ----------
    declared : the pack's checked traffic.toml
    seed : any integer from 0; the declaration's own by default
    """

    def __init__(self, declared: TrafficDeclaration, seed: int | None = None) -> None:
        self.declared, self.seed = declared, declared.seed if seed is None else seed
        self._days = Days(declared, self.seed)

    def events(self, n: int) -> Iterator[TrafficEvent]:
        """The first `n` arrivals one by one."""
        left = n
        for block in self._blocks():
            if left <= 0:
                return
            taken = {name: column[:left] for name, column in block.items()}
            left -= len(taken["kind"])
            yield from self._as_events(self._frame(taken), taken)

    def frame(self, n: int) -> pl.DataFrame:
        """The first `n` arrivals as a table: id, type, arrive_ms, attack, fault and every field, null where absent.

        Rows with fault "malformed" hold the values before they were spoilt: leave them out where they would be refused.
        """
        taken: list[Day] = []
        size = 0
        for block in self._blocks():
            taken.append(block)
            size += len(block["kind"])
            if size >= n:
                break
        joined = {name: np.concatenate([block[name] for block in taken])[:n] for name in _ARRIVALS}
        return self._frame(joined)

    def _blocks(self) -> Iterator[Day]:
        """Arrivals of one day after another. What arrives on a later day waits: nothing arrives before it happened."""
        waiting: list[Day] = []
        number = empty = day_number = 0
        while empty < DAYS_EMPTY_MAX:
            day = self._days.day(day_number)
            waiting.append(self._arrivals(day, day_number, number))
            number += len(day["amount"])
            joined = {name: np.concatenate([block[name] for block in waiting]) for name in _ARRIVALS}
            day_number += 1
            due = joined["arrive_ms"] < self.declared.start_ms + day_number * DAY_MS
            ready = {name: column[due] for name, column in joined.items()}
            waiting = [{name: column[~due] for name, column in joined.items()}]
            order = np.lexsort((ready["copy"], ready["number"], ready["kind"], ready["arrive_ms"]))
            empty = 0 if len(order) else empty + 1
            if len(order):
                yield {name: column[order] for name, column in ready.items()}

    def _arrivals(self, day: Day, day_number: int, first: int) -> Day:
        """When each payment of a day arrives, which come twice, and the reports of the fraudulent ones."""
        faults, report = self.declared.faults, self.declared.report
        size = len(day["amount"])
        draws = Draws(self.seed, ARRIVAL_STREAM, day_number)
        late, double, bad = (draws.chance(share, size) for share in (faults.late, faults.duplicate, faults.malformed))
        arrive = day["time_ms"] + draws.below(LATENCY_MS, size) + np.where(late, draws.between(faults.late_ms, size), 0)
        fault = np.where(bad, MALFORMED, np.where(late, LATE, HONEST))
        payments = {
            **day,
            "arrive_ms": arrive,
            "kind": np.full(size, PAYMENT),
            "number": first + np.arange(size),
            "copy": np.zeros(size, np.int64),
            "fault": fault,
        }
        doubles = {name: column[double] for name, column in payments.items()}
        doubles["arrive_ms"] = doubles["arrive_ms"] + draws.between(DOUBLE_MS, len(doubles["arrive_ms"]))
        doubles["copy"] = np.ones_like(doubles["copy"])
        doubles["fault"] = np.where(doubles["fault"] == MALFORMED, MALFORMED, DUPLICATE)
        parts = [payments, doubles]
        if report is not None:
            told = (day["attack"] > 0) & draws.chance(report.share, size)
            reports = {name: column[told] for name, column in payments.items()}
            count = len(reports["time_ms"])
            reports["arrive_ms"] = reports["time_ms"] + report.delay_ms + draws.between((0, report.jitter_ms), count)
            reports["kind"], reports["fault"] = np.full(count, REPORT), np.zeros(count, np.int64)
            parts.append(reports)
        return {name: np.concatenate([part[name] for part in parts]).astype(np.int64) for name in _ARRIVALS}

    def _frame(self, rows: Day) -> pl.DataFrame:
        """Columns with the names and texts that the events have."""
        declared, roles, report = self.declared, self.declared.event, self.declared.report
        payment = pl.Series(rows["kind"] == PAYMENT)
        number = pl.Series("number", rows["number"]).cast(pl.String).str.zfill(9)
        ids = payment.replace_strict({True: "p", False: "r"}, return_dtype=pl.String) + number
        types = payment.replace_strict({True: roles.type, False: report.type if report else ""}, return_dtype=pl.String)
        people = self._days.population
        values: dict[str, pl.Series] = {
            roles.payer: _names(declared.payers.prefix, rows["payer"]),
            roles.place: _names(declared.places.prefix, rows["place"]),
            roles.device: _names(declared.payers.device_prefix, rows["device"]),
            roles.amount: pl.Series(rows["amount"]),
            roles.channel: _texts([one.value for one in declared.channels], rows["channel"]),
            roles.country: _texts(people.countries or ("",), people.country[rows["place"]]),
        }
        columns: dict[str, pl.Series] = {roles.time: pl.Series(rows["time_ms"])}
        kept = set(report.fields) if report else set()
        for name, series in values.items():
            if name:
                columns[name] = series if name in kept else _where(payment, series)
        for name, value in roles.constant.items():
            columns[name] = _where(payment, pl.Series([value]).new_from_index(0, len(payment)))
        if report is not None:
            columns |= self._report_columns(rows, payment, ids, columns)
        return pl.DataFrame(
            {
                "id": ids,
                "type": types,
                "arrive_ms": rows["arrive_ms"],
                **columns,
                "attack": _texts((None, *(attack.name for attack in declared.attacks)), rows["attack"]),
                "fault": _texts(FAULTS, rows["fault"]),
            }
        )

    def _report_columns(
        self, rows: Day, payment: pl.Series, ids: pl.Series, columns: dict[str, pl.Series]
    ) -> dict[str, pl.Series]:
        report, roles = self.declared.report, self.declared.event
        assert report is not None
        paid, arrived, reported = pl.Series(rows["time_ms"]), pl.Series(rows["arrive_ms"]), ~payment
        found = {roles.time: _where(payment, columns[roles.time])}
        if report.reported_at:
            before = found.get(report.reported_at)
            found[report.reported_at] = _where(reported, arrived) if before is None else before.fill_null(arrived)
        before = found.get(report.paid_at)
        found[report.paid_at] = _where(reported, paid) if before is None else before.fill_null(paid)
        if report.payment:
            found[report.payment] = _where(reported, "p" + ids.str.slice(1))
        return found

    def _as_events(self, frame: pl.DataFrame, rows: Day) -> Iterator[TrafficEvent]:
        fields = [name for name in frame.columns if name not in {"id", "type", "arrive_ms", "attack", "fault"}]
        heads = zip(
            frame["id"].to_list(),
            frame["type"].to_list(),
            frame["arrive_ms"].to_list(),
            frame["attack"].to_list(),
            frame["fault"].to_list(),
            rows["number"].tolist(),
            strict=True,
        )
        bodies = zip(*(frame[name].to_list() for name in fields), strict=True)
        for (id, type, arrive_ms, attack, fault, number), body in zip(heads, bodies, strict=True):
            data = {name: value for name, value in zip(fields, body, strict=True) if value is not None}
            if fault == "malformed":
                _spoil(data, self.declared, MALFORMATIONS[number % len(MALFORMATIONS)])
            yield TrafficEvent(id, type, data, arrive_ms, attack, fault)


def _spoil(data: dict[str, object], declared: TrafficDeclaration, how: str) -> None:
    """Make a payment one that its schema refuses."""
    roles = declared.event
    match how:
        case "payer_missing":
            del data[roles.payer]
        case "amount_as_text":
            data[roles.amount] = f"{data[roles.amount]} units"
        case "amount_negative":
            data[roles.amount] = -int(str(data[roles.amount]))
        case "unknown_field":
            data["no_such_field"] = True
        case _:
            data[roles.time] = "yesterday"


def _names(prefix: str, numbers: Integers) -> pl.Series:
    """Identifiers such as c000042; null where the number is negative."""
    series = pl.Series(numbers)
    return _where(series >= 0, prefix + series.cast(pl.String).str.zfill(6))


def _texts(texts: tuple[str | None, ...] | list[str], positions: Integers) -> pl.Series:
    return pl.Series(list(texts), dtype=pl.String).gather(positions)


def _where(keep: pl.Series, values: pl.Series) -> pl.Series:
    """The values where `keep` holds, null elsewhere."""
    return values.set(~keep, None)
