"""The kinds of folds: what each reads, what it answers, what it answers to an empty window. One row a kind."""

from __future__ import annotations

from typing import Literal, NamedTuple

Reads = Literal["nothing", "number", "key", "number or key", "number or nothing"]
Answers = Literal["count", "value", "ms", "quotient", "float", "key", "flag", "calendar"]


class Kind(NamedTuple):
    """One kind of fold.

    reads : what `value` may name; "nothing" = it takes no `value`; "number or nothing" = it counts events without one
    answers : the unit of the answer and its raw columns
        count, flag, ms, calendar : one whole number
        value : one number in the scale of the field that it reads
        key : 53 bits of a key, so that equality survives a float; a number field answers as `value`
        quotient : two whole columns, divided when asked, exactly
        float : one column with the bits of a float64, which is computed from exact whole sums
    parts : names of its raw columns; one column has none
    zero : an empty window answers 0 where nothing else is declared; otherwise null
    other : it reads a second number field (`other`)
    needs, may : settings it must have, and may have, beside those of every fold
    """

    reads: Reads
    answers: Answers
    parts: tuple[str, ...] = ("",)
    zero: bool = False
    other: bool = False
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    @property
    def counts_choices(self) -> bool:
        """Whether `value` may name a choice field: the answer is then a number, and no choice."""
        return self.reads == "number or key" and self.answers in {"count", "quotient", "float"}


_QUOTIENT = ("sum", "count")

KINDS: dict[str, Kind] = {
    "count": Kind("nothing", "count", zero=True),
    "sum": Kind("number", "value", zero=True),
    "mean": Kind("number", "quotient", _QUOTIENT),
    "min": Kind("number", "value"),
    "max": Kind("number", "value"),
    "range": Kind("number", "value"),
    "distinct": Kind("number or key", "count", zero=True, may=("exact_max",)),
    "last": Kind("number or key", "key"),
    "time_since": Kind("nothing", "ms"),
    "first": Kind("number or key", "key"),
    "nth_last": Kind("number or key", "key", needs=("nth",)),
    "last_time": Kind("nothing", "ms"),
    "first_time": Kind("nothing", "ms"),
    "time_since_first": Kind("nothing", "ms"),
    "seen": Kind("nothing", "flag", zero=True),
    "streak": Kind("number", "count", zero=True),
    "variance": Kind("number", "float"),
    "stddev": Kind("number", "float"),
    "skew": Kind("number", "float"),
    "zscore": Kind("number", "float"),
    "ratio": Kind("number", "quotient", ("over", "under"), other=True),
    "change": Kind("number or nothing", "quotient", ("more", "before")),
    "trend": Kind("number", "float", needs=("per_ms",)),
    "decayed_count": Kind("nothing", "float", zero=True, needs=("half_life_ms",)),
    "decayed_sum": Kind("number", "float", zero=True, needs=("half_life_ms",)),
    "decayed_mean": Kind("number", "float", needs=("half_life_ms",)),
    "top": Kind("number or key", "key"),
    "top_share": Kind("number or key", "quotient", ("top", "all")),
    "entropy": Kind("number or key", "float"),
    "percentile": Kind("number", "value", needs=("quantile",), may=("accuracy",)),
    "distance": Kind("number", "count", other=True),
    "speed": Kind("number", "float", other=True),
    "hour": Kind("nothing", "calendar"),
    "weekday": Kind("nothing", "calendar"),
    "month_day": Kind("nothing", "calendar"),
    "month": Kind("nothing", "calendar"),
    "weekend": Kind("nothing", "calendar", may=("calendar",)),
    "night": Kind("nothing", "calendar"),
    "holiday": Kind("nothing", "calendar", needs=("calendar",)),
    "workday": Kind("nothing", "calendar", needs=("calendar",)),
}
"""Every kind by name, in the order of the reference."""

CALENDAR_KINDS = tuple(name for name, kind in KINDS.items() if kind.answers == "calendar")
"""Kinds that ask for the time of the decided event alone: no window, no key, no state."""

STARTS = ("day", "week", "month", "quarter", "year")
"""What `since` may name: the window begins where this day, week (Monday), … began in the zone of the fold."""
