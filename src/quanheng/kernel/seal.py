"""The key ring: pseudonyms, request keys, and one AES-256-GCM key per subject, in a folder of its own.

The ring lives outside log, snapshots and backups: whoever has the log without the ring reads no payload and no name.
Destroying a subject's key erases every payload sealed for the subject; the log still verifies, since its hashes cover
the ciphertext. Subject keys are stored wrapped under the master key; a key is durable before anything sealed with it is
given back, so no record can be in the log whose key is not on the disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quanheng.kernel.checkpoint import Signer
from quanheng.kernel.erasure import erasing, truncate_wal
from quanheng.kernel.errors import ConfigurationError, DataErased, LogError, SealBroken
from quanheng.kernel.files import Files
from quanheng.kernel.hashing import digest_with, prefixed
from quanheng.kernel.signing_keys import ED25519_ALONE, SigningKeys
from quanheng.kernel.wal import connect_durably

NO_SUBJECT = bytes(16)
NONCE_BYTES = 12
KEYS_CACHED_MAX = 200_000
PSEUDONYMS_CACHED_MAX = 400_000
DEVELOPMENT_MARK = "development.txt"
_MASTER = "master.key"
_ASK_MAX = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (subject BLOB PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasures (subject BLOB PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID;
"""


class KeyRing:
    """Open one with `KeyRing.open(folder)`.

    Attributes
    ----------
    created : this call made the ring
    is_development : the ring was made by default, not brought by the institution
    holds_erased_bytes : a reader came during the last erasure: the key is gone, its old bytes may still be in the
        write-ahead log, until the next erasure or start
    """

    def __init__(self, folder: Path, master: bytes, connection: Any, created: bool, is_development: bool) -> None:
        self.folder, self.created, self.is_development = folder, created, is_development
        self._db = connection
        self._lock = threading.RLock()
        self._wrap = AESGCM(_derive(master, b"wrap"))
        self._pseudonym_base = blake2b(key=_derive(master, b"pseudonym"), digest_size=16)
        self._request_base = blake2b(key=_derive(master, b"request"), digest_size=16)
        self._signing = SigningKeys(connection, self._wrap, partial(_derive, master), folder)
        self._keys: dict[bytes, AESGCM] = {}
        self.holds_erased_bytes = False
        self._version = 0
        self._pseudonyms: dict[tuple[str, str], bytes] = {}
        self._entities: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        files: Files | None = None,
        connect: Callable[..., Any] = sqlite3.connect,
        random: Callable[[int], bytes] = os.urandom,
    ) -> KeyRing:
        """Open the ring in `folder`; where there is none, make a development ring (see `created`).

        Raises
        ------
        ConfigurationError : the master key is missing, unreadable, or not the one the keys are wrapped with
        """
        folder, files = Path(folder), files or Files()
        files.make_folder(folder, 0o700)
        names = files.names(folder)
        created = _MASTER not in names
        if created:
            if "keys.db" in names:
                raise ConfigurationError(
                    "the master key is missing but subject keys are there",
                    where=str(folder / _MASTER),
                    cure="Put the master key file back; without it no payload can be read.",
                )
            files.write_durably(
                folder / DEVELOPMENT_MARK, b"Made by default. Bring your own master key in production.\n"
            )
            files.write_durably(folder / _MASTER, random(32).hex().encode() + b"\n", 0o600)
        else:
            files.sync_folder(folder)  # Whoever made the ring may have ended before its name was on the disk.
        master = _parse_master(files.read(folder / _MASTER), folder)
        connection = _open_keys(folder / "keys.db", connect, files)
        _check_master(connection, master, folder)
        return cls(folder, master, connection, created, DEVELOPMENT_MARK in files.names(folder))

    def pseudonyms(self, entity: str, ids: Sequence[str]) -> list[bytes]:
        """Those of many ids at once; they do not push the ones asked for lately out of memory."""
        base = prefixed(self._pseudonym_base, entity)
        return [digest_with(base, id) for id in ids]

    def pseudonym(self, entity: str, id: str) -> bytes:
        """The 16-byte pseudonym of `id` among `entity`: keyed BLAKE2b, the same for ever under one ring."""
        found = self._pseudonyms.get((entity, id))
        if found is None:
            base = self._entities.get(entity)
            if base is None:
                base = self._entities[entity] = prefixed(self._pseudonym_base, entity)
            found = digest_with(base, id)
            if len(self._pseudonyms) >= PSEUDONYMS_CACHED_MAX:
                self._pseudonyms.clear()
            self._pseudonyms[entity, id] = found
        return found

    def request_key(self, client: str, id: str) -> bytes:
        """The 16-byte key of request `id` of `client`: keyed BLAKE2b."""
        base = self._clients.get(client)
        if base is None:
            base = self._clients[client] = prefixed(self._request_base, client)
        hasher = base.copy()
        hasher.update(id.encode("utf-8", "surrogatepass"))
        return hasher.digest()  # type: ignore[no-any-return]

    def seal_many(self, subjects: Sequence[bytes], headers: Sequence[bytes], payloads: Sequence[bytes]) -> list[bytes]:
        """Nonce and ciphertext for each payload, bound to its header; a payload of `NO_SUBJECT` stays in clear.

        Missing keys are made, and durable before return.
        """
        self._forget_if_changed()
        keys = self._keys
        if not all(map(keys.__contains__, subjects)):
            with self._lock:
                self._ensure(subjects)
                keys = self._keys
        pool = os.urandom(NONCE_BYTES * len(subjects))
        nonces = [pool[at : at + NONCE_BYTES] for at in range(0, len(pool), NONCE_BYTES)]
        return [
            payload if subject == NO_SUBJECT else nonce + keys[subject].encrypt(nonce, payload, header)
            for subject, nonce, payload, header in zip(subjects, nonces, payloads, headers, strict=True)
        ]

    def unseal(self, subject: bytes, header: bytes, sealed: bytes) -> bytes:
        """The payload in clear.

        Raises
        ------
        DataErased : the subject's key was destroyed
        SealBroken : header or payload are not what was sealed
        """
        if subject == NO_SUBJECT:
            return sealed
        with self._lock:
            self._forget_if_changed()
            key = self._keys.get(subject) or self._load([subject]).get(subject)
            erased = bool(self._db.execute("SELECT 1 FROM erasures WHERE subject = ?", (subject,)).fetchall())
        if key is None:
            if erased:
                raise DataErased("the key of this subject was destroyed", where=f"subject {subject.hex()}")
            raise SealBroken(
                "the ring has no key for this subject",
                where=f"subject {subject.hex()}",
                cure="Open the key ring that belongs to this log.",
            )
        try:
            return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], header)
        except (InvalidTag, ValueError) as error:
            if erased:
                raise DataErased(
                    "this was sealed before the key of the subject was destroyed, or it was changed",
                    where=f"subject {subject.hex()}",
                    cure="`quanheng log verify` tells which.",
                ) from error
            raise SealBroken(
                "the sealed payload does not verify",
                where=f"subject {subject.hex()}",
                cure="The record was changed or belongs to another ring; run `quanheng log verify`.",
            ) from error

    def unseal_many(
        self, subjects: Sequence[bytes], headers: Sequence[bytes], sealed: Sequence[bytes]
    ) -> list[bytes | None]:
        """The payloads in clear, None for those whose subject was erased. One look at the ring for all of them.

        Raises
        ------
        SealBroken : a payload that was not erased does not verify
        """
        with self._lock:
            self._forget_if_changed()
            distinct = [one for one in dict.fromkeys(subjects) if one != NO_SUBJECT]
            if len(self._keys) + len(distinct) > KEYS_CACHED_MAX:
                self._keys = {}
            self._load([one for one in distinct if one not in self._keys])
            keys = self._keys
        found: list[bytes | None] = []
        for subject, header, payload in zip(subjects, headers, sealed, strict=True):
            try:
                found.append(keys[subject].decrypt(payload[:NONCE_BYTES], payload[NONCE_BYTES:], header))
            except (KeyError, InvalidTag, ValueError):  # Not sealed, erased, or broken.
                found.append(payload if subject == NO_SUBJECT else self._unseal_or_none(subject, header, payload))
        return found

    def _unseal_or_none(self, subject: bytes, header: bytes, sealed: bytes) -> bytes | None:
        try:
            return self.unseal(subject, header, sealed)
        except DataErased:
            return None

    def erase(self, subject: bytes, upto: int = 0) -> bool:
        """Destroy the key of `subject`, for good: its bytes leave the file and the WAL. False if there was none.

        `upto` is the log offset of the erasure; `erased_upto` tells which erasures were carried out.

        Raises
        ------
        KeyRingBusy : another process holds the ring; nothing was done
        """
        with self.erasing(subject) as destroy:
            return destroy(upto)

    @contextlib.contextmanager
    def erasing(self, subject: bytes) -> Iterator[Callable[[int], bool]]:
        """Hold the ring for an erasure: within, record it, then call what is given with its log offset.

        Whether another process holds the ring is found out before: then nothing is recorded and nothing destroyed.
        Leaving with an error destroys nothing.

        Raises
        ------
        KeyRingBusy : another process holds the ring; nothing was done
        AppendFailed : the disk did not confirm the destruction; the next start completes it
        """
        with self._lock:
            with erasing(self._db, subject, str(self.folder)) as destroy:
                yield destroy
            keys = dict(self._keys)
            keys.pop(subject, None)
            self._keys = keys
            self.holds_erased_bytes = True
            with contextlib.suppress(sqlite3.Error):  # The key is gone; the next erasure or start tries again.
                self.holds_erased_bytes = not truncate_wal(self._db)

    def is_erased(self, subject: bytes) -> bool:
        """True when `subject` was erased at some time."""
        return self.erased_upto(subject) >= 0

    def erased_upto(self, subject: bytes) -> int:
        """The newest erasure of `subject` that was carried out, as `erase` was told; -1 if there was none."""
        with self._lock:
            rows = self._db.execute("SELECT upto FROM erasures WHERE subject = ?", (subject,)).fetchall()
        return int(rows[0][0]) if rows else -1

    def signer(self, origin: str, kinds: Sequence[str] = ED25519_ALONE.kinds) -> Signer:
        """Signs checkpoints under the name `origin` with the ring's keys of these kinds (`kernel.signing.TYPES`)."""
        with self._lock:
            return Signer(origin, [self._signing.key(kind) for kind in kinds])

    def close(self) -> None:
        """Close the file; keys in memory are dropped."""
        with self._lock:
            self._keys = {}
            self._db.close()

    def _forget_if_changed(self) -> None:
        """Drop the keys in memory if another process has changed the ring: it may have erased some."""
        with self._lock:
            version = self._db.execute("PRAGMA data_version").fetchall()[0][0]
            if version != self._version:
                self._keys, self._version = {}, version

    def _ensure(self, subjects: Sequence[bytes]) -> None:
        """Load or make the keys of `subjects`; new ones are durable on return."""
        with self._lock:
            wanted = list(dict.fromkeys(subjects))
            if len(self._keys) + len(wanted) > KEYS_CACHED_MAX:
                self._keys = {subject: self._keys[subject] for subject in wanted if subject in self._keys}
            wanted = [subject for subject in wanted if subject not in self._keys and subject != NO_SUBJECT]
            found = self._load(wanted)
            missing = [subject for subject in wanted if subject not in found]
            if missing:
                fresh = os.urandom(44 * len(missing))
                rows = []
                made = {}
                for index, subject in enumerate(missing):
                    key, nonce = fresh[44 * index : 44 * index + 32], fresh[44 * index + 32 : 44 * index + 44]
                    rows.append((subject, nonce + self._wrap.encrypt(nonce, key, subject)))
                    made[subject] = AESGCM(key)
                with _transaction(self._db):
                    self._db.executemany("INSERT INTO keys VALUES (?, ?)", sorted(rows))
                self._keys.update(made)
            self._keys.setdefault(
                NO_SUBJECT, AESGCM(bytes(32))
            )  # Never used: keeps the fast check of seal_many simple.

    def _load(self, subjects: Sequence[bytes]) -> dict[bytes, AESGCM]:
        """Keys that are on the disk, put into the cache."""
        found: dict[bytes, AESGCM] = {}
        for at in range(0, len(subjects), _ASK_MAX):
            some = subjects[at : at + _ASK_MAX]
            marks = ", ".join("?" * len(some))
            for subject, wrapped in self._db.execute(
                f"SELECT subject, wrapped FROM keys WHERE subject IN ({marks})", tuple(some)
            ).fetchall():
                found[subject] = AESGCM(self._unwrap(subject, wrapped))
        self._keys.update(found)
        return found

    def _unwrap(self, subject: bytes, wrapped: bytes) -> bytes:
        try:
            return self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject)
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                "a stored key does not verify under the master key",
                where=f"{self.folder}: subject {subject.hex()}",
                cure="Restore the key ring from its own copy.",
            ) from error


