"""A training set by DuckDB is the kernel's; what SQL cannot say is refused; SQL can be read."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import polars as pl
import pytest
from corner import DECLARED, HOUR_MS, MAPPING, START_MS, write_history
from msgspec.structs import replace

from quanheng.features.fold import Fold
from quanheng.features.sql import reasons
from quanheng.features.sql.run import sql_text
from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.models.history import layouts
from quanheng.offline.build import Build
from quanheng.offline.by_sql import SqlBuild
from quanheng.offline.events import FileEvents
from quanheng.offline.spine import SpineColumns

pytest.importorskip("ibis", reason="needs the extra `offline`")
QUIET = lambda *_: None  # noqa: E731


@pytest.mark.parametrize(
    "columns", [SpineColumns("", offset="place"), SpineColumns("", known="knows"), SpineColumns("")]
)
def test_duckdb_builds_what_the_kernel_builds(tmp_path, columns):
    write_history(tmp_path, 300, seed=9)
    rng = np.random.default_rng(5)
    source = lambda: FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events, 4_000)  # noqa: E731
    if columns.offset:
        events = pl.read_parquet(tmp_path / "history.parquet")
        first = source()
        first.prepare(tmp_path / "sorted", QUIET)
        types = np.concatenate([block.types for block in first.blocks(0)])
        spine = pl.DataFrame({"place": np.flatnonzero(types == 0)[::3]})
        assert len(types) > len(events)
    else:
        at = START_MS + rng.integers(1, 60, 50) * HOUR_MS
        spine = pl.DataFrame({
            "at": at, "knows": at + rng.integers(0, 3, 50) * HOUR_MS,
            "buyer": [f"b{one}" for one in rng.integers(0, 6, 50)],
            "shop": [f"s{one}" for one in rng.integers(0, 4, 50)], "amount": np.full(50, 7),
        })  # fmt: skip
    spine.write_parquet(tmp_path / "spine.parquet")
    files = []
    for name, kind, more in (("kernel", Build, {}), ("duckdb", SqlBuild, {"engine": "duckdb"})):
        out = tmp_path / f"{name}.parquet"
        kind(DECLARED, source(), tmp_path / "spine.parquet", columns, out, **more).run(QUIET)
        files.append(pl.read_parquet(out))
    assert files[0].equals(files[1])


def test_filters_that_instructions_say_are_alike_in_files_and_in_duckdb(tmp_path):
    """`if`, key fields (of one id in two fields, and null), a function of a word of the time; the kernel beside SQL."""
    write_history(tmp_path, 300, seed=9)
    history = pl.read_parquet(tmp_path / "history.parquet")
    shops = pl.when(pl.col("amount") < 30).then(pl.col("buyer")).otherwise("shop")
    history.with_columns(shop=shops).write_parquet(tmp_path / "history.parquet")
    wheres = (
        "buyer = shop", "buyer != shop and if night then amount > 20 else true", "shop in (null, buyer) or amount > 90",
        "modulo(hour, 3) = 1 and amount between 10 and 80", "shop = null",
    )  # fmt: skip
    folds = tuple(
        replace(DECLARED.folds[0], name=f"own{place}", where=one, window_ms=9 * HOUR_MS, zone="Asia/Shanghai")
        for place, one in enumerate(wheres)
    )
    sale, *rest = DECLARED.events
    sale = replace(sale, fields={**sale.fields, "shop": sale.fields["buyer"]})  # Of one entity, else never equal.
    declared = replace(DECLARED, folds=(*DECLARED.folds[:3], *folds), events=(sale, *rest))
    spine = pl.DataFrame({"at": START_MS + np.arange(1, 41) * HOUR_MS, "buyer": [f"b{n % 6}" for n in range(40)]})
    spine.with_columns(shop=pl.lit("shop"), amount=pl.lit(7)).write_parquet(tmp_path / "spine.parquet")
    files = []
    for name, kind, more in (("kernel", Build, {}), ("duckdb", SqlBuild, {"engine": "duckdb"})):
        source, out = FileEvents(tmp_path / "history.parquet", MAPPING, declared.events), tmp_path / f"{name}.parquet"
        kind(declared, source, tmp_path / "spine.parquet", SpineColumns(""), out, **more).run(QUIET)
        files.append(pl.read_parquet(out))
    assert files[0].equals(files[1])
    counted = [files[0][one.name].sum() for one in folds]
    assert counted[-1] == 0
    assert all(count > 5 for count in counted[:-1])


def test_spark_builds_what_the_kernel_builds(tmp_path):
    pytest.importorskip("pyspark", reason="needs the extra `spark`")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which this machine does not have")
    write_history(tmp_path, 60, seed=3)
    at = START_MS + np.arange(1, 13) * 2 * HOUR_MS
    spine = pl.DataFrame({"at": at, "buyer": ["b1", "b2"] * 6, "shop": ["s0", "s1"] * 6, "amount": np.full(12, 7)})
    spine.filter(pl.col("at") <= START_MS + 12 * HOUR_MS).write_parquet(tmp_path / "spine.parquet")
    files = []
    for name, kind, more in (("kernel", Build, {}), ("spark", SqlBuild, {"engine": "spark"})):
        source = FileEvents(tmp_path / "history.parquet", MAPPING, DECLARED.events)
        out = tmp_path / f"{name}.parquet"
        kind(DECLARED, source, tmp_path / "spine.parquet", SpineColumns(""), out, **more).run(QUIET)
        files.append(pl.read_parquet(out))
    assert files[0].equals(files[1])


def test_every_setting_that_sql_cannot_say_has_its_reason():
    plain = Fold("f", "sale", ("buyer",), "sum", "amount")
    assert reasons.reason(plain, "duckdb") is None
    said = {"where": "amount > 1", "since": "day", "last": 3, "gap_ms": 5, "window_ms": 9, "age_ms_max": 1}
    assert reasons.reason(Fold("f", "sale", ("buyer",), "sum", "amount", **said), "duckdb") is None
    for setting, value, why in (
        ("through", "g", "its key is the answer of another fold"),
        ("exact_max", 9, "its answer is an estimate beyond so many values, and each engine estimates otherwise"),
    ):
        fold = Fold("f", "sale", ("buyer",), "sum", "amount", **{setting: value})
        for backend in reasons.BACKENDS:
            assert reasons.reason(fold, backend) == f"`{setting}`: {why}"
        with pytest.raises(InputError, match="SQL cannot say these folds; was f"):
            reasons.check([fold], "duckdb", layouts(DECLARED.events))
    assert reasons.reason(Fold("f", "sale", (), "nothing_such"), "duckdb") == "this kind of fold is not built yet"


@pytest.mark.parametrize("dialect", reasons.BACKENDS)
def test_the_sql_has_integer_ranges_and_names_the_folds(dialect):
    folds = [Fold.of_pack(one, one.name) for one in DECLARED.folds[:2]]
    [ranged] = sql_text(layouts(DECLARED.events), folds, dialect, 1000, True)
    assert "RANGE BETWEEN 3599999" in ranged
    [joined] = sql_text(layouts(DECLARED.events), folds, dialect, 1000, False)
    assert "count_1h" in joined
    assert "JOIN" in joined


@pytest.mark.parametrize("dialect", reasons.BACKENDS)
def test_the_sql_of_conditions_and_windows_is_in_the_dialect_and_ranges_only_where_they_can(dialect):
    events = layouts(DECLARED.events)
    where = Fold(
        "big", "sale", ("buyer",), "sum", "amount", window_ms=HOUR_MS, where="amount * 2 > 10.5 and not(night)"
    )
    day = Fold("today", "sale", ("buyer",), "count", since="day", zone="Europe/Berlin")
    visit = Fold("visit", "sale", ("buyer",), "top", "shop", gap_ms=HOUR_MS, window_ms=9 * HOUR_MS, last=5)
    hour = Fold("hour", "sale", (), "hour", zone="Asia/Shanghai")
    statements = sql_text(events, [where, day, visit, hour], dialect, 1000, True)
    assert len(statements) == 3
    assert "TRY_CAST" in statements[0]
    assert "RANGE BETWEEN 3599999" in statements[0]
    assert "ROW_NUMBER" in statements[1]
    assert "JOIN" in statements[1]
    assert "28800000" in statements[2]


def test_a_condition_that_only_feel_can_say_is_refused_with_its_place():
    fold = Fold("f", "sale", ("buyer",), "count", where="night and abs(amount) > 1")
    with pytest.raises(InputError) as raised:
        sql_text(layouts(DECLARED.events), [fold], "duckdb", 1000, True)
    assert str(raised.value) == (
        "engine duckdb: SQL cannot say these folds; was f (`where`, line 1, column 11: FEEL alone answers this as the"
        " kernel has it; SQL says comparisons, logic, `if`, + - *, and any FEEL that reads only choices, truths and"
        " words of the time). Name the others, or let the kernel compute them (quanheng features build --engine"
        " kernel)."
    )


def test_asking_sql_leaves_the_settings_of_ibis_and_python_as_they_were():
    import ibis

    before = ibis.options.sql.fuse_selects, sys.getrecursionlimit()
    sql_text(layouts(DECLARED.events), [Fold("h", "sale", (), "hour")], "duckdb", 1000, True)
    assert (ibis.options.sql.fuse_selects, sys.getrecursionlimit()) == before


def test_a_missing_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(MissingExtra, match=r"pip install 'quanheng\[offline\]'"):
        reasons.import_ibis()
