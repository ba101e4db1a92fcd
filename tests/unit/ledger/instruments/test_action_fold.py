"""What instruments share: canonical forms, ranges, refusals that name what differs."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.ledger.entries import ALL, AMOUNT_MAX, ID_MAX
from quanheng.ledger.instruments.action_fold import (
    ActionFold,
    Party,
    is_amount,
    is_code,
    is_id,
    is_timeout,
    named_differences,
    number_text,
    plain,
)
from quanheng.ledger.instruments.payment import Capture, PaymentRefusal, Refund

FORMS = [
    (None, None),
    (True, True),
    (1, "1"),
    (2**127, str(2**127)),
    ("1", "'1"),
    (b"\x01", "x01"),
    (Decimal("2.50"), "d25e-1"),
    (Party(1, 2), {"": "Party", "owner": "1", "account": "2"}),
    ({2: "b", 1: "a"}, [["1", "'a"], ["2", "'b"]]),
    (frozenset({2, 1}), ["1", "2"]),
    ((1, (2, "x")), ["1", ["2", "'x"]]),
    (PaymentRefusal.ACTOR_MAY_NOT, "'ACTOR_MAY_NOT"),
]


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_forms(value, form):
    assert plain(value) == form


def test_forms_of_other_types_differ():
    assert len({str(plain(one)) for one in (1, True, "1", Decimal(1), b"1")}) == 5


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_has_one_text(one, other):
    assert (number_text(one) == number_text(other)) == (one == other)
    assert Decimal(number_text(one)) == one


@pytest.mark.parametrize(("number", "text"), [("-0.00", "0e0"), ("-120", "-12e1"), ("0.050", "5e-2"), ("7", "7e0")])
def test_number_text(number, text):
    assert number_text(Decimal(number)) == text


def test_ranges():
    assert [is_id(one) for one in (0, 1, ID_MAX - 1, ID_MAX, True, 1.0)] == [False, True, True, False, False, False]
    assert [is_amount(one) for one in (0, 1, AMOUNT_MAX, ALL, True, 1.0)] == [False, True, True, False, False, False]
    assert is_amount(ALL, or_all=True)
    assert [is_code(one) for one in (0, 1, 65_535, 65_536)] == [False, True, True, False]
    assert [is_timeout(one, 5) for one in (0, 1, 2**63 - 6, 2**63 - 5)] == [False, True, True, False]


def test_what_differs_is_named():
    assert named_differences(Capture(1, 2, 3, 4), Capture(1, 2, 3, 5, final=False)) == "other amount_minor, final"
    assert named_differences(Capture(1, 2, 3, 4), Refund(1, 2, 3, 4)) == "Refund, before Capture"


def test_a_fold_says_what_it_keeps_judges_asks_and_folds():
    action = msgspec.defstruct("Action", [("id", int)])(1)
    fold = ActionFold()
    for missing in (fold._kept, lambda: fold.decide(action, 0), lambda: fold._step(action, 0)):
        with pytest.raises(NotImplementedError):
            missing()
    with pytest.raises(NotImplementedError):
        fold._fold(action, 0)
