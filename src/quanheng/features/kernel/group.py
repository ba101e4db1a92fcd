"""Apply a group of events in log order and read the vector of each that is decided. Everything enters through here.

The entries `run`, `one`, `undo` and `export` unpack arrays and call the parts (kernel/parts.py), so that a new kind of
array (read only, say) compiles an entry anew and nothing else.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.ahead import fetch_ahead, fetch_first
from quanheng.features.kernel.blocks import blocks_most, free_slot
from quanheng.features.kernel.bounds import (
    bounds_move,
    bounds_remove,
    set_move,
    sets_remove,
)
from quanheng.features.kernel.by_key import events_by_key
from quanheng.features.kernel.conditions import holds
from quanheng.features.kernel.elsewhere import look_elsewhere
from quanheng.features.kernel.keys import record_of
from quanheng.features.kernel.marks import marks_export, marks_row
from quanheng.features.kernel.parts import SOURCE, part
from quanheng.features.kernel.pointers import address, at_address, offset, pointer
from quanheng.features.kernel.read import read_columns, write_empty
from quanheng.features.kernel.ring import ring_close, row_at
from quanheng.features.kernel.step import apply, seek
from quanheng.features.kernel.structures import structure_sums
from quanheng.features.kernel.words import (
    A_SIZE,
    AHEAD,
    B_WORDS,
    BAD_NUMBER,
    BAD_TIME,
    C_OUT,
    DONE,
    E_DECIDES,
    E_OPS,
    E_OPS_N,
    GROW,
    K_0,
    K_1,
    K_BOUNDS,
    K_HEAD,
    K_NEWEST,
    K_TAIL,
    LARGE,
    M_LOW,
    M_WORDS,
    NULL,
    NUMBER_MAX,
    NUMBER_MIN,
    O_INSERTS,
    O_READS,
    O_SPECIAL,
    O_TABLE,
    O_WHERE,
    O_WORDS,
    P_COLUMNS_N,
    P_OPS_N,
    P_ORDERED,
    READ_ALL,
    READ_NONE,
    T_BASE_AT,
    T_BASE_FIRST,
    T_BASE_ON,
    T_MARKS_N,
    T_SETS,
    T_SETS_N,
    T_STRIDE,
    T_SUMS_N,
    T_TREES_N,
    TIME_MAX,
    U_WORDS,
    X_ARENA,
    X_BAD,
    X_CHECKED,
    X_CODE,
    X_CODES_AT,
    X_COLUMN,
    X_DECIDED,
    X_EVENT,
    X_EVENTS_N,
    X_KEYS,
    X_KEYS_AT,
    X_KEYS_N,
    X_NUMBERS,
    X_NUMBERS_AT,
    X_NUMBERS_N,
    X_OP,
    X_OUT,
    X_OVERFLOWS,
    X_OWN,
    X_PEEK,
    X_PLACE,
    X_PLAN,
    X_READ,
    X_ROW,
    X_SLOT,
    X_SOURCE,
    X_STAGE,
    X_STEP,
    X_TIME,
    X_UNDO,
    X_WORDS,
    Y_WORDS,
)


@njit(nogil=True, error_model="numpy")
def check(times, numbers, X):
    """Refuse a group that holds a time or number outside the allowed range, before anything is changed."""
    for event in range(X[X_EVENTS_N]):
        if times[event] > TIME_MAX or times[event] < -TIME_MAX:
            X[X_BAD] = event
            return BAD_TIME
        for number in range(X[X_NUMBERS_N]):
            value = numbers[event * X[X_NUMBERS_N] + number]
            if value > NUMBER_MAX or (value < NUMBER_MIN and value != NULL):
                X[X_BAD] = event
                X[X_OP] = number
                return BAD_NUMBER
    return DONE


@part()
def events(P, A, X, codes, times, keys, numbers, mask, out, undo):
    """The loop of `run`. Where the arena is full it stops between two steps and goes on there when called again."""
    event, op_n, stage = X[X_EVENT], X[X_OP], X[X_STAGE]
    fetch_first(P, A, X, codes, keys, event)
    while event < X[X_EVENTS_N]:
        record = record_of(P, codes, event)
        fetch_ahead(P, A, X, codes, keys, event)
        remembered = X_WORDS + (event & (AHEAD - 1)) * P[P_OPS_N] * Y_WORDS
        at = event * X[X_ROW]
        reads = record != 0 and P[record + E_DECIDES] != 0 and X[X_READ] != READ_NONE
        if X[X_READ] > READ_ALL:
            reads = reads and mask[event] != 0
        if not reads and X[X_ROW] != 0 and op_n == 0 and stage == 0:
            for column in range(P[P_COLUMNS_N]):
                out[at + column * X[X_COLUMN]] = NULL
        ops_n = P[record + E_OPS_N] if record != 0 else np.int64(0)
        X[X_DECIDED] = event
        while op_n < ops_n:
            op = P[record + E_OPS] + op_n * O_WORDS
            table = P[op + O_TABLE]
            wanted = reads and P[op + O_READS] != 0
            if stage == 0 and P[op + O_SPECIAL] != 0:
                if wanted:
                    look_elsewhere(P, A, X, op, remembered + op_n * Y_WORDS)
            elif stage == 0 and (wanted or P[op + O_INSERTS] != 0):
                slot = seek(P, A, X, table, remembered + op_n * Y_WORDS)
                X[X_OWN], X[X_SLOT] = -1, max(slot, 0)
                inserts = slot >= 0 and P[op + O_INSERTS] != 0
                if inserts and P[op + O_WHERE] != 0:
                    inserts = holds(P, X, P[op + O_WHERE], times[event], numbers, event) != 0
                if inserts and not apply(P, A, X, table, slot, times[event], keys, numbers, event, undo):
                    X[X_EVENT], X[X_OP], X[X_STAGE] = event, op_n, 0
                    return GROW
            if wanted:
                if X[X_SLOT] <= 0:
                    write_empty(P, X, table, out, at, X[X_SLOT] < 0)
                elif not read_columns(P, A, X, table, X[X_SLOT], times[event], X[X_OWN], out, at):
                    X[X_EVENT], X[X_OP], X[X_STAGE] = event, op_n, 1
                    return GROW
            stage = 0
            op_n += 1
        op_n = 0
        event += 1
    return DONE


@njit(nogil=True, error_model="numpy")
def _undo(P, A, X, undo):
    for step in range(X[X_UNDO] - 1, -1, -1):
        table, slot, position = undo[step * U_WORDS], undo[step * U_WORDS + 1], undo[step * U_WORDS + 2]
        newest = undo[step * U_WORDS + 3]
        bounds_remove(P, A, table, slot, position)
        sets_remove(P, A, table, slot, position)
        if P[table + T_MARKS_N] != 0:
            marks_row(P, A, table, slot, position, 0)
        ring_close(P, A, table, slot, position)
        A[slot + K_NEWEST] = newest
        if newest == NULL:  # The dry run made this slot.
            blocks = np.empty(B_WORDS * blocks_most(P, table), dtype=np.int64)
            free_slot(P, A, table, slot, pointer(blocks))
    X[X_UNDO] = 0


@njit(nogil=True, error_model="numpy")
def _export(P, A, table, slots, slots_n, out, room):
    """Write the meaning of slots (in the order given) to `out`; words needed, so call with a short `out` first."""
    need = 0
    stride, sums_n, base_on = P[table + T_STRIDE], P[table + T_SUMS_N], P[table + T_BASE_ON]
    for slot_n in range(slots_n):
        slot = slots[slot_n]
        head, tail = A[slot + K_HEAD], A[slot + K_TAIL]
        words = 4 + (tail - head) * stride
        if need + words <= room:
            out[need], out[need + 1] = A[slot + K_0], A[slot + K_1]
            out[need + 2], out[need + 3] = A[slot + K_NEWEST], tail - head
            for position in range(head, tail):
                for word in range(stride):
                    at = need + 4 + (position - head) * stride + word
                    out[at] = A[row_at(A, slot, stride, position) + word]
        need += words
        if base_on == 0:
            continue
        # Rows let go: their number, sums, last row and extremes. Boundaries are first moved back to the head.
        words = 1 + 2 * sums_n
        if need + words <= room:
            if tail > head:
                bounds_move(P, A, table, slot, -2 * TIME_MAX)  # Minus 3 x 2^60, the furthest boundary, still fits.
            out[need] = head
            for word in range(2 * sums_n):
                out[need + 1 + word] = A[slot + K_BOUNDS + 1 + word]
        need += words
        words = stride + P[table + T_TREES_N] + (stride if P[table + T_BASE_FIRST] != 0 else 0)  # One behind the other.
        if need + words <= room:
            for word in range(words):
                out[need + word] = A[slot + P[table + T_BASE_AT] + word]
        need += words
        for set_n in range(P[table + T_SETS_N]):
            if P[P[table + T_SETS] + M_WORDS * set_n + M_LOW] < 0:
                if need + 2 <= room:
                    set_move(P, A, table, slot, set_n, 0, head)  # Only lets go, so it never needs to grow.
                    out[need], out[need + 1] = structure_sums(P, A, table, slot, set_n)
                need += 2
        need = marks_export(P, A, table, slot, out, need, room)
    return need


def _compile(source):
    """The entries, with `source` as a closure cell: part of the key of numba's cache."""

    @njit(nogil=True, cache=True, boundscheck=False)
    def run(words, arena, control, float_plan, types, times, keys, numbers, mask, out, steps, pairs):
        """Apply events and read vectors; DONE, or GROW (enlarge the arena and call again), or BAD_*."""
        P, A, X = pointer(words), pointer(arena), pointer(control)
        X[X_SOURCE], X[X_EVENTS_N], A[A_SIZE] = source, len(times), len(arena)
        X[X_KEYS_N], X[X_NUMBERS_N] = keys.shape[1], numbers.shape[1]
        X[X_PLACE], X[X_STEP] = C_OUT, X[X_COLUMN]
        X[X_CODES_AT], X[X_NUMBERS_AT] = address(pointer(types)), address(pointer(numbers))
        X[X_KEYS_AT] = address(pointer(keys))
        if X[X_CHECKED] == 0:
            bad = check(pointer(times), pointer(numbers), X)
            X[X_CHECKED] = 1
            if bad != DONE:
                return bad
        if len(times) >= LARGE and X[X_PEEK] == 0 and P[P_ORDERED] == 0:
            return events_by_key(
                P, A, X, pointer(float_plan), pointer(types), pointer(times), pointer(keys), pointer(numbers),
                pointer(mask), pointer(out), pointer(steps), pointer(pairs),
            )  # fmt: skip
        return events(
            P, A, X, pointer(types), pointer(times), pointer(keys), pointer(numbers), pointer(mask), pointer(out),
            pointer(steps),
        )  # fmt: skip

    @njit(nogil=True, cache=True, boundscheck=False)
    def undo(words, arena, control, steps):
        """Take back what a dry run has put in, last first."""
        control[X_SOURCE] = source
        _undo(pointer(words), pointer(arena), pointer(control), pointer(steps))

    @njit(nogil=True, cache=True, boundscheck=False)
    def export(words, arena, table, slots, out):
        """Canonical words of the slots of a table."""
        if source == 0:
            return -1
        return _export(pointer(words), pointer(arena), table, pointer(slots), len(slots), pointer(out), len(out))

    @njit(nogil=True, cache=True, boundscheck=False)
    def one(desk):
        """`run` for one event that lies in the control array itself: one argument, so that the call costs little."""
        X = pointer(desk)
        P, A = at_address(X[X_PLAN]), at_address(X[X_ARENA])
        times, numbers = offset(X, X[X_TIME], np.int64), offset(X, X[X_NUMBERS], np.int64)
        X[X_SOURCE] = source
        X[X_CODES_AT], X[X_NUMBERS_AT] = address(offset(X, X[X_CODE], np.int32)), address(numbers)
        X[X_KEYS_AT] = address(offset(X, X[X_KEYS], np.uint64))
        if X[X_CHECKED] == 0:
            X[X_EVENT], X[X_OP], X[X_STAGE], X[X_PEEK], X[X_OVERFLOWS], X[X_EVENTS_N] = 0, 0, 0, 0, 0, 1
            bad = check(times, numbers, X)
            if bad != DONE:
                return bad
            X[X_CHECKED] = 1
        status = events(
            P, A, X, offset(X, X[X_CODE], np.int32), times, offset(X, X[X_KEYS], np.uint64), numbers,
            offset(X, 0, np.uint8), offset(X, X[X_OUT], np.int64), X,
        )  # fmt: skip
        if status == DONE:
            X[X_CHECKED] = 0
        return status + 16 * X[X_OVERFLOWS]

    return run, one, undo, export


run, one, undo, export = _compile(SOURCE)
