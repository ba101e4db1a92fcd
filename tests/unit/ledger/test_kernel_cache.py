"""Compiled code of other sources is never run: every entry's key in the cache has the digest of all of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import quanheng
from quanheng.ledger.kernel import accounts, apply, batch, entry, expiring, index, walk

PROBE = "from quanheng.ledger.kernel.entry import SOURCE; print(SOURCE)"


def test_every_entry_is_cached_under_the_digest_of_all_sources():
    found = [
        getattr(module, name)
        for module in (accounts, apply, batch, expiring, index, walk)
        for name in vars(module)
        if isinstance(getattr(getattr(module, name), "_cache", None), entry._Cache)
    ]
    assert len({one.py_func.__name__ for one in found}) == 16
    compiled = [one for one in found if one.signatures]
    for one in compiled:
        key = one._cache._index_key(one.signatures[0], one.targetctx.codegen())
        assert key[-1] == entry.SOURCE


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
