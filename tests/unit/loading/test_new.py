"""A new pack works as it is written: it passes its check, and its golden cases pass through the real main path."""

from __future__ import annotations

from pathlib import Path

import pytest

from quanheng.kernel.errors import InputError
from quanheng.loading import check_pack, read_pack, read_packs
from quanheng.loading.new import new_pack
from quanheng.testing.pack_kit import assert_pack, pack_faults


def test_a_new_pack_is_good(tmp_path: Path):
    folder = new_pack("my_pack", tmp_path / "my_pack")
    declared, problems = check_pack(read_pack(folder), read_packs())
    assert problems == ()
    assert declared.name == "my_pack"
    assert not [path for path in folder.rglob("*") if path.is_file() and b"NEW_PACK" in path.read_bytes()]
    assert_pack(folder)


@pytest.mark.parametrize(
    ("name", "cure"), [("My Pack", "my_pack"), ("2pay", "pack_2pay"), ("", "pack"), ("支付", "pack")]
)
def test_a_name_that_is_no_name_is_refused_with_one_that_is(tmp_path: Path, name: str, cure: str):
    with pytest.raises(InputError) as error:
        new_pack(name, tmp_path / "x")
    assert str(error.value) == (
        f"the name is not a name for a pack; was {name!r}; "
        f"allowed: small letters, digits and _, beginning with a letter. Try {cure!r}."
    )


def test_nothing_is_written_over(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError) as error:
        new_pack("my_pack", tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: the folder is not empty; allowed: a new or empty folder. Give another one with --folder."
    )
    with pytest.raises(InputError, match="the folder is not empty"):
        new_pack("my_pack", tmp_path / "notes.txt")


def test_the_kit_names_what_a_pack_lacks(tmp_path: Path):
    folder = new_pack("my_pack", tmp_path / "my_pack")
    cases, limits = folder / "cases" / "first.toml", folder / "parameters" / "limits.toml"
    kept = cases.read_text(encoding="utf-8").split("[[case]]")
    cases.write_text("[[case]]".join(kept[:2]).replace('outcome = "approve"', 'outcome = "review"'), encoding="utf-8")
    line = '  {from = 2020-01-01, value = 3, source = "Example value of the starter pack"},'
    text = limits.read_text(encoding="utf-8")
    limits.write_text(text.replace(line, f"{line}\n{line.replace('2020', '2025')}"), encoding="utf-8")
    (folder / "README.md").write_text("# For whom", encoding="utf-8")
    faults = pack_faults(folder)
    assert faults[0].startswith("cases/first.toml: An ordinary request is approved: the golden case fails")
    assert faults[1:] == [
        "reasons.toml: reason.amount_over_limit: no golden case expects it. Add a case that gives this reason.",
        "reasons.toml: reason.too_many_requests: no golden case expects it. Add a case that gives this reason.",
        "reasons.toml: reason.amount_unlike_history: no golden case expects it. Add a case that gives this reason.",
        "pack.toml: pack.outcomes: no golden case expects 'approve'. Add a case that ends so.",
        "pack.toml: pack.outcomes: no golden case expects 'decline'. Add a case that ends so.",
        (
            "parameters: parameter.customer_count_1d_max: no golden cases on both sides of 2025-01-01. "
            "Add one before and one after."
        ),
        "README.md: it does not speak of: law, data, quality.",
    ]
    with pytest.raises(AssertionError, match="8 faults"):
        assert_pack(folder)
    (folder / "pack.toml").unlink()
    assert pack_faults(folder)[0].startswith("pack.toml: the file is missing")
