"""Percentiles of a window from counts in buckets of nearly equal values.

The buckets are those of DDSketch (C. Masson, J. E. Rim, H. K. Lee, DDSketch: a fast and fully-mergeable quantile sketch
with relative-error guarantees, VLDB 2019), with whole numbers for edges and answers: `features/buckets.py` makes the
table. A structure holds (bucket, count) in rising order; negative values lie in the mirrored bucket, zero in bucket 0.
A count can go down again, and the content does not depend on the order of arrival; a t-digest has neither.
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.arena import copy, free_sets, give, log2, take
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.words import (
    BUCKETS,
    BUCKETS_ALONE,
    BUCKETS_N,
    D_BLOCK,
    D_ENTRIES,
    D_TOTAL,
    D_USED,
    M_ARGUMENT,
    MILLIONTHS,
)

NO_BUCKET = -(2**62)  # No value lies in it.


@njit(nogil=True, error_model="numpy")
def bucket_of(P, at, value):
    """Bucket of a number."""
    size = value if value >= 0 else -value
    if size <= P[at + BUCKETS_ALONE]:
        return value
    low, high, edges = P[at + BUCKETS_ALONE], P[at + BUCKETS_N], at + BUCKETS
    while low < high:  # The last edge at or below the size.
        middle = (low + high + 1) >> 1
        if P[edges + middle] <= size:
            low = middle
        else:
            high = middle - 1
    return low if value >= 0 else -low


@njit(nogil=True, error_model="numpy")
def place_of(A, counted, bucket):
    """Place of a bucket, or where it would stand."""
    low, high, block = np.int64(0), A[counted + D_USED], A[counted + D_BLOCK]
    while low < high:
        middle = (low + high) >> 1
        if A[block + 2 * middle] < bucket:
            low = middle + 1
        else:
            high = middle
    return low


@part()
def sketch_reserve(A, counted):
    """Room for one more bucket; False if the arena must grow."""
    room, used = A[counted + D_ENTRIES], A[counted + D_USED]
    if used < room:
        return True
    wider = 4 if room == 0 else room * 2
    block = take(A, wider * 2, free_sets(2) + log2(wider))
    if block == 0:
        return False
    copy(A, block, A[counted + D_BLOCK], 2 * used)
    if room != 0:
        give(A, A[counted + D_BLOCK], free_sets(2) + log2(room))
    A[counted + D_BLOCK], A[counted + D_ENTRIES] = block, wider
    return True


@part(types.void)
def sketch_count(P, A, meta, counted, value, step):
    """Count a number once more (step 1, room is there) or once less (-1)."""
    bucket = bucket_of(P, P[meta + M_ARGUMENT], value)
    block, used, place = A[counted + D_BLOCK], A[counted + D_USED], place_of(A, counted, bucket)
    at, end = block + 2 * place, block + 2 * used
    A[counted + D_TOTAL] += step
    if place < used and A[at] == bucket:
        A[at + 1] += step
        if A[at + 1] == 0:
            copy(A, at, at + 2, end - at - 2)
            A[counted + D_USED] = used - 1
        return
    for word in range(end - 1, at - 1, -1):
        A[word + 2] = A[word]
    A[at], A[at + 1] = bucket, 1
    A[counted + D_USED] = used + 1


@part()
def percentile_of(P, A, meta, counted, millionths, own, value):
    """Answer of the bucket of the value of rank ceil(q * n), counted from the smallest; `own`: one of `value` is left
    out. At least one value is left."""
    at = P[meta + M_ARGUMENT]
    total, left_out = A[counted + D_TOTAL], np.int64(NO_BUCKET)
    if own:
        total -= 1
        left_out = bucket_of(P, at, value)
    rank = (total * millionths + MILLIONTHS - 1) // MILLIONTHS
    place, step = A[counted + D_BLOCK], np.int64(2)
    if 2 * rank > total:  # From the nearer end.
        place, step, rank = place + 2 * (A[counted + D_USED] - 1), np.int64(-2), total + 1 - rank
    while True:
        rank -= A[place + 1] - np.int64(A[place] == left_out)
        if rank <= 0:
            break
        place += step
    bucket, answers = A[place], at + BUCKETS + P[at + BUCKETS_N] + 1
    return P[answers + bucket] if bucket >= 0 else -P[answers - bucket]
