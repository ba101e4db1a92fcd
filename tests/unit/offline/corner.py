"""A history for the tests of training sets: sales with ties and complaints that come late, as a file and as arrays."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import polars as pl

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.declared import ColumnSource, Declared, EventMapping, FileMapping, Flow, Fold, Formula

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000
FIELD = FieldDeclaration
SALE = EventDeclaration(
    name="sale",
    subject="buyer",
    time="at",
    fields={
        "at": FIELD(kind="time"),
        "buyer": FIELD(kind="key", entity="person", data_class="personal"),
        "shop": FIELD(kind="key", entity="shop"),
        "amount": FIELD(kind="decimal", scale=2, data_class="financial"),
    },
)
COMPLAINT = EventDeclaration(
    name="complaint",
    time="sold_at",
    fields={"sold_at": FIELD(kind="time"), "shop": FIELD(kind="key", entity="shop")},
)


def fold(name: str, of: str, by: tuple[str, ...], kind: str, **more: object) -> Fold:
    return Fold(name=name, of=of, by=by, fold=kind, **more)  # type: ignore[arg-type]


FOLDS = (
    fold("count_1h", "sale", ("buyer",), "count", window_ms=HOUR_MS),
    fold("mean_out", "sale", ("buyer",), "mean", value="amount", window_ms=24 * HOUR_MS, current="out"),
    fold("shops", "sale", ("buyer",), "distinct", value="shop"),
    fold("largest", "sale", ("shop",), "max", value="amount", window_ms=24 * HOUR_MS),
    fold("complaints", "complaint", ("shop",), "count", window_ms=48 * HOUR_MS, delay_ms=2 * HOUR_MS),
    fold("since", "sale", ("buyer", "shop"), "time_since", current="out"),
)
FORMULA = Formula(name="to_mean", feel="amount / mean_out", uses=("amount", "mean_out"))
FLOW = Flow(when="sale", purpose="p", decide="d", policy="x", fallback="ok")
COLUMN = lambda name: ColumnSource(column=name)  # noqa: E731
MAPPING = FileMapping(
    name="corner",
    events=(
        EventMapping(event="sale", fields={name: COLUMN(name) for name in ("at", "buyer", "shop", "amount")}),
        EventMapping(
            event="complaint",
            fields={"sold_at": COLUMN("at"), "shop": COLUMN("shop")},
            where=("bad", 1),
            delay_ms=9 * HOUR_MS,
        ),
    ),
)
DECLARED = Declared(
    name="corner", version="1", events=(SALE, COMPLAINT), folds=FOLDS, formulas=(FORMULA,), mappings=(MAPPING,),
    flows=(FLOW,),
)  # fmt: skip


def write_history(folder: Path, rows: int = 400, seed: int = 1) -> Path:
    """A file of sales; several bear the same moment."""
    rng = random.Random(seed)
    at, table = START_MS, []
    for _ in range(rows):
        at += rng.choice([0, 0, 60_000, HOUR_MS])
        amount = Decimal(rng.randrange(1, 9_999)).scaleb(-2)
        table.append((at, f"b{rng.randrange(5)}", f"s{rng.randrange(4)}", amount, int(rng.random() < 0.2)))
    schema = {"at": pl.Int64, "buyer": pl.String, "shop": pl.String, "amount": pl.Decimal(12, 2), "bad": pl.Int64}
    file = folder / "history.parquet"
    pl.DataFrame(table, schema=schema, orient="row").write_parquet(file)
    return file
