"""Reading a pack's files: bounds, what is left out, and where they may come from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from quanheng.kernel.errors import NotFound
from quanheng.loading import files as module
from quanheng.loading import read_pack


def test_a_folder_is_read_with_subfolders_and_names_with_slashes(tmp_path: Path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "pack.toml").write_text("a = 1")
    (tmp_path / "policies" / "x.dmn").write_text("<x/>")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("no")
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    pack = read_pack(tmp_path)
    assert dict(pack.files) == {"pack.toml": b"a = 1", "policies/x.dmn": b"<x/>"}
    assert pack.problems == ()
    assert pack.label == tmp_path.name


def test_an_importlib_resource_is_read_like_a_folder():
    assert "pack.toml" in read_pack(files("quanheng_packs").joinpath("party")).files


def test_a_missing_folder_says_what_to_do(tmp_path: Path):
    with pytest.raises(NotFound) as error:
        read_pack(tmp_path / "absent")
    assert str(error.value) == (
        f"{tmp_path}/absent: there is no pack folder; was nothing; allowed: a folder that holds pack.toml. "
        "Give the folder, or run: quanheng pack new NAME"
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound, match="was a file"):
        read_pack(tmp_path / "file")


def test_a_file_that_is_too_large_is_a_problem_and_left_out(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(module.BYTES_MAX, ".toml", 10)
    (tmp_path / "pack.toml").write_text("a" * 11)
    (tmp_path / "x.toml").write_text("a" * 10)
    pack = read_pack(tmp_path)
    assert list(pack.files) == ["x.toml"]
    assert [str(problem) for problem in pack.problems] == [
        (
            "pack.toml: the file is too large; was 11 bytes; allowed: at most 10 bytes. "
            "Keep data outside the pack and map it with mappings/*.toml."
        )
    ]


def test_a_pack_that_is_too_large_or_has_too_many_files_is_a_problem(monkeypatch):
    monkeypatch.setattr(module, "PACK_BYTES_MAX", 10)
    pack = read_pack({"a.toml": b"12345678", "b.toml": b"123"})
    assert [str(problem) for problem in pack.problems] == [
        (
            "b.toml: the pack as a whole is too large; was 3 bytes; allowed: at most 10 bytes. "
            "Keep data outside the pack and map it with mappings/*.toml."
        )
    ]
    monkeypatch.setattr(module, "FILES_MAX", 1)
    pack = read_pack({"a.toml": b"1", "b.toml": b"1", "c.toml": b"1"})
    assert [str(problem) for problem in pack.problems] == [
        (
            "b.toml: the pack has too many files; allowed: at most 1. "
            "Move what is not a declaration out of the pack's folder."
        )
    ]
