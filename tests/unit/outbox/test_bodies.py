"""Bodies of messages: canonical JSON of what FEEL gives, exact, and ids that are the same whenever they are made."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.feel import compile_expression
from quanheng.feel.types import ANY
from quanheng.sending import BODY_BYTES_MAX, body_of, message_id

BODIES = [
    # FEEL, JSON
    ("1.10 + 2.20", b"3.30"),
    ("x / 100", b"123.45"),
    ("12345678901234567890123 + 1", b"12345678901234567890124"),
    ("x = 12345", b"true"),
    ("null", b"null"),
    ('"付款 " + string(x)', '"付款 12345"'.encode()),
    ('date("2026-01-31")', b'"2026-01-31"'),
    ('date and time("2026-01-31T10:00:00Z")', b'"2026-01-31T10:00:00Z"'),
    ('time("10:00:00")', b'"10:00:00"'),
    ('duration("P1DT2H")', b'"P1DT2H"'),
    ('duration("P14M")', b'"P1Y2M"'),
    ("[1, [x]]", b"[1,[12345]]"),
    ("{b: 1, a: {c: x}}", b'{"a":{"c":12345},"b":1}'),
]


@pytest.mark.parametrize(("text", "expected"), BODIES, ids=[row[0] for row in BODIES])
def test_a_value_of_feel_in_a_body(text, expected):
    value = compile_expression(text, {"x": ANY})(12_345)
    assert body_of({"v": value}) == b'{"v":' + expected + b"}"


@pytest.mark.parametrize("text", ["function(a) a", "[1..2]", "[[1..x]]"])
def test_what_has_no_form_in_json_makes_no_body(text):
    assert body_of({"v": compile_expression(text, {"x": ANY})(3)}) == b""


def test_a_body_has_a_bound():
    assert len(body_of({"v": "x" * (BODY_BYTES_MAX - 8)})) == BODY_BYTES_MAX
    assert body_of({"v": "x" * (BODY_BYTES_MAX - 7)}) == b""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert body_of({"v": deep}) == b""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.decimals(-(10**9), 10**9, places=6) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_a_body_says_exactly_what_was_given_whatever_the_order(values):
    body = body_of(values)
    turned = dict(reversed(list(values.items())))
    assert body == body_of(turned)
    assert json.loads(body, parse_float=Decimal, parse_int=Decimal) == values


def test_ids_depend_on_event_call_and_number():
    keys, names = (b"a" * 16, b"b" * 16), ("p.x", "p.y")
    ids = {message_id(key, name, number) for key in keys for name in names for number in (0, 1)}
    assert len(ids) == 8
    assert message_id(b"a" * 16, "p.x", 0).hex() == "0dfdbe3baa7d7257aaf3f876cd531275"
