"""Signatures of checkpoints: the standards' vectors, the twin of SM2, and what a wrong key or signature does."""

from __future__ import annotations

import base64
import builtins
import random
import sqlite3
from hashlib import sha256

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from quanheng.kernel import checkpoint, signing
from quanheng.kernel.checkpoint import Signer, VerifierKey
from quanheng.kernel.errors import ConfigurationError, InputError, LogError, MissingExtra, ProofRefused, SealBroken
from quanheng.kernel.seal import KeyRing
from quanheng.kernel.signing import ED25519, ML_DSA_65, SM2, SM2_SIGNER_ID
from quanheng.testing import slow_sm2

NAME = "bank.example/log"
# GB/T 32918.5, annex A: the signature of "message digest" by the sample key, with the sample nonce.
PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
PUBLIC = (
    0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
    0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
)
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
DIGEST = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640
R = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
S = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA


def packed(*numbers):
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def sm2_stored():
    return packed(PRIVATE, *PUBLIC)


def test_sm3_of_the_standard():
    """GB/T 32905, annex A."""
    assert slow_sm2.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert slow_sm2.sm3(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_the_twin_of_sm2_gives_the_vector_of_the_standard():
    assert slow_sm2.times(PRIVATE, slow_sm2.G) == PUBLIC
    assert slow_sm2.on_curve(PUBLIC)
    assert slow_sm2.times(slow_sm2.N, slow_sm2.G) is None
    assert slow_sm2.digest(PUBLIC, b"message digest", SM2_SIGNER_ID) == DIGEST
    assert slow_sm2.sign(PRIVATE, NONCE, b"message digest", SM2_SIGNER_ID) == (R, S)
    assert slow_sm2.verifies(PUBLIC, R, S, b"message digest", SM2_SIGNER_ID)
    assert not slow_sm2.verifies(PUBLIC, R, S, b"another message", SM2_SIGNER_ID)


def test_sm2_verifies_the_vector_of_the_standard():
    pytest.importorskip("gmssl_pyx")
    assert signing.verifies(SM2, packed(*PUBLIC), packed(R, S), b"message digest")
    for r, s in ((0, S), (R, 0), (slow_sm2.N, S), (R, slow_sm2.N - R), (S, R), (R ^ 1, S)):
        assert not signing.verifies(SM2, packed(*PUBLIC), packed(r, s), b"message digest"), (r, s)
    with pytest.raises(InputError, match="the public key is no point of the curve"):
        signing.verifies(SM2, bytes(63) + b"\1", packed(R, S), b"message digest")


def test_the_library_and_the_twin_of_sm2_agree():
    pytest.importorskip("gmssl_pyx")
    rng = random.Random(32918)
    key = signing.sm2_key(sm2_stored())
    fresh = signing.sm2_key(signing.new_sm2_key())
    for size in (0, 1, 31, 64, 200):
        message = rng.randbytes(size)
        for one in (key, fresh):
            signature = one.sign(message)
            halves = [int.from_bytes(half, "big") for half in (signature[:32], signature[32:])]
            public = tuple(int.from_bytes(half, "big") for half in (one.public[:32], one.public[32:]))
            assert slow_sm2.verifies(public, *halves, message, SM2_SIGNER_ID)
        theirs = slow_sm2.sign(PRIVATE, rng.randrange(1, slow_sm2.N), message, SM2_SIGNER_ID)
        assert signing.verifies(SM2, key.public, packed(*theirs), message)
        assert not signing.verifies(SM2, fresh.public, packed(*theirs), message)


def test_ml_dsa_65_has_the_sizes_of_fips_204_and_a_known_key():
    """The public key of the seed 00 01 … 1f, on which cryptography and dilithium-py agree."""
    key = signing.ml_dsa_65_key(bytes(range(32)))
    signature = key.sign(b"message")
    assert (len(key.public), len(signature)) == (1_952, 3_309) == ML_DSA_65[2:]
    assert sha256(key.public).hexdigest() == "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9"
    assert signing.verifies(ML_DSA_65, key.public, signature, b"message")
    assert key.sign(b"message") != signature  # Hedged.
    assert not signing.verifies(ML_DSA_65, key.public, signature, b"massage")
    for at in (0, 48, 2_000, 3_308):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not signing.verifies(ML_DSA_65, key.public, bytes(changed), b"message")


def test_ed25519_gives_the_vector_of_rfc_8032():
    """Section 7.1, test 2."""
    key = signing.ed25519_key(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert key.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert not signing.verifies(ED25519, key.public, bytes(63), b"\x72")


def signer(kinds=("ed25519", "ml-dsa-65")):
    seed = bytes(range(32))
    keys = {
        "ed25519": lambda: signing.ed25519_key(seed),
        "ml-dsa-65": lambda: signing.ml_dsa_65_key(seed),
        "sm2": lambda: signing.sm2_key(sm2_stored()),
    }
    return Signer(NAME, [keys[kind]() for kind in kinds])


def test_one_checkpoint_carries_several_signatures_and_each_key_checks_its_own():
    pytest.importorskip("gmssl_pyx")
    made = signer(("ed25519", "ml-dsa-65", "sm2"))
    note = made.sign(12, bytes(32))
    assert note.count("\n— bank.example/log ") == 3
    keys = made.verifier_keys()
    for some in (keys, keys[1:], *([key] for key in keys)):
        assert checkpoint.verify(note, some) == (NAME, 12, bytes(32))
    for key in keys:
        assert VerifierKey.parse(key).text() == key


def test_every_key_that_is_asked_for_must_have_signed():
    both, alone = signer(), signer(("ed25519",))
    with pytest.raises(ProofRefused, match=r"not signed by the expected key.*allowed: bank.example/log\+.*\(ml-dsa-65"):
        checkpoint.verify(alone.sign(12, bytes(32)), both.verifier_keys())
    lines = both.sign(12, bytes(32)).split("\n")
    other = both.sign(13, bytes(32)).split("\n")
    spliced = "\n".join([*lines[:5], other[5], ""])  # The Ed25519 signature of this note, the ML-DSA one of another.
    assert checkpoint.verify(spliced, both.verifier_key()).size == 12
    with pytest.raises(ProofRefused, match=r"the signature of the checkpoint does not verify.*\(ml-dsa-65\)"):
        checkpoint.verify(spliced, both.verifier_keys())
    with pytest.raises(InputError, match="a checkpoint is worth nothing without a key"):
        checkpoint.verify(spliced, [])


def test_a_second_signature_of_the_same_key_must_verify_too():
    lines = signer().sign(12, bytes(32)).split("\n")
    other = signer().sign(13, bytes(32)).split("\n")
    with pytest.raises(ProofRefused, match="the signature of the checkpoint does not verify"):
        checkpoint.verify("\n".join([*lines[:5], other[4], ""]), signer().verifier_key())


def test_a_log_does_not_pass_for_another_of_the_same_ring():
    seed = bytes(range(32))
    mine, other = Signer("bank/a", seed), Signer("bank/b", seed)
    note = mine.sign(12, bytes(32))
    raw = base64.b64decode(note.split(" ")[-1])
    relabelled = note.partition("\n\n")[0] + "\n\n— bank/b " + base64.b64encode(
        VerifierKey.parse(other.verifier_key()).key_id + raw[4:]
    ).decode()  # fmt: skip
    with pytest.raises(
        ProofRefused, match="the checkpoint is of another log than its key; was bank/a; allowed: bank/b"
    ):
        checkpoint.verify(relabelled + "\n", other.verifier_key())


def test_the_type_of_a_key_is_part_of_it():
    """A key id covers the type: the same bytes under another type are another key."""
    text = signer(("ed25519",)).verifier_key()
    name, key_id, raw = text.split("+", 2)
    public = base64.b64decode(raw)[1:]
    for code in (b"\x02", b"\xff", ML_DSA_65.code, SM2.code):
        with pytest.raises(InputError, match="the verifier key is damaged or of another kind"):
            VerifierKey.parse(f"{name}+{key_id}+{base64.b64encode(code + public).decode()}")
    with pytest.raises(InputError, match="not a public key of its kind; was 31 bytes; allowed: 32 bytes"):
        signing.verifies(ED25519, public[:31], bytes(64), b"")


def test_what_is_too_long_or_has_further_lines_is_no_checkpoint():
    note, key = signer().sign(12, bytes(32)), signer().verifier_key()
    for wrong in (note + "x" * checkpoint.NOTE_CHARS_MAX, note.replace("\n\n", "\nextension\n\n"), "\n" + note):
        with pytest.raises(InputError, match="not a checkpoint"):
            checkpoint.verify(wrong, key)
    short = base64.b64encode(bytes(31)).decode()
    with pytest.raises(InputError, match="the root of a checkpoint is not base64 of 32 bytes"):
        checkpoint.verify(f"a\n1\n{short}\n\n", key)


def test_sixteen_signatures_of_others_do_no_harm():
    note = signer(("ml-dsa-65",)).sign(12, bytes(32))
    others = "".join(f"— witness{i}.example {base64.b64encode(bytes(3_313)).decode()}\n" for i in range(15))
    assert checkpoint.verify(note.replace("\n\n", "\n\n" + others), signer(("ml-dsa-65",)).verifier_keys()).size == 12


def test_without_the_package_the_text_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "gmssl_pyx":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        MissingExtra, match=r"signing with SM2 needs the package 'gmssl-pyx'.*pip install 'quanheng\[proofs\]'"
    ):
        signing.new_sm2_key()
    with pytest.raises(MissingExtra, match="checking an SM2 signature needs the package 'gmssl-pyx'"):
        signing.verifies(SM2, packed(*PUBLIC), packed(R, S), b"")


def test_a_build_without_ml_dsa_says_so(monkeypatch):
    def unsupported(_):
        raise UnsupportedAlgorithm("no")

    monkeypatch.setattr(mldsa.MLDSA65PrivateKey, "from_seed_bytes", unsupported)
    monkeypatch.setattr(mldsa.MLDSA65PublicKey, "from_public_bytes", unsupported)
    with pytest.raises(ConfigurationError, match="this build of the package cryptography has no ML-DSA"):
        signing.ml_dsa_65_key(bytes(32))
    with pytest.raises(ConfigurationError, match="this build of the package cryptography has no ML-DSA"):
        signing.verifies(ML_DSA_65, bytes(1_952), bytes(3_309), b"")


def test_the_ring_keeps_its_keys_over_restarts(tmp_path):
    pytest.importorskip("gmssl_pyx")
    kinds = ("sm2", "ed25519", "ml-dsa-65")
    rings = [KeyRing.open(tmp_path / "keys") for _ in range(2)]  # Two processes at once make one SM2 key.
    first, second = (ring.signer(NAME, kinds).verifier_keys() for ring in rings)
    for ring in rings:
        ring.close()
    assert first == second == KeyRing.open(tmp_path / "keys").signer(NAME, kinds).verifier_keys()
    assert KeyRing.open(tmp_path / "other").signer(NAME, kinds).verifier_keys() != first
    assert b"signing" not in (tmp_path / "keys" / "master.key").read_bytes()


def test_a_signing_key_that_was_changed_or_cannot_be_kept_is_refused(tmp_path):
    pytest.importorskip("gmssl_pyx")
    ring = KeyRing.open(tmp_path / "keys")
    with pytest.raises(ConfigurationError, match="not a kind of signature; was rsa; allowed: ed25519, ml-dsa-65, sm2"):
        ring.signer(NAME, ["rsa"])
    ring._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LogError, match="the key ring did not keep a new signing key"):
        ring.signer(NAME, ["sm2"])
    ring._db.execute("PRAGMA query_only = OFF")
    ring.signer(NAME, ["sm2"])
    ring.close()
    with sqlite3.connect(tmp_path / "keys" / "keys.db") as db:
        db.execute("UPDATE signing SET wrapped = zeroblob(124)")
    with pytest.raises(SealBroken, match="the stored signing key does not verify under the master key"):
        KeyRing.open(tmp_path / "keys").signer(NAME, ["sm2"])
