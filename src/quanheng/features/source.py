"""What a vector is joined from: folds first, then sources. The protocol that the others implement.

`path.py` runs the folds over a group, then asks each source of the flow once, in the declared order, with all that is
known by then. Masking by grants happens in between, before models: a score cannot leak what was withheld. Models,
graph, ledger balances, partner answers and grants are sources; the path does not change for a new one.

Laws (the conformance kit `quanheng.testing.source_kit` tries them):

* No I/O, no clock, no randomness: an answer depends on the batch, the known columns and what the source has `apply`-ed.
* One call for a group gives row by row the bits of n calls for one: rows do not see each other.
* The matrix is f8[n, len(columns)]; NaN = null. What is missing is null, never an exception.
* `columns` does not change while the source lives, and its names are unlike those of other sources and folds.
* `read` changes nothing; `apply` is the only mutator, called in log order, the same live and in recovery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

Kind = Literal["number", "flag", "time", "score"]


class SourceColumn(NamedTuple):
    """One declared column. `decimals`: digits at which a policy sees it as Decimal; 0 = a whole number."""

    name: str
    kind: Kind
    decimals: int = 0


class Batch(NamedTuple):
    """A group of events as the kernel sees it: arrays over n rows, in log order.

    types i4[n], times i8[n] (ms UTC), keys u8[n, K, 2] (zeros = null), numbers i8[n, V] (NULL = -2**63),
    offset : log offset of the first row, received_ms : the writer's clock of the group
    """

    types: np.ndarray
    times: np.ndarray
    keys: np.ndarray
    numbers: np.ndarray
    offset: int
    received_ms: int

    def rows(self, first: int, last: int) -> Batch:
        """The batch of rows first..last-1."""
        return Batch(
            self.types[first:last], self.times[first:last], self.keys[first:last], self.numbers[first:last],
            self.offset + first, self.received_ms,
        )  # fmt: skip


@runtime_checkable
class Source(Protocol):
    """Columns that are known beside the folds.

    name : of the source, in traces and errors
    version : content hash or digest of what answers; a decision records it
    columns : what `read` gives, in order
    needs : names of known columns it reads (folds, formulas, fields, columns of earlier sources)
    """

    @property
    def name(self) -> str:
        """Of the source, in traces and errors."""
        ...

    @property
    def version(self) -> str:
        """Content hash or digest of what answers."""
        ...

    @property
    def columns(self) -> Sequence[SourceColumn]:
        """What `read` gives, in order."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """Names of known columns it reads (folds, formulas, fields, columns of earlier sources)."""
        ...

    def read(self, batch: Batch, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """f8[n, columns] for a group; `known` holds at least `needs`, each f8[n], NaN = null."""
        ...

    def apply(self, batch: Batch) -> None:
        """Fold a committed group. A source without state of its own does nothing."""
        ...


def order_sources(sources: Sequence[Source], known: Sequence[str]) -> list[str]:
    """Problems of asking the sources in this order: needs that nobody gives before, names given twice. Empty = good.

    known : names that exist before the first source (fields, folds, formulas)
    """
    problems, names = [], set(known)
    for source in sources:
        missing = [need for need in source.needs if need not in names]
        if missing:
            problems.append(f"source {source.name}: nobody gives {', '.join(missing)} before it")
        for column in source.columns:
            if column.name in names:
                problems.append(f"source {source.name}: the column {column.name} is already given")
            names.add(column.name)
    return problems
