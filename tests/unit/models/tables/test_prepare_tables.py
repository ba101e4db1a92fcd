"""Tables that nobody prepared, of known truth: what is found, what is left out, what is refused."""

from __future__ import annotations

import lender_tables
import numpy as np
import polars as pl
import pytest
from table_files import loans

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.tables.findings import TITLES, Finding, shown
from quanheng.models.tables.leakage import AUC_MAX, leakage
from quanheng.models.tables.prepare import Options, prepare, prepare_file
from quanheng.models.tables.recipe import apply_recipe, read_recipe
from quanheng.models.tables.screening import kept_levels, unusable
from quanheng.models.tables.target import find_column, read_target


def prepared(tmp_path, name: str, encoding: str = "utf-8", **options):
    path = tmp_path / f"{name}.csv"
    path.write_bytes(getattr(lender_tables, name)().encode(encoding))
    return prepare_file(path, Options(**options))


def told(found, kind: str) -> list[str]:
    return [finding.where for finding in found.findings if finding.kind == kind]


def test_blanks_and_no_header(tmp_path):
    found = prepared(tmp_path, "australian", target="-1")
    assert found.table.rows.columns == ["column_1", "column_2", "column_3", "column_4"]
    assert found.recipe.events == ("1",)
    assert not told(found, "leakage")


def test_question_marks_and_signs(tmp_path):
    found = prepared(tmp_path, "japanese", target="-1")
    assert (found.recipe.events, found.recipe.others) == (("+",), ("-",))
    kinds = {column.name: column.kind for column in found.table.columns}
    assert kinds["column_2"] == kinds["column_6"] == "number"
    assert kinds["column_7"] == "category"
    assert told(found, "zeros") == ["column_7"]
    assert set(told(found, "missing")) == {"column_1", "column_2"}


def test_codes_of_bureaus(tmp_path):
    found = prepared(tmp_path, "heloc", target="RiskPerformance")
    codes = {column.name: column.specials for column in found.table.columns}
    assert codes["m_since_oldest_trade_open"] == (-9.0, -8.0)
    assert codes["max_delq2_public_rec_last12m"] == (-9.0,)
    assert codes["m_since_most_recent_delq"] == (-9.0, -7.0)
    assert found.recipe.events == ("Bad",)
    assert "duplicate_rows" in [finding.kind for finding in found.findings]


def test_columns_that_know_the_outcome(tmp_path):
    found = prepared(tmp_path, "lending_club", target="loan_status", time="issue_d")
    assert {"recoveries", "total_rec_prncp"} <= set(told(found, "leakage"))
    assert told(found, "missing_tells") == ["settlement_date"]
    assert {"int_rate", "annual_inc", "grade"}.isdisjoint(told(found, "leakage"))
    assert set(told(found, "empty")) == {"id", "desc"}
    assert told(found, "constant") == ["policy_code"]
    assert told(found, "identifier") == ["url"]
    assert told(found, "levels") == ["emp_title"]
    assert told(found, "lines") == ["table"]
    assert found.table.times is not None
    assert found.table.rows["int_rate"].max() < 30


def test_chinese_and_european_files(tmp_path):
    found = prepared(tmp_path, "chinese", "gb18030", target="是否逾期")
    assert found.recipe.events == ("是",)
    assert told(found, "identifier") == ["客户编号"]
    found = prepared(tmp_path, "european", "latin-1", target="ausfall")
    assert found.recipe.events == ("ja",)
    assert 900 <= found.table.rows["einkommen"].min() <= found.table.rows["einkommen"].max() < 9000
    assert found.table.rows["quote"].max() < 2
    assert told(found, "date") == ["Geprüft am"]


def test_a_file_reads_another_alike(tmp_path):
    found = prepared(tmp_path, "lending_club", target="loan_status", time="issue_d")
    import msgspec

    from quanheng.models.tables.files import read_file

    recipe = read_recipe(msgspec.json.encode(found.recipe), "reading.json")
    rows, _ = apply_recipe(recipe, read_file(tmp_path / "lending_club.csv").rows, "t")
    assert rows.equals(found.table.rows)
    with pytest.raises(InputError, match=r"the table lacks columns that the model reads; was no grade, issue_d"):
        apply_recipe(recipe, read_file(tmp_path / "lending_club.csv").rows.drop("grade", "issue_d"), "t")


def test_other_columns_and_unreadable_cells_are_told():
    raw = loans().with_columns(pl.all().cast(pl.String))
    recipe = prepare(raw, Options(target="default")).recipe
    odd = raw.head(4).with_columns(pl.Series("age", ["30", "old", "NA", "31"]), pl.lit("x").alias("colour"))
    rows, findings = apply_recipe(recipe, odd.drop("default"), "t")
    assert rows["age"].to_list() == [30.0, None, None, 31.0]
    assert [(one.kind, one.where, one.found) for one in findings] == [
        ("unreadable", "age", "1 cell that are no number as in training"),
        ("unknown", "table", "colour"),
    ]


