"""Time zones as words of a plan."""

from __future__ import annotations

from quanheng.kernel.zones import offsets_of


def zone_words(name: str) -> tuple[int, ...]:
    """A time zone as the kernel reads it (kernel/calendar.py).

    Returns
    -------
    n, the offset before the first change, n times of changes (ms UTC, rising), n offsets after them (ms east of UTC)

    Raises
    ------
    ValueError : there is no such zone
    """
    changes, offsets = offsets_of(name)
    return len(changes), offsets[0], *changes, *offsets[1:]
