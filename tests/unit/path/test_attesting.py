"""Whose weights are served is proved from the log, to somebody who has its public key and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rated import rated_engine, stump
from test_registering import drafted, take

from quanheng.attesting import Attestation, approvers, attest, check_attestation, encode
from quanheng.kernel.errors import InputError, NotFound, ProofRefused
from quanheng.kernel.seal import KeyRing

WEIGHTS = stump(400_000).to_bytes()


@pytest.fixture
def engine(tmp_path):
    engine = rated_engine(tmp_path)
    yield engine
    engine.close()


def keys(engine) -> list[str]:
    from quanheng.kernel.signing_keys import ED25519_ALONE

    ring: KeyRing = engine.ring
    return ring.signer(*ED25519_ALONE.of(Path(engine.folder))).verifier_keys()


def made(engine, hash: str) -> Attestation:
    return attest(engine.reader, "rated", engine.models.models_of(hash)["risk_score"], hash)


def test_who_approved_which_weights_is_proved_without_the_log(engine):
    hash = drafted(engine)
    take(engine, "promote", version=hash, actor="eva")
    found = check_attestation(encode(made(engine, hash)), WEIGHTS, keys(engine))
    assert (found.version, found.weights) == (hash, stump(400_000).hash)
    assert [(one.step, one.actor) for one in found.moves] == [
        ("draft", "ann"), ("submit", "ann"), ("approve", "bo"), ("promote", "eva"),
    ]  # fmt: skip
    assert approvers(found) == ["bo", "eva"]
    assert found.model.card is not None
    assert (found.activation, found.trial_bp) == (engine.state.program.activation, 0)


def test_a_challenger_and_a_shadow_are_told_from_a_champion(engine):
    hash = drafted(engine)
    assert check_attestation(encode(made(engine, hash)), None, keys(engine)).activated is None
    take(engine, "shadow", version=hash)
    assert check_attestation(encode(made(engine, hash)), None, keys(engine)).trial_bp == -1
    take(engine, "share", version=hash, share_bp=1_500)
    assert check_attestation(encode(made(engine, hash)), None, keys(engine)).trial_bp == 1_500


def test_what_was_installed_directly_has_no_steps_and_nobody_who_approved(engine):
    first = engine.state.versions.champion("rated").hash
    found = check_attestation(encode(made(engine, first)), stump(300_000).to_bytes(), keys(engine))
    assert (found.moves, approvers(found), found.trial_bp) == ((), [], 0)


def refused(engine, attestation: Attestation, text: str, weights: bytes | None = None) -> None:
    with pytest.raises(ProofRefused, match=text):
        check_attestation(encode(attestation), weights, keys(engine))


def test_every_link_of_the_chain_is_checked(engine):
    hash = drafted(engine)
    good = made(engine, hash)
    other = made(engine, engine.state.versions.champion("rated").hash)
    replace = msgspec.structs.replace
    refused(engine, good, "the weights are not those of the version", WEIGHTS + b"x")
    refused(engine, replace(good, declaration=good.declaration + b"\n"), "the declaration is not one of the version")
    refused(engine, replace(good, records=other.records), "the records of the log are about another version")
    refused(engine, replace(good, pack="shop"), "the records of the log are about another version")
    refused(engine, replace(good, records=()), "the records of the log are about another version")
    forged = good.manifest.replace(stump(400_000).hash[7:].encode(), stump(300_000).hash[7:].encode())
    refused(engine, replace(good, manifest=forged), "the version holds other weights than its declaration names")
    path = list(good.records[0].path)
    path[0] = bytes(32)
    broken = replace(good.records[0], path=tuple(path))
    refused(engine, replace(good, records=(broken, *good.records[1:])), "does not lead from the record")


def test_what_is_no_attestation_is_refused(engine):
    hash = drafted(engine)
    good = made(engine, hash)
    with pytest.raises(InputError, match="not an attestation; was"):
        check_attestation(b"{}", None, keys(engine))
    bare = msgspec.structs.replace(good.records[0], record=None, leaf=bytes(32))
    with pytest.raises(InputError, match="an attestation holds its records whole; was a record left out"):
        check_attestation(encode(msgspec.structs.replace(good, records=(bare,))), None, keys(engine))
    with pytest.raises(NotFound, match="the log holds no step of this version; was 000000000000"):
        attest(engine.reader, "rated", engine.models.models_of(hash)["risk_score"], "0" * 64)