def test_a_recipe_of_other_bytes_is_refused():
    with pytest.raises(InputError, match="the file does not say how a table is read"):
        read_recipe(b"{}", "reading.json")


def test_columns_that_are_no_inputs():
    frame = loans(200).with_columns(
        pl.int_range(200).alias("row"),
        pl.Series("customer_id", np.random.default_rng(1).permutation(200) * 7),
        pl.lit(5).alias("same"),
        pl.lit(None).alias("nothing"),
        pl.col("age").alias("age_again"),
        pl.Series("list", [[1]] * 200),
        pl.Series("many", [f"word {at % 120}" for at in range(200)]),
    )
    found = prepare(frame, Options(target="default"))
    assert set(found.table.rows.columns) == {"income", "age", "job"}
    assert set(told(found, "identifier")) == {"row", "customer_id"}
    assert (told(found, "constant"), told(found, "type")) == (["same"], ["nothing", "list"])
    assert (told(found, "duplicate_column"), told(found, "levels")) == (["age_again"], ["many"])


def test_frequent_categories_are_kept_and_the_rest_is_other():
    words = pl.Series("city", [f"c{min(at % 300, at % 7 * 3)}" for at in range(2000)])
    levels, finding = kept_levels("city", words)
    assert (levels, finding) == ((), None)
    words = pl.Series("city", [f"c{at % 7}" for at in range(2000)] + [f"rare {at}" for at in range(200)])
    levels, finding = kept_levels("city", words)
    assert levels == tuple(f"c{at}" for at in range(7))
    assert "200 rows of the others are '(other)'" in finding.done
    frame = pl.DataFrame({"city": words, "y": ["0", "1"] * 1100})
    assert prepare(frame, Options(target="y")).table.rows["city"].n_unique() == 8


@pytest.mark.parametrize(
    ("values", "event"),
    [
        (["0", "1"], "1"), (["1.0", "0.0"], "1"), (["no", "YES"], "YES"), (["good", "bad"], "bad"), (["1", "2"], "2"),
        (["-1", "1"], "1"), (["Fully Paid", "Charged Off"], "Charged Off"), (["正常", "违约"], "违约"),
        (["0", "5"], "5"),
        (["-", "+"], "+"), (["N", "Y"], "Y"),
    ],
)  # fmt: skip
def test_the_event_by_its_meaning(values, event):
    found = read_target(pl.Series("y", values * 3 + values[:1]))
    assert found.events == (event,)
    assert found.findings[0].severity == "note"
    assert found.labels.sum() in (3, 4)


def test_typed_targets():
    assert read_target(pl.Series("y", [True, False])).events == ("true",)
    assert read_target(pl.Series("y", [0.0, 1.0, 1.0])).labels.tolist() == [False, True, True]


def test_of_two_unknown_words_the_rarer_is_the_event_with_a_warning():
    found = read_target(pl.Series("y", ["blue", "red", "red"]))
    assert (found.events, found.findings[0].severity) == (("blue",), "warning")
    assert read_target(pl.Series("y", ["blue", "red", "red"]), bad=["RED"]).events == ("red",)


def test_bad_good_and_neither():
    frame = pl.DataFrame({"x": np.arange(60.0) % 7, "y": ["paid", "default", "current"] * 20})
    found = prepare(frame, Options(target="y", bad=("default",)))
    assert found.table.target.sum() == 20
    assert len(found.table.target) == 60
    found = prepare(frame, Options(target="y", bad=("default",), good=("paid",)))
    assert len(found.table.target) == 40
    finding = next(one for one in found.findings if one.kind == "indeterminate")
    assert finding.found == "20 rows (33.3%): neither bad nor good"


REFUSED = [
    (["a", "b", "c"], {}, "the target has more than two values; was a \\(1 row\\)"),
    (["1", "1"], {}, "the target has one value only; was 1 \\(2 rows\\)"),
    ([None, "NA"], {}, "the target is missing in every row"),
    (["a", "b"], {"bad": ["z"]}, "--bad, column y: the target has no such value; was z"),
    (["a", "b"], {"bad": ["a"], "good": ["q"]}, "--good, column y: the target has no such value; was q"),
    (["a", "b"], {"bad": ["a", "b"]}, "the target has one value only"),
    (["a", "b"], {"good": ["a"]}, "values that are good need values that are bad"),
]


