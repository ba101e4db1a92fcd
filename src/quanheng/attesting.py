"""That a weights file is the one that was approved, as a file that anybody checks offline with the log's public key.

The chain: the bytes of the weights → their hash in the declaration → both by name and hash in the list of files of the
version → that list's hash, which is the version's name → the steps and the activation that name it → records of the
log under one signed checkpoint. Who approved what is so proved without trust in whoever serves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec
import numpy as np

from quanheng.decisions.versions import Move
from quanheng.kernel.content import read_manifest
from quanheng.kernel.errors import InputError, NotFound, ProofRefused
from quanheng.kernel.log.records import EVENT, decode
from quanheng.kernel.proof_file import InclusionFile, check, prove_inclusion
from quanheng.models.registry.filed import FOLDER, FiledModel, filed_model
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX
from quanheng.state import PACKS_ACTIVATED, VERSION_MOVED, Activated

READ_RECORDS = 65_536
FILE_BYTES_MAX = 256 << 20


class Attestation(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="quanheng model attestation 1"
):
    """What `attest` makes.

    pack, model : which
    manifest : the list of files of the version, whose SHA-256 is the version's hash
    declaration : the model's declaration with its card, as the version holds it
    records : proofs of every step of the version, and of the newest activation with it
    """

    pack: str
    model: str
    manifest: bytes
    declaration: bytes
    records: tuple[InclusionFile, ...]


class Attested(NamedTuple):
    """What an attestation that verified has proved.

    origin, size : the log, and how many records its checkpoint covers
    version : hash of the version of the pack; weights : "sha256:" and the hash of the weights file
    moves : the steps of the version, oldest first; offsets : where the log holds them
    activated, activation : the newest set of packs with it, and its offset; None, -1 where it never came into force
    trial_bp : basis points as a challenger there; -1 in the shadow, 0 as the champion
    """

    origin: str
    size: int
    pack: str
    version: str
    model: FiledModel
    weights: str
    moves: tuple[Move, ...]
    offsets: tuple[int, ...]
    activated: Activated | None
    activation: int
    trial_bp: int


def attest(reader: Reader, pack: str, model: FiledModel, version: str) -> Attestation:
    """Prove from the log what was done with a version that holds a model.

    Raises
    ------
    NotFound : the log holds no step and no activation of it
    ConfigurationError : the log was opened without a signing key
    """
    offsets = _offsets(reader, pack, version)
    if not offsets:
        raise NotFound("the log holds no step of this version", where=pack, found=version[:12])
    note = reader.log.checkpoint()
    manifest = reader.content.get(version)
    records = tuple(prove_inclusion(reader.log, offset, note) for offset in offsets)
    return Attestation(pack, model.name, manifest, model.text, records)


def _offsets(reader: Reader, pack: str, version: str) -> list[int]:
    """Every step of a version, and the newest activation with it."""
    steps, activation = [], -1
    head = reader.log.head
    for first, columns in reader.log.read_columns(0, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, head, READ_RECORDS):
        own = (columns.type == VERSION_MOVED) | (columns.type == PACKS_ACTIVATED)
        for row in np.flatnonzero((columns.kind == EVENT) & own).tolist():
            payload = columns.record(row).payload
            if columns.type[row] == VERSION_MOVED:
                move = msgspec.json.decode(payload, type=Move)
                steps += [first + row] if (move.pack, move.hash) == (pack, version) else []
            elif _place(msgspec.json.decode(payload, type=Activated), pack, version) is not None:
                activation = first + row
    return [*steps, *([activation] if activation >= 0 else [])]


def _place(activated: Activated, pack: str, version: str) -> int | None:
    """As what a version is in force: 0 the champion, -1 in the shadow, else its share; None = not at all."""
    if activated.packs.get(pack) == version:
        return 0
    tried = [one.share_bp or -1 for one in activated.trials if (one.pack, one.hash) == (pack, version)]
    return tried[0] if tried else None


def encode(made: Attestation) -> bytes:
    """The file as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


