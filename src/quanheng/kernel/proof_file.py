"""Proofs as files: JSON that an outsider checks offline, with the public key of the log and nothing else.

docs/reference/proofs.md has the format. An inclusion proof says that a record stands at an offset of the log that a
signed checkpoint describes; a consistency proof, that the log of a newer checkpoint begins with that of an older one.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from quanheng.kernel import checkpoint as signing
from quanheng.kernel import proof
from quanheng.kernel.errors import InputError, LogCorrupt, ProofRefused
from quanheng.kernel.hashing import HASH_BYTES

if TYPE_CHECKING:
    from quanheng.kernel.log.log import Log

FILE_BYTES_MAX = 256 << 20
"""A proof is a few kilobytes and the record; a record is far below this."""
PATH_MAX = 130
"""Hashes of the longest path: a consistency proof of a tree of 2**64 leaves has fewer."""


class InclusionFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="quanheng inclusion proof 1"
):
    """That a record stands at `offset` of the log that `checkpoint` signs.

    offset : log offset of the record
    path : hashes from the leaf's sibling up to the child of the root (RFC 6962, 2.1.1)
    checkpoint : the signed note
    record : the record as it is stored; None leaves its content out
    leaf : SHA-256(0x00 || record), where the record is left out
    """

    offset: int
    path: tuple[bytes, ...]
    checkpoint: str
    record: bytes | None = None
    leaf: bytes | None = None


class ConsistencyFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="quanheng consistency proof 1"
):
    """That the log that `new` signs begins with the one that `old` signs.

    path : hashes of RFC 6962, 2.1.2
    old, new : the signed notes
    """

    path: tuple[bytes, ...]
    old: str
    new: str


ProofFile = InclusionFile | ConsistencyFile


class Checked(NamedTuple):
    """What a proof that verified has proved.

    old_size : size of the older log (consistency); -1 for an inclusion proof
    offset, leaf : of the record (inclusion); -1 and nothing for a consistency proof
    record : its bytes, where the file holds them
    """

    origin: str
    size: int
    old_size: int = -1
    offset: int = -1
    leaf: bytes = b""
    record: bytes | None = None


def prove_inclusion(log: Log, offset: int, note: str = "", with_record: bool = True) -> InclusionFile:
    """A file that proves the record at `offset` under the checkpoint `note` (default: one of now).

    Raises
    ------
    NotFound : the checkpoint does not cover this offset
    LogCorrupt : the log is not the one that the checkpoint describes
    ConfigurationError : no checkpoint was given, and the log was opened without a signing key
    """
    note = note or log.checkpoint()
    signed, _ = signing.parse(note)
    made = log.prove(offset, signed.size)
    _same_root(signed, made.root)
    record = log.record_bytes(offset) if with_record else None
    return InclusionFile(offset, made.path, note, record, None if with_record else made.leaf)


def prove_consistency(log: Log, old_note: str, new_note: str = "") -> ConsistencyFile:
    """A file that proves that the log of `new_note` (default: a checkpoint of now) begins with that of `old_note`.

    Raises
    ------
    NotFound : the log has no such size
    LogCorrupt : the log is not the one that a checkpoint describes
    ConfigurationError : no checkpoint was given, and the log was opened without a signing key
    """
    new_note = new_note or log.checkpoint()
    old, new = (signing.parse(note)[0] for note in (old_note, new_note))
    made = log.prove_extends(old.size, new.size)
    _same_root(old, made.old_root)
    _same_root(new, made.new_root)
    return ConsistencyFile(made.path, old_note, new_note)


def _same_root(signed: signing.Checkpoint, root: bytes) -> None:
    if root != signed.root:
        raise LogCorrupt(
            "the log does not begin with what the checkpoint describes",
            where=f"the first {signed.size} records",
            found=root.hex(),
            allowed=signed.root.hex(),
            cure="It is a checkpoint of another log, or this log was written anew: keep both, and ask which.",
        )


def encode(made: ProofFile) -> bytes:
    """The file as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


def decode(data: bytes) -> ProofFile:
    """What `encode` wrote.

    Raises
    ------
    InputError : not a proof of this format
    """
    if len(data) > FILE_BYTES_MAX:
        raise InputError("not a proof file", found=f"{len(data)} bytes", allowed=f"at most {FILE_BYTES_MAX} bytes")
    try:
        made: ProofFile = msgspec.json.decode(data, type=ProofFile)
    except msgspec.DecodeError as error:
        raise InputError(
            "not a proof file", found=str(error)[:200], allowed="JSON as in docs/reference/proofs.md"
        ) from error
    if len(made.path) > PATH_MAX or any(len(one) != HASH_BYTES for one in made.path):
        raise InputError("the path of a proof is not a list of hashes", found=f"{len(made.path)} pieces")
    if isinstance(made, InclusionFile) and (made.record is None) == (made.leaf is None):
        raise InputError("a proof holds either the record or its hash", found="both, or neither")
    return made


def check(made: ProofFile, verifier_keys: str | Sequence[str]) -> Checked:
    """Check a proof against the signatures on its checkpoints. Needs no log.

    Parameters
    ----------
    verifier_keys : public keys of the log, each of which must have signed (see `kernel.checkpoint.verify`)

    Raises
    ------
    ProofRefused : a signature does not verify, or the path does not lead to the signed root
    InputError : a note or a key is not in its form
    """
    if isinstance(made, ConsistencyFile):
        return _check_consistency(made, verifier_keys)
    signed = signing.verify(made.checkpoint, verifier_keys)
    leaf = proof.leaf_hash(made.record) if made.record is not None else made.leaf or b""
    if not proof.verify_inclusion(proof.InclusionProof(made.offset, signed.size, leaf, made.path, signed.root)):
        raise ProofRefused(
            "the proof does not lead from the record to the signed root",
            where=f"{signed.origin}, offset {made.offset}",
            found=f"a leaf {leaf.hex()[:16]}… and a path of {len(made.path)} hashes",
            allowed=f"a path to {base64.b64encode(signed.root).decode()} over {signed.size} records",
            cure="Record, offset, path or checkpoint were changed, or belong to different proofs: ask for it again.",
        )
    return Checked(signed.origin, signed.size, -1, made.offset, leaf, made.record)


def check_proof(data: bytes, verifier_keys: str | Sequence[str]) -> Checked:
    """Check the bytes of a proof file (`quanheng log prove`, `prove-consistency`) without the log.

    Parameters
    ----------
    data : the file
    verifier_keys : public keys of the log, as `quanheng log key` shows them; each must have signed

    Returns
    -------
    what was proved: origin, size, and offset, leaf hash and record (inclusion) or old_size (consistency)

    Raises
    ------
    ProofRefused : a signature does not verify, or the path does not lead to the signed root
    InputError : not a proof file, or not a key
    """
    return check(decode(data), verifier_keys)


def _check_consistency(made: ConsistencyFile, verifier_keys: str | Sequence[str]) -> Checked:
    old, new = signing.verify(made.old, verifier_keys), signing.verify(made.new, verifier_keys)
    if not proof.verify_consistency(proof.ConsistencyProof(old.size, new.size, old.root, new.root, made.path)):
        raise ProofRefused(
            "the proof does not lead from the older signed root to the newer one",
            where=new.origin,
            found=f"sizes {old.size} and {new.size}, a path of {len(made.path)} hashes",
            allowed="a path that leads to both roots",
            cure="Where another proof does not do it either, the log was written anew: both notes are the evidence.",
        )
    return Checked(new.origin, new.size, old.size)