@pytest.mark.parametrize(("values", "said", "message"), REFUSED, ids=lambda one: str(one)[:30])
def test_targets_that_are_refused(values, said, message):
    with pytest.raises(InputError, match=message):
        read_target(pl.Series("y", values, pl.String), **said)


def test_rows_without_a_target_are_an_error_or_left_out():
    frame = loans(100).with_columns(
        pl.when(pl.int_range(100) < 3).then(None).otherwise(pl.col("default")).alias("default")
    )
    with pytest.raises(InputError, match=r"default: the target is missing in some rows; was 3 rows of 100"):
        prepare(frame, Options(target="default"))
    found = prepare(frame, Options(target="default", unlabelled="drop"))
    assert (len(found.table.target), told(found, "unlabelled")) == (97, ["default"])


def test_columns_by_name_and_place():
    names = ["Age", "job", "2"]
    assert [find_column(one, names, "x") for one in ("age", "job", "2", "1", "-1", "-3")] == [
        "Age",
        "job",
        "2",
        "Age",
        "2",
        "Age",
    ]
    for wanted in ("4", "-4", "salary", "0"):
        with pytest.raises(NotFound, match=r"--target: the table has no such column; was "):
            find_column(wanted, names, "--target")
    with pytest.raises(NotFound, match="several columns have that name but for case"):
        find_column("AB", ["ab", "Ab"], "--target")


def test_drop_and_keep_take_names_of_both_kinds():
    frame = loans().rename({"income": "Monthly Income"})
    assert prepare(frame, Options(target="default", drop=("monthly_income",))).table.rows.columns == ["age", "job"]
    found = prepare(frame, Options(target="default", keep=("Monthly Income", "age")))
    assert found.table.rows.columns == ["monthly_income", "age"]
    assert told(found, "dropped") == ["table"]
    with pytest.raises(InputError, match=r"no column is left to learn from; was 0 columns beside the target"):
        prepare(frame, Options(target="default", drop=("Monthly Income", "age", "job")))


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match=r"too few rows to learn from; was 10 rows, "):
        prepare(loans(10), Options(target="default"))


def test_times_must_be_dates_in_every_row():
    frame = loans().with_columns(pl.lit("2024-03-01").alias("day"))
    with pytest.raises(InputError, match=r"--time, column job: the column does not say when; was values like "):
        prepare(frame, Options(target="default", time="job"))
    gap = frame.with_columns(pl.when(pl.int_range(600) == 5).then(None).otherwise(pl.col("day")).alias("day"))
    with pytest.raises(InputError, match=r"--time, column day: the time is missing in some rows; was 1 row"):
        prepare(gap, Options(target="default", time="day"))
    assert set(prepare(frame, Options(target="default", time="day")).table.times.tolist()) == {19783 * 86_400_000}


def test_dates_are_days_before_the_decision():
    frame = loans().with_columns(
        pl.lit("2024-03-01").alias("day"), pl.Series("born", ["1990-03-01", "1991-02-01"] * 300)
    )
    found = prepare(frame, Options(target="default", time="day"))
    assert found.table.rows["born"].to_list()[:2] == [12419.0, 12082.0]
    assert prepare(frame.drop("day"), Options(target="default")).table.rows["born"][0] == 7364.0


def test_strength_of_leakage_warnings():
    """An honest strong driver is not suspected; the outcome with a few mistakes is."""
    random = np.random.default_rng(1)
    frame = loans(2000)
    y = frame["default"].to_numpy()
    honest = random.normal(size=2000) + 1.2 * y  # AUC about 0.80.
    copied = np.where(random.random(2000) < 0.03, 1 - y, y)
    words = [f"w{at % 40}" for at in range(2000)]
    noise = [f"n{at % 400}" for at in range(2000)]  # Learns its rows by heart in sample.
    frame = frame.with_columns(
        pl.Series("honest", honest), pl.Series("copied", copied), pl.Series("words", words), pl.Series("noise", noise)
    )
    table = prepare(frame, Options(target="default")).table
    assert [one.where for one in leakage(table)] == ["copied"]
    assert AUC_MAX < 0.95


def test_findings_speak_both_languages():
    one = Finding(kind="leakage", where="x", found="a", done="b", severity="warning")
    assert (one.title(), one.title("zh")) == ("predicts too well", "预测能力可疑地强")
    assert str(one) == "x: predicts too well: a; b"
    assert all(english and chinese for english, chinese in TITLES.values())
    assert shown(list("abcdefg"), 3) == "a, b, c and 4 more"


def test_a_key_needs_a_reason():
    random = np.random.default_rng(1)
    amounts = pl.Series("amount", random.permutation(100_000)[:50].astype(float))
    assert unusable("amount", amounts) is None
    assert unusable("account_no", amounts).kind == "identifier"
