"""A small business of its own for the tests of models: sales and complaints, with a pattern worth learning."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.declared import ColumnSource, Declared, EventMapping, FileMapping, Fold, Formula, ModelDeclaration

DAY_MS = 86_400_000
START = dt.date(2024, 3, 1)
INPUTS = ("amount", "paid", "buyer_count_7d", "shop_complaints", "to_mean", "slow")
SETTINGS = {
    "event": "shop.sale",
    "label_event": "shop.complaint",
    "label_field": "sale",
    "group": "buyer",
    "warmup_days": 3,
    "delay_days": 2,
    "test_days": 4,
    "rounds": 12,
    "seed": 5,
    "top_k": 20,
    "parameters": {"num_leaves": 7, "learning_rate": Decimal("0.2"), "min_data_in_leaf": 10},
}


def declared(**changes: object) -> Declared:
    """The pack `corner_shop`."""
    field = FieldDeclaration
    sale = EventDeclaration(
        name="shop.sale",
        subject="buyer",
        time="at",
        fields={
            "at": field(kind="time"),
            "buyer": field(kind="key", entity="p.buyer"),
            "shop": field(kind="key", entity="p.shop"),
            "amount": field(kind="integer"),
            "paid": field(kind="decimal", scale=2, optional=True),
        },
    )
    complaint = EventDeclaration(
        name="shop.complaint",
        subject="buyer",
        time="sold_at",
        fields={
            "sold_at": field(kind="time"),
            "buyer": field(kind="key", entity="p.buyer"),
            "shop": field(kind="key", entity="p.shop"),
            "sale": field(kind="text"),
        },
    )
    folds = (
        Fold(name="buyer_count_7d", of="shop.sale", by=("buyer",), fold="count", window_ms=7 * DAY_MS, empty=0),
        Fold(name="buyer_mean", of="shop.sale", by=("buyer",), fold="mean", value="amount", current="out"),
        Fold(name="shop_complaints", of="shop.complaint", by=("shop",), fold="count", window_ms=30 * DAY_MS, empty=0),
        Fold(name="unused", of="shop.sale", by=("buyer", "shop"), fold="sum", value="amount"),
    )
    formulas = (
        Formula(name="to_mean", feel="amount / buyer_mean", uses=("amount", "buyer_mean")),
        Formula(name="slow", feel="to_mean * 2 + shop_complaints", uses=("to_mean", "shop_complaints")),
    )
    source = ColumnSource
    fields = {"buyer": source(column="who"), "shop": source(column="where")}
    mapping = FileMapping(
        name="till",
        events=(
            EventMapping(
                event="shop.sale",
                id=source(column="number"),
                fields={
                    "at": source(column="when"),
                    **fields,
                    "amount": source(column="cents"),
                    "paid": source(constant=Decimal("1.25")),
                },
            ),
            EventMapping(
                event="shop.complaint",
                id=source(column="number"),
                where=("bad", 1),
                delay_ms=2 * DAY_MS,
                fields={"sold_at": source(column="when"), **fields, "sale": source(column="number")},
            ),
        ),
    )
    model = ModelDeclaration(
        name="trouble",
        estimator="lightgbm",
        inputs=INPUTS,
        output_decimals=4,
        weights="trouble.trees",
        hash="",
        settings={"training": SETTINGS},
    )
    protocol = {
        "kind": "delayed_card",
        "train_from": dt.date(2024, 3, 4),
        "train_days": 5,
        "delay_days": 2,
        "test_days": 4,
        "key": "buyer",
        "label_event": "shop.complaint",
        "top_k": 20,
        "mapping": "till",
    }
    values = {
        "name": "corner_shop",
        "version": "1.0.0",
        "events": (sale, complaint),
        "folds": folds,
        "formulas": formulas,
        "models": (model,),
        "mappings": (mapping,),
        "evaluations": {"weekly": protocol},
    } | changes
    return Declared(**values)


def till(days: int = 16, a_day: int = 150, seed: int = 2) -> pl.DataFrame:
    """Rows as the till writes them: in bad shops, and for amounts unlike a buyer's own, trouble is likely."""
    random = np.random.default_rng(seed)
    size = days * a_day
    when = np.sort(random.integers(0, days * DAY_MS, size)) + (START - dt.date(1970, 1, 1)).days * DAY_MS
    who, where = random.integers(0, 300, size), random.integers(0, 40, size)
    cents = (500 + 10 * who) * random.choice([1, 1, 1, 1, 6], size)
    bad = random.random(size) < np.where(where < 4, 0.3, np.where(cents > 5 * (500 + 10 * who), 0.25, 0.005))
    return pl.DataFrame(
        {
            "number": np.arange(size),
            "when": pl.Series(when).cast(pl.Datetime("ms")),
            "who": who,
            "where": where,
            "cents": cents,
            "bad": bad.astype(np.int8),
        }
    )
