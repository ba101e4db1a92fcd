"""`quanheng log prove`, `prove-consistency`, `check-proof`, `watch`, `key`: proofs that need no trust in the log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from quanheng.cli.common import HERE, Flag, Json, Place, console, reader, show_json
from quanheng.kernel.errors import InputError, NotFound

if TYPE_CHECKING:
    from quanheng.kernel.monitor import Source
    from quanheng.kernel.proof_file import Checked, ProofFile

EXIT_ALARM = 3
Keys = Annotated[tuple[str, ...], Parameter(name="--key", consume_multiple=True, negative=())]


def prove(
    offset: int,
    /,
    *,
    checkpoint: Path | None = None,
    hash_only: Flag = False,
    out: Path | None = None,
    place: Place = HERE,
) -> None:
    """Prove that a record is in the log: a file that anybody checks offline with the public key of the log.

    The file holds the record as it is stored: header in clear (type, times, pseudonyms, numbers), payload sealed.

    For example:
      quanheng log prove 1042 --out proof.json
      quanheng log prove 1042 --hash-only --checkpoint checkpoint.txt

    Parameters
    ----------
    offset : int
        Log offset of an event or a decision.
    checkpoint : Path
        Prove it under this earlier checkpoint (default: one that is signed now).
    hash_only : bool
        Leave the record out; whoever checks must have it, or be content with its hash.
    out : Path
        File to write; standard output by default.
    """
    from quanheng.kernel.proof_file import prove_inclusion

    note = text_of(checkpoint) if checkpoint is not None else ""
    with reader(place.read()) as log:
        made = prove_inclusion(log.log, offset, note, not hash_only)
    _give(made, out)


def prove_consistency(
    old: Path, /, *, checkpoint: Path | None = None, out: Path | None = None, place: Place = HERE
) -> None:
    """Prove that the log of today begins with the log of an earlier checkpoint: nothing before it was changed.

    For example:
      quanheng log prove-consistency old-checkpoint.txt --out growth.json

    Parameters
    ----------
    old : Path
        The earlier checkpoint.
    checkpoint : Path
        The later one (default: one that is signed now).
    out : Path
        File to write; standard output by default.
    """
    from quanheng.kernel import proof_file

    new_note = text_of(checkpoint) if checkpoint is not None else ""
    with reader(place.read()) as log:
        made = proof_file.prove_consistency(log.log, text_of(old), new_note)
    _give(made, out)


def check_proof(file: Path, /, *, key: Keys = (), json: Json = False) -> None:
    """Check a proof offline. Needs the file and the public key of the log, nothing else.

    For example:
      quanheng log check-proof proof.json --key bank.example/log+1a2b3c4d+AQ…

    Parameters
    ----------
    file : Path
        What `quanheng log prove` or `prove-consistency` wrote.
    key : tuple[str, ...]
        Public key of the log, as `quanheng log key` shows it; got on another way than the proof. Of several, each must
        have signed. @FILE stands for the keys in a file.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel import proof_file

    found = proof_file.check_proof(bytes_of(file, "the proof"), needed(key))
    if json:
        show_json(_shown(found))
        return
    if found.offset < 0:
        print(f"{found.origin}: the log of {found.size} records begins with the one of {found.old_size} records")
        return
    print(f"{found.origin}: the record at offset {found.offset} is in the log of {found.size} records")
    print(f"leaf hash {found.leaf.hex()}")
    if found.record is not None:
        print(", ".join(f"{name} {value}" for name, value in _header(found.record).items()))


