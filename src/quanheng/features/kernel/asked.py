"""Columns that only ask the clock: hour, weekday, holiday … of the decided event's own time. No ring, no state.

They are written when the other columns of a group are there, by a pass of their own.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.calendar import of_moment
from quanheng.features.kernel.clock import AT_ASKED, AT_CLOCK, AT_CODE, AT_COLUMN, AT_FOLD, AT_WORDS
from quanheng.features.kernel.floats import number_of
from quanheng.features.kernel.parts import SOURCE
from quanheng.features.kernel.words import (
    NULL,
    P_ASKED,
    P_ASKED_N,
    READ_ALL,
    READ_NONE,
    X_COLUMN,
    X_FLOATS,
    X_READ,
    X_ROW,
)


def _compile(source):
    """The entries, with `source` as a closure cell: part of the key of numba's cache."""

    @njit(nogil=True, cache=True, error_model="numpy")
    def ask(words, float_plan, control, types, times, mask, out):
        """Write these columns of a group.

        control, mask : of the call: which rows are read, words between rows and columns, whether floats are written
        out : the words of the vectors
        """
        numbers, read, as_floats = out.view(np.float64), control[X_READ], control[X_FLOATS] != 0
        row, column = control[X_ROW], control[X_COLUMN]
        for one in range(words[P_ASKED_N] if source != 0 else 0):
            at = words[P_ASKED] + one * AT_WORDS
            fold, asked, clock = words[at + AT_FOLD], words[at + AT_ASKED], words[at + AT_CLOCK]
            place = (fold if as_floats else words[at + AT_COLUMN]) * column
            divisor, empty = float_plan[fold, 2], float_plan[fold, 3]
            for event in range(len(types)):
                value = np.int64(NULL)
                if types[event] == words[at + AT_CODE] and read != READ_NONE and (read == READ_ALL or mask[event] != 0):
                    value = of_moment(words, asked, clock, times[event])
                if as_floats:
                    numbers[place + event * row] = number_of(value, False, divisor, empty)
                else:
                    out[place + event * row] = value

    @njit(nogil=True, cache=True, error_model="numpy")
    def ask_one(words, out, code, time):
        """Write these columns of one event's raw vector."""
        for one in range(words[P_ASKED_N] if source != 0 else 0):
            at = words[P_ASKED] + one * AT_WORDS
            asks = code == words[at + AT_CODE]
            value = of_moment(words, words[at + AT_ASKED], words[at + AT_CLOCK], time) if asks else np.int64(NULL)
            out[words[at + AT_COLUMN]] = value

    @njit(nogil=True, cache=True, error_model="numpy")
    def ask_of(words, asked, clock, times, out):
        """One answer about each of some moments."""
        for event in range(len(times) if source != 0 else 0):
            out[event] = of_moment(words, asked, clock, times[event])

    return ask, ask_one, ask_of


ask, ask_one, ask_of = _compile(SOURCE)
