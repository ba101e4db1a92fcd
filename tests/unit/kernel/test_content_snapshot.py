"""Content by hash, snapshots at an offset: whole or not at all, checked when read."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import InputError, LogCorrupt, NotFound
from quanheng.kernel.snapshot import Snapshots


@pytest.fixture
def content(tmp_path):
    return ContentStore(tmp_path / "content")


def test_content_is_named_by_its_hash(content):
    hash = content.put(b"policy")
    assert hash == sha256(b"policy").hexdigest()
    assert content.put(b"policy") == hash
    assert content.get(hash) == content.get(f"sha256:{hash}") == b"policy"
    assert hash in content
    assert "0" * 64 not in content
    assert "nonsense" not in content


def test_content_that_is_not_there(content):
    with pytest.raises(NotFound, match=f"no content of this hash; was {'0' * 64}"):
        content.get("0" * 64)
    with pytest.raises(InputError, match=r"not a SHA-256 in hexadecimal; was '\.\./\.\./etc'"):
        content.get("../../etc")


def test_changed_content_is_found_and_can_be_put_again(content, tmp_path):
    hash = content.put(b"policy")
    (tmp_path / "content" / hash[:2] / hash[2:]).write_bytes(b"forged")
    with pytest.raises(LogCorrupt, match=r"does not match its hash\. Restore the file from a copy, or put it again"):
        content.get(hash)
    assert hash not in content
    assert content.put(b"policy") == hash
    assert content.get(hash) == b"policy"


def test_folders_are_kept_under_one_hash(content, tmp_path):
    pack = tmp_path / "pack"
    (pack / "policies").mkdir(parents=True)
    (pack / "__pycache__").mkdir()
    (pack / "pack.toml").write_bytes(b"name")
    (pack / "policies" / "a.dmn").write_bytes(b"<dmn/>")
    (pack / ".hidden").write_bytes(b"x")
    (pack / "__pycache__" / "x.pyc").write_bytes(b"x")
    files = {"policies/a.dmn": b"<dmn/>", "pack.toml": b"name"}
    hash = content.put_folder(pack)
    assert content.get_folder(hash) == files
    assert content.put_folder(files) == content.put_folder(dict(reversed(files.items()))) == hash
    assert content.put_folder({**files, "pack.toml": b"other"}) != hash


def test_what_is_no_folder(content, tmp_path):
    with pytest.raises(NotFound, match="no such folder"):
        content.put_folder(tmp_path / "absent")
    for data in (b"{}", b"[]", b"not json"):
        with pytest.raises(InputError, match="this content is not a folder"):
            content.get_folder(content.put(data))
    with pytest.raises(NotFound, match="no content of this hash"):
        content.get_folder("0" * 64)


PARTS = {
    "counts": np.arange(12, dtype=np.int64).reshape(3, 4),
    "empty": np.empty((0, 2), np.uint8),
    "scalar": np.array(2.5),
    "table": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
    "strided": np.arange(20)[::3],
    "raw": b"\x00raw bytes",
}


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "snapshots")


def test_snapshots_give_back_every_part(snapshots):
    assert snapshots.newest() is None
    snapshots.write(7, "program a", PARTS)
    found = snapshots.newest()
    assert (found.offset, found.program, list(found.parts)) == (7, "program a", sorted(PARTS))
    for name, part in PARTS.items():
        if isinstance(part, bytes):
            assert found.parts[name] == part
        else:
            assert found.parts[name].dtype == part.dtype
            assert np.array_equal(found.parts[name], part)
            found.parts[name][...] = part  # The state goes on from here: it must be writable.


def test_the_newest_of_a_program_up_to_an_offset(snapshots):
    for offset in (5, 20, 10):
        snapshots.write(offset, "a", {"at": str(offset).encode()})
    snapshots.write(30, "b", {})
    assert snapshots.newest().offset == 30
    assert snapshots.newest(program="a").offset == 20
    assert snapshots.newest(upto=19, program="a").parts == {"at": b"10"}
    assert snapshots.newest(upto=4) is None
    assert snapshots.newest(program="c") is None


def test_the_newest_three_of_each_program_are_kept(snapshots, tmp_path):
    snapshots.write(1, "other", {})
    for offset in range(10, 16):
        snapshots.write(offset, "a", {})
    assert [snapshots.newest(upto=offset) is None for offset in (12, 13)] == [False, False]
    assert snapshots.newest(upto=12).program == "other"
    assert len(list((tmp_path / "snapshots").iterdir())) == 4


def test_a_snapshot_of_a_restored_log_is_kept_though_those_of_its_lost_future_are_later(snapshots):
    for offset in (20, 30, 40):
        snapshots.write(offset, "a", {})
    for offset in (5, 6, 7, 8):
        snapshots.write(offset, "a", {})
        assert snapshots.newest(upto=10).offset == offset
    assert snapshots.newest(upto=5) is None, "its own older ones make room"


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_snapshot_is_reported_and_the_older_one_used(snapshots, damage):
    snapshots.write(10, "a", PARTS)
    path = snapshots.write(20, "a", PARTS)
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 1
    path.write_bytes({"flip": raw, "cut": raw[:-1], "empty": b"", "other": b"x" * 200}[damage])
    assert snapshots.newest(program="a").offset == 10
    assert len(snapshots.broken) == 1
    assert path.name in snapshots.broken[0]
    assert "a snapshot is damaged. Nothing to do: an older snapshot or the log itself is used" in snapshots.broken[0]


def test_half_written_and_foreign_files_are_left_alone(snapshots, tmp_path):
    (tmp_path / "snapshots" / ".x.snapshot.1.part").write_bytes(b"half")
    (tmp_path / "snapshots" / "README").write_bytes(b"hello")
    assert snapshots.newest() is None
    assert snapshots.broken == []


def test_parts_that_cannot_be_kept(snapshots):
    with pytest.raises(InputError, match="x: a snapshot part holds Python objects; was object"):
        snapshots.write(1, "a", {"x": np.array([object()])})
    with pytest.raises(InputError, match="x: a snapshot part is bytes or an array; was float64"):
        snapshots.write(1, "a", {"x": np.float64(1)})
    with pytest.raises(InputError, match="the offset of a snapshot is not negative; was -1"):
        snapshots.write(-1, "a", {})
