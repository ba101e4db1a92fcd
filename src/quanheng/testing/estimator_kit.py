"""Conformance kit for estimators: a new one runs what `CHECKS` holds (the laws of `quanheng.models.estimator`).

    @pytest.mark.parametrize("check", estimator_kit.CHECKS, ids=lambda check: check.__name__)
    def test_my_estimator(check):
        check(MyEstimator)

Each check gets what makes the estimator: a class, or a `functools.partial` of one, so that another process can make it
too. An assertion that fails says which law is broken, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.models.estimator import Estimator, Fitted
from quanheng.models.table import Column, Table
from quanheng.models.trees import content_hash

Maker = Callable[[], Estimator]
ROWS = 800
LOG_ODDS_TOLERANCE = 1e-6
"""For libraries that sum in float32; what sums in float64 reaches 1e-9."""
BAND = ("north", "south", "east", "west")


def kit_table(rows: int = ROWS, seed: int = 11) -> Table:
    """Numbers, numbers with codes, categories, missing values in each; the outcome depends on all of them."""
    random = np.random.default_rng(seed)
    income, since = random.lognormal(8, 0.7, rows), random.integers(0, 40, rows).astype(float)
    since[random.random(rows) < 0.15] = -9.0
    region = random.choice(BAND, rows)
    noise = random.normal(size=rows)
    odds = -1.0 - 1.3 * (np.log(income) - 8) - 0.05 * np.where(since < 0, 0, since) + 1.0 * (region == "east")
    target = random.random(rows) < 1 / (1 + np.exp(-odds + 0.8 * (since < 0)))
    unknown = random.random((3, rows)) < 0.1
    frame = pl.DataFrame(
        {
            "income": np.where(unknown[0], np.nan, income),
            "since": np.where(unknown[1], np.nan, since),
            "noise": noise,
            "region": pl.Series(region, dtype=pl.String),
        }
    )
    frame = frame.with_columns(
        pl.col("income").fill_nan(None),
        pl.col("since").fill_nan(None),
        pl.when(pl.Series(unknown[2])).then(None).otherwise(pl.col("region")).alias("region"),
    )
    return Table(frame, target, _described(frame))


def _described(frame: pl.DataFrame) -> tuple[Column, ...]:
    return tuple(
        Column(
            name=name,
            kind="category" if name == "region" else "number",
            missing=frame[name].null_count(),
            distinct=frame[name].drop_nulls().n_unique(),
            specials=(-9.0,) if name == "since" else (),
        )
        for name in frame.columns
    )


def odd_rows() -> pl.DataFrame:
    """Rows that training never saw the like of: all missing, other categories, numbers out of range, an unmet code."""
    huge = 1.0e30
    return pl.DataFrame(
        {
            "income": [None, 0.0, -huge, huge, 3000.0, 3000.0],
            "since": [None, -9.0, -8.0, huge, -huge, 7.5],
            "noise": [None, 0.0, huge, -huge, 0.0, 0.0],
            "region": [None, "north", "a region nobody knew", "", "东", "west"],
        },
        schema={"income": pl.Float64, "since": pl.Float64, "noise": pl.Float64, "region": pl.String},
    )


def _fit(make: Maker) -> Fitted:
    return make().fit(kit_table(), 1)


def _hash_of_a_fit(make: Maker) -> str:
    return content_hash(_fit(make).to_bytes())


def it_has_the_names_of_the_protocol(make: Maker) -> None:
    estimator, fitted = make(), _fit(make)
    assert isinstance(fitted, Fitted), "what fit gives lacks an attribute or method of the protocol Fitted"
    assert estimator.name, "the estimator has no name"
    assert estimator.name == fitted.estimator, "the estimator and what it fits differ in name"
    inputs = [column.name for column in kit_table().columns]
    assert {column.name for column in fitted.columns} <= set(inputs), "it has an input that the table has not"


def the_same_table_gives_the_same_bytes(make: Maker) -> None:
    assert _fit(make).to_bytes() == _fit(make).to_bytes(), "a second fit on the same table and seed gives other bytes"
    fitted = _fit(make)
    assert fitted.to_bytes() == fitted.to_bytes(), "to_bytes gives other bytes the second time"


def another_process_gives_the_same_bytes(make: Maker) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        other = pool.submit(_hash_of_a_fit, make).result()
    assert other == _hash_of_a_fit(make), "another process fits other bytes on the same table and seed"


def fitting_leaves_the_table_as_it_was(make: Maker) -> None:
    table = kit_table()
    rows, target = table.rows.clone(), table.target.copy()
    make().fit(table, 1)
    assert table.rows.equals(rows), "fit writes into the rows of its table"
    assert np.array_equal(table.target, target), "fit writes into the target of its table"


def it_learns_something(make: Maker) -> None:
    from quanheng.models.metrics import auc_roc

    table = kit_table()
    assert auc_roc(table.target, _fit(make).probability(table.rows)) > 0.65, "it does not find a strong pattern"


def every_row_has_a_probability(make: Maker) -> None:
    fitted = _fit(make)
    for name, rows in (("of the table", kit_table().rows), ("never seen before", odd_rows())):
        scores = fitted.probability(rows)
        assert scores.shape == (rows.height,), f"rows {name}: not one probability for each"
        assert scores.dtype == np.dtype(np.float64), f"rows {name}: probabilities are no float64"
        assert np.isfinite(scores).all(), f"row {int(np.argmin(np.isfinite(scores)))} {name} has no probability"
        assert ((scores >= 0) & (scores <= 1)).all(), f"rows {name}: a probability is outside of [0, 1]"


def a_row_does_not_depend_on_the_rows_beside_it(make: Maker) -> None:
    fitted = _fit(make)
    rows = pl.concat([kit_table().rows.head(37), odd_rows()])
    whole, parts = fitted.probability(rows), fitted.contributions(rows)
    turned = fitted.probability(rows.reverse())[::-1]
    assert np.array_equal(whole, turned), "rows in another order have other probabilities"
    for row in range(rows.height):
        alone = rows.slice(row, 1)
        assert fitted.probability(alone)[0] == whole[row], f"row {row} alone has another probability than in a group"
        assert np.array_equal(fitted.contributions(alone)[0], parts[row]), f"row {row} alone has other contributions"


def other_columns_and_their_order_change_nothing(make: Maker) -> None:
    fitted, rows = _fit(make), kit_table().rows.head(50)
    other = rows.select(reversed(rows.columns)).with_columns(pl.lit(5).alias("a column it was not fitted on"))
    assert np.array_equal(fitted.probability(rows), fitted.probability(other)), "inputs are not read by name"


def contributions_sum_to_the_log_odds(make: Maker) -> None:
    fitted = _fit(make)
    for rows in (kit_table().rows, odd_rows()):
        scores, parts = fitted.probability(rows), fitted.contributions(rows)
        assert parts.shape == (rows.height, len(fitted.columns)), "contributions are not rows by inputs"
        inside = (scores > 1e-9) & (scores < 1 - 1e-9)
        log_odds = np.log(scores[inside] / (1 - scores[inside]))
        away = np.abs(fitted.base + parts.sum(axis=1)[inside] - log_odds)
        # A probability near 1 has lost digits of its log-odds: as many as its distance from 1 is small.
        allowed = LOG_ODDS_TOLERANCE + 1e-15 / np.minimum(scores[inside], 1 - scores[inside])
        assert (away <= allowed).all(), f"base and contributions miss the log-odds by up to {away.max():.2g}"


def what_is_read_back_answers_the_same(make: Maker) -> None:
    fitted = _fit(make)
    content = fitted.to_bytes()
    again = make().read(content)
    rows = pl.concat([kit_table().rows, odd_rows()])
    assert np.array_equal(again.probability(rows), fitted.probability(rows)), "read back it gives other probabilities"
    assert np.array_equal(again.contributions(rows), fitted.contributions(rows)), "read back: other contributions"
    assert again.base == fitted.base, "read back: another base"
    assert list(again.columns) == list(fitted.columns), "read back: other inputs"
    assert again.to_bytes() == content, "read back and written again the bytes differ"


def bytes_of_something_else_are_refused(make: Maker) -> None:
    for content in (b"", b"{}", b"no weights of any model", _fit(make).to_bytes()[:-20]):
        try:
            make().read(content)
        except InputError:
            continue
        raise AssertionError(f"read takes bytes that are no weights file: {content[:24]!r}")


def a_table_without_both_outcomes_is_refused(make: Maker) -> None:
    table = kit_table(60)
    for target in (np.zeros(60, bool), np.ones(60, bool)):
        try:
            make().fit(table._replace(target=target), 1)
        except InputError:
            continue
        raise AssertionError("fit takes a table in which every row has the same outcome")


def a_table_of_constants_gives_the_base_rate_or_is_refused(make: Maker) -> None:
    rows = pl.DataFrame({"one": np.ones(100), "word": ["x"] * 100})
    columns = (Column(name="one", kind="number", distinct=1), Column(name="word", kind="category", distinct=1))
    target = np.arange(100) < 30
    try:
        scores = make().fit(Table(rows, target, columns), 1).probability(rows)
    except InputError:
        return
    assert np.allclose(scores, 0.3, atol=0.05), f"constants alone give {scores[0]:.3f} where 0.3 of the rows are events"


def progress_ends_where_it_said(make: Maker) -> None:
    told: list[tuple[str, int, int]] = []
    make().fit(kit_table(), 1, lambda stage, done, of: told.append((stage, done, of)))
    last = {stage: (done, of) for stage, done, of in told}
    assert all(done == of for done, of in last.values()), f"a stage is told to be unfinished at the end: {last}"
    assert all(0 <= done <= of for _, done, of in told), "progress is told outside of 0 to its end"


CHECKS: Sequence[Callable[[Maker], None]] = (
    it_has_the_names_of_the_protocol,
    the_same_table_gives_the_same_bytes,
    another_process_gives_the_same_bytes,
    fitting_leaves_the_table_as_it_was,
    it_learns_something,
    every_row_has_a_probability,
    a_row_does_not_depend_on_the_rows_beside_it,
    other_columns_and_their_order_change_nothing,
    contributions_sum_to_the_log_odds,
    what_is_read_back_answers_the_same,
    bytes_of_something_else_are_refused,
    a_table_without_both_outcomes_is_refused,
    a_table_of_constants_gives_the_base_rate_or_is_refused,
    progress_ends_where_it_said,
)
"""All laws, each a function of what makes an estimator."""
