"""Where ids are found: open addressing with linear probing, at most half full.

A slot is row + 1 in the low 48 bits and 16 bits of the hash above, so that a look at another id's row is rare. Nothing
is removed but what was put in last (a chain that is undone), so there are no tombstones.

Whoever posts chooses the ids, so the hash has secret keys: with a public one, ids could be made that all fall into one
slot, and each look would walk over all of them, after every restart too. Keys are drawn with each table and stand in
its last words; no answer, fact or digest depends on them.
"""

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from quanheng.ledger.kernel.entry import entry
from quanheng.ledger.kernel.words import K_BURN, K_LINE

_C1 = np.uint64(0xFF51AFD7ED558CCD)  # Finaliser of MurmurHash3 (public domain, Austin Appleby).
_C2 = np.uint64(0xC4CEB9FE1A85EC53)
_32, _33, _48 = np.uint64(32), np.uint64(33), np.uint64(48)
_LOW_32 = np.uint64(0xFFFFFFFF)
KEY_WORDS = 4
"""Words of a table behind its slots."""
AHEAD = 12
"""So many records before it is looked for, an id is expected."""
_ROW = np.int64((1 << 48) - 1)


@njit(nogil=True, error_model="numpy", forceinline=True)
def hash_of(slots, low, high):
    """Hash of an id under the keys of a table: two ids are equal under it for at most one choice of keys in 2^33.

    Products of sums over halves of 32 bits (NH of J. Black et al., "UMAC: fast and secure message authentication",
    CRYPTO 1999, with products of 64 bits), then mixed, so that ids which count up are spread.
    """
    first, second, at = np.uint64(low), np.uint64(high), len(slots) - KEY_WORDS
    word = (np.uint64(slots[at]) + (first & _LOW_32)) * (np.uint64(slots[at + 1]) + (first >> _32))
    word += (np.uint64(slots[at + 2]) + (second & _LOW_32)) * (np.uint64(slots[at + 3]) + (second >> _32))
    word = (word ^ (word >> _33)) * _C1
    word = (word ^ (word >> _33)) * _C2
    return word ^ (word >> _33)


@njit(nogil=True, error_model="numpy", forceinline=True)
def mask_of(slots):
    """Slots of a table, a power of two, less one."""
    return np.int64(len(slots) - KEY_WORDS - 1)


@njit(nogil=True, error_model="numpy", forceinline=True)
def find(slots, rows, low, high):
    """Row of an id, or -1. An id stands in the first two words of a row."""
    word = hash_of(slots, low, high)
    mark = np.int64(word >> _48)
    mask = mask_of(slots)
    at = np.int64(word) & mask
    while True:
        slot = slots[at]
        if slot == 0:
            return np.int64(-1)
        if ((slot >> 48) & 0xFFFF) == mark:
            row = (slot & _ROW) - 1
            if rows[row, 0] == low and rows[row, 1] == high:
                return row
        at = (at + 1) & mask


@intrinsic
def _fetch(typing_context, slots, at):
    """Ask for the cache line of slots[at]; no effect but time."""

    def lower(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        name = "llvm.prefetch.p0"
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [pointer, number(1), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(slots, types.int64), lower


@njit(nogil=True, error_model="numpy", forceinline=True)
def expect(slots, low, high):
    """An id will be looked for soon: a large index is in memory, not in a cache, and memory answers late."""
    _fetch(slots, np.int64(hash_of(slots, low, high)) & mask_of(slots))


@njit(nogil=True, error_model="numpy", forceinline=True)
def insert(slots, low, high, row):
    """Put in an id that is not there; the slot."""
    word = hash_of(slots, low, high)
    mask = mask_of(slots)
    at = np.int64(word) & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = (np.int64(word >> _48) << 48) | (row + 1)


@njit(nogil=True, error_model="numpy", forceinline=True)
def remove_newest(slots, low, high, row):
    """Take out the id that was put in last."""
    word = hash_of(slots, low, high)
    mask = mask_of(slots)
    at = np.int64(word) & mask
    while (slots[at] & _ROW) != row + 1:
        at = (at + 1) & mask
    slots[at] = 0


@entry
def index_facts(slots, F, count):
    """Fill an empty index with the ids of lines and burnt ids; how many there are."""
    found = 0
    for row in range(count):
        kind = F[row, 15] & 255
        if kind in (K_LINE, K_BURN):
            insert(slots, F[row, 0], F[row, 1], row)
            found += 1
    return found


@entry
def index_accounts(slots, A, count):
    """Fill an empty index with the ids of accounts."""
    for row in range(count):
        insert(slots, A[row, 0], A[row, 1], row)


@entry
def find_id(slots, rows, low, high):
    """`find` for Python."""
    return find(slots, rows, low, high)
