"""The conformance kit passes a good source and names the broken law of each bad one."""

import itertools

import numpy as np
import pytest

from quanheng.features.source import Batch, Source, SourceColumn, order_sources
from quanheng.testing.source_kit import check_source

BATCH = Batch(
    np.ones(6, dtype=np.int32), np.arange(6, dtype=np.int64), np.arange(24, dtype=np.uint64).reshape(6, 2, 2),
    np.arange(6, dtype=np.int64).reshape(6, 1), 100, 5_000,
)  # fmt: skip
KNOWN = {"amount": np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0]), "count": np.arange(6.0)}


class Good:
    name, version, needs = "good", "1", ("amount",)
    columns = (SourceColumn("double", "number", 2), SourceColumn("seen", "number"))

    def __init__(self):
        self.seen = 0

    def read(self, batch, known):
        return np.column_stack([known["amount"] * 2, np.full(len(batch.times), float(self.seen))])

    def apply(self, batch):
        self.seen += len(batch.times)


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


class PerGroup(Good):
    def apply(self, batch):
        self.seen += 1


class NoApply:
    name, version, needs, columns = "x", "1", (), ()

    def read(self, batch, known):
        return None


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
        (Shape, r"read gave float64 (6, 1), allowed: float64 (6, 2)"), (Infinite, "an infinity"),
        (Nameless, "name or version is empty"), (Writes, "read wrote into its inputs"),
        (PerGroup, "after the same events in other groups"), (NoApply, "lacks an attribute or method"),
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
