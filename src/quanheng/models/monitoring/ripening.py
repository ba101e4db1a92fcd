"""Labels that ripen: which rows of a cohort are known by now, and how far the younger ones have come.

A row is known when its observation window has passed: an event within the window makes it bad, its absence good. Events
behind the window do not count, so that every cohort is looked at for equally long. A cohort counts when all its rows
are known; the younger ones are right-censored: what was reported so far is shown with the share of rows that are old
enough, and never as a rate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEVER_MS = 2**62
"""Moment of a label that has not come."""


class Cohort(NamedTuple):
    """Rows of one period.

    start_ms, end_ms : of the period, [start, end)
    known : bool[n], rows whose window has passed; labels : bool[n], events within their window
    complete : every row is known
    reported : events so far, those of rows that are not known yet among them
    late : events that came behind the window, and are not counted
    """

    start_ms: int
    end_ms: int
    known: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    complete: bool
    reported: int
    late: int

    @property
    def censored(self) -> int:
        """Rows whose window has not passed."""
        return int((~self.known).sum())


def ripened(
    times_ms: NDArray[np.int64], label_ms: NDArray[np.int64], start_ms: int, end_ms: int, window_ms: int, now_ms: int
) -> Cohort:
    """A cohort as it is known at `now_ms`.

    Parameters
    ----------
    times_ms : i8[n], when each row was decided; all in [start_ms, end_ms)
    label_ms : i8[n], when its event was reported; NEVER_MS = it was not
    window_ms : how long a row is observed
    now_ms : up to when reports are known; the cohort is complete when its last possible row is old enough
    """
    known = times_ms + window_ms <= now_ms
    seen = label_ms <= now_ms
    labels = seen & (label_ms - times_ms <= window_ms)
    return Cohort(
        start_ms, end_ms, known, labels & known, end_ms + window_ms <= now_ms, int(labels.sum()),
        int((seen & ~labels).sum()),
    )  # fmt: skip


def reported_by_age(
    times_ms: NDArray[np.int64], label_ms: NDArray[np.int64], ages_ms: NDArray[np.int64], now_ms: int
) -> list[tuple[int, int] | None]:
    """Cumulative events by age among rows that have reached that age: a line of a vintage table.

    Returns
    -------
    Per age (events, rows); None where no row is that old. Rows that are younger are left out of both, so that a young
    cohort can be compared with an old one at the same age.
    """
    found: list[tuple[int, int] | None] = []
    for age in ages_ms.tolist():
        old = times_ms + age <= now_ms
        rows = int(old.sum())
        found.append((int((old & (label_ms - times_ms <= age)).sum()), rows) if rows else None)
    return found
