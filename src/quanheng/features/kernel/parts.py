"""Parts of the kernel: functions that are compiled once each and call each other by name, like functions in C.

numba links what a function calls into it and optimises all of it again, in each caller and at each depth. A part is
a plain C function instead: its callers see a name and a signature. Its code is so optimised once, and a first use on a
machine takes 18 s of CPU where it took 31. What runs for each row stays an inlined function: a call has a cost.

Parts have a disk cache. It is keyed by the function, by its signature and by `SOURCE`, a digest of all files of this
folder, because numba alone would not notice a change in a callee.
"""

import hashlib
from pathlib import Path

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from numba import types
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc

_POINTERS = {
    **dict.fromkeys(
        ("P", "A", "B", "X", "G", "times", "numbers", "out", "undo", "pairs", "records"), types.CPointer(types.int64)
    ),
    "F": types.CPointer(types.float64),
    "degrees": types.float64,
    "keys": types.CPointer(types.uint64),
    "codes": types.CPointer(types.int32),
    "mask": types.CPointer(types.uint8),
}


def _source() -> int:
    """A number that changes with any file of this folder."""
    digest = hashlib.blake2b(digest_size=7)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return int.from_bytes(digest.digest(), "little")


SOURCE = _source()


class _Cache(FunctionCache):  # type: ignore[misc]
    def _index_key(self, signature, codegen):
        return (*super()._index_key(signature, codegen), SOURCE)


def part(result=types.int64):
    """Compile a function as a part. The names of its arguments give their types: words, keys, degrees, or one int64."""

    def compiled(function):
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        arguments = [_POINTERS.get(name, types.int64) for name in names]
        made = CFunc(function, (tuple(arguments), result), {}, {"error_model": "numpy", "boundscheck": False})
        made._cache = _Cache(function)
        made.compile()
        symbol = f"quanheng_features_{function.__name__}"
        llvm.add_symbol(symbol, made.address)
        external = types.ExternalFunction(symbol, result(*arguments))
        external.keep = made  # The code lives as long as the name.
        return external

    return compiled
