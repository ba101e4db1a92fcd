"""Lists as they stood at the place of each event in the log, for versions that judge again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from quanheng.decisions.lists import Lists
from quanheng.events.intake import KnownPseudonyms
from quanheng.feel.values import Membership
from quanheng.kernel.log.records import EVENT
from quanheng.program import Flow
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import LIST_CHANGED, LIST_JUDGED, PlatformEvent, fold_list


class PastLists:
    """The lists of one log, read forward once: events are asked for in the order of the log."""

    def __init__(self, reader: Reader) -> None:
        self._log, self._pseudonyms = reader.log, KnownPseudonyms(reader.ring)
        self._lists, self._upto = Lists(), 0
        self._changes: deque[PlatformEvent] = deque()

    def at(self, flow: Flow, offsets: Sequence[int], received_ms: Sequence[int]) -> Iterator[Membership | None]:
        """What a flow's policy may ask at each event; None where it asks no list.

        Parameters
        ----------
        offsets : of the events, rising, also from call to call
        received_ms : the stamp of each, by which entries expire
        """
        if not flow.lists:
            yield from (None for _ in offsets)
            return
        if offsets:
            self._read(offsets[-1])
        for offset, now_ms in zip(offsets, received_ms, strict=True):
            while self._changes and self._changes[0].offset < offset:
                fold_list(self._lists, self._changes.popleft())
            yield self._lists.at(now_ms, self._pseudonyms)(flow.lists)

    def _read(self, upto: int) -> None:
        """Changes of lists before `upto` that were not read yet."""
        if upto <= self._upto:
            return
        for first, columns in self._log.read_columns(self._upto, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, upto):
            is_change = (columns.type == LIST_CHANGED) | (columns.type == LIST_JUDGED)
            for row in np.flatnonzero((columns.kind == EVENT) & is_change).tolist():
                payload, stamp = columns.record(row).payload, int(columns.received_ms[row])
                self._changes.append(PlatformEvent(first + row, int(columns.type[row]), payload, stamp))
        self._upto = upto
