# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Proofs as files: what a third party checks without the log, and what it refuses."""

from __future__ import annotations

import base64
import json

import pytest

from quanheng.kernel import proof_file
from quanheng.kernel.checkpoint import Signer
from quanheng.kernel.errors import ConfigurationError, InputError, LogCorrupt, NotFound, ProofRefused
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.proof_file import check, decode, encode, prove_consistency, prove_inclusion

SIGNER = Signer("bank.example/log", bytes(range(32)))
KEY = SIGNER.verifier_key()


@pytest.fixture
def log(tmp_path, make_record):
    log = Log.open(SqliteLogStore(tmp_path / "log.db"), "test", SIGNER)
    for first in range(0, 60, 5):
        log.append([make_record(first + i) for i in range(5)], 1_000)
    yield log
    log.close()


def test_every_record_is_proved_and_checked_from_the_bytes_of_the_file(log, make_record):
    for offset in range(60):
        found = check(decode(encode(prove_inclusion(log, offset))), KEY)
        assert (found.origin, found.size, found.offset) == ("bank.example/log", 60, offset)
        assert found.record == make_record(offset) == log.record_bytes(offset)
        bare = check(decode(encode(prove_inclusion(log, offset, with_record=False))), KEY)
        assert (bare.record, bare.leaf) == (None, found.leaf)


def test_proofs_under_an_earlier_checkpoint(log, make_record):
    old = log.checkpoint()
    log.append([make_record(60)], 1_000)
    assert check(prove_inclusion(log, 7, old), KEY).size == 60
    with pytest.raises(NotFound, match="no such record to prove; was 60 of 60"):
        prove_inclusion(log, 60, old)
    found = check(decode(encode(prove_consistency(log, old))), KEY)
    assert (found.old_size, found.size, found.offset) == (60, 61, -1)
    assert check(prove_consistency(log, old, old), KEY).old_size == 60
    with pytest.raises(NotFound, match="no such size to prove"):
        prove_consistency(log, log.checkpoint(), old)


def test_a_checkpoint_of_another_log_is_not_proved(log):
    other = SIGNER.sign(60, bytes(32))
    for proving in (lambda: prove_inclusion(log, 7, other), lambda: prove_consistency(log, other)):
        with pytest.raises(LogCorrupt, match="the log does not begin with what the checkpoint describes; was "):
            proving()


def test_without_a_signing_key_a_checkpoint_must_be_given(log, tmp_path):
    bare = Log.reader(SqliteLogStore(tmp_path / "log.db"))
    assert check(prove_inclusion(bare, 3, log.checkpoint()), KEY).offset == 3
    with pytest.raises(ConfigurationError, match="this log has no signing key"):
        prove_inclusion(bare, 3)
    bare.close()


def test_each_byte_of_an_inclusion_proof_counts(log):
    """Every byte class: offset, record, each hash, each line of the note, its signature."""
    whole = json.loads(encode(prove_inclusion(log, 17)))
    found = 0
    for wrong in changes(whole):
        with pytest.raises((ProofRefused, InputError)):
            check(decode(json.dumps(wrong).encode()), KEY)
        found += 1
    assert found > 400


def test_each_byte_of_a_consistency_proof_counts(log, make_record):
    old = log.checkpoint()
    log.append([make_record(60 + i) for i in range(9)], 1_000)
    whole = json.loads(encode(prove_consistency(log, old)))
    found = 0
    for wrong in changes(whole):
        with pytest.raises((ProofRefused, InputError)):
            check(decode(json.dumps(wrong).encode()), KEY)
        found += 1
    assert found > 300


def changes(whole):
    """The proof with one thing changed, for every thing in it."""
    for name, value in whole.items():
        if isinstance(value, int):
            for other in (0, value - 1, value + 1, 10**6):
                yield {**whole, name: other}
        elif name == "path":
            for at, one in enumerate(value):
                for wrong in flips(one):
                    yield {**whole, name: [*value[:at], wrong, *value[at + 1 :]]}
                yield {**whole, name: [*value[:at], *value[at + 1 :]]}
                yield {**whole, name: [*value[:at], one, *value[at:]]}
        elif name == "record":
            for wrong in flips(value):
                yield {**whole, name: wrong}
        elif name in ("checkpoint", "old", "new"):
            for at, character in enumerate(value):
                yield {**whole, name: value[:at] + ("B" if character != "B" else "C") + value[at + 1 :]}
                if character == "=":
                    continue
                yield {**whole, name: value[:at] + value[at + 1 :]}


def flips(text):
    raw = base64.b64decode(text)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        yield base64.b64encode(changed).decode()


def test_a_proof_says_what_does_not_fit(log):
    made = prove_inclusion(log, 17)
    with pytest.raises(ProofRefused, match=r"the proof does not lead from the record to the signed root.*offset|bank"):
        check(decode(encode(made).replace(b'"offset": 17', b'"offset": 18')), KEY)
    with pytest.raises(ProofRefused, match="the checkpoint is not signed by the expected key"):
        check(made, Signer("bank.example/log", bytes(32)).verifier_key())
    grown = prove_consistency(log, SIGNER.sign(35, log.prove_extends(35).old_root))
    other = proof_file.ConsistencyFile(grown.path, SIGNER.sign(35, bytes(32)), grown.new)
    with pytest.raises(ProofRefused, match="the proof does not lead from the older signed root to the newer one"):
        check(other, KEY)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not a proof file"),
        (b"[1]", "not a proof file"),
        (b"{}", "not a proof file"),
        (b'{"format": "quanheng inclusion proof 2"}', "not a proof file"),
        (b'{"format": "quanheng inclusion proof 1", "offset": 1, "path": [], "checkpoint": "", "more": 1}', "not a proof"),
        (b'{"format": "quanheng inclusion proof 1", "offset": 1, "path": ["AA=="], "checkpoint": ""}', "a list of hashes"),
        (b'{"format": "quanheng inclusion proof 1", "offset": 1, "path": [], "checkpoint": ""}', "the record or its hash"),
    ],
)  # fmt: skip
def test_what_is_no_proof(data, text):
    with pytest.raises(InputError, match=text):
        decode(data)


def test_what_is_too_long_is_not_read(monkeypatch):
    monkeypatch.setattr(proof_file, "FILE_BYTES_MAX", 10)
    with pytest.raises(InputError, match="not a proof file; was 11 bytes; allowed: at most 10 bytes"):
        decode(b"x" * 11)
    path = json.dumps([base64.b64encode(bytes(32)).decode()] * 131)
    with pytest.raises(InputError, match="not a proof file"):
        decode(b"{" + path.encode())
    monkeypatch.undo()
    long = f'{{"format": "quanheng consistency proof 1", "path": {path}, "old": "", "new": ""}}'
    with pytest.raises(InputError, match="the path of a proof is not a list of hashes; was 131 pieces"):
        decode(long.encode())