def check_attestation(data: bytes, weights: bytes | None, verifier_keys: str | Sequence[str]) -> Attested:
    """Check an attestation without the log.

    Parameters
    ----------
    weights : the file that is served; None checks all but that
    verifier_keys : public keys of the log; each must have signed

    Raises
    ------
    ProofRefused : a signature or a path does not verify, or something is not what the log says; it names what
    InputError : not an attestation, or not a key
    """
    made = _decoded(data)
    version = sha256(made.manifest).hexdigest()
    model = _model(made)
    if weights is not None and (found := f"sha256:{sha256(weights).hexdigest()}") != model.hash:
        raise ProofRefused(
            "the weights are not those of the version", where=f"{FOLDER}{model.weights}", found=found,
            allowed=model.hash, cure="Ask which model is served, and keep both files.",
        )  # fmt: skip
    checked = [check(one, verifier_keys) for one in made.records]
    moves, offsets, activated, activation = [], [], None, -1
    for one in checked:
        record = decode(one.record or b"", 0)
        if record.kind == EVENT and record.type == VERSION_MOVED:
            moves.append(msgspec.json.decode(record.payload, type=Move))
            offsets.append(one.offset)
        elif record.kind == EVENT and record.type == PACKS_ACTIVATED:
            activated, activation = msgspec.json.decode(record.payload, type=Activated), one.offset
    places = [_place(activated, made.pack, version)] if activated is not None else [0]
    if None in places or any((one.pack, one.hash) != (made.pack, version) for one in moves) or not checked:
        raise ProofRefused(
            "the records of the log are about another version", where=made.pack, found=version[:12],
            cure="Ask for the attestation again.",
        )  # fmt: skip
    order = sorted(range(len(moves)), key=offsets.__getitem__)
    return Attested(
        checked[0].origin, checked[0].size, made.pack, version, model, model.hash, tuple(moves[at] for at in order),
        tuple(offsets[at] for at in order), activated, activation, places[0] or 0,
    )  # fmt: skip


def _decoded(data: bytes) -> Attestation:
    if len(data) > FILE_BYTES_MAX:
        raise InputError("not an attestation", found=f"{len(data)} bytes", allowed=f"at most {FILE_BYTES_MAX} bytes")
    try:
        made = msgspec.json.decode(data, type=Attestation)
    except msgspec.DecodeError as error:
        raise InputError(
            "not an attestation", found=str(error)[:200], allowed="what `quanheng models prove` wrote"
        ) from error
    if any(one.record is None for one in made.records):
        raise InputError("an attestation holds its records whole", found="a record left out")
    return made


def _model(made: Attestation) -> FiledModel:
    """The model, whose declaration and weights the version lists under their hashes."""
    listed, digest = read_manifest(made.manifest), sha256(made.declaration).hexdigest()
    files = [name for name, hash in listed.items() if hash == digest and name.startswith(FOLDER)]
    model = filed_model(files[0], made.declaration) if files else None
    if model is None or model.name != made.model:
        raise ProofRefused(
            "the declaration is not one of the version", where=f"{made.pack} {made.model}", found=digest[:12],
            cure="Ask for the attestation again.",
        )  # fmt: skip
    if f"sha256:{listed.get(FOLDER + model.weights, '')}" != model.hash:
        raise ProofRefused(
            "the version holds other weights than its declaration names", where=f"{FOLDER}{model.weights}",
            found=listed.get(FOLDER + model.weights, "nothing")[:12], allowed=model.hash,
        )  # fmt: skip
    return model


def approvers(found: Attested) -> list[str]:
    """Who approved or promoted the version, the authors left out: they may not."""
    authors = {one.actor for one in found.moves if one.step in ("draft", "submit")}
    return _once(one.actor for one in found.moves if one.step in ("approve", "promote") and one.actor not in authors)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
