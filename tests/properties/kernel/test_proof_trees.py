"""Proofs over every small tree, against the words of RFC 6962; what is tampered with is found, byte by byte."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.kernel import proof
from quanheng.kernel.proof import ConsistencyProof, InclusionProof
from quanheng.testing import slow_tree

SIZE_MAX = 130
RECORDS = [b"record %d" % number for number in range(SIZE_MAX)]


@cache
def range_hash(start, level):
    if level == 0:
        return proof.leaf_hash(RECORDS[start])
    half = 1 << (level - 1)
    return proof.node_hash(range_hash(start, level - 1), range_hash(start + half, level - 1))


@cache
def root(size):
    return proof.root_of([range_hash(at, level) for at, level in proof.peaks_of(size)])


def included(index, size):
    return InclusionProof(index, size, range_hash(index, 0), proof.inclusion_path(index, size, range_hash), root(size))


def extending(old, new):
    return ConsistencyProof(old, new, root(old), root(new), proof.consistency_path(old, new, range_hash))


@pytest.mark.parametrize("size", range(SIZE_MAX + 1))
def test_every_index_of_every_size_is_proved(size):
    assert root(size) == slow_tree.root(RECORDS[:size])
    for index in range(size):
        made = included(index, size)
        assert proof.verify_inclusion(made)
        if size <= 40:
            assert list(made.path) == slow_tree.path(index, RECORDS[:size])


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_a_proof_of_one_record_proves_no_other(size):
    for index in range(size):
        made = included(index, size)
        for wrong in {0, index ^ 1, index - 1, index + 1, size - 1, size, 1 << 63, -1} - {index}:
            assert not proof.verify_inclusion(made._replace(leaf_index=wrong)), (index, wrong)
        other = range_hash((index + 1) % size, 0)
        assert size == 1 or not proof.verify_inclusion(made._replace(leaf=other))


@pytest.mark.parametrize("new", range(41))
def test_every_pair_of_sizes_is_proved_to_extend(new):
    for old in range(new + 1):
        made = extending(old, new)
        assert proof.verify_consistency(made)
        assert list(made.path) == slow_tree.proof(old, RECORDS[:new])
        for wrong in range(new + 1):
            if wrong != old:
                assert not proof.verify_consistency(made._replace(old_size=wrong)), (old, wrong)
                assert not proof.verify_consistency(made._replace(old_root=root(wrong))), (old, wrong)


@pytest.mark.parametrize("new", range(2, 41))
def test_a_forked_tree_is_never_proved_to_extend(new):
    """The other tree has one record of the old part changed; no honest path, and none of its own, leads to both."""
    for old in range(1, new):
        made = extending(old, new)
        for changed in {0, old // 2, old - 1}:
            records = [*RECORDS[:new]]
            records[changed] = b"changed"
            forked = slow_tree.root(records)
            theirs = tuple(slow_tree.proof(old, records))
            assert not proof.verify_consistency(made._replace(new_root=forked))
            assert not proof.verify_consistency(made._replace(new_root=forked, path=theirs))


def test_each_bit_of_a_proof_counts():
    rng = random.Random(6962)
    for index, size in ((0, 1), (5, 7), (64, 100), (99, 100), (129, 130)):
        made = included(index, size)
        for where in ("leaf", "root", *range(len(made.path))):
            for at in range(32):
                assert not proof.verify_inclusion(flipped(made, where, at, rng.randrange(8))), (where, at)
    for old, new in ((1, 2), (3, 7), (6, 7), (64, 100), (99, 130)):
        made = extending(old, new)
        for where in ("old_root", "new_root", *range(len(made.path))):
            for at in range(32):
                assert not proof.verify_consistency(flipped(made, where, at, rng.randrange(8))), (where, at)


def flipped(made, where, at, bit):
    one = bytearray(made.path[where] if isinstance(where, int) else getattr(made, where))
    one[at] ^= 1 << bit
    if isinstance(where, str):
        return made._replace(**{where: bytes(one)})
    return made._replace(path=(*made.path[:where], bytes(one), *made.path[where + 1 :]))


def test_no_piece_of_a_path_can_be_left_out_added_or_moved():
    for size in (2, 3, 7, 64, 65, 130):
        for index in {0, size // 2, size - 1}:
            made = included(index, size)
            for at in range(len(made.path)):
                cut = (*made.path[:at], *made.path[at + 1 :])
                longer = (*made.path[:at], bytes(32), *made.path[at:])
                assert not proof.verify_inclusion(made._replace(path=cut))
                assert not proof.verify_inclusion(made._replace(path=longer))
            if len(made.path) > 1:
                assert not proof.verify_inclusion(made._replace(path=made.path[::-1]))
            assert not proof.verify_inclusion(made._replace(path=(*made.path, bytes(32))))


def test_an_inner_node_does_not_pass_for_a_record():
    """A leaf is hashed with another prefix, so the two children of a node are no record of a smaller tree."""
    pair = range_hash(0, 0) + range_hash(1, 0)
    assert proof.leaf_hash(pair) != range_hash(0, 1)
    assert not proof.verify_inclusion(InclusionProof(0, 1, proof.leaf_hash(pair), (), root(2)))


@given(st.lists(st.binary(max_size=40), max_size=200), st.data())
def test_random_trees(records, data):
    leaves = [proof.leaf_hash(one) for one in records]

    def hashes(start, level):
        if level == 0:
            return leaves[start]
        return proof.node_hash(hashes(start, level - 1), hashes(start + (1 << level - 1), level - 1))

    whole = slow_tree.root(records)
    assert proof.root_of(proof.extend_peaks(0, [], proof.leaf_hashes(records))) == whole
    old = data.draw(st.integers(0, len(records)))
    path = proof.consistency_path(old, len(records), hashes)
    assert proof.verify_consistency(ConsistencyProof(old, len(records), slow_tree.root(records[:old]), whole, path))
    if records:
        index = data.draw(st.integers(0, len(records) - 1))
        one = proof.inclusion_path(index, len(records), hashes)
        assert list(one) == slow_tree.path(index, records)
        assert proof.verify_inclusion(InclusionProof(index, len(records), leaves[index], one, whole))
