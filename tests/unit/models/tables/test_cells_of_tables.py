"""How cells are understood: numbers in every style, missing words, dates, booleans, and what stays in doubt."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from quanheng.models.tables.cells import Form, guess, to_ms, to_number
from quanheng.models.tables.codes import special_codes
from quanheng.models.tables.recipe import InputRecipe, pack_names, read_input

NAN = None
NUMBERS = [
    (["1", "-2.5", "+3", "1e3", ".5"], "plain", [1, -2.5, 3, 1000, 0.5]),
    (["1,234", "1,234,567.5", "12"], "grouped", [1234, 1234567.5, 12]),
    (["1.234,5", "0,25", "7"], "european", [1234.5, 0.25, 7]),
    (["1.234.567", "2.345.678"], "european", [1234567, 2345678]),
    (["12.5%", "3 %"], "percent", [12.5, 3]),
    (["12,5%", "0,3%"], "european_percent", [12.5, 0.3]),
    (["$1,200.50", "$900.00"], "grouped", [1200.5, 900]),
    (["¥ 15", "30 元"], "plain", [15, 30]),
    (["(12.5)", "3"], "plain", [-12.5, 3]),
    (["1", "NA", "n/a", "?", "-", "", "缺失", "3"], "plain", [1, NAN, NAN, NAN, NAN, NAN, NAN, 3]),
    (["1", "none", "3"], "plain", [1, NAN, 3]),
    (["01", "07", "12"], "plain", [1, 7, 12]),
    (["5", "inf", "nan", "-inf"], "plain", [5, NAN, NAN, NAN]),
]


@pytest.mark.parametrize(("cells", "style", "expected"), NUMBERS, ids=lambda one: str(one)[:30])
def test_numbers(cells, style, expected):
    column = pl.Series("x", cells * 30)
    found = guess(column)
    if "inf" in cells:
        assert found.form.kind == "number" or found.form.kind == "category"
        return
    assert (found.form.kind, found.form.style) == ("number", style)
    read, unreadable = read_input(InputRecipe(name="x", column="x", form=found.form), column)
    assert read.to_list()[: len(cells)] == expected
    assert unreadable == 0


@pytest.mark.parametrize("cells", [["1,234", "5,678"], ["1,234"]])
def test_a_comma_in_doubt_is_not_guessed(cells):
    found = guess(pl.Series(cells * 10))
    assert found.form.kind == "category"
    assert found.notes[0][0] == "ambiguous"
    assert guess(pl.Series(cells * 10), "grouped").form == Form(kind="number", style="grouped")
    assert guess(pl.Series(cells * 10), "european").form == Form(kind="number", style="european")


def test_a_word_among_numbers_is_missing_and_told_and_many_are_not():
    found = guess(pl.Series(["refused", *map(str, range(50))]))
    assert found.form == Form(kind="number", missing=("refused",))
    assert found.notes == (("number", "1 cells are words among numbers: 'refused'", "read as missing"),)
    assert guess(pl.Series(["refused", "open"] * 20 + ["1"])).form.kind == "category"
    assert guess(pl.Series(["10+ years", "< 1 year", "3 years"])).form.kind == "category"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Yes", "no", "YES"], [1, 0, 1]),
        (["TRUE", "false", None], [1, 0, None]),
        (["t", "f", "?"], [1, 0, None]),
        (["是", "否"], [1, 0]),
        (["ja", "nein"], [1, 0]),
    ],
)
def test_booleans(cells, expected):
    column = pl.Series("x", cells)
    form = guess(column).form
    assert form.kind == "boolean"
    assert read_input(InputRecipe(name="x", column="x", form=form), column)[0].to_list() == expected


DATES = [
    ("2024-03-01", "2024-12-31"),
    ("2024/03/01", "2024/12/31"),
    ("01.03.2024", "31.12.2024"),
    ("03/01/2024", "12/31/2024"),
    ("01/03/2024", "31/12/2024"),
    ("20240301", "20241231"),
    ("01-Mar-2024", "31-Dec-2024"),
    ("2024年03月01日", "2024年12月31日"),
    ("2024-03-01 00:00:00", "2024-12-31 00:00:00"),
    ("2024-03-01T00:00:00", "2024-12-31T00:00:00"),
]


@pytest.mark.parametrize("cells", [("20240301", "20241301"), ("20240301", "20240301"), ("20240301", "120240301")])
def test_eight_digits_are_a_number_unless_all_are_days(cells):
    assert guess(pl.Series("x", list(cells))).form.kind == "number"


@pytest.mark.parametrize("cells", DATES, ids=lambda one: one[1])
def test_dates_are_days(cells):
    column = pl.Series("x", list(cells) * 10)
    form = guess(column).form
    assert form.kind == "date", form
    days = read_input(InputRecipe(name="x", column="x", form=form), column)[0]
    assert days.to_list()[:2] == [19783.0, 20088.0]


def test_months_are_their_first_day():
    form = guess(pl.Series(["Mar-2024", "Dec-2024"])).form
    assert to_ms(pl.Series(["Mar-2024"]), form.date).to_list() == [19783 * 86_400_000]


def test_a_day_that_may_be_a_month_is_not_guessed():
    found = guess(pl.Series(["01/03/2024", "02/05/2024"]))
    assert found.form.kind == "category"
    assert found.notes == (("ambiguous", "dates that %m/%d/%Y and %d/%m/%Y read otherwise", "read as categories"),)


def test_a_cell_of_another_form_is_missing_and_counted():
    recipe = InputRecipe(name="x", column="x", form=Form(kind="number"))
    read, unreadable = read_input(recipe, pl.Series("x", ["1", "many", "NA", None]))
    assert read.to_list() == [1.0, None, None, None]
    assert unreadable == 1
    typed, unreadable = read_input(recipe, pl.Series("x", [1, None, 3]))
    assert (typed.to_list(), unreadable) == ([1.0, None, 3.0], 0)
    days, unreadable = read_input(InputRecipe(name="x", column="x", form=Form(kind="date")), pl.Series("x", [5, 6]))
    assert (days.to_list(), unreadable) == ([None, None], 2)
    assert to_number(pl.Series([1.0, float("inf"), float("nan")]), "plain").to_list() == [1.0, None, None]


def quantities(rows: int = 2000) -> np.ndarray:
    return np.random.default_rng(1).poisson(3, rows).astype(float)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((96, 98), (96, 98)),
        ((-1,), (-1,)),
        ((-9, -8, -7), (-9, -8, -7)),
        ((-999,), (-999,)),
        ((9999, 9998), (9998, 9999)),
        ((365243,), (365243,)),
        ((), ()),
    ],
)
def test_codes_stand_apart(codes, expected):
    values = quantities()
    if codes == (365243,):
        values = -np.arange(2000.0)
    for at, code in enumerate(codes):
        values[at * 60 : at * 60 + 60] = code
    assert special_codes(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).integers(18, 100, 3000).astype(float),  # Ages: 98 and 99 are among them.
        np.random.default_rng(1).normal(size=3000),
        np.round(np.random.default_rng(1).lognormal(8, 1, 3000)),
        np.tile(np.arange(-3.0, 4.0), 50),  # A scale.
        np.tile([0.0, 1.0, -1.0], 50),
        np.full(50, 9999.0),
        np.full(5, np.nan),
    ],
)
def test_quantities_are_no_codes(values):
    assert special_codes(values) == ()


def test_names_a_pack_may_use():
    names = ["DebtRatio", "MSinceOldest", "a b", "a-b", "2nd", "", "月收入", "Größe", "x" * 80, "NumberOfTime30-59Days"]
    assert list(pack_names(names)) == [
        "debt_ratio", "m_since_oldest", "a_b", "a_b_2", "n_2nd", "column_6", "column_7", "grosse", "x" * 56,
        "number_of_time30_59_days",
    ]  # fmt: skip
