"""What pymerkle says of a tree, and how long it takes, as JSON; run by an interpreter that has it.

    python bench/proof_peers.py answers SIZE       roots and hashes of every inclusion proof of trees of up to SIZE
    python bench/proof_peers.py times RECORDS N    seconds to append RECORDS, to prove N of them, to verify N proofs

pymerkle is GPL-3.0-or-later, so it lives in an environment of its own and is part of nothing that is shipped.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any


def record(number: int) -> bytes:
    """The records that both sides hash."""
    return b"record %d" % number


def answers(size_max: int) -> dict[str, Any]:
    """Root of every size; hashes of all inclusion proofs by index and size."""
    tree = _tree()
    roots = [tree.get_root(0).hex()]
    for number in range(size_max):
        tree.append_entry(record(number))
        roots.append(tree.get_root(number + 1).hex())
    inclusion = {
        f"{index} {size}": tree.prove_inclusion(index + 1, size).serialize()["path"]
        for size in range(1, size_max + 1)
        for index in range(size)
    }
    return {"roots": roots, "inclusion": inclusion}


def times(records: int, n: int) -> dict[str, float]:
    """Seconds in all of each kind of work, in memory."""
    from pymerkle import verify_inclusion  # type: ignore[import-not-found]

    tree, entries = _tree(), [record(number) for number in range(records)]
    started = time.perf_counter()
    for entry in entries:
        tree.append_entry(entry)
    appended = time.perf_counter()
    chosen = [random.Random(7).randrange(records) for _ in range(n)]
    proofs = [tree.prove_inclusion(index + 1, records) for index in chosen]
    proved = time.perf_counter()
    root, leaves = tree.get_root(records), [tree.get_leaf(index + 1) for index in chosen]
    verifying = time.perf_counter()
    for leaf, one in zip(leaves, proofs, strict=True):
        verify_inclusion(leaf, root, one)
    return {
        "append": appended - started,
        "inclusion": proved - appended,
        "verify": time.perf_counter() - verifying,
    }


def _tree() -> Any:
    from pymerkle import InmemoryTree

    return InmemoryTree(algorithm="sha256")


if __name__ == "__main__":
    done = answers(int(sys.argv[2])) if sys.argv[1] == "answers" else times(int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(done))
