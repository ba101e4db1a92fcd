"""The most frequent value of a window: a tournament over the entries of its counting hash.

A tree in heap order lies behind the entries: node 1 is the root, the children of node k are 2k and 2k+1, and the
children of the lowest nodes are the entries. A node holds the number of the entry that wins below it: the one with the
larger count; of equal counts the smaller value, so that the answer does not depend on the order of arrival. A count
that changes plays its way up again: O(log distinct).
"""

import numpy as np
from numba import njit, types

from quanheng.features.kernel.parts import part
from quanheng.features.kernel.words import D_BLOCK, D_ENTRIES


@njit(nogil=True, error_model="numpy")
def beats(A, block, width, one, one_count, two, two_count):
    """Whether an entry with that count wins against another. Of a key the first half is compared, as unsigned: nothing
    else of it is ever answered."""
    if one_count != two_count:
        return one_count > two_count
    one_at, two_at = block + one * width, block + two * width
    if width == 2:
        return A[one_at] < A[two_at]
    return np.uint64(A[one_at]) < np.uint64(A[two_at])


@njit(nogil=True, error_model="numpy")
def winner(A, block, entries, width, node):
    """Entry that wins below a node, from what its children hold."""
    one, two, tree = 2 * node, 2 * node + 1, block + entries * width
    if one >= entries:
        one, two = one - entries, two - entries
    else:
        one, two = A[tree + one], A[tree + two]
    last = width - 1
    if beats(A, block, width, two, A[block + two * width + last], one, A[block + one * width + last]):
        return two
    return one


@part(types.void)
def top_rebuild(A, counted, width):
    """Play the whole tournament anew, after the hash has moved."""
    block, entries = A[counted + D_BLOCK], A[counted + D_ENTRIES]
    for node in range(entries - 1, 0, -1):
        A[block + entries * width + node] = winner(A, block, entries, width, node)


@part(types.void)
def top_touch(A, counted, width, entry, alone):
    """The count of an entry has changed, or what stands there. `alone`: no other entry has, so that the way up may end
    at a node that another entry goes on winning."""
    block, entries = A[counted + D_BLOCK], A[counted + D_ENTRIES]
    node = (entries + entry) >> 1
    while node > 0:
        best, at = winner(A, block, entries, width, node), block + entries * width + node
        if alone and best != entry and A[at] == best:
            return
        A[at] = best
        node >>= 1


@njit(nogil=True, error_model="numpy")
def cluster_end(A, counted, width, entry):
    """First empty entry behind an entry: a removal moves none from there on."""
    block, mask = A[counted + D_BLOCK], A[counted + D_ENTRIES] - 1
    while A[block + entry * width + width - 1] != 0:
        entry = (entry + 1) & mask
    return entry


@njit(nogil=True, error_model="numpy")
def top_of(A, counted, width, own):
    """(entry that wins, its count), with one count less for the entry `own` if it is not negative.

    Only where `own` wins can another stand in its place: the best of those that it has beaten on its way up.
    """
    block, entries, last = A[counted + D_BLOCK], A[counted + D_ENTRIES], width - 1
    tree = block + entries * width
    best = A[tree + 1]
    count = A[block + best * width + last]
    if best != own:
        return best, count
    count -= 1
    node = entries + own
    while node > 1:
        rival = node ^ 1
        rival = rival - entries if rival >= entries else A[tree + rival]
        rival_count = A[block + rival * width + last]
        if beats(A, block, width, rival, rival_count, best, count):
            best, count = rival, rival_count
        node >>= 1
    return best, count
