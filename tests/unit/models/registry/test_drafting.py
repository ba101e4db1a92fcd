"""A trained model laid over a pack: which files change, and what stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "path"))
from rated import model_folder, rated_files

from quanheng.kernel.errors import InputError
from quanheng.models.registry.drafting import laid_over
from quanheng.models.registry.filed import filed_model

FILES = rated_files()


def test_declaration_weights_and_evidence_change_and_nothing_else():
    given = model_folder(400_000)
    laid = laid_over(FILES, "risk_score", {**given, "notes.txt": b"mine"})
    assert set(laid) == {"models/risk.toml", "models/risk.trees", "models/risk.evidence"}
    assert laid["models/risk.trees"] == given["risk.trees"]


def test_a_whole_pack_gives_the_same():
    given = model_folder(400_000)
    packed = {f"models/{name}": data for name, data in given.items()}
    assert laid_over(FILES, "risk_score", {"pack.toml": b"", **packed}) == laid_over(FILES, "risk_score", given)


def test_words_about_the_model_stay_unless_the_folder_has_its_own():
    kept = laid_over(FILES, "risk_score", model_folder(400_000))["models/risk.toml"]
    assert filed_model("models/risk.toml", kept).about.owner == "Credit risk models"
    assert kept.index(b"[about]") < kept.index(b"# --- card")
    own = model_folder(400_000, about='[about]\nowner = "Somebody else"\n')
    laid = laid_over(FILES, "risk_score", own)["models/risk.toml"]
    assert filed_model("models/risk.toml", laid).about.owner == "Somebody else"
    unmarked = model_folder(400_000)
    unmarked["risk.toml"] = unmarked["risk.toml"].replace(
        b"# --- card: written by training, do not edit below this line", b""
    )
    laid = laid_over(FILES, "risk_score", unmarked)["models/risk.toml"]
    assert filed_model("models/risk.toml", laid).about.owner == "Credit risk models"


def test_files_of_the_former_model_go():
    given = model_folder(400_000)
    given["other.trees"] = given.pop("risk.trees")
    given["risk.toml"] = given["risk.toml"].replace(b"risk.trees", b"other.trees")
    laid = laid_over(FILES, "risk_score", given)
    assert (laid["models/risk.trees"], laid["models/other.trees"]) == (None, given["other.trees"])


def test_a_file_of_another_model_is_not_overwritten():
    second = model_folder(400_000)["risk.toml"].replace(b'name = "risk_score"', b'name = "second"')
    given = model_folder(400_000)
    with pytest.raises(InputError, match=r"the file belongs to another model of this pack; was models/risk\.trees"):
        laid_over({**FILES, "models/second.toml": second}, "risk_score", given)


def test_a_model_that_is_declared_twice_is_refused():
    given = model_folder(400_000)
    with pytest.raises(InputError, match="the folder declares the model twice"):
        laid_over(FILES, "risk_score", {**given, "again.toml": given["risk.toml"]})
