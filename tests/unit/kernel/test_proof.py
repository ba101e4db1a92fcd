"""Known answers of RFC 6962 trees and of C2SP checkpoints; wrong proofs and notes are refused."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest

from quanheng.kernel import checkpoint, proof
from quanheng.kernel.errors import InputError, ProofRefused

# The eight leaves and roots that implementations of Certificate Transparency (RFC 6962) test themselves with.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow_root(leaves):
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size):
    peaks = proof.extend_peaks(0, [], proof.leaf_hashes(LEAVES[:size]))
    assert proof.root_of(peaks).hex() == ROOTS[size] == slow_root(LEAVES[:size]).hex()


def range_hash(start, level):
    return slow_root(LEAVES[start : start + (1 << level)])


def test_known_inclusion_and_consistency_paths():
    """RFC 6962 section 2.1.3 names the nodes of a tree of seven leaves; here by their definitions."""
    d = LEAVES[:7]
    a, b, c, j = (sha256(b"\x00" + d[i]).digest() for i in (0, 1, 2, 6))
    h = sha256(b"\x00" + d[3]).digest()
    g, k = proof.node_hash(a, b), slow_root(d[4:6])
    i, l = slow_root(d[4:6]), slow_root(d[4:7])  # noqa: E741 - the RFC's letter
    assert proof.inclusion_path(0, 7, range_hash) == (b, proof.node_hash(c, h), l)
    assert proof.inclusion_path(3, 7, range_hash) == (c, g, l)
    assert proof.inclusion_path(6, 7, range_hash) == (i, slow_root(d[:4]))
    assert proof.consistency_path(3, 7, range_hash) == (c, h, g, l)
    assert proof.consistency_path(4, 7, range_hash) == (l,)
    assert proof.consistency_path(6, 7, range_hash) == (k, j, slow_root(d[:4]))


def test_a_path_that_is_too_short_or_too_long_proves_nothing():
    """What its hashes lead to is the claimed root, yet it is no path of a tree of that size."""
    one, two = (sha256(b"\x00" + LEAVES[i]).digest() for i in (0, 1))
    both, extra = proof.node_hash(one, two), sha256(b"another").digest()
    assert proof.verify_inclusion(proof.InclusionProof(0, 2, one, (two,), both))
    assert not proof.verify_inclusion(proof.InclusionProof(0, 8, one, (two,), both))
    assert not proof.verify_inclusion(proof.InclusionProof(0, 8, both, (), both))
    assert not proof.verify_inclusion(proof.InclusionProof(0, 2, one, (two, extra), proof.node_hash(extra, both)))
    assert not proof.verify_inclusion(proof.InclusionProof(2, 2, one, (two,), both))
    assert proof.verify_consistency(proof.ConsistencyProof(1, 2, one, both, (two,)))
    assert not proof.verify_consistency(proof.ConsistencyProof(1, 8, one, both, (two,)))
    assert not proof.verify_consistency(proof.ConsistencyProof(3, 4, both, both, ()))
    longer = proof.ConsistencyProof(3, 4, *(proof.node_hash(extra, slow_root(LEAVES[:n])) for n in (3, 4)), ())
    path = proof.consistency_path(3, 4, range_hash)
    assert not proof.verify_consistency(longer._replace(path=(*path, extra)))
    whole = proof.ConsistencyProof(0, 2, proof.EMPTY_ROOT, both, ())
    assert proof.verify_consistency(whole)
    same = {"old_size": 2, "old_root": both}
    for wrong in ({"old_root": one}, {"path": (two,)}, {"old_size": 2}, {**same, "path": (two,)}):
        assert not proof.verify_consistency(whole._replace(**wrong)), wrong


def test_impossible_questions():
    with pytest.raises(ValueError, match="leaf index 7 is outside a tree of 7 leaves"):
        proof.inclusion_path(7, 7, range_hash)
    with pytest.raises(ValueError, match=r"old size 8 is outside 0\.\.7"):
        proof.consistency_path(8, 7, range_hash)
    with pytest.raises(ValueError, match="a tree of 3 leaves has 2 peaks; was 1"):
        proof.extend_peaks(3, [bytes(32)], [])


@pytest.fixture
def signer():
    return checkpoint.Signer("bank.example/log", bytes(range(32)))


def test_a_checkpoint_has_the_form_of_the_standard(signer):
    note = signer.sign(12, bytes(32))
    lines = note.split("\n")
    assert lines[:4] == ["bank.example/log", "12", base64.b64encode(bytes(32)).decode(), ""]
    assert lines[4].startswith("— bank.example/log ")
    assert lines[5:] == [""]
    raw = base64.b64decode(lines[4].split(" ")[2])
    assert len(raw) == 4 + 64
    assert checkpoint.verify(note, signer.verifier_key()) == ("bank.example/log", 12, bytes(32))


ROOT = base64.b64encode(bytes(32)).decode()


def test_a_published_verifier_key_is_understood():
    """The key of the Go checksum database: its key id is computed in the same way."""
    key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    with pytest.raises(ProofRefused, match="is not signed by the expected key"):
        checkpoint.verify(f"other\n1\n{ROOT}\n\n— other AAAA\n", key)
    with pytest.raises(InputError, match="the verifier key is damaged or of another kind"):
        checkpoint.verify(f"other\n1\n{ROOT}\n\n", key.replace("033de0ae", "033de0af"))


def test_an_unknown_signature_of_a_known_name_is_passed_over():
    note = "go.sum database tree\n31048497\nZTuk3tBUb7wpfvN3/pEZN5R0MPSxTHnXQkNDm2ZBJ5o=\n\n— sum.golang.org AAAA\n"
    with pytest.raises(ProofRefused, match="not signed by the expected key"):
        checkpoint.verify(note, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")


def test_a_changed_checkpoint_is_refused(signer):
    note, key = signer.sign(12, bytes(32)), signer.verifier_key()
    with pytest.raises(ProofRefused, match=r"the signature of the checkpoint does not verify.*text was changed"):
        checkpoint.verify(note.replace("\n12\n", "\n13\n"), key)
    with pytest.raises(ProofRefused, match="not signed by the expected key"):
        checkpoint.verify(note, checkpoint.Signer("bank.example/log", bytes(32)).verifier_key())
    with pytest.raises(ProofRefused, match="not signed by the expected key"):
        checkpoint.verify(note, checkpoint.Signer("other", bytes(32)).verifier_key())
    with pytest.raises(ProofRefused, match="not signed by the expected key; was no signature"):
        checkpoint.verify(note[:-2] + "é\n", key)
    extra = note.replace("\n\n", "\n\n— witness.example AAAA\n")  # Other signatures beside ours do no harm.
    assert checkpoint.verify(extra, key).size == 12


@pytest.mark.parametrize(
    "note",
    ["", "a\n1\n", "a\n01\nAAAA\n\n", "a\n-1\nAAAA\n\n", "a\n1\n\n",
     f"a\n{'9' * 5000}\nAAAA\n\n", "a\n1\nAé\n\n"],
)  # fmt: skip
def test_what_is_no_checkpoint(signer, note):
    with pytest.raises(InputError, match=r"not a checkpoint|is not base64"):
        checkpoint.verify(note, signer.verifier_key())


def test_a_root_that_is_not_base64(signer):
    with pytest.raises(InputError, match=r"the root of a checkpoint is not base64; was \?\?\?"):
        checkpoint.verify("a\n1\n???\n\n— a AAAA\n", signer.verifier_key())


def test_names_and_keys_that_do_not_fit():
    for name in ("", "a b", "a+b", "a\n"):
        with pytest.raises(InputError, match=r"not a name for a log.*Use bank\.example/log"):
            checkpoint.Signer(name, bytes(32))
    with pytest.raises(InputError, match=r"not a verifier key; was 'nonsense'|not a verifier key; was nonsense"):
        checkpoint.verify("a\n1\nAAAA\n\n", "nonsense")
    with pytest.raises(InputError, match=r"not a verifier key; was a\+b\+é"):
        checkpoint.verify("a\n1\nAAAA\n\n", "a+b+é")
    name, key_id, key = checkpoint.Signer("bank.example/log", bytes(32)).verifier_key().split("+", 2)
    other = base64.b64encode(b"\x02" + base64.b64decode(key)[1:]).decode()  # The same bytes, said to be another kind.
    with pytest.raises(InputError, match="the verifier key is damaged or of another kind"):
        checkpoint.verify("a\n1\nAAAA\n\n", f"{name}+{key_id}+{other}")
