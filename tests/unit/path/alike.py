"""A small source with state, as a user would write one: how often this number of this event came, and came before."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from quanheng.features.fold import EventLayout
from quanheng.features.source import Batch, SourceColumn
from quanheng.kernel.errors import InputError


class Alike:
    """settings : `of`, the event; `field`, its number. `alike` counts the event itself, `alike_before` does not."""

    version = "1"
    columns = (SourceColumn("alike", "number"), SourceColumn("alike_before", "number"))

    def __init__(self, layouts: Sequence[EventLayout], settings: Mapping[str, object]) -> None:
        found = [one for one in layouts if one.name == settings.get("of")]
        if not found:
            known = ", ".join(one.name for one in layouts)
            raise InputError("there is no such event", where="alike.of", found=str(settings.get("of")), allowed=known)
        self._code, self._number = found[0].code, found[0].numbers.index(str(settings["field"]))
        self._came: Counter[int] = Counter()

    def apply(self, batch: Batch, read: bool = True) -> np.ndarray:
        return self._fold(batch, self._came)

    def peek(self, batch: Batch) -> np.ndarray:
        touched = {int(value): self._came[int(value)] for value in batch.numbers[:, self._number]}
        return self._fold(batch, Counter(touched))

    def _fold(self, batch: Batch, came: Counter[int]) -> np.ndarray:
        answers = np.full((len(batch.times), 2), np.nan)
        for row in np.flatnonzero(batch.types == self._code).tolist():
            value = int(batch.numbers[row, self._number])
            came[value] += 1
            answers[row] = came[value], came[value] - 1
        return answers

    def dump(self) -> dict[str, np.ndarray]:
        return {"came": np.array(sorted(self._came.items()), np.int64).reshape(-1, 2)}

    def load(self, dump: Mapping[str, np.ndarray]) -> None:
        self._came = Counter(dict(dump["came"].tolist()))

    def digest(self) -> str:
        return hashlib.sha256(self.dump()["came"].tobytes()).hexdigest()
