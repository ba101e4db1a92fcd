"""The signing keys of a key ring: two are derived from the master key, the SM2 key is made once and kept wrapped.

SM2 has no derivation from a seed in the library that signs with it, and the public key belongs to a private one by an
operation that must not leak it; so GmSSL makes both, and the ring keeps them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quanheng.kernel import signing
from quanheng.kernel.errors import ConfigurationError, LogError, SealBroken
from quanheng.kernel.signing import ED25519, ML_DSA_65, SM2, SigningKey

_SCHEMA = "CREATE TABLE IF NOT EXISTS signing (kind TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID"
_NONCE_BYTES = 12


class Signing(NamedTuple):
    """How the checkpoints of a log are signed.

    origin : name of the log, unlike that of any other; nothing = made of its data folder's name
    kinds : of signatures, in their order on a checkpoint (`kernel.signing.TYPES`)
    """

    origin: str = ""
    kinds: Sequence[str] = (ED25519.name,)

    def of(self, folder: Path) -> tuple[str, Sequence[str]]:
        """Origin and kinds for the log in `folder`, as `KeyRing.signer` takes them."""
        return self.origin or f"quanheng/{folder.name}", self.kinds


ED25519_ALONE = Signing()


class SigningKeys:
    """Keys by kind, made when they are first asked for.

    Parameters
    ----------
    db : connection to the ring's database; the caller holds its lock
    wrap : cipher of the master key
    derive : gives 32 bytes of the master key for a purpose
    """

    def __init__(self, db: Any, wrap: AESGCM, derive: Callable[[bytes], bytes], folder: Path) -> None:
        self._db, self._wrap, self._folder = db, wrap, folder
        self._seeds = {ED25519.name: derive(b"signing"), ML_DSA_65.name: derive(b"sign ml-dsa-65")}
        self._made: dict[str, SigningKey] = {}

    def key(self, kind: str) -> SigningKey:
        """The key of this kind.

        Raises
        ------
        ConfigurationError : there is no such kind, or this machine has no ML-DSA
        MissingExtra : the package that signs with it is not installed
        SealBroken, LogError : the stored key cannot be read or written
        """
        if kind not in self._made:
            makers: dict[str, Callable[[], SigningKey]] = {
                ED25519.name: lambda: signing.ed25519_key(self._seeds[ED25519.name]),
                ML_DSA_65.name: lambda: signing.ml_dsa_65_key(self._seeds[ML_DSA_65.name]),
                SM2.name: lambda: signing.sm2_key(self._stored(SM2.name, signing.new_sm2_key)),
            }
            if kind not in makers:
                raise ConfigurationError("not a kind of signature", found=kind, allowed=", ".join(sorted(makers)))
            self._made[kind] = makers[kind]()
        return self._made[kind]

    def _stored(self, kind: str, make: Callable[[], bytes]) -> bytes:
        """The key that is kept, or a fresh one, durable on return; of two processes at once the first one's stays."""
        context = f"signing {kind}".encode()
        try:
            raw = self._select(kind) or self._keep(kind, make(), context)
        except sqlite3.Error as error:
            raise LogError(
                "the key ring did not keep a new signing key",
                where=str(self._folder),
                found=str(error),
                cure="Check the disk (space, rights), then ask again.",
            ) from error
        try:
            return self._wrap.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                "the stored signing key does not verify under the master key",
                where=f"{self._folder}: {kind}",
                cure="Restore the key ring from its own copy.",
            ) from error

    def _keep(self, kind: str, key: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        wrapped = nonce + self._wrap.encrypt(nonce, key, context)
        self._db.execute("INSERT OR IGNORE INTO signing VALUES (?, ?)", (kind, wrapped))
        return self._select(kind)

    def _select(self, kind: str) -> bytes:
        """The wrapped key; nothing if there is none. The table is made when a key is first asked for."""
        self._db.execute(_SCHEMA)
        rows = self._db.execute("SELECT wrapped FROM signing WHERE kind = ?", (kind,)).fetchall()
        return bytes(rows[0][0]) if rows else b""
