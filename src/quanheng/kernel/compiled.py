"""Functions that numba compiles for Python to call, cached on disk under a digest of all sources they come from.

numba's own cache is keyed by the file of the function alone: a change in what it calls, or in constants that it takes
from elsewhere, would go on running as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def source_of(folder: Path, more: Iterable[Path] = ()) -> str:
    """Digest of the Python files of a folder, and of `more`."""
    digest = hashlib.sha256()
    for path in [*sorted(folder.glob("*.py")), *more]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class SourceCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of a function, with a digest of sources in its key."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._source = source

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(signature, codegen), self._source)  # type: ignore[no-untyped-call]


def entry_of(source: str) -> Callable[[Callable[..., Any]], Any]:
    """What compiles a function that Python calls, with a cache on disk under `source`."""

    def entry(function: Callable[..., Any]) -> Any:
        made: Any = njit(nogil=True, error_model="numpy")(function)
        made._cache = SourceCache(made.py_func, source)
        return made

    return entry
