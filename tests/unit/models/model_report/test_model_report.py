"""The model report: figures as measured elsewhere, the page as a browser reads it, files that cannot be reported on."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from lxml import etree
from lxml import html as lxml_html

from quanheng.cli.main import main
from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.metrics import auc_roc
from quanheng.models.model_report.gathering import Asked, gather
from quanheng.models.model_report.page import page, sections

pytest.importorskip("sklearn", reason="scikit-learn comes with the extra models")


def table(seed: int, rows: int = 900, drift: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    income, age = random.normal(2_000 + 600 * drift, 500, rows), random.integers(18, 80, rows)
    sex = random.choice(["f", "m"], rows)
    home = random.choice(["rent", "own", "<free>"], rows)
    logits = -1.2 - (income - 2_000) / 500 - (age - 45) / 40 + (home == "rent") * 0.7
    bad = random.random(rows) < 1 / (1 + np.exp(-logits))
    return pl.DataFrame({"income": income.round(2), "age": age, "home": home, "sex": sex, "bad": bad.astype(int)})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    table(1).write_csv(folder / "train.csv")
    table(2, drift=1.0).write_csv(folder / "later.csv")
    code = main([
        "models", "fit", str(folder / "train.csv"), "--target", "bad", "--drop", "sex", "--estimator", "logistic",
        "--folds", "3", "--out", str(folder / "model"), "--json",
    ])  # fmt: skip
    assert code == 0
    return folder


def root_of(text: str):
    found = lxml_html.document_fromstring(text)
    for drawing in found.iter("svg"):
        etree.fromstring(etree.tostring(drawing))
    return found


def test_out_of_fold_scores_are_shown_where_no_file_is_given(fitted):
    found = gather(Asked(fitted / "model"))
    scores = pl.read_csv(fitted / "model" / "scores.csv")
    assert found.separation.auc.value == auc_roc(scores["target"].to_numpy() == 1, scores["score"].to_numpy())
    assert found.importances == found.shifts == found.fairness == ()
    text = page(found, "en")
    names = sections(text)
    assert {"ROC", "Gain", "Lift", "Calibration", "Card", "Limits"} <= set(names)
    assert "Stability" not in names
    assert len(list(root_of(text).iter("svg"))) == 6


def test_the_file_of_the_fit_is_measured_by_scores_that_did_not_see_it(fitted):
    found = gather(Asked(fitted / "model", fitted / "train.csv"))
    assert found.separation.auc.value == gather(Asked(fitted / "model")).separation.auc.value
    assert "out of fold" in found.measured_on[0]


def test_a_later_file_is_compared_with_the_reference_and_by_group(fitted):
    found = gather(Asked(fitted / "model", fitted / "later.csv", ("sex", "age=30,60"), 0.6))
    csi = {one.name: one.psi for one in found.shifts}
    assert csi["income"] > 0.25 > csi["age"]
    assert found.shifts[0].name == "income", "what moved most stands first"
    assert {one.name for one in found.importances} == {"income", "age", "home"}
    assert [one.impacts.attribute for one in found.fairness] == ["sex", "age", "sex × age"]
    age = found.fairness[1]
    frame = table(2, drift=1.0)
    approved = found.scores <= np.quantile(found.scores, 0.6)
    young = frame["age"].to_numpy() < 30
    share = next(one.share.value for one in age.impacts.groups if one.group == "< 30")
    assert share == pytest.approx(approved[young].mean())
    text = page(found, "zh")
    assert {"Stability", "Fairness by sex", "Fairness by age", "Fairness by sex × age"} <= set(sections(text))
    root = root_of(text)
    assert (root.get("lang"), root.get("data-lang"), root.get("data-fixed")) == ("zh-CN", "zh", "1")
    assert "<free>" not in text, "names of categories are escaped"
    assert "http" not in text.replace("http://www.w3.org", ""), "nothing is fetched"


def test_a_scorecard_shows_its_bins(fitted):
    found = gather(Asked(fitted / "model"))
    bin = SimpleNamespace(label="[1, 2)", rows=10, events=3, woe=-0.5, points=12)
    one = SimpleNamespace(column=SimpleNamespace(name="age"), information_value=0.25, bins=[bin])

    class Card:
        weights = SimpleNamespace(characteristics=[one])
        columns = found.kept.model.columns

    text = page(found._replace(kept=found.kept._replace(model=Card())), "en")
    assert "The scorecard, bin by bin" in sections(text)
    assert "IV 0.2500" in text
    assert "-0.5000" in text


def test_every_text_stands_in_both_languages(fitted):
    root = root_of(page(gather(Asked(fitted / "model", fitted / "later.csv", ("sex",))), ""))
    english = [one for one in root.iter("span", "tspan") if one.get("class") == "en"]
    chinese = [one for one in root.iter("span", "tspan") if one.get("class") == "zh"]
    assert len(english) == len(chinese) > 60
    assert all(one.text_content().strip() for one in chinese if one.tag == "span")


def test_the_command_writes_the_page_and_tells_figures(fitted, capsys, tmp_path):
    out = tmp_path / "page.html"
    arguments = [
        "models",
        "report",
        str(fitted / "model"),
        str(fitted / "later.csv"),
        "--group",
        "sex",
        "--out",
        str(out),
    ]
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0.6 < told["auc"] < 0.95
    assert told["csi"]["income"] > 0.25
    assert told["fairness"]["sex"]["reference"] in ("f", "m")
    first = out.read_bytes()
    assert main(arguments) == 0
    assert "disparate impact ratio" in capsys.readouterr().out
    assert out.read_bytes() == first, "the same model and file give the same page"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"groups": ("sex",)}, InputError, "fairness is measured on a file"),
        ({"file": "later.csv", "groups": ("gender",)}, NotFound, "there is no such column; was gender"),
        ({"file": "later.csv", "groups": ("age=young",)}, InputError, "the bounds of a group are no numbers"),
        ({"file": "later.csv", "groups": ("sex",), "approve": 1.0}, InputError, "a share of approvals lies between"),
        ({"file": "later.csv", "groups": ("income",)}, InputError, "there are no two groups to compare"),
        ({"file": "new.csv"}, InputError, "the table lacks the outcome; was no bad"),
        ({"file": "good.csv"}, InputError, "same"),
    ],
)
def test_what_cannot_be_reported_is_told(fitted, change, error, text):
    table(3, 60).drop("bad").write_csv(fitted / "new.csv")
    table(3, 60).with_columns(bad=pl.lit(0)).write_csv(fitted / "good.csv")
    asked = Asked(fitted / "model")._replace(**change)
    if asked.file is not None:
        asked = asked._replace(file=fitted / asked.file)
    with pytest.raises(error, match=text if text != "same" else "."):
        gather(asked)


def test_scores_of_the_fit_that_are_of_other_rows_are_not_given_to_these(fitted, tmp_path):
    for path in (fitted / "model").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    frame = pl.read_csv(tmp_path / "scores.csv")
    frame.with_columns(target=1 - pl.col("target")).write_csv(tmp_path / "scores.csv")
    with pytest.raises(InputError, match="the rows of the fit cannot be told from this file; was 900 rows"):
        gather(Asked(tmp_path, fitted / "train.csv"))


def test_a_folder_without_its_reference_is_told(fitted, tmp_path):
    for name in ("model.toml", "reading.json", "findings.json", "scores.csv", "train.logistic"):
        (tmp_path / name).write_bytes((fitted / "model" / name).read_bytes())
    with pytest.raises(NotFound, match=r"the folder of the model lacks a file; was no reference\.json"):
        gather(Asked(tmp_path))
