"""From a file to vectors: order of arrival, exact columns, and nothing in a vector that arrived later."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from models_sample import DAY_MS, INPUTS, declared, till
from msgspec.structs import replace

from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.declared import Formula
from quanheng.loading.declared_accounts import AccountOf, AccountsDeclaration, BalanceDeclaration
from quanheng.models.history import NULL, history, merge, moments, read_file, scaled
from quanheng.models.vectors import vectors

PACK = declared()
EVENTS = {one.name: one for one in PACK.events}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("till") / "till.parquet"
    till().write_parquet(path)
    return path


def test_a_row_becomes_a_sale_and_a_complaint_two_days_later(file):
    frame = read_file(file, PACK.mappings[0], EVENTS)
    rows = till()
    assert len(frame) == len(rows) + int(rows["bad"].sum())
    assert frame["arrive_ms"].is_sorted()
    complaint = frame.filter(pl.col("type") == "shop.complaint").row(0, named=True)
    assert complaint["arrive_ms"] == complaint["sold_at"] + 2 * DAY_MS
    assert complaint["sale"] == complaint["id"]
    assert complaint["at"] is None


def test_a_delayed_event_comes_after_those_of_its_moment(tmp_path):
    when = pl.Series([0, 2 * DAY_MS]).cast(pl.Datetime("ms"))
    rows = pl.DataFrame(
        {"number": [1, 2], "when": when, "who": [1, 1], "where": [1, 1], "cents": [5, 5], "bad": [1, 0]}
    )
    rows.write_parquet(tmp_path / "two.parquet")
    frame = read_file(tmp_path / "two.parquet", PACK.mappings[0], EVENTS)
    assert frame["type"].to_list() == ["shop.sale", "shop.sale", "shop.complaint"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_other_kinds_of_files_give_the_same_events(file, tmp_path, suffix):
    path = tmp_path / f"till{suffix}"
    rows = till().with_columns(pl.col("when").dt.to_string("iso:strict") + "Z")
    rows.write_csv(path) if suffix == ".csv" else rows.write_ndjson(path)
    assert read_file(path, PACK.mappings[0], EVENTS).equals(read_file(file, PACK.mappings[0], EVENTS))


def test_moments_of_texts_are_those_that_ingest_reads():
    texts = ["5", " 7 ", None, "2026-01-01", "2026-01-01 03:00:00", "2026-01-01T03:00:00Z", "2026-01-01T03:00:00.123"]
    texts += ["2026-01-01T03:00:00+08:00", "2026-13-01", "01/02/2026", ""]
    day = 1_767_225_600_000
    known = [5, 7, None, day, day + 10_800_000, day + 10_800_000, day + 10_800_123, day - 18_000_000, None, None, None]
    assert moments(pl.Series("when", texts)).to_list() == known


def test_a_moment_that_cannot_be_read_is_named(file, tmp_path):
    rows = till().head(5).with_columns(when=pl.Series(["1", "2", "2026-13-01", "x", "5"]))
    rows.write_csv(tmp_path / "bad.csv")
    with pytest.raises(InputError, match=r"bad.csv: when: a moment cannot be read; was '2026-13-01' and 1 more"):
        read_file(tmp_path / "bad.csv", PACK.mappings[0], EVENTS)


@pytest.mark.parametrize(
    ("values", "scale", "found"),
    [
        ([12.5, 3.0], 0, "12.5"),
        ([0.07, 0.123456, 0.9999999], 4, "0.123456 and 1 more"),
        (["1.55", "1.5"], 1, "1.55"),
        ([Decimal("1.25")], 1, "1.25"),
        ([0.1 + 0.2], 2, "0.30000000000000004"),
    ],
)
def test_a_number_that_would_be_rounded_is_refused_as_it_is_live(values, scale, found):
    with pytest.raises(InputError) as refused:
        scaled(pl.Series("cents", values), scale)
    told = f"column cents: a number has more decimal places than its field; was {found}; allowed: at most {scale}."
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("scale", [1, 4, 8])
def test_floats_that_name_decimals_of_the_scale_are_exact(scale):
    wholes = np.random.default_rng(3).integers(-(10**14), 10**14, 2_000)
    floats = [float(Decimal(int(one)).scaleb(-scale)) for one in wholes]
    assert scaled(pl.Series(floats), scale).tolist() == [int(Decimal(repr(one)).scaleb(scale)) for one in floats]
    assert scaled(pl.Series(["1.50", None, "2"]), 1).tolist() == [15, NULL, 20]
    assert scaled(pl.Series([True, None]), 0).tolist() == [1, NULL]


def test_files_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(NotFound, match=r"nowhere.parquet: there is no such file. Give the path"):
        read_file(tmp_path / "nowhere.parquet", PACK.mappings[0], EVENTS)
    (tmp_path / "till.xls").write_bytes(b"")
    with pytest.raises(InputError, match=r"the file is of no known kind; was .xls; allowed: .parquet, .csv, .jsonl"):
        read_file(tmp_path / "till.xls", PACK.mappings[0], EVENTS)
    till().drop("cents", "bad").write_parquet(tmp_path / "less.parquet")
    with pytest.raises(InputError, match=r"mappings/till.toml: the file lacks columns.*allowed: also bad, cents"):
        read_file(tmp_path / "less.parquet", PACK.mappings[0], EVENTS)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_keys_of_a_file_are_texts_though_they_look_like_numbers(tmp_path, suffix):
    rows = till().head(400).with_columns(pl.col("when").dt.to_string("iso:strict") + "Z", pl.col("who").cast(pl.String))
    named = rows["who"].to_list()
    named[0], named[1], named[-1] = "007", "7", "person"  # The last is beyond what a reader looks at to guess types.
    rows = rows.with_columns(pl.Series("who", named))
    path = tmp_path / f"till{suffix}"
    rows.write_csv(path) if suffix == ".csv" else rows.write_ndjson(path)
    read = read_file(path, PACK.mappings[0], EVENTS)
    assert {"007", "7", "person"} <= set(read["buyer"])


@pytest.mark.parametrize(
    ("name", "content"), [("a.parquet", b"x"), ("a.csv", b""), ("a.jsonl", b"x\n"), ("b.csv", b"a\n1,2\n")]
)
def test_a_file_that_is_broken_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: the file cannot be read; was .*Check that it is whole"):
        read_file(tmp_path / name, PACK.mappings[0], EVENTS)


def test_keys_and_numbers_are_exact_integers(file):
    events = history(read_file(file, PACK.mappings[0], EVENTS), PACK.events)
    sales = events.rows_of("shop.sale")
    assert (events.numbers[sales, 2] == 125).all()
    assert (events.numbers[events.rows_of("shop.complaint"), 1] == NULL).all()
    assert len(np.unique(events.key("shop.sale", "buyer"))) == till()["who"].n_unique()
    assert (events.keys[:, 0, 0] != events.keys[:, 1, 0]).all(), "a buyer and a shop never share a key"


def test_events_that_do_not_fit_are_refused(file):
    frame = read_file(file, PACK.mappings[0], EVENTS)
    with pytest.raises(InputError, match=r"the events are not in order of arrival. Sort them by `arrive_ms`"):
        history(frame.reverse(), PACK.events)
    with pytest.raises(InputError, match=r"no such event is declared; was shop.complaint; allowed: shop.sale"):
        history(frame, PACK.events[:1])


def test_merging_keeps_streams_apart_and_drops_doubles():
    frame = pl.DataFrame(
        {
            "id": ["a", "a", "b", "c"],
            "type": ["shop.sale"] * 4,
            "arrive_ms": [1, 2, 3, 4],
            "at": [1, 1, 3, 4],
            "buyer": ["x", "x", None, "y"],
            "shop": ["s"] * 4,
            "sale": [None, None, None, "a"],
            "fault": [None, "duplicate", None, "malformed"],
        }
    )
    both = merge([frame, frame], PACK.events, "sale")
    assert both["id"].to_list() == ["0:a", "1:a", "0:b", "1:b"]
    assert both["buyer"].to_list() == ["0:x", "1:x", None, None]


def test_vectors_hold_what_was_known_and_no_more(file):
    """Against a plain look at the past, row by row."""
    events = history(read_file(file, PACK.mappings[0], EVENTS), PACK.events)
    frame = events.frame.with_row_index("offset")
    wanted = np.zeros(len(frame), bool)
    chosen = events.rows_of("shop.sale")[::97]
    wanted[chosen] = True
    found = vectors(PACK, events, "shop.sale", INPUTS, wanted)
    assert found.shape == (len(chosen), len(INPUTS))
    for row, offset in zip(found, chosen, strict=True):
        now = frame.row(offset, named=True)
        past = frame.filter(pl.col("offset") < offset)
        own = past.filter((pl.col("type") == "shop.sale") & (pl.col("buyer") == now["buyer"]))
        seen = past.filter((pl.col("type") == "shop.complaint") & (pl.col("shop") == now["shop"]))
        mean = own["amount"].mean() if len(own) else np.nan
        complaints = len(seen)
        ratio = now["amount"] / mean
        expected = [
            now["amount"],
            1.25,
            len(own.filter(pl.col("at") > now["at"] - 7 * DAY_MS)) + 1,
            complaints,
            ratio,
            ratio * 2 + complaints,
        ]
        assert np.array_equal(row, np.array(expected, float), equal_nan=True)


def test_vectors_do_not_depend_on_what_comes_later(file):
    frame = read_file(file, PACK.mappings[0], EVENTS)
    events, before = history(frame, PACK.events), history(frame.head(1500), PACK.events)
    wanted = np.zeros(len(frame), bool)
    wanted[before.rows_of("shop.sale")] = True
    whole = vectors(PACK, events, "shop.sale", INPUTS, wanted)
    assert np.array_equal(vectors(PACK, before, "shop.sale", INPUTS, wanted[:1500]), whole, equal_nan=True)


def test_an_input_that_nothing_provides_is_named(file):
    events = history(read_file(file, PACK.mappings[0], EVENTS).head(50), PACK.events)
    with pytest.raises(
        InputError, match=r"pack corner_shop: the model reads what this event does not have; was nothing"
    ):
        vectors(PACK, events, "shop.sale", ["amount", "nothing"], np.zeros(50, bool))


def test_a_balance_is_no_part_of_a_history(file):
    events = history(read_file(file, PACK.mappings[0], EVENTS).head(50), PACK.events)
    balance = BalanceDeclaration(name="there", account=AccountOf("wallet", ("buyer",)), of="available", decimals=2)
    doubled = Formula(name="twice", feel="there * 2", uses=("there",))
    pack = replace(PACK, accounts=AccountsDeclaration(balances=(balance,)), formulas=(*PACK.formulas, doubled))
    told = "the model reads what a history of events does not tell: balances; was {}; .*let the policy read the balance"
    for name in ("there", "twice"):
        with pytest.raises(InputError, match=told.format(name)):
            vectors(pack, events, "shop.sale", ["amount", name], np.zeros(50, bool))


def test_progress_tells_how_far(file):
    events = history(read_file(file, PACK.mappings[0], EVENTS).head(50), PACK.events)
    told = []
    vectors(PACK, events, "shop.sale", ["amount"], np.zeros(50, bool), lambda *one: told.append(one))
    assert told == [("features", 50, 50)]


def test_a_missing_decimal_is_not_a_number():
    frame = pl.DataFrame(
        {
            "id": ["1", "2"],
            "type": ["shop.sale"] * 2,
            "arrive_ms": [1, 2],
            "at": [1, 2],
            "buyer": ["x", "x"],
            "shop": ["s", "s"],
            "amount": [5, 6],
            "paid": [Decimal("0.10"), None],
        },
    )
    events = history(frame, PACK.events)
    found = vectors(PACK, events, "shop.sale", ["paid"], np.ones(2, bool))
    assert found[0, 0] == 0.1
    assert np.isnan(found[1, 0])
