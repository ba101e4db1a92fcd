"""A whole number and a rest over a denominator, rounded once; the modes are those of `loan.rounding`."""

from numba import njit

from quanheng.ledger.instruments.loan_book.kernel.words import DOWN, HALF_EVEN, HALF_UP, UP


@njit(nogil=True, error_model="numpy", inline="always")
def rounded(mode, whole, rest, den):
    """whole + rest / den, 0 <= rest < den, neither negative."""
    if mode == DOWN:
        return whole
    if mode == UP:
        return whole + (rest > 0)
    left = den - rest
    if rest > left:
        return whole + 1
    if rest < left:
        return whole
    return whole + (mode == HALF_UP or (mode == HALF_EVEN and whole % 2 == 1))


@njit(nogil=True, error_model="numpy")
def share(mode, amount, part, unit):
    """amount x part / unit, rounded; all >= 0, part at most a few times unit."""
    rest = amount % unit * part
    return rounded(mode, amount // unit * part + rest // unit, rest % unit, unit)
