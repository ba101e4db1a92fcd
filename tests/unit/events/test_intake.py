"""Intake: a request becomes an event fact or a refusal; one bad request does not stop the rest."""

from __future__ import annotations

import gc
import json
import struct
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.events.intake import DATA_BYTES_MAX, EventFact, Intake, Refusal, Request, decode_event_body
from quanheng.events.schema import NO_KEY, EventDeclaration, EventType, FieldDeclaration

RECEIVED_MS = 1_700_000_000_000
PAYMENT = EventType(
    EventDeclaration(
        name="test.payment",
        subject="customer",
        fields={
            "time_ms": FieldDeclaration(kind="time"),
            "customer": FieldDeclaration(kind="key", entity="party.customer"),
            "device": FieldDeclaration(kind="key", entity="party.device", optional=True),
            "amount_minor": FieldDeclaration(kind="integer", min=1),
        },
    ),
    16,
)
NOTICE = EventType(
    EventDeclaration(name="test.notice", fields={"time_ms": FieldDeclaration(kind="time")}),
    17,
)


class PlainRing:
    """Pseudonyms that can be read."""

    def pseudonym(self, entity: str, id: str) -> bytes:
        return f"{entity}/{id}".encode()[-16:].rjust(16, b".")

    def request_key(self, client: str, id: str) -> bytes:
        return f"{client}#{id}".encode().ljust(16, b".")


def read_all(*requests: Request) -> list[EventFact | Refusal]:
    intake = Intake({one.name: one for one in (PAYMENT, NOTICE)}, PlainRing())
    return intake.read_all(requests, intake.keys(requests), RECEIVED_MS)


def payment(id: str = "r1", **fields: object) -> Request:
    data = {"time_ms": 5, "customer": "c1", "amount_minor": 7, **fields}
    return Request("shop", id, "test.payment", json.dumps(data).encode(), 9)


def test_an_event_fact_holds_what_the_log_keeps():
    [fact] = read_all(payment())
    assert isinstance(fact, EventFact)
    assert (fact.code, fact.time_ms, fact.received_ms) == (16, 5, RECEIVED_MS)
    assert fact.subject == b"arty.customer/c1"
    assert fact.tail == b"arty.customer/c1" + NO_KEY + struct.pack("<2q", 5, 7)
    assert fact.request_key == b"shop#r1........."


def test_the_payload_holds_what_is_needed_to_judge_again():
    [fact] = read_all(payment(device="d1"))
    body = decode_event_body(fact.payload)
    assert (body.client, body.id, body.deadline_ms) == ("shop", "r1", 9)
    assert body.data == payment(device="d1").data


def test_an_event_without_subject_belongs_to_nobody():
    [fact] = read_all(Request("shop", "r1", "test.notice", b'{"time_ms": 5}'))
    assert fact.subject == NO_KEY
    assert fact.tail == struct.pack("<q", 5)


def test_two_clients_may_use_the_same_id():
    one, other = read_all(payment(), Request("bank", "r1", "test.notice", b'{"time_ms": 5}'))
    assert one.request_key != other.request_key


REFUSED = [
    (
        Request("shop", "r1", "test.refund", b"{}"),
        (
            "type: no active pack declares this event type; was 'test.refund'; allowed: test.notice, test.payment. "
            "Activate the pack that declares it, or correct `type`."
        ),
    ),
    (
        Request("shop", "", "test.payment", b"{}"),
        "id: the request id is empty or too long; was 0 characters; allowed: 1 to 200 characters",
    ),
    (
        Request("shop", "x" * 201, "test.payment", b"{}"),
        "id: the request id is empty or too long; was 201 characters; allowed: 1 to 200 characters",
    ),
    (
        payment(amount_minor=0),
        "test.payment.amount_minor: the value does not fit the field; allowed: integer >= 1",
    ),
]


@pytest.mark.parametrize(("request_", "message"), REFUSED, ids=["type", "no id", "long id", "field"])
def test_a_refusal_says_why(request_, message):
    [refusal] = read_all(request_)
    assert isinstance(refusal, Refusal)
    assert refusal.request is request_
    assert str(refusal.error) == message


def test_ids_and_data_up_to_the_bound_are_taken_and_one_more_is_not():
    data = payment().data
    for id in ("x" * 200, "客" * 200, "x" * 199 + "é"):
        assert isinstance(read_all(payment(id))[0], EventFact)
        assert isinstance(read_all(payment(id + "y"))[0], Refusal)
    padded = data + b" " * (DATA_BYTES_MAX - len(data))
    for id in ("r1", "客"):
        fact, refusal = read_all(
            Request("shop", id, "test.payment", padded), Request("shop", id, "test.payment", padded + b" ")
        )
        assert isinstance(fact, EventFact)
        assert str(refusal.error) == (
            "test.payment: the event's data is too large; was 65537 bytes; allowed: at most 65536 bytes. "
            "Send only declared fields, without padding."
        )


def test_an_event_up_to_a_day_ahead_is_taken():
    [fact, refusal] = read_all(payment(time_ms=RECEIVED_MS + 86_400_000), payment(time_ms=RECEIVED_MS + 86_400_001))
    assert isinstance(fact, EventFact)
    assert isinstance(refusal, Refusal)


def test_pseudonyms_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr("quanheng.events.intake.PSEUDONYMS_KEPT_MAX", 3)
    known = Intake({PAYMENT.name: PAYMENT}, PlainRing()).pseudonyms
    for number in range(20):
        assert known["a", str(number % 5)] == PlainRing().pseudonym("a", str(number % 5))
        assert len(known.of("a")) <= 3


def test_a_very_long_type_is_cut_in_the_text():
    [refusal] = read_all(Request("shop", "r1", "t" * 100_000, b"{}"))
    assert len(str(refusal.error)) < 300


def test_the_rest_of_the_batch_goes_on():
    found = read_all(payment("r1"), payment("r2", amount_minor=-1), payment("r3"), payment("", amount_minor=1))
    assert [type(one).__name__ for one in found] == ["EventFact", "Refusal", "EventFact", "Refusal"]
    assert [one.request.id for one in found] == ["r1", "r2", "r3", ""]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.binary(max_size=20)), max_size=4))
def test_every_request_is_answered_in_its_place(sent):
    requests = [Request("shop", id, type_, data) for id, type_, data in sent]
    found = read_all(*requests)
    assert [one.request for one in found] == requests


def test_a_refusal_does_not_keep_its_group_alive():
    gc.disable()
    try:
        results = read_all(payment(), payment("r2", amount_minor=0), payment("r3", extra=1))
        errors = [weakref.ref(one.error) for one in results if isinstance(one, Refusal)]
        assert len(errors) == 2
        del results
        assert [error() for error in errors] == [None, None]
    finally:
        gc.enable()