def watch(source: str, /, *, checkpoint_dir: Path, key: Keys = (), json: Json = False) -> int:
    """Look at the log of another: keep its newest checkpoint, and find out when its history was rewritten.

    Run it from time to time. Exit code 0: grown or the same; 1: it could not be asked, or is not signed; 3: an ALARM,
    the log was rewritten, forked or cut, with both signed notes kept as evidence. Needs no data folder and no key ring.

    For example:
      quanheng log watch https://bank.example --checkpoint-dir seen --key bank.example/log+1a2b3c4d+AQ…
      quanheng log watch growth.json --checkpoint-dir seen --key bank.example/log+1a2b3c4d+AQ…

    Parameters
    ----------
    source : str
        Address of the server (token of scope watch in QUANHENG_TOKEN), or a file that its owner sent: a checkpoint, or
        a consistency proof from the remembered one.
    checkpoint_dir : Path
        Folder in which the monitor remembers; its own, for this log alone. Made if absent.
    key : tuple[str, ...]
        Public key of the log, as `quanheng log key` shows it. Of several, each must have signed. @FILE stands for the
        keys in a file.
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.monitor import Monitor

    seen = Monitor(checkpoint_dir, needed(key)).look(_source(source))
    if json:
        old = None if seen.old is None else seen.old.size
        evidence = None if seen.evidence is None else str(seen.evidence)
        show_json(
            {
                "sighting": seen.sighting.value,
                "alarm": seen.is_alarm,
                "origin": seen.new.origin,
                "size": seen.new.size,
                "root": seen.new.root.hex(),
                "old_size": old,
                "evidence": evidence,
            }
        )
    elif seen.is_alarm:
        print(
            f"ALARM {seen.sentence()}. Both signed notes are kept in {seen.evidence}: show them to whoever relies on it"
        )
    else:
        print(seen.sentence())
    return EXIT_ALARM if seen.is_alarm else 0


def key(*, kind: str = "", json: Json = False, place: Place = HERE) -> None:
    """Show the public keys that check this log's checkpoints and proofs. Publish them where the log cannot change them.

    For example:
      quanheng log key
      quanheng log key --kind ml-dsa-65

    Parameters
    ----------
    kind : str
        ed25519, ml-dsa-65 or sm2 (default: those of proofs.signatures).
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.seal import KeyRing
    from quanheng.server.opening import signing_of

    config = place.read()
    signing, folder = signing_of(config), Path(config.storage.data)
    if not (Path(config.storage.keys) / "master.key").is_file():
        raise NotFound(
            "there is no key ring",
            where=config.storage.keys,
            cure="Give its folder with --keys, or start a server first.",
        )
    ring = KeyRing.open(Path(config.storage.keys))
    try:
        kinds = [kind] if kind else list(signing.kinds)
        keys = ring.signer(signing.of(folder)[0], kinds).verifier_keys()
    finally:
        ring.close()
    if json:
        show_json([{"kind": one, "key": text} for one, text in zip(kinds, keys, strict=True)])
    else:
        print("\n".join(keys))


def needed(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that were given, at least one; ``@FILE`` stands for those in a file, one a line.

    Raises
    ------
    InputError : none was
    """
    keys = tuple(line for one in keys for line in (text_of(Path(one[1:])).split() if one[:1] == "@" else [one]))
    if not keys:
        raise InputError(
            "a public key of the log is needed",
            where="--key",
            found="nothing",
            allowed="name+key id+base64",
            cure="The owner shows it with `quanheng log key`.",
        )
    return keys


def text_of(path: Path) -> str:
    """The text of a checkpoint file.

    Raises
    ------
    NotFound : it cannot be read
    """
    return bytes_of(path, "the checkpoint").decode("utf-8", "replace")


def bytes_of(path: Path, what: str) -> bytes:
    """The bytes of a file.

    Raises
    ------
    NotFound : it cannot be read
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{what} cannot be read",
            where=str(path),
            found=error.strerror or str(error),
            cure="Give an existing file.",
        ) from error


def _give(made: ProofFile, out: Path | None) -> None:
    from quanheng.kernel.proof_file import encode

    if out is None:
        print(encode(made).decode(), end="")
    else:
        out.write_bytes(encode(made))
        console().print(f"written: {out}")


def _source(source: str) -> Source:
    from quanheng.server.proof_source import FileSource, HttpSource

    if "://" in source:
        return HttpSource(source, os.environ.get("QUANHENG_TOKEN", ""))
    return FileSource(Path(source))


def _shown(found: Checked) -> dict[str, object]:
    shown: dict[str, object] = {"origin": found.origin, "size": found.size}
    if found.offset < 0:
        return {**shown, "old_size": found.old_size}
    record = {} if found.record is None else {"record": _header(found.record)}
    return {**shown, "offset": found.offset, "leaf": found.leaf.hex(), **record}


def _header(raw: bytes) -> dict[str, object]:
    """What stands in clear in a record that was proved."""
    from quanheng.kernel.log.records import KIND_NAMES, decode
    from quanheng.kernel.time import format_time

    record = decode(raw, 0)
    return {
        "kind": KIND_NAMES[record.kind],
        "type": record.type,
        "time": format_time(record.time_ms),
        "received": format_time(record.received_ms),
        "subject": record.subject.hex(),
    }
