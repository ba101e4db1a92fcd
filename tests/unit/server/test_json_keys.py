"""Keys that a body says twice: found wherever they are, with their place, and never where there are none."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.server.bodies import ListChangeBody, read_body
from quanheng.server.intake import Refused
from quanheng.server.json_keys import check_keys

TWICE = [
    (b'[{"id":"1","id":"2"}]', "[0].id"),
    (b'[{"id":"1"},{"a":{"b":1,"c":[{"d":1,"d":1}]}}]', "[1].a.c[0].d"),
    (b'{"id":"1","\\u0069d":"2"}', "id"),
    (b'{"a:b":":","a:b":":"}', "a:b"),
    (b'{"":1,"":2}', "/here, "),
    (b'{"amount_minor":1, "amount_minor" : 1}', "amount_minor"),
]
ONCE = [b"[]", b"{}", b'[{"id":"1"},{"id":"1"}]', b'{"a":{"a":{"a":1}}}', b'{"a:":"::\\":","b":[":"]}', b'"a:b"', b"1"]


@pytest.mark.parametrize(("body", "place"), TWICE)
def test_a_key_that_is_said_twice_is_named_with_its_place(body, place):
    with pytest.raises(Refused) as refused:
        check_keys(body, "/here")
    told = json.loads(refused.value.answer.body)
    assert (refused.value.answer.status, refused.value.reason) == (422, "malformed")
    assert place in told["where"] + ", "
    assert "a key is said twice in one object, and which was meant cannot be known" in told["error"]
    assert "was two values; allowed: each key once. Leave one of them out." in told["error"]


@pytest.mark.parametrize("body", ONCE)
def test_what_is_said_once_passes(body):
    check_keys(body, "/here")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(':"a\\', max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(values, st.booleans())
def test_nothing_that_was_written_by_a_json_library_is_refused(value, ascii):
    check_keys(json.dumps(value, ensure_ascii=ascii).encode(), "/here")


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ":", '"']), values), min_size=1, max_size=4))
def test_an_object_is_refused_if_and_only_if_it_has_a_key_twice(pairs):
    body = ("{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}").encode()
    assert msgspec.json.decode(body) == dict(pairs)
    if len({key for key, _ in pairs}) == len(pairs):
        check_keys(body, "/here")
    else:
        with pytest.raises(Refused):
            check_keys(body, "/here")


def test_bodies_of_changes_are_checked_too():
    body = b'{"id":"1","change":"add","values":["a:b"],"change":"remove"}'
    with pytest.raises(Refused) as refused:
        read_body(body, ListChangeBody, "/v1/lists/x")
    assert json.loads(refused.value.answer.body)["where"] == "/v1/lists/x, change"
    assert read_body(b'{"id":"1","change":"add","values":["a:b"]}', ListChangeBody, "/").values == ["a:b"]
