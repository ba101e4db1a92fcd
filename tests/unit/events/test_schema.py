"""Event types: what each kind of field takes, what it refuses and in which words, and that nothing else happens."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from hashlib import blake2b

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quanheng.events.intake import EventFact
from quanheng.events.schema import (
    FOUND_LENGTH_MAX,
    KEY_LENGTH_MAX,
    MAX_NUMBER,
    NO_KEY,
    NULL,
    PASSED_LENGTH_MAX,
    PASSED_MAX,
    EventDeclaration,
    EventType,
    FieldDeclaration,
    Row,
)
from quanheng.events.taker import compile_taker
from quanheng.kernel.errors import EventRejected

FIELDS = {
    "time_ms": FieldDeclaration(kind="time"),
    "customer": FieldDeclaration(kind="key", entity="party.customer"),
    "device": FieldDeclaration(kind="key", entity="party.device", optional=True),
    "currency": FieldDeclaration(kind="text", pattern="^[A-Z]{3}$", length_max=3, optional=True),
    "channel": FieldDeclaration(kind="choice", choices=("web", "chip"), optional=True),
    "amount_minor": FieldDeclaration(kind="integer", min=1, max=100, optional=True),
    "count": FieldDeclaration(kind="integer", optional=True),
    "rate": FieldDeclaration(kind="decimal", scale=2, optional=True),
    "share": FieldDeclaration(kind="decimal", scale=4, min=Decimal(0), max=Decimal(1), optional=True),
    "foreign": FieldDeclaration(kind="boolean", optional=True),
}
PAYMENT = EventType(EventDeclaration(name="test.payment", subject="customer", fields=FIELDS), 16)
NUMBERS = ("time_ms", "amount_minor", "count", "rate", "share", "foreign")


def read(fields: str) -> Row:
    """Read a payment whose required fields are there, with `fields` (JSON text) added."""
    head = '{"time_ms": 1700000000000, "customer": "c1"'
    return PAYMENT.read(f"{head}, {fields}}}".encode() if fields else f"{head}}}".encode())


def refused(data: str | bytes) -> str:
    with pytest.raises(EventRejected) as caught:
        PAYMENT.read(data.encode() if isinstance(data, str) else data)
    return str(caught.value)


def test_layout_follows_the_declared_order():
    assert PAYMENT.key_fields == ("customer", "device")
    assert PAYMENT.entities == ("party.customer", "party.device")
    assert PAYMENT.number_fields == NUMBERS
    assert PAYMENT.header_fields == (*NUMBERS, "channel")
    assert PAYMENT.scales == (0, 0, 0, 2, 4, 0, 0)


def test_what_was_appended_stands_behind_choices():
    fields = {**FIELDS, "late": FieldDeclaration(kind="integer", appended=True)}
    fields |= {"way": FieldDeclaration(kind="choice", choices=("in", "out"), appended=True)}
    later = EventType(EventDeclaration(name="test.payment", subject="customer", fields=fields), 16)
    assert later.header_fields == (*NUMBERS, "channel", "late", "way")
    assert PAYMENT.moved(later) == []
    assert later.moved(PAYMENT) != []


def test_a_later_version_may_append_choices_and_nothing_else():
    def with_choices(*choices: str) -> EventType:
        fields = {**FIELDS, "channel": FieldDeclaration(kind="choice", choices=choices, optional=True)}
        return EventType(EventDeclaration(name="test.payment", subject="customer", fields=fields), 16)

    assert PAYMENT.moved(with_choices("web", "chip", "cash")) == []
    moved = PAYMENT.moved(with_choices("chip", "web"))
    assert moved == [(["channel: web", "channel: chip"], ["channel: chip", "channel: web"])]
    before = {name: field for name, field in FIELDS.items() if name != "amount_minor"}
    before["amount_minor"] = FIELDS["amount_minor"]
    assert PAYMENT.moved(EventType(EventDeclaration(name="test.payment", subject="customer", fields=before), 16)) != []


def test_a_row_of_required_fields_only():
    row = read("")
    assert row.time_ms == 1_700_000_000_000
    assert row.subject == ("party.customer", "c1")
    assert row.keys == (("party.customer", "c1"), None)
    assert row.numbers == (1_700_000_000_000, NULL, NULL, NULL, NULL, NULL, NULL)
    assert row.values["rate"] is None
    assert list(row.values) == list(FIELDS)


def test_without_a_subject_the_payload_has_no_owner():
    open_event = EventType(EventDeclaration(name="test.open", fields={"time_ms": FieldDeclaration(kind="time")}), 16)
    assert open_event.read(b'{"time_ms": 5}') == Row(5, None, (), (5,), {"time_ms": 5})


# field text -> header number (or key), value as a policy sees it
TAKEN = [
    ('"amount_minor": 1', "amount_minor", 1, 1),
    ('"amount_minor": 100', "amount_minor", 100, 100),
    (f'"count": {MAX_NUMBER}', "count", MAX_NUMBER, MAX_NUMBER),
    (f'"count": {-MAX_NUMBER}', "count", -MAX_NUMBER, -MAX_NUMBER),
    ('"rate": 1.5', "rate", 150, Decimal("1.5")),
    ('"rate": 7', "rate", 700, Decimal(7)),
    ('"rate": "0.10"', "rate", 10, Decimal("0.10")),
    ('"rate": 0.07', "rate", 7, Decimal("0.07")),
    ('"rate": -0.0', "rate", 0, Decimal("-0.0")),
    ('"rate": 1e3', "rate", 100_000, Decimal(1000)),
    ('"rate": 0e999', "rate", 0, Decimal("0e999")),
    ('"rate": 46116860184273879.04', "rate", MAX_NUMBER, Decimal("46116860184273879.04")),
    ('"share": 1', "share", 10_000, Decimal(1)),
    ('"foreign": true', "foreign", 1, True),
    ('"foreign": false', "foreign", 0, False),
    ('"channel": "web"', "channel", 0, "web"),
    ('"channel": "chip"', "channel", 1, "chip"),
]


@pytest.mark.parametrize(("text", "field", "number", "value"), TAKEN, ids=[row[0] for row in TAKEN])
def test_numbers_are_exact(text, field, number, value):
    row = read(text)
    assert row.numbers[PAYMENT.header_fields.index(field)] == number
    assert row.values[field] == value
    assert type(row.values[field]) is type(value)


@pytest.mark.parametrize("field", [name for name in FIELDS if FIELDS[name].optional])
def test_null_and_absent_are_the_same(field):
    assert read(f'"{field}": null') == read("")


def test_a_key_may_be_any_text():
    for key in ("x" * KEY_LENGTH_MAX, "客户", "a\u0000b", " "):
        assert read(f'"device": {json.dumps(key)}').keys[1] == ("party.device", key)


def test_the_last_of_two_equal_json_names_counts():
    assert read('"currency": "EUR", "currency": "USD"').values["currency"] == "USD"


BASE = '"time_ms": 5, "customer": "c1"'
LIMIT = "46116860184273879.04"
# field text -> the whole message after the name of the field
REFUSED = [
    ('"rate": "NaN"', "the number is not finite; was NaN; allowed: a finite decimal number"),
    ('"rate": "sNaN"', "the number is not finite; was sNaN; allowed: a finite decimal number"),
    ('"rate": "-Infinity"', "the number is not finite; was -Infinity; allowed: a finite decimal number"),
    (
        '"rate": 0.001',
        (
            "the number has too many decimal places; was 0.001; allowed: at most 2. "
            "Round it at the source: Quanheng never rounds what it is given."
        ),
    ),
    ('"rate": "1e999999"', f"the number is outside its range; was 1E+999999; allowed: -{LIMIT} to {LIMIT}"),
    ('"share": 1.0001', "the number is outside its range; was 1.0001; allowed: 0 to 1"),
    ('"rate": "ten"', "the value does not fit the field; allowed: a decimal number"),
    ('"rate": true', "the value does not fit the field; was true or false; allowed: decimal | null"),
    (
        '"channel": "fax"',
        (
            "the value is not one of the choices; was 'fax'; allowed: chip, web. "
            "Send one of the choices, or add it to events.toml in a new version of the pack."
        ),
    ),
    ('"channel": 5', "the value does not fit the field; was integer; allowed: text | null"),
    ('"amount_minor": 0', "the value does not fit the field; allowed: integer >= 1"),
    ('"amount_minor": 101', "the value does not fit the field; allowed: integer <= 100"),
    ('"amount_minor": 1.0', "the value does not fit the field; was number with a point; allowed: integer | null"),
    ('"amount_minor": "5"', "the value does not fit the field; was text; allowed: integer | null"),
    ('"amount_minor": true', "the value does not fit the field; was true or false; allowed: integer | null"),
    (f'"count": {MAX_NUMBER + 1}', f"the value does not fit the field; allowed: integer <= {MAX_NUMBER}"),
    (f'"count": {"9" * 400}', f"the value does not fit the field; allowed: integer <= {MAX_NUMBER}"),
    ('"count": 1e400', "the value does not fit the field; allowed: a number within its range"),
    ('"foreign": 1', "the value does not fit the field; was integer; allowed: true or false | null"),
    ('"currency": "eur"', "the value does not fit the field; allowed: text matching regex '^[A-Z]{3}$'"),
    ('"currency": "EURO"', "the value does not fit the field; allowed: text of length <= 3"),
    ('"device": ""', "the value does not fit the field; allowed: text of length >= 1"),
    (f'"device": "{"x" * 257}"', "the value does not fit the field; allowed: text of length <= 256"),
    (f'"device": {"[" * 100_000}', "the value does not fit the field; was array; allowed: text | null"),
    ('"customer": null', "the value does not fit the field; was null; allowed: text"),
    ('"time_ms": null', "the value does not fit the field; was null; allowed: integer"),
    ('"time_ms": 253402300800000', "the value does not fit the field; allowed: integer <= 253402300799999"),
    ('"colour": "red"', f"the field is not declared; allowed: {', '.join(FIELDS)}"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_each_refusal_names_field_found_and_allowed(text, message):
    field = text.split('"')[1]
    assert refused(f"{{{BASE}, {text}}}") == f"test.payment.{field}: {message}"


def test_a_refusal_of_the_whole():
    missing = f"test.payment.customer: a required field is missing; allowed: {', '.join(FIELDS)}"
    assert refused('{"time_ms": 5}') == missing
    for data, found in (("[]", "array"), ("null", "null"), ("5", "integer")):
        assert refused(data) == f"test.payment: the value does not fit the field; was {found}; allowed: object"


NOT_JSON = [
    b"",
    b"{",
    b'{"time_ms": 5, "customer": "c1"} 1',
    b'{"time_ms": NaN}',
    b'{"customer": "\xff"}',
    b'\xef\xbb\xbf{"time_ms": 5}',
    b'{"customer": "\\ud800"}',
]


@pytest.mark.parametrize("data", NOT_JSON, ids=repr)
def test_what_is_not_json_is_refused(data):
    message = refused(data)
    assert message.startswith("test.payment: the event's data is not a JSON object; was ")
    assert message.endswith("Send the fields as a JSON object under `data`.")


def test_an_error_text_shows_only_the_beginning_of_what_was_sent():
    for text in (f'"{"u" * 100_000}": 1', f'"channel": "{"z" * 100_000}"', f'"rate": {"1" * 5_000}'):
        message = refused(f"{{{BASE}, {text}}}")
        assert len(message) < 400
        assert "…" in message
    assert FOUND_LENGTH_MAX < 100


def test_a_field_may_have_the_name_of_a_python_keyword():
    event = EventType(
        EventDeclaration(
            name="test.transfer",
            subject="from",
            time="time_ms",
            fields={
                "time_ms": FieldDeclaration(kind="time"),
                "from": FieldDeclaration(kind="key", entity="party.account"),
                "class": FieldDeclaration(kind="integer", optional=True),
            },
        ),
        16,
    )
    row = event.read(b'{"time_ms": 5, "from": "a1", "class": 3}')
    key = ("party.account", "a1")
    assert row == Row(5, key, (key,), (5, 3), {"time_ms": 5, "from": "a1", "class": 3})


@pytest.mark.parametrize("name", ["amount minor", "1st", "a.b", "", "x); import os; (", "ﬁeld"])
def test_a_field_name_is_an_identifier_since_it_enters_generated_code(name):
    with pytest.raises(EventRejected, match="a field name must be a plain identifier"):
        EventType(EventDeclaration(name="test.bad", time=name, fields={name: FieldDeclaration(kind="time")}), 16)


def test_an_entity_name_cannot_leave_its_string():
    fields = {**FIELDS, "customer": FieldDeclaration(kind="key", entity="x'), 1/0, ('")}
    event = EventType(EventDeclaration(name="test.entity", subject="customer", fields=fields), 16)
    assert event.read(b'{"time_ms": 5, "customer": "c"}').subject == ("x'), 1/0, ('", "c")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals().map(str)
JSON_VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def attempt(data: bytes) -> tuple[Row | None, EventRejected | None]:
    """The row, or the refusal; any other exception fails the test."""
    try:
        return PAYMENT.read(data), None
    except EventRejected as error:
        return None, error


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), JSON_VALUES)
def test_any_value_in_any_field_is_a_row_or_a_refusal_that_names_the_field(field, value):
    row, refusal = attempt(json.dumps({"time_ms": 5, "customer": "c1", field: value}).encode())
    if refusal is not None:
        # A lone surrogate, a NaN or an infinity as Python's json writes them is no JSON at all.
        assert refusal.where == f"test.payment.{field}" or "not a JSON object" in str(refusal)
        return
    assert len(row.numbers) == len(PAYMENT.header_fields)
    assert all(-MAX_NUMBER <= number <= MAX_NUMBER or number == NULL for number in row.numbers)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_row_or_a_refusal(data):
    _, refusal = attempt(data)
    assert refusal is None or refusal.where.startswith("test.payment")


@settings(max_examples=200, deadline=None)
@given(st.integers(-MAX_NUMBER, MAX_NUMBER), st.booleans())
def test_every_scaled_number_survives_the_round_trip(scaled, as_text):
    value = Decimal(scaled).scaleb(-2)
    data = f'{{{BASE}, "rate": "{value:f}"}}' if as_text else f'{{{BASE}, "rate": {value:f}}}'
    row = PAYMENT.read(data.encode())
    assert row.numbers[NUMBERS.index("rate")] == scaled
    assert row.values["rate"] == value


RING = {("party.customer", "c1"): b"c" * 16, ("party.device", "d1"): b"d" * 16}


class Pseudonyms(dict[str, bytes]):
    def __init__(self, entity: str) -> None:
        super().__init__()
        self.entity = entity

    def __missing__(self, id: str) -> bytes:
        return RING.get(
            (self.entity, id), blake2b(f"{self.entity}/{id}".encode("utf-8", "surrogatepass")).digest()[:16]
        )


TAKE = compile_taker(PAYMENT, Pseudonyms, EventFact)


def take(data: bytes) -> EventFact:
    return TAKE(PAYMENT.decode(data), 9, b"r" * 16, b"payload", None)


def in_plain_steps(row: Row) -> tuple[int, bytes, bytes]:
    """Time, subject and tail of a row, as the generated taker must give them."""
    keys = [NO_KEY if key is None else Pseudonyms(key[0])[key[1]] for key in row.keys]
    return row.time_ms, Pseudonyms(row.subject[0])[row.subject[1]], b"".join(keys) + struct.pack("<7q", *row.numbers)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON_VALUES | st.sampled_from(["EUR", "web", "eur", "d1", 5])))
@example({"currency": "EUR", "channel": "web", "rate": "0.10", "device": "d1", "foreign": True})
@example({"rate": "sNaN"})
def test_the_generated_taker_says_what_the_plain_steps_say(fields):
    data = json.dumps({"time_ms": 5, "customer": "c1", **fields}).encode()
    row, refusal = attempt(data)
    if row is None:
        with pytest.raises(EventRejected) as caught:
            take(data)
        assert str(caught.value) == str(refusal)
        return
    fact = take(data)
    assert (fact.time_ms, fact.subject, fact.tail) == in_plain_steps(row)
    assert {name: getattr(fact.fields, name) for name in FIELDS} == row.values
    assert (fact.code, fact.received_ms, fact.request_key, fact.payload) == (16, 9, b"r" * 16, b"payload")


def test_only_so_many_codes_that_matched_are_remembered():
    event = EventType(EventDeclaration(name="test.codes", fields={**FIELDS, "currency": CODE}), 16)
    for number in range(2 * PASSED_MAX):
        event.read(f'{{{BASE}, "currency": "C{number}"}}'.encode())
    event.read(f'{{{BASE}, "currency": "C{"7" * 20}"}}'.encode())
    remembered = event.passed["currency"]
    assert None in remembered
    assert len(remembered) <= PASSED_MAX + 1
    assert all(one is None or len(one) <= PASSED_LENGTH_MAX for one in remembered)


CODE = FieldDeclaration(kind="text", pattern="^C[0-9]+$", optional=True)
