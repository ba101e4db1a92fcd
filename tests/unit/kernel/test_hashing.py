"""Hashing many pieces at once: byte for byte what `hashlib` says, with the fast way and without it."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel import hashing


@pytest.fixture(params=["fast", "hashlib"])
def way(request, monkeypatch):
    if request.param == "fast" and hashing.ADDRESSES is None:
        pytest.skip("the cryptographic library of this Python offers no direct calls")
    if request.param == "hashlib":
        monkeypatch.setattr(hashing, "ADDRESSES", None)


def starts_of(pieces):
    return np.cumsum([0, *map(len, pieces)], dtype=np.int64)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("prefix", [b"", b"\x00", b"a longer prefix"])
def test_lengths_around_the_blocks_of_the_hash(prefix):
    pieces = [bytes([length % 251]) * length for length in [*range(130), 1_000, 100_000]]
    found = hashing.hash_pieces(prefix, b"".join(pieces), starts_of(pieces))
    assert [one.tobytes() for one in found] == [sha256(prefix + piece).digest() for piece in pieces]


@pytest.mark.usefixtures("way")
def test_no_pieces_give_no_hashes():
    assert hashing.hash_pieces(b"x", b"", np.array([0])).shape == (0, 32)
    assert hashing.hash_pairs(b"x", np.empty((0, 32), np.uint8)).shape == (0, 32)


@pytest.mark.usefixtures("way")
def test_pairs_are_hashed_together():
    hashes = np.arange(6 * 32, dtype=np.uint8).reshape(6, 32)
    found = hashing.hash_pairs(b"\x01", hashes)
    assert [one.tobytes() for one in found] == [
        sha256(b"\x01" + hashes[at].tobytes() + hashes[at + 1].tobytes()).digest() for at in (0, 2, 4)
    ]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3), st.lists(st.binary(max_size=300), max_size=20))
def test_both_ways_agree(prefix, pieces):
    body, starts = b"".join(pieces), starts_of(pieces)
    by_hashlib = hashing._by_hashlib(prefix, np.frombuffer(body, np.uint8), starts)
    assert (hashing.hash_pieces(prefix, body, starts) == by_hashlib).all()


def test_a_library_without_the_calls_is_not_used(monkeypatch):
    def absent(_):
        raise OSError("no such library")

    monkeypatch.setattr(hashing.ctypes, "CDLL", absent)
    assert hashing._addresses() is None
