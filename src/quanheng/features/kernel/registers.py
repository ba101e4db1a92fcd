"""Distinct values over all history: exact up to a declared number, then HyperLogLog.

The answer depends on the set of values alone: their number up to `exact_max`, beyond it the estimate of Ertl's improved
estimator (O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017, algorithm 6) over 4096
registers (P. Flajolet, E. Fusy, O. Gandouet, F. Meunier, HyperLogLog, 2007). Its standard error is 1.04 / sqrt(4096)
= 1.6 %.

A structure counts values of kept rows in a hash; a value of a row let go is marked there. From the moment the hash may
hold more than `exact_max`, registers are kept beside it: what rows let go have left (R_GONE), what all rows together
show (R_SEEN), and how many registers show each rank. Rows that are kept are counted by (register, rank) in a second
hash, so that one of them can be taken out again, when a moment lies further back. Once more values than `exact_max`
have been let go, the hash of values is never asked again and is given up.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.arena import (
    clear,
    free_sets,
    give,
    log2,
    mix,
    set_add,
    set_place,
    set_remove,
    set_reserve,
    take,
)
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.words import (
    A_FREE_REGISTERS,
    D_BLOCK,
    D_CODES,
    D_ENTRIES,
    D_GONE,
    D_REGISTERS,
    D_USED,
    M_ARGUMENT,
    M_VALUE_WORDS,
    R_GONE,
    R_HISTOGRAM,
    R_SEEN,
    R_WORDS,
)

REGISTERS, RANK_MAX = 4096, 53
_MARK = np.int64(1 << 62)  # In the count of a value: a row with it has been let go.
_SEED = np.uint64(0x452821E638D01377)  # Digits of pi.
_REST, _INDEX = np.uint64(12), np.uint64(52)
_ALPHA = 0.5 / 0.6931471805599453  # 1 / (2 ln 2)


@njit(nogil=True, error_model="numpy")
def code_of(first, second, width):
    """register * 64 + rank of a value; the rank is the place of the first bit that is set, 53 if there is none."""
    word = mix(np.uint64(first) ^ _SEED)
    if width == 3:
        word += np.uint64(second)
    word = mix(word)
    rest, rank = np.int64(word << _REST), np.int64(1)
    while rank < RANK_MAX and rest >= 0:
        rest <<= 1
        rank += 1
    return np.int64(word >> _INDEX) * 64 + rank


@njit(nogil=True, error_model="numpy")
def register(A, at, number):
    """One byte of an array of registers."""
    return (A[at + (number >> 3)] >> ((number & 7) << 3)) & 255


@njit(nogil=True, error_model="numpy")
def set_register(A, at, number, rank):
    """Write one byte."""
    word, shift = at + (number >> 3), (number & 7) << 3
    A[word] ^= (((A[word] >> shift) & 255) ^ rank) << shift


@njit(nogil=True, error_model="numpy")
def show(A, registers, number, rank):
    """What all rows together show in a register changes."""
    A[registers + R_HISTOGRAM + register(A, registers + R_SEEN, number)] -= 1
    A[registers + R_HISTOGRAM + rank] += 1
    set_register(A, registers + R_SEEN, number, rank)


@njit(nogil=True, error_model="numpy")
def rank_without(A, counted, code):
    """What a register would show without the rank of a code, if no row had it."""
    registers, number, rank = A[counted + D_REGISTERS], code >> 6, code & 63
    gone, seen = register(A, registers + R_GONE, number), register(A, registers + R_SEEN, number)
    if rank < seen or gone >= rank:
        return seen
    code -= 1
    while code & 63 > gone and A[set_place(A, counted + D_CODES, 2, code, code) + 1] == 0:
        code -= 1
    return code & 63


@part(types.void)
def code_add(A, counted, code):
    """A row with this code comes in; room is there."""
    registers = A[counted + D_REGISTERS]
    set_add(A, counted + D_CODES, 2, code, code)
    if code & 63 > register(A, registers + R_SEEN, code >> 6):
        show(A, registers, code >> 6, code & 63)


@part(types.void)
def code_remove(A, counted, code):
    """A row with this code goes."""
    last = A[set_place(A, counted + D_CODES, 2, code, code) + 1] == 1
    set_remove(A, counted + D_CODES, 2, code, code)
    if last:
        show(A, A[counted + D_REGISTERS], code >> 6, rank_without(A, counted, code))


@part(types.void)
def gone_add(A, registers, code):
    """A value has been let go."""
    number, rank = code >> 6, code & 63
    if rank > register(A, registers + R_GONE, number):
        set_register(A, registers + R_GONE, number, rank)
    if rank > register(A, registers + R_SEEN, number):
        show(A, registers, number, rank)


@part()
def registers_make(A, counted, width):
    """Make the registers from the hash of values; False if the arena must grow."""
    if A[counted + D_REGISTERS] == 0:
        block = take(A, R_WORDS, A_FREE_REGISTERS)
        if block == 0:
            return False
        clear(A, block, R_WORDS)
        A[block + R_HISTOGRAM] = REGISTERS
        A[counted + D_REGISTERS] = block
    entries = 4
    while (A[counted + D_USED] + 1) * 4 > entries * 3:
        entries *= 2
    codes = take(A, entries * 2, free_sets(2) + log2(entries))
    if codes == 0:
        return False
    clear(A, codes, entries * 2)
    A[counted + D_CODES + D_BLOCK], A[counted + D_CODES + D_ENTRIES] = codes, entries
    for entry in range(A[counted + D_ENTRIES]):
        place = A[counted + D_BLOCK] + entry * width
        word = A[place + width - 1]
        if word == 0:
            continue
        code = code_of(A[place], A[place + width - 2], width)
        if word & _MARK != 0:
            gone_add(A, A[counted + D_REGISTERS], code)
        word &= _MARK - 1
        if word > 0:
            code_add(A, counted, code)
            A[set_place(A, counted + D_CODES, 2, code, code) + 1] += word - 1
    return True


@part()
def bounded_reserve(P, A, meta, counted):
    """Room for one more value; registers where the hash may come to hold too many. False if the arena must grow."""
    width, most = P[meta + M_VALUE_WORDS] + 1, P[meta + M_ARGUMENT]
    if A[counted + D_GONE] <= most:
        if not set_reserve(A, counted, width, 0):
            return False
        if A[counted + D_USED] < most and A[counted + D_REGISTERS] == 0:
            return True
        if A[counted + D_CODES + D_ENTRIES] == 0 and not registers_make(A, counted, width):
            return False
    return set_reserve(A, counted + D_CODES, 2, 0) != 0


@part(types.void)
def bounded_count(P, A, meta, counted, first, second, adds):
    """A row comes in (room is there) or goes."""
    width = P[meta + M_VALUE_WORDS] + 1
    if A[counted + D_GONE] <= P[meta + M_ARGUMENT]:
        if adds:
            set_add(A, counted, width, first, second)
        else:
            set_remove(A, counted, width, first, second)
    if A[counted + D_CODES + D_ENTRIES] != 0:
        code = code_of(first, second, width)
        if adds:
            code_add(A, counted, code)
        else:
            code_remove(A, counted, code)


@part(types.void)
def bounded_let_go(P, A, meta, counted, first, second):
    """A row that is counted is let go: it can no longer be taken out."""
    width, most = P[meta + M_VALUE_WORDS] + 1, P[meta + M_ARGUMENT]
    if A[counted + D_GONE] <= most:
        place = set_place(A, counted, width, first, second) + width - 1
        if A[place] & _MARK == 0:
            A[counted + D_GONE] += 1
        A[place] = (A[place] - 1) | _MARK
    if A[counted + D_CODES + D_ENTRIES] != 0:
        code = code_of(first, second, width)
        gone_add(A, A[counted + D_REGISTERS], code)
        code_remove(A, counted, code)
    if A[counted + D_GONE] > most and A[counted + D_BLOCK] != 0:
        give(A, A[counted + D_BLOCK], free_sets(width) + log2(A[counted + D_ENTRIES]))
        A[counted + D_BLOCK], A[counted + D_ENTRIES], A[counted + D_USED] = 0, 0, 0


@njit(nogil=True, error_model="numpy")
def sigma(x):
    """x + sum over k >= 1 of x^(2^k) * 2^(k-1), for x < 1: some register always shows a rank here."""
    total, weight, before = x, 1.0, -1.0
    while total != before:
        x *= x
        before = total
        total += x * weight
        weight += weight
    return total


@njit(nogil=True, error_model="numpy")
def tau(x):
    """(1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 * 2^-k) / 3."""
    if x == 0.0 or x == 1.0:  # noqa: PLR1714
        return 0.0
    total, weight, before = 1.0 - x, 1.0, -1.0
    while total != before:
        x = np.sqrt(x)
        weight *= 0.5
        before = total
        total -= (1.0 - x) * (1.0 - x) * weight
    return total / 3.0


@njit(nogil=True, error_model="numpy")
def estimate(A, histogram):
    """Number of distinct values, rounded, from how many registers show each rank. Square roots and the four basic
    operations alone, each rounded as IEEE 754 says: the same bits everywhere."""
    size = np.float64(REGISTERS)
    total = size * tau(1.0 - np.float64(A[histogram + RANK_MAX]) / size)
    for rank in range(RANK_MAX - 1, 0, -1):
        total = 0.5 * (total + np.float64(A[histogram + rank]))
    total += size * sigma(np.float64(A[histogram]) / size)
    return np.int64(_ALPHA * size * size / total + 0.5)


@part()
def bounded_read(P, A, meta, counted, own, first, second):
    """How many distinct values; `own`: without a row of this value."""
    width, most, used = P[meta + M_VALUE_WORDS] + 1, P[meta + M_ARGUMENT], A[counted + D_USED]
    if A[counted + D_GONE] <= most:
        if own and A[set_place(A, counted, width, first, second) + width - 1] == 1:
            used -= 1
        if used <= most:
            return used
    registers = A[counted + D_REGISTERS]
    code = code_of(first, second, width)
    alone = own != 0 and A[set_place(A, counted + D_CODES, 2, code, code) + 1] == 1
    seen = register(A, registers + R_SEEN, code >> 6)
    if alone:
        show(A, registers, code >> 6, rank_without(A, counted, code))
    answer = estimate(A, registers + R_HISTOGRAM)
    if alone:
        show(A, registers, code >> 6, seen)
    return answer
