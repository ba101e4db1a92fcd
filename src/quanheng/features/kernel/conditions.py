"""The `where` of a table: a small stack machine over one event's scaled numbers, with the three values of FEEL.

Its words are written by features/machine.py and documented in kernel/clock.py. NULL is null; a boolean is 0 or 1.
Equality knows null (null = null is true, null = 5 is false); order and arithmetic with null are null. A sum, difference
or product that does not fit 64 bits is null.
"""

import numpy as np
from numba import njit

from quanheng.features.kernel.calendar import of_moment
from quanheng.features.kernel.clock import (
    ADD,
    AND,
    ASK,
    DIFFERENT,
    EQUAL,
    FIELD,
    FLAG,
    GREATER,
    I_FIRST,
    I_OP,
    I_SECOND,
    INSTRUCTION_WORDS,
    LESS,
    LESS_EQUAL,
    MULTIPLY,
    NEGATE,
    NOT,
    OR,
    PUSH,
    SAME,
    SUBTRACT,
    TIMES,
)
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import at_address, offset
from quanheng.features.kernel.words import (
    AHEAD,
    NULL,
    NUMBER_MIN,
    P_OPS_N,
    X_FLAGS_AT,
    X_FLAGS_N,
    X_KEYS_AT,
    X_KEYS_N,
    X_NUMBERS_N,
    X_WORDS,
    Y_WORDS,
)

_MOST = np.int64(-NUMBER_MIN)  # The largest number of which the negative is a number, too.


@njit(nogil=True, error_model="numpy")
def power_of_ten(exponent):
    """10**exponent, 0 to 18."""
    power = np.int64(1)
    for _ in range(exponent):
        power *= 10
    return power


@njit(nogil=True, error_model="numpy")
def added(a, b):
    """a + b; NULL where one is null or the sum does not fit."""
    if a == NULL or b == NULL:  # noqa: PLR1714
        return np.int64(NULL)
    total = a + b  # Wraps where it does not fit; then its sign differs from both.
    if ((a ^ total) & (b ^ total)) < 0 or total > _MOST or total < -_MOST:
        return np.int64(NULL)
    return total


@njit(nogil=True, error_model="numpy")
def multiplied(a, b):
    """a x b; NULL where one is null or the product does not fit."""
    if a == NULL or b == NULL:  # noqa: PLR1714
        return np.int64(NULL)
    if b == 0:
        return np.int64(0)
    return np.int64(NULL) if abs(a) > _MOST // abs(b) else a * b


@njit(nogil=True, error_model="numpy")
def order_of(a, b, shift):
    """Sign of a x 10**shift - b, or of a - b x 10**-shift; exact, as nothing is multiplied."""
    if shift < 0:
        return -order_of_raised(b, a, -shift)
    return order_of_raised(a, b, shift)


@njit(nogil=True, error_model="numpy")
def order_of_raised(a, b, shift):
    """Sign of a x 10**shift - b, shift >= 0."""
    power = power_of_ten(shift)
    whole = b // power  # Floor: b = whole x power + rest, rest >= 0.
    if a != whole:
        return np.int64(1) if a > whole else np.int64(-1)
    return np.int64(-1) if b - whole * power > 0 else np.int64(0)


@njit(nogil=True, error_model="numpy")
def compared(op, a, b, shift):
    """One comparison."""
    if op == EQUAL or op == DIFFERENT:  # noqa: PLR1714, SIM109
        same = a == b if a == NULL or b == NULL else order_of(a, b, shift) == 0  # noqa: PLR1714
        return np.int64(same == (op == EQUAL))
    if a == NULL or b == NULL:  # noqa: PLR1714
        return np.int64(NULL)
    order = order_of(a, b, shift)
    if op == LESS:
        return np.int64(order < 0)
    if op == LESS_EQUAL:
        return np.int64(order <= 0)
    if op == GREATER:
        return np.int64(order > 0)
    return np.int64(order >= 0)


@njit(nogil=True, error_model="numpy")
def both(a, b):
    """a and b: false if one is false, true if both are, else null."""
    if a == 0 or b == 0:
        return np.int64(0)
    return np.int64(NULL) if a == NULL or b == NULL else np.int64(1)  # noqa: PLR1714


@njit(nogil=True, error_model="numpy")
def either(a, b):
    """a or b: true if one is true, false if both are false, else null."""
    if a == 1 or b == 1:
        return np.int64(1)
    return np.int64(NULL) if a == NULL or b == NULL else np.int64(0)  # noqa: PLR1714


@njit(nogil=True, error_model="numpy")
def binary(op, a, b, shift):
    """Operations on the two on top of the stack."""
    if op == ADD:
        return added(a, b)
    if op == SUBTRACT:
        return added(a, np.int64(NULL) if b == NULL else -b)
    if op == MULTIPLY:
        return multiplied(a, b)
    if op == AND:
        return both(a, b)
    if op == OR:
        return either(a, b)
    return compared(op, a, b, shift)


@njit(nogil=True, error_model="numpy")
def unary(op, a, argument):
    """Operations on the one on top of the stack."""
    if a == NULL:
        return np.int64(NULL)
    if op == NOT:
        return np.int64(1) - a
    if op == NEGATE:
        return np.int64(NULL) if a > _MOST else -a
    return multiplied(a, power_of_ten(argument))


@njit(nogil=True, error_model="numpy")
def same_key(X, event, first, second):
    """1 where the keys of an event in two columns are equal, else 0. A key of zeros is null; so is column -1."""
    keys = offset(at_address(X[X_KEYS_AT]), 0, np.uint64)
    one, other = (event * X[X_KEYS_N] + first) * 2, (event * X[X_KEYS_N] + second) * 2
    if second < 0:
        return np.int64((keys[one] | keys[one + 1]) == 0)
    return np.int64(keys[one] == keys[other] and keys[one + 1] == keys[other + 1])


@part()
def holds(P, X, condition, time, numbers, event):
    """Whether a condition is true of an event; null is not. The stack lies behind what looking ahead remembers."""
    stack = offset(X, X_WORDS + AHEAD * P[P_OPS_N] * Y_WORDS, np.int64)
    top, at = np.int64(-1), condition + 1
    for _ in range(P[condition]):
        op, first = P[at + I_OP], P[at + I_FIRST]
        if op == PUSH:
            top += 1
            stack[top] = first
        elif op == FIELD:
            top += 1
            stack[top] = numbers[event * X[X_NUMBERS_N] + first]
        elif op == ASK:
            top += 1
            stack[top] = of_moment(P, first, P[at + I_SECOND], time)
        elif op == FLAG:
            top += 1
            stack[top] = offset(at_address(X[X_FLAGS_AT]), 0, np.uint8)[event * X[X_FLAGS_N] + first]
        elif op == SAME:
            top += 1
            stack[top] = same_key(X, event, first, P[at + I_SECOND])
        elif op == NOT or op == NEGATE or op == TIMES:  # noqa: PLR1714, SIM109
            stack[top] = unary(op, stack[top], first)
        else:
            top -= 1
            stack[top] = binary(op, stack[top], stack[top + 1], first)
        at += INSTRUCTION_WORDS
    return np.int64(stack[0] == 1)
