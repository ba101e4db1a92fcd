"""Signed checkpoints of the log, in the text form of C2SP tlog-checkpoint and signed-note.

A checkpoint is three lines (origin, size in decimal, root in base64), an empty line, and signature lines
``— name base64(key id || signature)``. The key id is the first four bytes of
SHA-256(name || 0x0A || signature type || public key); `quanheng.kernel.signing` has the types. What is signed is the
text up to and with the line break before the empty line. One checkpoint may carry several signatures: who knows one
of the keys checks that one, and passes over the others.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from quanheng.kernel.errors import InputError, ProofRefused
from quanheng.kernel.signing import TYPES, SignatureType, SigningKey, ed25519_key, verifies

SIZE_DIGITS_MAX = 20  # Of 2**64.
NOTE_CHARS_MAX = 200_000
"""More than sixteen signatures of the longest kind; what is longer is not looked at."""
HASH_BYTES = 32


class Checkpoint(NamedTuple):
    """That the log named `origin` had `size` records under `root`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class VerifierKey(NamedTuple):
    """A public key with its name, as ``name+key id+base64(signature type || public key)`` says it."""

    name: str
    type: SignatureType
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + self.type.code + self.public).digest()[:4]

    def text(self) -> str:
        """The key as text, to give to those who verify."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.type.code + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that `text` says.

        Raises
        ------
        InputError : not a verifier key, damaged, or of a kind that is not known here
        """
        parts = text.split("+", 2)
        try:
            raw = base64.b64decode(parts[2], validate=True)
        except (IndexError, ValueError) as error:
            raise InputError("not a verifier key", found=text[:80], allowed="name+key id+base64") from error
        for kind in TYPES.values():
            if raw.startswith(kind.code) and len(raw) == len(kind.code) + kind.public_bytes:
                key = cls(parts[0], kind, raw[len(kind.code) :])
                if key.key_id.hex() == parts[1]:
                    return key
        raise InputError(
            "the verifier key is damaged or of another kind", found=text[:80], allowed=", ".join(sorted(TYPES))
        )


class Signer:
    """Signs checkpoints under the name `origin`.

    Parameters
    ----------
    origin : name of the log, and of its keys
    private_key : seed of an Ed25519 key, 32 bytes; or keys of any kind, whose signatures stand in this order
    """

    def __init__(self, origin: str, private_key: bytes | Sequence[SigningKey]) -> None:
        _check_name(origin)
        self.origin = origin
        keys = [ed25519_key(private_key)] if isinstance(private_key, bytes) else private_key
        self._keys = [(VerifierKey(origin, key.type, key.public), key.sign) for key in keys]

    def sign(self, size: int, root: bytes) -> str:
        """The signed checkpoint of a log of `size` records with `root`, as text."""
        text = Checkpoint(self.origin, size, root).text()
        lines = [
            f"— {self.origin} {base64.b64encode(key.key_id + sign(text.encode())).decode()}\n"
            for key, sign in self._keys
        ]
        return f"{text}\n{''.join(lines)}"

    def verifier_key(self) -> str:
        """The first public key as text ``name+key id+base64``, to give to those who verify."""
        return self.verifier_keys()[0]

    def verifier_keys(self) -> list[str]:
        """The public keys as text, in the order of the signatures."""
        return [key.text() for key, _ in self._keys]


def verify(note: str, verifier_keys: str | Sequence[str]) -> Checkpoint:
    """The checkpoint in `note`, if it is signed by the owner of every one of `verifier_keys`.

    Signatures of other keys are passed over, as C2SP signed-note demands. The origin must be the name of the first key:
    two logs of one key ring sign with the same private key, and one must not pass for the other.

    Raises
    ------
    InputError : the note or a key is not in its form
    ProofRefused : a signature is missing or does not verify, or the note is of another log
    MissingExtra, ConfigurationError : this machine cannot check signatures of such a kind
    """
    asked = [verifier_keys] if isinstance(verifier_keys, str) else verifier_keys
    keys = [VerifierKey.parse(one) for one in asked]
    if not keys:
        raise InputError("a checkpoint is worth nothing without a key to check it with", allowed="a verifier key")
    found, signatures = parse(note)
    for key in keys:
        _check_signed(key, signatures, found)
    if found.origin != keys[0].name:
        raise ProofRefused(
            "the checkpoint is of another log than its key",
            where=found.origin,
            found=found.origin,
            allowed=keys[0].name,
            cure="Ask for the checkpoint of that log, or for the key of this one.",
        )
    return found


def parse(note: str) -> tuple[Checkpoint, dict[tuple[str, bytes], list[bytes]]]:
    """What a note says, unverified, and its signatures by name and key id.

    Raises
    ------
    InputError : not a checkpoint
    """
    text, separator, tail = note[:NOTE_CHARS_MAX].rpartition("\n\n")
    lines = text.split("\n")
    if (
        not separator
        or not note.endswith("\n")
        or len(note) > NOTE_CHARS_MAX
        or len(lines) != 3
        or not lines[0]
        or not lines[1].isascii()
        or not lines[1].isdigit()
        or len(lines[1]) > SIZE_DIGITS_MAX
        or str(int(lines[1])) != lines[1]
    ):
        raise InputError("not a checkpoint", found=note[:60], allowed="origin, size, root, an empty line, signatures")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:  # Not base64, or not even ASCII.
        raise InputError("the root of a checkpoint is not base64", found=lines[2][:60]) from error
    found = Checkpoint(lines[0], int(lines[1]), root)
    if len(root) != HASH_BYTES or found.text() != text + "\n":
        raise InputError("the root of a checkpoint is not base64 of 32 bytes", found=lines[2][:60])
    return found, _signatures(tail)


def _signatures(tail: str) -> dict[tuple[str, bytes], list[bytes]]:
    """Lines in another form are passed over: they are signatures of nobody that is known."""
    signatures: dict[tuple[str, bytes], list[bytes]] = {}
    for line in tail.split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            continue
        try:
            raw = base64.b64decode(parts[2], validate=True)
        except ValueError:
            continue
        if base64.b64encode(raw).decode() != parts[2]:  # Bits that decode to nothing: two texts of one signature.
            continue
        signatures.setdefault((parts[1], raw[:4]), []).append(raw[4:])
    return signatures


def _check_signed(key: VerifierKey, signatures: dict[tuple[str, bytes], list[bytes]], found: Checkpoint) -> None:
    given = signatures.get((key.name, key.key_id), [])
    if not given:
        others = sorted({f"{name}+{key_id.hex()}" for name, key_id in signatures})
        raise ProofRefused(
            "the checkpoint is not signed by the expected key",
            where=found.origin,
            found=", ".join(others)[:200] or "no signature",
            allowed=f"{key.name}+{key.key_id.hex()} ({key.type.name})",
        )
    for signature in given:
        if not verifies(key.type, key.public, signature, found.text().encode()):
            raise ProofRefused(
                "the signature of the checkpoint does not verify",
                where=found.origin,
                found=f"{key.name}+{key.key_id.hex()} ({key.type.name})",
                cure="The text was changed after it was signed; ask for it again.",
            )


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise InputError(
            "not a name for a log", found=repr(name), allowed="no space, no plus sign", cure="Use bank.example/log."
        )
