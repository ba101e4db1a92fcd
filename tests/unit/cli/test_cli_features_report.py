"""`quanheng features report` on a real data folder."""

from __future__ import annotations

import json
from math import log

import polars as pl
import pytest
from test_cli_commands import told
from test_cli_policy import T0, places

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data folder with two days: on the second, amounts are larger and a currency is new."""
    home = tmp_path_factory.mktemp("drift")
    engine = Engine.open(home / "data", keys=home / "keys", clock=lambda: T0 + 2 * DAY_MS)
    engine.activate([read_packs()["party"], read_pack(starter_files("shop"), "shop")])
    rows = [
        {
            "time_ms": T0 + day * DAY_MS + n, "customer": f"c{n % 40}", "amount_minor": 1_000 + (50_000 * day) + n,
            "currency": "USD" if day and n % 20 == 0 else "EUR",
        }
        for day in (0, 1)
        for n in range(200)
    ]  # fmt: skip
    engine.submit([Request("web", f"r{n}", "shop.request", json.dumps(row).encode()) for n, row in enumerate(rows)])
    engine.close()
    return home


FIRST = "2026-01-15..2026-01-16"
SECOND = ("--from", "2026-01-16T00:00:00Z")


def test_a_shift_is_found_told_and_drawn(home, capsys, tmp_path):
    target = tmp_path / "drift.html"
    code, out, err = told(
        capsys, "features", "report", "shop", "--reference", FIRST, *SECOND, "--html", str(target), *places(home)
    )  # fmt: skip
    assert code == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines()[2:]}
    assert out.startswith("shop: shop.request, 2026-01-16T00:00 – … (200 decisions) against shop.request, 2026-01-15")
    assert lines["amount_minor"][1] == "drifted"
    assert lines["currency"][1] == "drifted"
    assert lines["currency"][-1] == "USD"
    assert lines["customer_count_1d"][1] == "drifted"
    assert "customer" not in lines
    html = target.read_text(encoding="utf-8")
    assert "USD (5.00%)" in html
    assert "written:" in err


def test_the_whole_report_is_given_as_json(home, capsys):
    code, out, _ = told(capsys, "features", "report", "shop", "--reference", FIRST, *SECOND, "--json", *places(home))
    assert code == 0
    found = json.loads(out)
    assert found["served"]["rows"] == found["reference"]["rows"] == 200
    amount = next(one for one in found["features"] if one["name"] == "amount_minor")
    assert amount["ks"] == 1.0
    assert sum(one["reference"] for one in amount["bins"]) == 200
    assert amount["psi"] > log(2)


def test_a_saved_profile_is_a_reference_and_so_is_a_training_set(home, capsys, tmp_path):
    saved, frame = tmp_path / "january.json", tmp_path / "train.parquet"
    code, out, _ = told(
        capsys, "features", "report", "shop", "--to", "2026-01-16T00:00:00Z", "--save-profile", str(saved),
        *places(home),
    )  # fmt: skip
    assert (code, out) == (0, "")
    pl.DataFrame({"amount_minor": range(1_000, 1_200), "label": [0] * 200}).write_parquet(frame)
    pl.read_parquet(frame).write_csv(tmp_path / "train.csv")
    psi = {}
    for name in (saved, frame, tmp_path / "train.csv"):
        code, out, _ = told(
            capsys, "features", "report", "shop", "--reference", str(name), *SECOND, "--json", *places(home)
        )
        assert code == 0
        psi[name] = next(one["psi"] for one in json.loads(out)["features"] if one["name"] == "amount_minor")
    assert len({*psi.values()}) == 1


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ((), "nothing says what to compare with"),
        (("--reference", "x.txt"), "the reference cannot be read"),
        (("--reference", "x.parquet"), "there is no such file"),
        (("--reference", "2026-05-01..2026-06-01"), "no decision lies in the window"),
        (("--reference", "2026-06-01..2026-05-01"), "the window ends before it begins; was 2026-06-01 to 2026-05-01"),
        (("--reference", "a..b"), "a"),
        (("--reference", FIRST, "--event", "nope"), "the pack does not decide this event"),
    ],
)
def test_what_cannot_be_compared_is_told(home, capsys, more, text):
    code, _, err = told(capsys, "features", "report", "shop", *more, *places(home))
    assert code in (1, 2)
    assert text in err


def test_files_and_packs_that_do_not_fit_are_told(home, capsys, tmp_path):
    pl.DataFrame({"other": [1]}).write_parquet(tmp_path / "x.parquet")
    code, _, err = told(capsys, "features", "report", "shop", "--reference", str(tmp_path / "x.parquet"), *places(home))
    assert code == 2
    assert "the file has none of the features" in err
    code, _, err = told(capsys, "features", "report", "bank", "--reference", FIRST, *places(home))
    assert code == 2
    assert "the pack was never in force in this log" in err


FOLDS = """
[[fold]]
name = "usual_payer"
of = "shop.request"
fold = "top"
by = ["customer"]
value = "customer"

[[fold]]
name = "newest_ms"
of = "shop.request"
by = ["customer"]
fold = "max"
value = "time_ms"

[[fold]]
name = "last_ms"
of = "shop.request"
by = ["customer"]
fold = "last_time"

[[fold]]
name = "span_ms"
of = "shop.request"
by = ["customer"]
fold = "range"
value = "time_ms"
"""


def test_folds_that_answer_keys_or_moments_are_no_distributions(tmp_path, capsys):
    files = starter_files("shop")
    files["features.toml"] += FOLDS.encode()
    note = b'note = {type = "text", optional = true}\nshelf = {type = "text", optional = true, class = "internal"}\n'
    files["events.toml"] += note
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys", clock=lambda: T0 + 2 * DAY_MS)
    engine.activate([read_packs()["party"], read_pack(files, "shop")])
    row = {"customer": "ann", "amount_minor": 5, "currency": "EUR", "note": "for Bob", "shelf": "a"}
    rows = [row | {"time_ms": T0 + day * DAY_MS + n} for day in (0, 1) for n in range(5)]
    engine.submit([Request("web", f"r{n}", "shop.request", json.dumps(row).encode()) for n, row in enumerate(rows)])
    engine.close()
    against = ("--reference", FIRST, *SECOND, "--json")
    code, out, _ = told(capsys, "features", "report", "shop", *against, *places(tmp_path))
    assert code == 0
    names = {one["name"] for one in json.loads(out)["features"]}
    assert {"span_ms", "shelf", "currency"} <= names
    assert "Bob" not in out
    assert not {"note", "usual_payer", "newest_ms", "last_ms", "customer", "time_ms"} & names
