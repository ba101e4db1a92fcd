"""Lists as they stood at the place of each event in the log, for versions that judge again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from quanheng.decisions.columnar import OnList
from quanheng.decisions.columnar.known import Known
from quanheng.decisions.lists import Lists
from quanheng.events.intake import KnownPseudonyms
from quanheng.feel.values import Membership
from quanheng.flows import Flow
from quanheng.kernel.log.records import Columns
from quanheng.past.window import READ_RECORDS, list_changes
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import PlatformEvent, fold_list

NEVER_ON = -(2**63)
"""Until when a text is on a list that it is not on."""


class PastLists:
    """The lists of one log, read forward once: events are asked for in the order of the log.

    Parameters
    ----------
    changes : offsets of all changes of lists, where they are known; else the log is looked through for them
    """

    def __init__(self, reader: Reader, changes: Sequence[int] | None = None) -> None:
        self._log, self._pseudonyms = reader.log, KnownPseudonyms(reader.ring)
        self._lists, self._upto = Lists(), 0 if changes is None else reader.log.head
        self._changes: deque[int | PlatformEvent] = deque(changes or ())

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
            if self._changes:
                self._fold(offset)
            yield self._lists.at(now_ms, self._pseudonyms)(flow.lists)

    def spans(self, offsets: Sequence[int]) -> list[tuple[int, int]]:
        """Stretches of rows between which no list changed."""
        if not offsets:
            return []
        self._read(offsets[-1])
        between = [one if isinstance(one, int) else one.offset for one in self._changes]
        cuts = np.searchsorted(offsets, between, side="right") if between else np.zeros(0, np.int64)
        edges = sorted({0, *(int(cut) for cut in cuts if cut < len(offsets)), len(offsets)})
        return [*pairwise(edges)]

    def over(self, flow: Flow, offset: int, received_ms: NDArray[np.int64]) -> OnList:
        """The lists as of the event at `offset`, asked over columns: entries expire by each row's own stamp."""
        self._fold(offset)

        def on(name: str, known: Known) -> NDArray[np.bool_]:
            full, entity = flow.lists[name]
            entries = self._lists.get(full)
            if entries is None or not entries.added:
                return np.zeros(len(received_ms), np.bool_)
            texts = known.coded
            added, pseudonyms = entries.added, self._pseudonyms.of(entity)
            held = [added.get(pseudonyms[text]) if text.__class__ is str else None for text in texts.values]  # type: ignore[index]
            until = np.array([NEVER_ON if one is None else entries.until[one] for one in held], np.int64)
            return received_ms < until[texts.codes]

        return on

    def see(self, first: int, columns: Columns) -> None:
        """Take the changes among headers that were read anyway, where they follow what was read before."""
        if first == self._upto:
            self._changes += [_change(first, columns, row) for row in list_changes(columns).tolist()]
            self._upto = first + len(columns)

    def _fold(self, offset: int) -> None:
        """Fold the changes before `offset`."""
        while self._changes:
            change = self._changes[0]
            if (change if isinstance(change, int) else change.offset) >= offset:
                return
            self._changes.popleft()
            if isinstance(change, int):
                record = self._log.record(change)
                change = PlatformEvent(change, record.type, record.payload, record.received_ms)
            fold_list(self._lists, change)

    def _read(self, upto: int) -> None:
        """Changes of lists before `upto` that were not read yet."""
        if upto > self._upto:
            read = self._log.read_columns(self._upto, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, upto, READ_RECORDS)
            for first, columns in read:
                self.see(first, columns)


def _change(first: int, columns: Columns, row: int) -> PlatformEvent:
    record = columns.record(row)
    return PlatformEvent(first + row, record.type, record.payload, record.received_ms)
