"""pymerkle as the judge of the tree: roots and the hashes of proofs, where QUANHENG_TEST_PYMERKLE names its Python.

It is GPL-3.0-or-later and no dependency of ours, so it runs in an environment and a process of its own:
`python -m venv peers && peers/bin/pip install pymerkle`, then QUANHENG_TEST_PYMERKLE=peers/bin/python.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from bench.proof_peers import record

from quanheng.kernel import proof

SIZE_MAX = 70
SCRIPT = Path(__file__).parents[3] / "bench" / "proof_peers.py"


@pytest.fixture(scope="module")
def theirs():
    python = os.environ.get("QUANHENG_TEST_PYMERKLE")
    if not python:
        pytest.skip("QUANHENG_TEST_PYMERKLE names no Python that has pymerkle")
    command = [python, str(SCRIPT), "answers", str(SIZE_MAX)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def range_hash(start, level):
    return proof.root_of(proof.extend_peaks(0, [], proof.leaf_hashes([record(start + i) for i in range(1 << level)])))


def root(size):
    return proof.root_of([range_hash(at, level) for at, level in proof.peaks_of(size)])


def test_roots_are_equal(theirs):
    assert [root(size).hex() for size in range(SIZE_MAX + 1)] == theirs["roots"]


def test_inclusion_proofs_hold_the_same_hashes(theirs):
    """Theirs hold the leaf too, and are in the order of the tree."""
    checked = 0
    for where, path in theirs["inclusion"].items():
        index, size = map(int, where.split())
        ours = [*proof.inclusion_path(index, size, range_hash), range_hash(index, 0)]
        assert sorted(one.hex() for one in ours) == sorted(path), where
        checked += 1
    assert checked == SIZE_MAX * (SIZE_MAX + 1) // 2


def test_consistency_proofs_lead_from_each_of_their_roots_to_each_other(theirs):
    """Theirs split the tree more finely than RFC 6962, so the paths differ; the roots they must lead to do not."""
    roots = [bytes.fromhex(one) for one in theirs["roots"]]
    for new in range(SIZE_MAX + 1):
        for old in range(new + 1):
            path = proof.consistency_path(old, new, range_hash)
            assert proof.verify_consistency(proof.ConsistencyProof(old, new, roots[old], roots[new], path)), (old, new)
