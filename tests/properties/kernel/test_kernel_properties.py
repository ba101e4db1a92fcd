"""Laws of money, durations, times, codec, records and the tree, over all inputs."""

from __future__ import annotations

import struct
from datetime import timedelta, timezone
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel import codec, ids, proof
from quanheng.kernel import time as qtime
from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.headers import encode_headers
from quanheng.kernel.money import EXPONENTS, Money

minors = st.integers(-(10**30), 10**30)
currencies = st.sampled_from(sorted(EXPONENTS))
moneys = st.builds(Money, minors, currencies)


@given(moneys)
def test_money_reads_back_what_it_prints(money):
    assert Money.parse(str(money)) == money
    assert Money.of(money.amount, money.currency) == money
    assert Fraction(money.amount) * 10 ** EXPONENTS[money.currency] == money.minor


@given(minors, minors, minors, currencies)
def test_money_adds_like_integers(a, b, c, currency):
    x, y, z = (Money(minor, currency) for minor in (a, b, c))
    assert (x + y) + z == x + (y + z) == Money(a + b + c, currency)
    assert x - y == x + -y
    assert (x < y, x <= y, x > y, x >= y) == (a < b, a <= b, a > b, a >= b)
    assert x * 3 == 3 * x == x + x + x


@given(minors, currencies, st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any))
def test_allocated_parts_sum_to_the_whole_and_are_fair(minor, currency, weights):
    whole = Money(minor, currency)
    parts = whole.allocate(weights)
    assert sum(part.minor for part in parts) == minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor - Fraction(minor * weight, sum(weights))) < 1


@given(
    minors,
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=9),
    st.sampled_from([ROUND_HALF_EVEN, ROUND_DOWN, ROUND_UP]),
)
def test_money_times_a_rate_is_rounded_once(minor, rate, rounding):
    exact = Fraction(minor) * Fraction(rate)
    made = Money(minor, "EUR").times(rate, rounding).minor
    assert abs(made - exact) <= (Fraction(1, 2) if rounding == ROUND_HALF_EVEN else 1)
    if exact.denominator == 1:
        assert made == exact
    if rounding == ROUND_DOWN:
        assert abs(made) <= abs(exact)


@given(st.integers(0, 100_000 * qtime.DAY_MS))
def test_durations_read_back(duration_ms):
    assert qtime.parse_duration_ms(qtime.format_duration(duration_ms)) == duration_ms


@given(st.integers(qtime.TIME_MS_MIN, qtime.TIME_MS_MAX))
def test_times_read_back(time_ms):
    assert qtime.parse_time_ms(qtime.format_time(time_ms)) == time_ms


