"""Compiled code of other sources is never run: every entry's key in the cache has the digest of all of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import quanheng
from quanheng.kernel.compiled import SourceCache
from quanheng.ledger import wire
from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.kernel import accounts, apply, batch, entry, expiring, index, walk
from quanheng.ledger.ledger import Ledger

PROBE = "from quanheng.ledger.kernel.entry import SOURCE; print(SOURCE)"


def test_every_entry_is_cached_under_the_digest_of_all_sources():
    found = [
        getattr(module, name)
        for module in (accounts, apply, batch, expiring, index, walk)
        for name in vars(module)
        if isinstance(getattr(getattr(module, name), "_cache", None), SourceCache)
    ]
    assert len({one.py_func.__name__ for one in found}) == 18
    compiled = [one for one in found if one.signatures]
    for one in compiled:
        key = one._cache._index_key(one.signatures[0], one.targetctx.codegen())
        assert key[-1] == entry.SOURCE


def test_nothing_is_compiled_twice_whichever_door_is_taken():
    """A compilation takes seconds: objects, arrays, read-only arrays and loaded ledgers are of the same types."""
    ledger, one = Ledger(), Transfer(1, 1, 2, 3, 4)
    ledger.open_accounts([Account(1, 1, 7), Account(2, 1, 7)], 0, 0)
    ledger.transfer([one], 0, 0)
    requests = wire.encode_transfers([one])
    ledger.transfer_arrays(requests, 0, 0)
    frozen = np.frombuffer(requests.tobytes(), wire.TRANSFER_REQUEST)
    ledger.transfer_arrays(frozen, 0, 0)
    copy = Ledger()
    copy.apply(np.frombuffer(ledger.facts().tobytes(), wire.TRANSFER_FACT))
    Ledger.load(copy.dump()).transfer([one], 0, 0)
    for compiled in (batch.transfer, apply.apply_facts, accounts.change_accounts):
        assert len(compiled.signatures) == 1


def test_the_digest_changes_with_a_source_that_an_entry_calls(tmp_path):
    shutil.copytree(Path(quanheng.__file__).parent, tmp_path / "quanheng", ignore=shutil.ignore_patterns("__pycache__"))
    digests = [entry.SOURCE]
    for name in ("ledger/kernel/judge.py", "ledger/outcomes.py", "ledger/entries.py"):
        path = tmp_path / "quanheng" / name
        path.write_text(path.read_text(encoding="utf-8") + "\n# Changed.\n", encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", PROBE], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
                              capture_output=True, text=True, check=True)  # fmt: skip
        digests.append(done.stdout.strip())
    assert len(set(digests)) == 4