@contextlib.contextmanager
def _transaction(connection: Any) -> Iterator[Callable[..., Any]]:
    """BEGIN IMMEDIATE .. COMMIT, rolled back on any error."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection.execute
        connection.execute("COMMIT")
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself.
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise LogError(
                "the key ring did not confirm a durable write",
                found=str(error),
                cure="Check the disk (space, health), then start again.",
            ) from error
        raise


def _derive(master: bytes, purpose: bytes) -> bytes:
    return blake2b(b"quanheng ring v1", key=master, person=purpose, digest_size=32).digest()


def _parse_master(raw: bytes, folder: Path) -> bytes:
    try:
        master = bytes.fromhex(raw.decode().strip())
    except (UnicodeDecodeError, ValueError):
        master = b""
    if len(master) != 32:
        raise ConfigurationError(
            "not a master key",
            where=str(folder / _MASTER),
            found=f"{len(raw)} bytes",
            allowed="64 hexadecimal digits",
            cure="Put the right file back, or move the folder away to begin with a new ring.",
        )
    return master


def _open_keys(path: Path, connect: Callable[..., Any], files: Files) -> Any:
    try:
        connection = connect_durably(str(path), connect, files, ("PRAGMA secure_delete = ON",))
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(
            "the key ring cannot be read",
            where=str(path),
            found=str(error),
            cure="Restore the key ring from its own copy.",
        ) from error
    return connection


def _check_master(connection: Any, master: bytes, folder: Path) -> None:
    """Refuse a master key other than the one the stored keys are wrapped with, before anything is sealed with it."""
    rows = connection.execute("SELECT subject, wrapped FROM keys LIMIT 1").fetchall()
    for subject, wrapped in rows:
        try:
            AESGCM(_derive(master, b"wrap")).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject)
        except InvalidTag as error:
            connection.close()
            raise ConfigurationError(
                "the master key is not the one these keys are wrapped with",
                where=str(folder / _MASTER),
                cure="Put the right master key file back.",
            ) from error
