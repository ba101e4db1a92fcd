"""Numbers of several limbs against Python's own: sums, products, the ring of decayed sums, the nearest float."""

from __future__ import annotations

import random
from decimal import Context, Decimal

import numpy as np
import pytest

from quanheng.features.decay import decay_tables, weight_of
from quanheng.features.kernel import limbs

RING = 2**256 - 1


def words_of(number, words):
    """Two's complement, little end first."""
    return [
        (number >> (64 * place) & (2**64 - 1)) - (2**64 if number >> (64 * place + 63) & 1 else 0)
        for place in range(words)
    ]


def number_of(words, signed=True):
    number = sum((int(word) & (2**64 - 1)) << (64 * place) for place, word in enumerate(words))
    return number - (1 << (64 * len(words))) if signed and number >> (64 * len(words) - 1) else number


def array(*parts):
    return np.array([word for part in parts for word in part], dtype=np.int64)


def random_number(rng, bits):
    return rng.choice([-1, 1]) * rng.choice([0, 1, 2**bits - 1, 2 ** (bits - 1), rng.getrandbits(bits)])


def test_products_sums_and_differences_of_wide_numbers():
    rng = random.Random(1)
    for _ in range(400):
        one, other, factor = random_number(rng, 150), random_number(rng, 160), rng.choice([0, 1, 3, 2**63 - 1])
        X = array(words_of(one, 5), words_of(other, 5), [7] * 5)
        limbs.product(X, 10, 0, 5)
        assert number_of(X[10:]) == one * other
        limbs.plus(X, 10, 0, 5)
        assert number_of(X[10:]) == one + other
        limbs.minus(X, 10, 0, 5)
        assert number_of(X[10:]) == one - other
        limbs.times(X, 10, 0, factor)
        assert number_of(X[10:]) == one * factor
        limbs.minus(X, 5, 5, 5)
        assert limbs.is_zero(X, 5, 5)
        limbs.widen(X, 10, 0, 3)
        assert number_of(X[10:]) == one


@pytest.mark.parametrize("words", [1, 3, 5])
def test_the_nearest_float(words):
    """Around every power of two and every half between two neighbours, and at random."""
    rng, numbers = random.Random(2), [0, 1, -1]
    for bits in range(1, 64 * words - 1):
        numbers += [2**bits, -(2**bits), 2**bits - 1, -(2**bits) + 1]
        for _ in range(4):
            number = rng.getrandbits(bits) | 1 << (bits - 1)
            half = 1 << max(bits - 54, 0)
            exact = number >> (bits - 53) << (bits - 53) if bits > 53 else number
            numbers += [number, -number, exact + half, exact + half - 1, exact + 3 * half]
            numbers += [exact + half + (1 << place) for place in (0, 1, *range(30, bits - 54, 64))]  # Any limb counts.
    for number in numbers:
        if not -(2 ** (64 * words - 1)) <= number < 2 ** (64 * words - 1):
            continue
        X = array(words_of(number, words))
        assert limbs.to_float(X, 0, words) == float(number), number
        assert number_of(X) == abs(number)


def test_what_was_put_is_taken_away_without_a_trace():
    rng = random.Random(3)
    for words in (2, 3, 4):
        B, total, puts = array([0] * words), 0, []
        for _ in range(60):
            size = rng.getrandbits(rng.choice([1, 64, 120, 64 * words - 6 if words < 4 else 190]))
            parts = [np.uint64(size >> (64 * place) & (2**64 - 1)) for place in range(3)]
            grows = rng.random() < 0.5
            limbs.put(B, 0, words, *parts, grows)
            total += size if grows else -size
            assert number_of(B, signed=False) == total % 2 ** (64 * words)
            puts.append((parts, grows))
        rng.shuffle(puts)
        for parts, grows in puts:
            limbs.put(B, 0, words, *parts, not grows)
        assert number_of(B) == 0


def test_the_ring_turns_bits_and_zero_has_one_form():
    rng = random.Random(4)
    A, total, puts = array([0] * 4, [0] * 4, [0] * 4, [0] * 4), 0, []
    for _ in range(300):
        size, turn = (
            rng.getrandbits(rng.choice([1, 60, 97])),
            rng.choice([0, 63, 64, 255, -1, rng.randrange(-9999, 9999)]),
        )
        low, high, grows = np.uint64(size & (2**64 - 1)), np.uint64(size >> 64), rng.random() < 0.5
        limbs.ring_put(A, 0, low, high, turn, grows)
        total += (size if grows else -size) * pow(2, turn % 256, RING)
        assert number_of(A[:4], signed=False) == total % RING
        puts.append((low, high, turn, grows))
        if rng.random() < 0.3:
            A[4:8] = A[:4]
        limbs.ring_difference(A, 0, 4, A, 8)
        assert number_of(A[8:12], signed=False) == (total - number_of(A[4:8], signed=False)) % RING
    for low, high, turn, grows in puts:
        limbs.ring_put(A, 0, low, high, turn, not grows)
    assert A[:4].tolist() == [0] * 4


def test_a_residue_is_read_with_its_sign():
    rng = random.Random(5)
    for _ in range(300):
        number, turn = random_number(rng, 200), rng.randrange(-300, 300)
        X = array(words_of(number * pow(2, -turn % 256, RING) % RING, 4), [0] * 4)
        assert limbs.ring_to_float(X, 0, 4, turn) == float(number)


def test_weights_are_as_near_as_stated():
    """Against 2^(t/h) with 60 digits. 0.7 parts in 2^33 for the exponent, 1 for the whole number."""
    rng, context = random.Random(6), Context(prec=60)
    assert len(decay_tables()) == 3 * 2**11
    assert decay_tables()[0] == decay_tables()[2**11] == 2**63
    for _ in range(500):
        half_life = rng.choice([1, 2, 3, 86_400_000, 2**52, rng.randrange(1, 2**52)])
        time = rng.choice([-1, 1]) * rng.getrandbits(rng.choice([1, 20, 61]))
        turn, mantissa = weight_of(time, half_life)
        assert 2**32 <= mantissa < 2**33
        rest = context.divide(Decimal(time - turn * half_life), Decimal(half_life))
        true = context.multiply(context.power(Decimal(2), rest), Decimal(2**32))
        assert abs(Decimal(mantissa) / true - 1) <= Decimal("1.7") / 2**33
