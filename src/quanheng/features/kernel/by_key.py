"""A large group: table by table, and within a table key by key.

Keys and tables do not touch each other, so the order between them is free; within a key the log order is kept (the
sort is stable). A key's slot and ring then stay in the first-level cache while all its events of the chunk are folded,
which is what makes a backfill several times faster than the same steps in log order. The answers are the same bits.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.ahead import fetch_rows, fetch_slot
from quanheng.features.kernel.arena import find_entry, hash_key, make_slot
from quanheng.features.kernel.conditions import holds
from quanheng.features.kernel.keys import key_of, record_of
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import fetch
from quanheng.features.kernel.read import read_columns
from quanheng.features.kernel.runs import EVENT_MASK, fold_run
from quanheng.features.kernel.scratch import counts_of, locals_of, places_of, records_of, rows_of, run_of
from quanheng.features.kernel.spread import fixed_rows, row_to_floats, spread
from quanheng.features.kernel.step import apply
from quanheng.features.kernel.words import (
    C_PLACE,
    DONE,
    E_BY_TABLE,
    E_DECIDES,
    EMPTY_ROW,
    G_ZEROS,
    GROW,
    I_LOCAL,
    I_NUMBER,
    I_SLOT,
    I_WORDS,
    K_BOUNDS,
    K_CAPACITY,
    K_RING,
    K_TAIL,
    O_INSERTS,
    O_KEYS,
    O_KEYS_N,
    O_WHERE,
    P_TABLES,
    P_TABLES_N,
    PAIR_EVENT,
    PAIR_INSERT,
    PAIR_READ,
    PAIR_SLOT,
    READ_ALL,
    READ_NONE,
    ROWS_FIRST,
    RUN,
    S_INDEX,
    S_MASK,
    S_STAMP,
    T_BOUND_WORDS,
    T_BOUNDS_N,
    T_FOLDS_N,
    T_PLAIN,
    T_RECORD,
    T_STATE,
    T_STRIDE,
    T_VALUES,
    T_VALUES_N,
    T_WIDTH,
    UNREAD_ROW,
    X_ALONE,
    X_CHUNK,
    X_DECIDED,
    X_EVENTS_N,
    X_FLOATS,
    X_KEY,
    X_KEY_1,
    X_KEY_2,
    X_KEYS_N,
    X_NUMBERS_N,
    X_OWN,
    X_PAIR,
    X_PAIRS_N,
    X_PLACE,
    X_READ,
    X_SIZE,
    X_STAGE,
    X_STEP,
    X_TABLE,
    X_TABLE_FIRST,
    X_TABLE_STEP,
    X_WIDTH,
    Y_HASH,
    Y_KEY_1,
    Y_KEY_2,
    Y_SLOT,
    Y_WORDS,
)

_KEYS_AHEAD = 16  # Events whose key is computed and fetched ahead; a power of two.
_RECORDS_AHEAD = 32  # Pairs whose record's place is fetched ahead.
_FETCH = 64  # Most words that are fetched at a boundary.
_FAR, _NEAR = 8, 4  # How many pairs ahead inputs and slots, and rows, are fetched.


@njit(nogil=True, error_model="numpy", forceinline=True)
def is_read(P, X, record, mask, event):
    """Whether the vector of an event is asked for."""
    if record == 0 or P[record + E_DECIDES] == 0 or X[X_READ] == READ_NONE:
        return False
    return X[X_READ] == READ_ALL or mask[event] != 0


@njit(nogil=True, error_model="numpy", forceinline=True)
def key_ahead(P, A, X, state, op, keys, event, G):
    """Compute the key of an event, remember it and fetch its index entry."""
    place = (event & (_KEYS_AHEAD - 1)) * Y_WORDS
    G[place + Y_SLOT] = -1
    if P[op + O_KEYS_N] == 1:  # Not by way of X: what was written in two words is slow to read as one.
        at = (event * X[X_KEYS_N] + P[P[op + O_KEYS]]) * 2
        first, second = np.int64(keys[at]), np.int64(keys[at + 1])
        if (first | second) == 0:
            return
    elif key_of(P, op, keys, event, X):
        first, second = X[X_KEY_1], X[X_KEY_2]
    else:
        return
    hashed = hash_key(first, second)
    G[place + Y_HASH], G[place + Y_SLOT] = hashed, 0
    G[place + Y_KEY_1], G[place + Y_KEY_2] = first, second
    fetch(A, A[state + S_INDEX] + I_WORDS * (hashed & A[state + S_MASK]))


@njit(nogil=True, error_model="numpy")
def shared_record(P, codes, first, last):
    """The type record that all events of a chunk have; -1 where they have several."""
    for event in range(first + 1, last):
        if codes[event] != codes[first]:
            return np.int64(-1)
    return record_of(P, codes, first)


@njit(nogil=True, error_model="numpy", forceinline=True)
def operation_of(P, record, table_n):
    """What events of a type do to a table; 0 for nothing."""
    return P[P[record + E_BY_TABLE] + table_n] if record != 0 else np.int64(0)


@part()
def pair_up(P, A, X, codes, times, keys, numbers, mask, pairs, first, last):
    """A pair (PAIR_...) for every event of a chunk that touches the table, in log order; makes new slots.

    Beside it, the number of its key among those of the chunk and how many pairs each key has; and the place of the row
    of every event that gets no pair. Keys of the chunk, or -1 to grow first: nothing was folded, so that the pass is
    repeated as it is.
    """
    table_n, size, pairs_n, keys_n = X[X_TABLE], X[X_SIZE], 0, np.int64(0)
    table, width, G = P[P[P_TABLES] + table_n], X[X_WIDTH], run_of(pairs, X[X_SIZE])
    state, ahead = P[table + T_STATE], first
    places, locals_, counts = places_of(pairs, size), locals_of(pairs, size), counts_of(pairs, size)
    A[state + S_STAMP] += 1
    stamp = A[state + S_STAMP] << I_NUMBER
    shared = shared_record(P, codes, first, last)
    for event in range(first, last):
        while ahead < min(event + _KEYS_AHEAD, last):
            op = operation_of(P, shared if shared >= 0 else record_of(P, codes, ahead), table_n)
            if op != 0:
                key_ahead(P, A, X, state, op, keys, ahead, G)
            ahead += 1
        record = shared if shared >= 0 else record_of(P, codes, event)
        op, wanted = operation_of(P, record, table_n), is_read(P, X, record, mask, event)
        inserts = op != 0 and P[op + O_INSERTS] != 0
        if inserts and P[op + O_WHERE] != 0:
            inserts = holds(P, X, P[op + O_WHERE], times[event], numbers, event) != 0
        places[event - first] = (EMPTY_ROW if wanted else UNREAD_ROW) * width
        place = (event & (_KEYS_AHEAD - 1)) * Y_WORDS
        if not (wanted or inserts) or G[place + Y_SLOT] < 0:
            continue
        entry = find_entry(A, state, G[place + Y_KEY_1], G[place + Y_KEY_2], G[place + Y_HASH])
        if entry == 0 or A[entry + I_SLOT] == 0:
            if not inserts:
                continue
            if make_slot(P, A, table, G[place + Y_KEY_1], G[place + Y_KEY_2]) == 0:
                return -1
            entry = find_entry(A, state, G[place + Y_KEY_1], G[place + Y_KEY_2], G[place + Y_HASH])
        number = A[entry + I_LOCAL] - stamp
        if number < 0:
            number = keys_n
            A[entry + I_LOCAL] = stamp + number
            counts[number] = 0
            keys_n += 1
        counts[number] += 1
        locals_[pairs_n] = number
        word = ((A[entry + I_SLOT] >> 3) << PAIR_SLOT) | ((event - first) << PAIR_EVENT)
        pairs[pairs_n] = word | (PAIR_READ if wanted else 0) | (PAIR_INSERT if inserts else 0)
        pairs_n += 1
    X[X_PAIRS_N] = pairs_n
    return keys_n


@njit(nogil=True, error_model="numpy", forceinline=True)
def write_row(P, X, table, times, keys, numbers, event, records, at):
    """The row that an event puts into the ring: its time and values."""
    records[at] = times[event]
    for value_n in range(P[table + T_VALUES_N]):
        source = P[P[table + T_VALUES] + value_n]
        if source >= 0:
            records[at + 1 + value_n] = numbers[event * X[X_NUMBERS_N] + source]
        else:
            records[at + 1 + value_n] = np.int64(keys[event * X[X_KEYS_N] * 2 - source - 1])


@njit(nogil=True, error_model="numpy")
def sort_pairs(P, X, times, keys, numbers, pairs, pairs_n, keys_n):
    """Put the pairs of a key side by side, in log order, as records. Afterwards counts hold where each key ends.

    Inputs are so read in order; who folds a key finds them beside its pairs.
    """
    size, width, chunk, table = X[X_SIZE], X[X_WIDTH], X[X_CHUNK], P[P[P_TABLES] + X[X_TABLE]]
    places, locals_, counts = places_of(pairs, size), locals_of(pairs, size), counts_of(pairs, size)
    records, words = records_of(P, pairs, size), P[table + T_RECORD]
    value = P[P[table + T_VALUES]] if P[table + T_VALUES_N] == 1 else np.int64(-1)
    total = np.int32(0)
    for number in range(keys_n):
        count = counts[number]
        counts[number] = total
        total += count
    for pair in range(pairs_n):
        if pair + _RECORDS_AHEAD < pairs_n:  # About where that record goes.
            fetch(records, np.int64(counts[locals_[pair + _RECORDS_AHEAD]]) * words)
        word, number = pairs[pair], locals_[pair]
        target, event = np.int64(counts[number]), (word >> PAIR_EVENT) & EVENT_MASK
        counts[number] = target + 1
        records[target * words] = word
        if words == 3 and value >= 0:  # The time and one number.
            records[target * 3 + 1] = times[chunk + event]
            records[target * 3 + 2] = numbers[(chunk + event) * X[X_NUMBERS_N] + value]
        elif words > 1:
            write_row(P, X, table, times, keys, numbers, chunk + event, records, target * words + 1)
        if word & PAIR_READ != 0:
            places[event] = (ROWS_FIRST + target) * width


@njit(nogil=True, error_model="numpy")
def fold_pairs(P, A, X, F, times, keys, numbers, undo, pairs):
    """Fold and read the pairs, key by key. False to grow first (X_KEY, X_PAIR, X_ALONE and X_STAGE say where)."""
    table, size = P[P[P_TABLES] + X[X_TABLE]], X[X_SIZE]
    counts, scratch, rows = counts_of(pairs, size), run_of(pairs, size), rows_of(P, pairs, size)
    records, words = records_of(P, pairs, size), P[table + T_RECORD]
    key, pair, alone = X[X_KEY], X[X_PAIR], X[X_ALONE]  # Pairs to be done one by one before the next run is tried.
    plain, pairs_n, last = P[table + T_PLAIN] != 0, X[X_PAIRS_N], np.int64(counts[key])
    for place in range(RUN):
        scratch[G_ZEROS + place] = 0
    while pair < pairs_n:
        slot = (records[pair * words] >> PAIR_SLOT) << 3
        if last < pairs_n:  # The next key: its rows are fetched one key ahead, its slot two.
            after = np.int64(counts[key + 1])
            fetch_run(P, A, table, (records[last * words] >> PAIR_SLOT) << 3, after - last)
            if after < pairs_n:
                fetch_slot(P, A, table, (records[after * words] >> PAIR_SLOT) << 3)
        while pair < last:
            if plain and alone == 0:
                done = fold_run(P, A, X, F, table, slot, rows, records, pair, last, scratch)
                if done > 0:
                    pair += done
                    continue
                if done == -1:
                    X[X_KEY], X[X_PAIR], X[X_ALONE] = key, pair, 0
                    return False
                alone = -2 - done
            if not fold_pair(P, A, X, F, table, times, keys, numbers, rows, undo, records, pair):
                X[X_KEY], X[X_PAIR], X[X_ALONE] = key, pair, alone
                return False
            pair += 1
            alone = max(alone - 1, 0)
        alone = 0
        key += 1
        last = np.int64(counts[key])
    X[X_KEY], X[X_PAIR], X[X_ALONE] = 0, 0, 0
    return True


@njit(nogil=True, error_model="numpy")
def fetch_run(P, A, table, slot, pairs_n):
    """Fetch the rows that the pairs of a key will touch: as many at each boundary, and behind the last row."""
    stride, ring, mask = P[table + T_STRIDE], A[slot + K_RING], A[slot + K_CAPACITY] - 1
    if mask < 0:
        return
    words, bound = min(pairs_n * stride + 8, _FETCH), slot + K_BOUNDS
    for _ in range(P[table + T_BOUNDS_N]):
        row = ring + (A[bound] & mask) * stride
        for word in range(0, words, 8):
            fetch(A, row + word)
        bound += P[table + T_BOUND_WORDS]
    row = ring + (A[slot + K_TAIL] & mask) * stride
    for word in range(0, words, 8):
        fetch(A, row + word)


@njit(nogil=True, error_model="numpy")
def fold_pair(P, A, X, F, table, times, keys, numbers, rows, undo, records, pair):
    """Fold and read one pair. False to grow first (X_STAGE says where to go on)."""
    word, words = records[pair * P[table + T_RECORD]], P[table + T_RECORD]
    slot, event = (word >> PAIR_SLOT) << 3, X[X_CHUNK] + ((word >> PAIR_EVENT) & EVENT_MASK)
    at = (ROWS_FIRST + pair) * X[X_WIDTH]
    if pair + _FAR < X[X_PAIRS_N]:
        fetch_pair(P, A, X, table, times, numbers, records, words, pair)
    if X[X_STAGE] == 0:
        X[X_OWN] = -1
        if word & PAIR_INSERT != 0 and not apply(P, A, X, table, slot, times[event], keys, numbers, event, undo):
            return False
    X[X_STAGE] = 1
    if word & PAIR_READ != 0:
        X[X_DECIDED] = event
        if not read_columns(P, A, X, table, slot, times[event], X[X_OWN], rows, at):
            return False
        if X[X_FLOATS] != 0:
            row_to_floats(P, F, table, rows, at)
    X[X_STAGE] = 0
    return True


@njit(nogil=True, error_model="numpy", forceinline=True)
def fetch_pair(P, A, X, table, times, numbers, records, words, pair):
    """Fetch inputs of a pair ahead, and slot and rows of a key that begins there."""
    later = X[X_CHUNK] + ((records[(pair + _FAR) * words] >> PAIR_EVENT) & EVENT_MASK)
    fetch(times, later)
    fetch(numbers, later * X[X_NUMBERS_N])
    slot = records[(pair + _FAR) * words] >> PAIR_SLOT
    if slot != records[(pair + _FAR - 1) * words] >> PAIR_SLOT:
        fetch_slot(P, A, table, slot << 3)
    slot = records[(pair + _NEAR) * words] >> PAIR_SLOT
    if slot != records[(pair + _NEAR - 1) * words] >> PAIR_SLOT:
        fetch_rows(P, A, table, slot << 3)


@part()
def events_by_key(P, A, X, F, codes, times, keys, numbers, mask, out, undo, pairs):
    """The loop over chunks and tables. Where the arena is full it stops between two steps and goes on there."""
    first, X[X_PLACE], X[X_STEP] = X[X_CHUNK], C_PLACE, 1
    while first < X[X_EVENTS_N]:
        last = min(first + X[X_SIZE], X[X_EVENTS_N])
        while X[X_TABLE] < P[P_TABLES_N]:
            table = P[P[P_TABLES] + X[X_TABLE]]
            X[X_WIDTH] = P[table + T_FOLDS_N] if X[X_FLOATS] != 0 else P[table + T_WIDTH]
            if X[X_PAIRS_N] < 0:
                keys_n = pair_up(P, A, X, codes, times, keys, numbers, mask, pairs, first, last)
                if keys_n < 0:
                    X[X_PAIRS_N] = -1
                    return GROW
                sort_pairs(P, X, times, keys, numbers, pairs, X[X_PAIRS_N], keys_n)
                fixed_rows(P, X, F, table, rows_of(P, pairs, X[X_SIZE]))
            if not fold_pairs(P, A, X, F, times, keys, numbers, undo, pairs):
                return GROW
            if X[X_READ] != READ_NONE:
                spread(P, X, F, out, pairs, first, last)
            X[X_PAIRS_N] = -1
            X[X_TABLE] += X[X_TABLE_STEP]
        X[X_TABLE] = X[X_TABLE_FIRST]
        first = last
        X[X_CHUNK] = first
    return DONE