@given(st.datetimes(), st.integers(-23 * 60, 23 * 60))
def test_a_datetime_and_its_text_are_the_same_time(moment, offset_min):
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    assert qtime.parse_time_ms(moment.isoformat()) == qtime.parse_time_ms(moment)


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_an_input_error(text):
    for parse in (qtime.parse_time_ms, qtime.parse_duration_ms):
        try:
            made = parse(text)
        except InputError as error:
            made = error
        assert isinstance(made, int) or repr(text) in str(made)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_ordered_by_time(one, other, random):
    a, b = ids.new_id(one, random), ids.new_id(other, random)
    assert (a < b) == (one < other)
    assert ids.time_ms_of(a) == one


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_json_keeps_exact_numbers(value):
    again = codec.decode_json(codec.encode_json(value))
    assert again == value
    assert codec.decode_json(codec.canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_canonical_forms_do_not_depend_on_order(value):
    turned = dict(reversed(value.items()))
    try:
        assert codec.canonical_json(value) == codec.canonical_json(turned)
        assert codec.canonical_pack(value) == codec.canonical_pack(turned)
    except OverflowError:
        assert any(not -(2**63) <= number < 2**64 for number in value.values())


int64 = st.integers(-(2**63), 2**63 - 1)
bytes_16 = st.binary(min_size=16, max_size=16)
record_parts = st.tuples(
    st.sampled_from([rec.EVENT, rec.DECISION, rec.TRANSFER, rec.GRANT]),
    st.integers(0, 65535),
    int64,
    int64,
    int64,
    bytes_16,
    bytes_16,
    bytes_16,
    st.lists(bytes_16, max_size=5),
    st.lists(int64, max_size=7),
    st.booleans(),
    st.binary(max_size=60),
)


def build(parts):
    *head, keys, numbers, sealed, payload = parts
    stored = payload + bytes(rec.SEAL_BYTES) if sealed else payload
    return rec.encode_header(*head, keys, numbers, len(payload), sealed) + stored


@given(record_parts)
def test_records_decode_to_what_was_encoded(parts):
    kind, code, time_ms, received_ms, cause, subject, request, digest, keys, numbers, sealed, payload = parts
    raw = build(parts)
    record = rec.decode(b"xyz" + raw + b"tail", 3)
    assert record[:8] == (kind, code, time_ms, received_ms, cause, subject, request, digest)
    assert (list(record.keys), list(record.numbers), record.sealed) == (keys, numbers, sealed)
    assert record.header + record.payload == raw
    assert record.payload[: len(payload)] == payload


@settings(max_examples=60)
@given(st.lists(record_parts, max_size=8))
def test_columns_equal_decoded_records(many):
    raws = [build(parts) for parts in many]
    columns = rec.columns(raws, 6, 8)
    assert len(columns) == len(raws) == rec.count(b"".join(raws))
    assert rec.positions(b"".join(raws)).tolist() == columns.position.tolist()
    for i, raw in enumerate(raws):
        record = columns.record(i)
        assert record == rec.decode(raw)
        assert columns.kind[i] == record.kind
        assert columns.type[i] == record.type
        for name in ("time_ms", "received_ms", "cause"):
            assert getattr(columns, name)[i] == getattr(record, name)
        for name in ("request", "digest", "subject"):
            assert getattr(columns, name)[i].tobytes() == getattr(record, name)
        assert columns.request_key(i) == record.request
        assert columns.length[i] == len(raw)
        assert columns.keys[i].tobytes() == b"".join(record.keys) + bytes(16 * (6 - len(record.keys)))
        assert columns.numbers[i].tolist() == [*record.numbers, *[rec.NULL] * (8 - len(record.numbers))]
    cut = columns.cut(1, 3)
    assert np.array_equal(cut.time_ms, columns.time_ms[1:3])


@settings(max_examples=60)
@given(st.lists(record_parts, min_size=1, max_size=3), st.data())
def test_a_cut_body_is_never_accepted(many, data):
    body = b"".join(build(parts) for parts in many)
    whole = {0, len(body), *rec.positions(body).tolist()}
    cut = data.draw(st.integers(0, len(body)))
    if cut in whole:
        rec.columns(body[:cut], 5, 7)
    else:
        with pytest.raises(LogCorrupt, match="not a record of the log"):
            rec.columns(body[:cut], 5, 7)


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_corrupt(raw):
    try:
        n = rec.count(raw)
    except LogCorrupt:
        with pytest.raises(LogCorrupt):
            rec.columns(raw, 255, 255)
        return
    assert len(rec.columns(raw, 255, 255)) == n


# The tree: every fast answer against the recursive definition of RFC 6962.


def slow_root(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_path(m, leaves):
    """PATH(m, D[n]) of RFC 6962 section 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k:
        return [*slow_path(m, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(m - k, leaves[k:]), slow_root(leaves[:k])]


def slow_subproof(m, leaves, whole):
    """SUBPROOF(m, D[n], b) of RFC 6962 section 2.1.2."""
    n = len(leaves)
    if m == n:
        return [] if whole else [slow_root(leaves)]
    k = 1 << (n - 1).bit_length() - 1
    if m <= k:
        return [*slow_subproof(m, leaves[:k], whole), slow_root(leaves[k:])]
    return [*slow_subproof(m - k, leaves[k:], False), slow_root(leaves[:k])]


@given(st.lists(st.integers(0, 9), max_size=12))
def test_peaks_grow_batch_by_batch_to_the_same_root(batches):
    leaves, peaks = [], []
    for count in batches:
        new = [b"%d" % i for i in range(len(leaves), len(leaves) + count)]
        peaks = proof.extend_peaks(len(leaves), peaks, proof.leaf_hashes(new))
        leaves += new
        assert proof.root_of(peaks) == slow_root(leaves)


@settings(max_examples=150)
@given(st.integers(1, 70), st.data())
def test_inclusion_proofs_equal_the_definition_and_verify(size, data):
    leaves = [b"%d" % i for i in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path = proof.inclusion_path(index, size, lambda start, level: slow_root(leaves[start : start + (1 << level)]))
    assert list(path) == slow_path(index, leaves)
    made = proof.InclusionProof(index, size, proof.leaf_hash(leaves[index]), path, slow_root(leaves))
    assert proof.verify_inclusion(made)
    assert not proof.verify_inclusion(made._replace(leaf=proof.leaf_hash(b"other")))
    assert not proof.verify_inclusion(made._replace(root=bytes(32)))
    assert not proof.verify_inclusion(made._replace(path=(*path, bytes(32))))
    assert not proof.verify_inclusion(made._replace(leaf_index=size))
    if path:
        assert not proof.verify_inclusion(made._replace(path=path[:-1]))
        broken = data.draw(st.integers(0, len(path) - 1))
        assert not proof.verify_inclusion(made._replace(path=(*path[:broken], bytes(32), *path[broken + 1 :])))


@settings(max_examples=150)
@given(st.integers(0, 70), st.data())
def test_consistency_proofs_equal_the_definition_and_verify(new_size, data):
    leaves = [b"%d" % i for i in range(new_size)]
    old_size = data.draw(st.integers(0, new_size))
    path = proof.consistency_path(old_size, new_size, lambda at, level: slow_root(leaves[at : at + (1 << level)]))
    if 0 < old_size < new_size:
        assert list(path) == slow_subproof(old_size, leaves, True)
    made = proof.ConsistencyProof(old_size, new_size, slow_root(leaves[:old_size]), slow_root(leaves), path)
    assert proof.verify_consistency(made)
    assert not proof.verify_consistency(made._replace(path=(*path, bytes(32))))
    assert not proof.verify_consistency(made._replace(old_root=bytes(32)))
    assert not proof.verify_consistency(made._replace(old_size=new_size + 1))
    if old_size:
        assert not proof.verify_consistency(made._replace(new_root=bytes(32)))
    if path:
        assert not proof.verify_consistency(made._replace(path=path[:-1]))


SIXTEEN = st.just(rec.NONE_16) | st.binary(min_size=16, max_size=16)
NUMBER = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(0, 6), st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans())
def test_headers_by_column_equal_one_header_each(data, n, n_keys, n_numbers, caused, requested):
    kind, code = data.draw(st.sampled_from([rec.EVENT, rec.DECISION])), data.draw(st.integers(0, 65_535))
    received_ms = data.draw(NUMBER)

    def column(values):
        return data.draw(st.lists(values, min_size=n, max_size=n))

    times, subjects, lengths = column(NUMBER), column(SIXTEEN), column(st.integers(0, 10_000))
    causes = column(st.integers(0, 2**62)) if caused else [rec.NO_CAUSE] * n
    requests = column(SIXTEEN) if requested else [rec.NONE_16] * n
    keys = column(st.tuples(*[SIXTEEN] * n_keys))
    numbers = column(st.tuples(*[NUMBER] * n_numbers))
    tails = b"".join(
        b"".join(some) + struct.pack(f"<{n_numbers}q", *values) for some, values in zip(keys, numbers, strict=True)
    )
    made = encode_headers(
        kind, code, times, received_ms, causes if caused else rec.NO_CAUSE, b"".join(subjects),
        b"".join(requests) if requested else b"", tails, (n_keys, n_numbers), lengths,
    )  # fmt: skip
    assert made == [
        rec.encode_header(
            kind, code, times[i], received_ms, causes[i], subjects[i], requests[i], rec.NONE_16, keys[i], numbers[i],
            lengths[i], subjects[i] != rec.NONE_16,
        )
        for i in range(n)
    ]  # fmt: skip
