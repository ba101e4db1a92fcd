# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Frames survive any cutting of the stream; what is no frame is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.server import wire

BODIES = st.lists(st.binary(max_size=200), max_size=8)


@given(bodies=BODIES, cuts=st.lists(st.integers(1, 50), min_size=1))
def test_frames_survive_any_cutting(bodies, cuts):
    answers = [wire.Answer(200 + number, body, number) for number, body in enumerate(bodies)]
    stream = b"".join(wire.frame(wire.Kind.REPLY, number, answer) for number, answer in enumerate(answers))
    reader, position, turn, found = wire.Reader(), 0, 0, []
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        found += reader.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert [(kind, number, wire.decode_answer(body)) for kind, number, body in found] == [
        (wire.Kind.REPLY, number, answer) for number, answer in enumerate(answers)
    ]


def test_events_travel_unchanged():
    asked = wire.Events(b"d" * 32, False, True, 17, [("a", "payment", b'{"x":1}'), ("b", "payment", b"{}")])
    ((kind, number, body),) = wire.Reader().feed(wire.frame(wire.Kind.EVENTS, 2**32 - 1, asked))
    assert (kind, number, wire.decode_events(body)) == (wire.Kind.EVENTS, 2**32 - 1, asked)


@pytest.mark.parametrize("length", [0, 4, 101, 2**32 - 1])
def test_an_impossible_length_is_refused(length):
    with pytest.raises(wire.WireError) as error:
        list(wire.Reader(bytes_max=100).feed(struct.pack("<IBI", length, 1, 1)))
    assert str(error.value) == (
        f"connection between edge and core: a frame has an impossible length; was {length} bytes; allowed: 5 to 100 bytes. "
        "Start edge and core from the same version."
    )
