"""Functions of the book's kernel that Python calls, cached on disk under the digest of all of its sources.

numba keys its cache by the file of the function alone; what that calls may have changed since.
"""

import hashlib
from pathlib import Path

from numba import njit
from numba.core.caching import FunctionCache


def _source() -> str:
    """Digest of the kernel's sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
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
