"""Signed checkpoints of the log, in the text form of C2SP tlog-checkpoint and signed-note.

A checkpoint is three lines (origin, size in decimal, root in base64), an empty line, and signature lines
``— name base64(key id || signature)``. The key id is the first four bytes of
SHA-256(name || 0x0A || 0x01 || public key); 0x01 is Ed25519. What is signed is the text up to and with the line break
before the empty line.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quanheng.kernel.errors import InputError, LogCorrupt

_ED25519 = b"\x01"
SIZE_DIGITS_MAX = 20  # Of 2**64.


class Checkpoint(NamedTuple):
    """That the log named `origin` had `size` records under `root`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


class Signer:
    """Signs checkpoints under the name `origin` with an Ed25519 key of 32 bytes."""

    def __init__(self, origin: str, private_key: bytes) -> None:
        _check_name(origin)
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self._public = self._key.public_key().public_bytes_raw()

    def sign(self, size: int, root: bytes) -> str:
        """The signed checkpoint of a log of `size` records with `root`, as text."""
        text = Checkpoint(self.origin, size, root).text()
        signature = _key_id(self.origin, self._public) + self._key.sign(text.encode())
        return f"{text}\n— {self.origin} {base64.b64encode(signature).decode()}\n"

    def verifier_key(self) -> str:
        """The public key as text ``name+key id+base64``, to give to those who verify."""
        key_id = _key_id(self.origin, self._public).hex()
        return f"{self.origin}+{key_id}+{base64.b64encode(_ED25519 + self._public).decode()}"


def verify(note: str, verifier_key: str) -> Checkpoint:
    """The checkpoint in `note`, if it is signed by the owner of `verifier_key`.

    Raises
    ------
    InputError : the note or the key is not in its form
    LogCorrupt : no signature of that key, or it does not verify
    """
    name, public = _parse_verifier(verifier_key)
    text, separator, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if (
        not separator
        or len(lines) < 3
        or not lines[1].isascii()
        or not lines[1].isdigit()
        or len(lines[1]) > SIZE_DIGITS_MAX
        or str(int(lines[1])) != lines[1]
    ):
        raise InputError("not a checkpoint", found=note[:60], allowed="origin, size, root, an empty line, signatures")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:  # Not base64, or not even ASCII.
        raise InputError("the root of a checkpoint is not base64", found=lines[2]) from error
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) == 3 and parts[0] == "—" and parts[1] == name:
            _check_signature(parts[2], name, public, text + "\n")
            return Checkpoint(lines[0], int(lines[1]), root)
    raise LogCorrupt("the checkpoint is not signed by the expected key", where=lines[0], allowed=name)


def _check_signature(encoded: str, name: str, public: bytes, text: str) -> None:
    try:
        raw = base64.b64decode(encoded, validate=True)
        if raw[:4] != _key_id(name, public):
            raise LogCorrupt(
                "the checkpoint is signed by another key of the same name", where=name, found=raw[:4].hex()
            )
        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode())
    except (InvalidSignature, ValueError) as error:
        raise LogCorrupt(
            "the signature of the checkpoint does not verify",
            where=name,
            cure="The text was changed after it was signed; ask for it again.",
        ) from error


def _parse_verifier(verifier_key: str) -> tuple[str, bytes]:
    parts = verifier_key.split("+", 2)
    try:
        raw = base64.b64decode(parts[2], validate=True)
    except (IndexError, ValueError) as error:
        raise InputError("not a verifier key", found=verifier_key[:80], allowed="name+key id+base64") from error
    if len(raw) != 33 or raw[:1] != _ED25519 or _key_id(parts[0], raw[1:]).hex() != parts[1]:
        raise InputError("the verifier key is damaged or of another kind", found=verifier_key[:80], allowed="Ed25519")
    return parts[0], raw[1:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise InputError(
            "not a name for a log", found=repr(name), allowed="no space, no plus sign", cure="Use bank.example/log."
        )
