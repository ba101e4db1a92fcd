"""Money, times, ids, codec and records: known values, and every message."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

import pytest

from quanheng.kernel import codec, ids, money
from quanheng.kernel import time as qtime
from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.kernel.log import records as rec
from quanheng.kernel.money import Money


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("12.34 EUR", 1234),
        ("1234 JPY", 1234),
        ("1.234 KWD", 1234),
        ("-0.01 USD", -1),
        ("1E+2 CNY", 10_000),
        ("0.1234 CLF", 1234),
    ],
)
def test_money_has_the_decimals_of_its_currency(text, minor):
    assert Money.parse(text).minor == minor


def test_money_is_printed_with_all_its_decimals():
    assert [str(Money(5, code)) for code in ("EUR", "JPY", "KWD")] == ["0.05 EUR", "5 JPY", "0.005 KWD"]
    assert str(Money(-123456, "EUR")) == "-1234.56 EUR"
    assert str(Money(10**40, "JPY")) == "1" + "0" * 40 + " JPY"
    assert abs(Money(-5, "EUR")) == Money(5, "EUR")


def test_money_is_rounded_only_when_told_how():
    assert Money.of(Decimal("0.125"), "EUR", ROUND_HALF_UP) == Money(13, "EUR")
    assert Money.of(Decimal("0.125"), "EUR", "ROUND_HALF_EVEN") == Money(12, "EUR")
    assert Money.of(7, "EUR") == Money(700, "EUR")
    assert Money.of(Decimal("1E+57"), "EUR") == Money(10**59, "EUR")
    assert Money(-(10**30) + 1, "EUR").times(Decimal("1.000000000000000000000000000001")).minor == -(10**30)
    assert Money(5, "EUR").times(Decimal("0.1"), ROUND_HALF_UP) == Money(1, "EUR")
    with pytest.raises(InputError, match=r"EUR has 2 decimals; was 0\.125\. Say how to round"):
        Money.of(Decimal("0.125"), "EUR")


def test_parts_go_to_the_largest_remainder_and_then_to_the_earlier():
    assert [p.minor for p in Money(100, "EUR").allocate([1, 1, 1])] == [34, 33, 33]
    assert [p.minor for p in Money(-100, "EUR").allocate([1, 1, 1])] == [-34, -33, -33]
    assert [p.minor for p in Money(10, "EUR").allocate([0, 7, 3])] == [0, 7, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Money.parse("12.34"), r"not an amount of money; was '12\.34'; allowed: a form such as"),
        (lambda: Money.parse("x EUR"), "not an amount of money; was 'x EUR'"),
        (lambda: Money.parse("1 EURO"), r"not a currency of ISO 4217; was 'EURO'; allowed: a code such as EUR"),
        (lambda: Money.parse("Infinity EUR"), "money must be finite; was Infinity"),
        (lambda: Money.of(1.5, "EUR"), r"money is made from Decimal or int; was float\. Use Money\.parse"),
        (lambda: Money.of(True, "EUR"), "money is made from Decimal or int; was bool"),
        (lambda: Money.of(Decimal("1E+70"), "EUR"), "the amount is too long; was 1E[+]70; allowed: at most 60 digits"),
        (lambda: Money.of(Decimal("1E+58"), "EUR"), "the amount is too long; was 1E[+]58; allowed: at most 60 digits"),
        (lambda: Money.of(Decimal("0." + "1" * 61), "EUR", "ROUND_DOWN"), "the amount is too long"),
        (lambda: Money.parse("1" * 61 + " EUR"), "not an amount of money"),
        (lambda: Money(1, "EUR").times(Decimal("1E+99")), "allowed: 1E-60 .. 1E"),
        (
            lambda: Money(1, "EUR") + Money(1, "USD"),
            "different kinds .* was 0.01 EUR and 0.01 USD; allowed: two amounts in EUR",
        ),
        (lambda: Money(1, "EUR") < 5, "amounts of different kinds"),
        (lambda: Money(1, "EUR") * Decimal("0.5"), r"times a fraction needs a rounding; .*Use money\.times"),
        (lambda: Money(1, "EUR").times(0.5), "a rate is a finite Decimal; was 0.5"),
        (lambda: Money(1, "EUR").allocate([0, 0]), r"not be negative and not all zero; was \[0, 0\]"),
        (lambda: Money(1, "EUR").allocate([]), "not all zero"),
        (lambda: Money(1, "EUR").allocate([2, -1]), "weights must not be negative"),
    ],
)
def test_messages_about_money(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_exponents_of_iso_4217():
    assert [money.exponent(code) for code in ("CNY", "JPY", "KWD", "CLF", "VND", "HKD")] == [2, 0, 3, 4, 0, 2]
    assert all(len(code) == 3 and code.isupper() for code in money.EXPONENTS)
    assert money.NUMBERS.keys() == money.EXPONENTS.keys()
    assert {code: money.NUMBERS[code] for code in ("ALL", "CNY", "EUR", "USD", "ZMW")} == {
        "ALL": 8, "CNY": 156, "EUR": 978, "USD": 840, "ZMW": 967,
    }  # fmt: skip
    assert len(set(money.NUMBERS.values())) == len(money.NUMBERS) - 1, "XCG has the number of ANG, which it replaced"
    assert money.NUMBERS["XCG"] == money.NUMBERS["ANG"]


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("7d", 604_800_000),
        ("36h", 129_600_000),
        ("30s", 30_000),
        ("500ms", 500),
        ("15m", 900_000),
        ("1d12h", 129_600_000),
        ("2w", 1_209_600_000),
        ("0s", 0),
    ],
)
def test_durations(text, duration_ms):
    assert qtime.parse_duration_ms(text) == duration_ms


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 d", "1.5h", "7D", "7d ", "٧d", 7, None])
def test_what_is_no_duration(text):
    with pytest.raises(InputError, match=r'not a duration; was .*allowed: a form such as "7d"'):
        qtime.parse_duration_ms(text)


def test_durations_out_of_range():
    with pytest.raises(InputError, match="the duration is too long; was '100001d'; allowed: at most 100000d"):
        qtime.parse_duration_ms("100001d")
    with pytest.raises(InputError, match="a duration is not negative; was -1"):
        qtime.format_duration(-1)
    assert [qtime.format_duration(ms) for ms in (0, 1, 1000, 90_000, 129_600_000, 604_800_000)] == [
        "0ms", "1ms", "1s", "90s", "36h", "7d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "time_ms"),
    [
        ("1970-01-01", 0),
        ("2018-04-01", 1_522_540_800_000),
        ("2018-04-01T00:00:31Z", 1_522_540_831_000),
        ("2018-04-01 00:00:31", 1_522_540_831_000),
        ("2018-04-01T02:00+02:00", 1_522_540_800_000),
        ("2018-04-01T02:00:00+0200", 1_522_540_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.999999999Z", 999),
        ("1970-01-01T00:00:00,5Z", 500),
        (dt.date(2018, 4, 1), 1_522_540_800_000),
        (dt.datetime(2018, 4, 1), 1_522_540_800_000),
        (dt.datetime(2018, 4, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), 1_522_540_800_000),
    ],
)
def test_times(value, time_ms):
    assert qtime.parse_time_ms(value) == time_ms


def test_times_are_printed_in_utc():
    assert qtime.format_time(-1) == "1969-12-31T23:59:59.999Z"
    assert qtime.format_time(qtime.TIME_MS_MIN) == "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "text", ["", "today", "2018-4-1", "2018-04-01T25:00Z", "2018-02-30", "20180401", "1522540800000"]
)
def test_what_is_no_time(text):
    with pytest.raises(InputError, match=f"no such time; was '{text}'; allowed: ISO 8601|not a time; was '{text}'"):
        qtime.parse_time_ms(text)


def test_a_time_out_of_range():
    with pytest.raises(
        InputError, match=r"the time is out of range; was 999999999999999; allowed: -62135596800000\.\."
    ):
        qtime.format_time(999_999_999_999_999)


def test_the_example_id_of_rfc_9562():
    random = (0xCC3 << 62 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert ids.new_id(0x017F22E279B0, random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert ids.time_ms_of("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == 1_645_557_742_000
    assert ids.new_id(5) != ids.new_id(5)


def test_messages_about_ids():
    for now_ms in (-1, 2**48):
        with pytest.raises(InputError, match="the time of an id is out of range"):
            ids.new_id(now_ms)
    with pytest.raises(InputError, match="an id needs 10 random bytes; was 3 bytes"):
        ids.new_id(0, b"abc")
    for text in ("", "017f22e2-79b0-4cc3-98c4-dc0c0c07398f", "017f22e279b07cc398c4dc0c0c07398f", "x" * 36):
        with pytest.raises(InputError, match=f"not a UUID of version 7; was '{text}'"):
            ids.time_ms_of(text)


def test_json_numbers_are_exact():
    assert codec.decode_json(b'{"a": 1, "b": 0.10, "c": 1e2}') == {"a": 1, "b": Decimal("0.10"), "c": Decimal("1E+2")}
    assert str(codec.decode_json(b"0.10")) == "0.10"
    assert codec.encode_json({"b": Decimal("0.10"), "a": 1}) == b'{"b":0.10,"a":1}'
    assert codec.canonical_json({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":1}'
    assert codec.decode_pack(codec.encode_pack({"a": [1, b"x", None]})) == {"a": [1, b"x", None]}
    assert len(codec.digest_16(b"")) == 16


def test_messages_about_codecs():
    with pytest.raises(InputError, match=r"not valid JSON; was .*malformed"):
        codec.decode_json(b"{x}")
    with pytest.raises(InputError, match="not valid JSON"):
        codec.decode_json(b'"\xff"')
    with pytest.raises(InputError, match="not valid JSON; was maximum recursion depth"):
        codec.decode_json(b"[" * 100_000)
    with pytest.raises(InputError, match="not valid MessagePack; was"):
        codec.decode_pack(b"\xc1")


def test_the_record_format_is_frozen():
    """Version 1 byte for byte: a change here needs a new version and a way to read the old one."""
    header = rec.encode_header(
        rec.EVENT, 0x0203, 5, 6, -1, b"S" * 16, b"R" * 16, b"D" * 16, [b"K" * 16, rec.NONE_16], [7, rec.NULL], 3, True
    )
    fixed = "a7000000 01 01 0302 0500000000000000 0600000000000000 ffffffffffffffff"
    names = "53" * 16 + "52" * 16 + "44" * 16
    variable = "02 02 0100 00000000" + "4b" * 16 + "00" * 16 + "0700000000000000 0000000000000080"
    assert header == bytes.fromhex(fixed + names + variable)
    assert len(header) == rec.HEADER_BYTES + 48


def test_messages_about_records(make_record):
    raw = make_record(1)
    cases = [
        (raw[:50], "was 50 bytes; allowed: at least 88 bytes"),
        (raw[:4] + b"\x02" + raw[5:], "was version 2; allowed: version 1"),
        (raw[:-1], f"was length {len(raw)}; allowed: 136..{len(raw) - 1}"),
        ((100).to_bytes(4, "little") + raw[4:], "was length 100; allowed: 136"),
    ]
    for bad, message in cases:
        with pytest.raises(LogCorrupt, match=f"byte 0 of the batch: not a record of the log; {message}"):
            rec.decode(bad)
        with pytest.raises(
            LogCorrupt, match=r"not a record of the log; was bytes that are no record.*quanheng log verify"
        ):
            rec.count(bad)
    with pytest.raises(LogCorrupt, match="was 2 keys and 2 numbers; allowed: at most 1 keys and 2 numbers"):
        rec.columns([raw], 1, 2)
