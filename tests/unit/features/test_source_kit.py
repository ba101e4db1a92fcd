"""The conformance kit passes a good source and names the broken law of each bad one."""

import hashlib
import itertools

import numpy as np
import pytest

from quanheng.features.source import Batch, Source, SourceColumn, StatefulSource, order_sources
from quanheng.testing.source_kit import check_source, check_stateful_source

BATCH = Batch(
    np.ones(6, dtype=np.int32), np.arange(6, dtype=np.int64), np.arange(24, dtype=np.uint64).reshape(6, 2, 2),
    np.arange(6, dtype=np.int64).reshape(6, 1), 100, 5_000,
)  # fmt: skip
KNOWN = {"amount": np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0]), "count": np.arange(6.0)}


class Good:
    name, version, needs = "good", "1", ("amount",)
    columns = (SourceColumn("double", "number", 2), SourceColumn("seen", "number"))

    seen = 0

    def read(self, batch, known):
        return np.column_stack([known["amount"] * 2, np.full(len(batch.times), float(self.seen))])


class Chance(Good):
    turn = itertools.count()

    def read(self, batch, known):
        return super().read(batch, known) + next(self.turn)


class Counts(Good):
    def read(self, batch, known):
        self.seen += 1
        return super().read(batch, known)


class SeesRows(Good):
    def read(self, batch, known):
        return super().read(batch, known) - np.nanmean(known["amount"])


class Undeclared(Good):
    def read(self, batch, known):
        return super().read(batch, known) + (0 if "count" in known else 1)


class Shape(Good):
    def read(self, batch, known):
        return super().read(batch, known)[:, :1]


class Infinite(Good):
    def read(self, batch, known):
        return super().read(batch, known) + np.inf


class Nameless(Good):
    version = ""


class Writes(Good):
    def read(self, batch, known):
        answer = super().read(batch, known)
        known["amount"][0] += 1.0
        return answer


class NoRead:
    name, version, needs, columns = "x", "1", (), ()


class Needy(Good):
    needs = ("amount", "gone")


def test_a_good_source_conforms():
    assert isinstance(Good(), Source)
    assert check_source(Good, BATCH, KNOWN) == []


@pytest.mark.parametrize(
    ("source", "law"),
    [
        (Chance, "a second read of the same group differs"), (Counts, "a second read of the same group differs"),
        (SeesRows, "row 0 alone differs"), (Undeclared, "does not declare in `needs`"),
        (Shape, r"the answer was float64 (6, 1), allowed: float64 (6, 2)"), (Infinite, "an infinity"),
        (Nameless, "name or version is empty"), (Writes, "read wrote into its inputs"),
        (NoRead, "lacks an attribute or method"),
        (Needy, "source good: nobody gives gone before it"),
    ],
)  # fmt: skip
def test_a_broken_law_is_named(source, law):
    known = {name: column.copy() for name, column in KNOWN.items()}
    assert any(law in sentence for sentence in check_source(source, BATCH, known)), check_source(source, BATCH, known)


def test_order_of_sources():
    class After(Good):
        name, needs, columns = "after", ("double",), (SourceColumn("triple", "number"),)

    assert order_sources([Good(), After()], ["amount"]) == []
    assert order_sources([After(), Good()], ["amount"]) == ["source after: nobody gives double before it"]
    assert order_sources([Good(), Good()], ["amount"])[0] == "source good: the column double is already given"


class Counter:
    """How many events came before this one, and it."""

    version, columns = "1", (SourceColumn("came", "number"),)

    def __init__(self):
        self.seen = np.zeros(1, np.int64)

    def apply(self, batch, read=True):
        answers = self.peek(batch)
        self.seen = self.seen + len(batch.times)
        return answers

    def peek(self, batch):
        return (self.seen + 1 + np.arange(len(batch.times)))[:, np.newaxis].astype(np.float64)

    def dump(self):
        return {"seen": self.seen.copy()}

    def load(self, dump):
        self.seen = dump["seen"].copy()

    def digest(self):
        return hashlib.sha256(self.seen.tobytes()).hexdigest()


class PerGroup(Counter):
    def apply(self, batch, read=True):
        answers = self.peek(batch)
        self.seen = self.seen + 1
        return answers


class Unread(Counter):
    def apply(self, batch, read=True):
        return super().apply(batch, read) if read else None


class Placed(Counter):
    def peek(self, batch):
        return super().peek(batch) + batch.offset


class PeekKeeps(Counter):
    def peek(self, batch):
        answers = super().peek(batch)
        self.seen = self.seen + len(batch.times)
        return answers

    def apply(self, batch, read=True):
        return self.peek(batch)


class PeekBefore(Counter):
    def apply(self, batch, read=True):
        return super().apply(batch, read) - 1.0


class Forgets(Counter):
    def load(self, dump):
        pass


class SharesDump(Counter):
    def apply(self, batch, read=True):
        answers = self.peek(batch)
        self.seen += len(batch.times)
        return answers

    def dump(self):
        return {"seen": self.seen}


class DumpsObjects(Counter):
    def dump(self):
        return {"seen": np.array([object()])}


class Blind(Counter):
    def digest(self):
        return "0" * 64


class WritesEvents(Counter):
    def apply(self, batch, read=True):
        batch.numbers[0] += 1
        return super().apply(batch, read)


class Flat(Counter):
    def peek(self, batch):
        return super().peek(batch)[:, 0]


def test_a_good_source_with_state_conforms():
    assert isinstance(Counter(), StatefulSource)
    assert not isinstance(Good(), StatefulSource)
    assert check_stateful_source(Counter, BATCH) == []


@pytest.mark.parametrize(
    ("source", "law"),
    [
        (Good, "of the protocol StatefulSource"), (PerGroup, "events one by one give other answers"),
        (Unread, "events that nobody reads are folded otherwise"), (Placed, "it uses `offset`"),
        (PeekKeeps, "peek changes the state"), (PeekBefore, "peek does not answer what apply would"),
        (Forgets, "dumped, loaded and gone on with differs"), (SharesDump, "a dump changes with the source"),
        (DumpsObjects, "something else than plain arrays"), (Blind, "the digest does not change"),
        (WritesEvents, "apply wrote into its inputs"), (Flat, "the answer was float64 (6,), allowed: float64 (6, 1)"),
    ],
)  # fmt: skip
def test_a_broken_law_of_a_source_with_state_is_named(source, law):
    batch = BATCH._replace(numbers=BATCH.numbers.copy())
    broken = check_stateful_source(source, batch)
    assert any(law in sentence for sentence in broken), broken
