"""What a vector is joined from: folds first, then sources. The protocols that the others implement.

Two kinds. A source without state (`Source`: a model) is asked once for a group, in the declared order, with all that is
known by then. A source with state (`StatefulSource`: graph, balances, partner answers, grants) is a fold of the log
beside the windows: `State.apply` gives it every event in log order and takes what it knows of each one at that event's
own moment. Those answers are joined right after the folds, before formulas and models, so both may read them. The path
does not change for a new source of either kind.

Laws of both (the conformance kit `quanheng.testing.source_kit` tries them):

* No I/O, no clock, no randomness.
* The matrix is f8[n, len(columns)]; NaN = null. What is missing is null, never an exception.
* `columns` does not change while the source lives, and its names are unlike those of other sources, folds and fields.

Of a source without state: `read` depends on the batch and the known columns alone, and one call for a group gives row
by row the bits of n calls for one: rows do not see each other.

Of a source with state:

* `apply` is the only mutator, called in log order, the same live, in recovery and in replay. However the events are cut
  into groups, answers, digest and dump mean the same. It sees headers, as every fold does, and `offset` is no part of
  what it may use: a group has another one in recovery.
* Whether an answer includes the event itself is the source's to say, in its documentation: it is the one that decides
  whether it answers a row before or after it has folded it.
* `peek` gives what `apply` would, and changes nothing.
* An exception in `apply` stops the process, as it does in every fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout

Kind = Literal["number", "flag", "time", "score", "reason", "arm"]


class SourceColumn(NamedTuple):
    """One declared column.

    decimals : digits at which a policy sees it as Decimal; 0 = a whole number
    words : of a `reason` or an `arm`: its numbers are places in this list, and a policy sees the text there
    """

    name: str
    kind: Kind
    decimals: int = 0
    words: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether a policy sees a text."""
        return self.kind in ("reason", "arm")


class Batch(NamedTuple):
    """A group of events as the kernel sees it: arrays over n rows, in log order.

    types i4[n], times i8[n] (ms UTC), keys u8[n, K, 2] (zeros = null), numbers i8[n, V] (NULL = -2**63),
    offset : the log's head before the group, received_ms : the writer's clock of the group
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


@runtime_checkable
class StatefulSource(Protocol):
    """Columns that a fold of its own knows, made as `SourceMaker(layouts, settings)`; empty when it is made."""

    @property
    def version(self) -> str:
        """Of code and format: two sources of one version fold and answer alike, and read each other's dumps."""
        ...

    @property
    def columns(self) -> Sequence[SourceColumn]:
        """What it answers, in order."""
        ...

    def apply(self, batch: Batch, read: bool = True) -> np.ndarray:
        """Fold events in log order; f8[n, columns]: each row at its own moment. Where not `read`, anything."""
        ...

    def peek(self, batch: Batch) -> np.ndarray:
        """What `apply` would answer, with nothing changed (dry run)."""
        ...

    def dump(self) -> dict[str, np.ndarray]:
        """The whole state as plain arrays by name, for a snapshot; independent of this object afterwards."""
        ...

    def load(self, dump: Mapping[str, np.ndarray]) -> None:
        """Take the state of a dump of the same version, layouts and settings."""
        ...

    def digest(self) -> str:
        """What the state means, in hexadecimal: the same for the same events, however they were grouped."""
        ...


class SourceMaker(Protocol):
    """What a distribution names in the entry point group `quanheng.sources`: the class of a `StatefulSource`.

    layouts : where keys and numbers of each event type stand in a batch, and its code
    settings : as the pack declares them
    """

    version: str
    columns: Sequence[SourceColumn]

    def __call__(self, layouts: Sequence[EventLayout], settings: Mapping[str, object]) -> StatefulSource:
        """A new source that has folded nothing.

        Raises
        ------
        InputError : the settings do not fit
        """
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
