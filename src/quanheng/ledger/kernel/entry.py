"""Functions of the kernel that Python calls, compiled once for a state of all the sources.

numba's own cache on disk is keyed by the file of the function alone: a change in what it calls, or in the list of
outcomes, would go on running as it was. So the digest of every source that is compiled in is part of the key.
"""

import hashlib
from pathlib import Path

from numba import njit
from numba.core.caching import FunctionCache

from quanheng.ledger import entries, outcomes


def _source() -> str:
    """Digest of the kernel's sources and of the constants that it takes from outside."""
    digest = hashlib.sha256()
    kernel = sorted(Path(__file__).parent.glob("*.py"))
    for path in [*kernel, Path(entries.__file__), Path(outcomes.__file__)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


SOURCE = _source()


class _Cache(FunctionCache):  # type: ignore[misc]
    def _index_key(self, signature, codegen):
        return (*super()._index_key(signature, codegen), SOURCE)


def entry(function):
    """Compile a function that Python calls, with a cache on disk."""
    compiled = njit(nogil=True, error_model="numpy")(function)
    compiled._cache = _Cache(compiled.py_func)
    return compiled
