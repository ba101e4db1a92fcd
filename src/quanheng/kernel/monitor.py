"""An outsider's watch over a log: it keeps the newest checkpoint it believed, and believes only what extends it.

Whoever runs it holds no key and no record of the log, only its public key. What it remembers is one signed note. When
the log shows another note, it must prove that its tree begins with the remembered one; else the log was written anew,
and two signed notes that contradict each other say so to everybody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from quanheng.kernel import checkpoint as signing
from quanheng.kernel import proof
from quanheng.kernel.checkpoint import Checkpoint
from quanheng.kernel.errors import InputError
from quanheng.kernel.files import Files

LATEST = "latest.checkpoint"
ALARMS = "alarms"


class Sighting(StrEnum):
    """What a look at the log found. The first that applies is given; the last three are alarms."""

    FIRST = "first"
    """Nothing was remembered: this note is believed, and everything later is measured by it."""
    SAME = "same"
    """The same size and root as remembered."""
    GROWN = "grown"
    """More records, and a proof that they follow the remembered ones."""
    FORKED = "forked"
    """As many records as remembered, under another root."""
    SHRANK = "shrank"
    """Fewer records than remembered: some were cut off, or an old copy was put back."""
    REWRITTEN = "rewritten"
    """More records, but not after the remembered ones."""


ALARMING = (Sighting.FORKED, Sighting.SHRANK, Sighting.REWRITTEN)


class Seen(NamedTuple):
    """The outcome of a look.

    new, old : what the log shows, and what was remembered (None the first time)
    evidence : folder with both notes and the proof; None where there is no alarm
    """

    sighting: Sighting
    new: Checkpoint
    old: Checkpoint | None = None
    evidence: Path | None = None

    @property
    def is_alarm(self) -> bool:
        """True when the log contradicts what it signed before."""
        return self.sighting in ALARMING

    def sentence(self) -> str:
        """What was found, for people."""
        origin, size = self.new.origin, self.new.size
        if self.old is None:
            return f"{origin}: {size} records; the first look, so this is what later ones are measured by"
        before = self.old.size
        return {
            Sighting.SAME: f"{origin}: {size} records, as before",
            Sighting.GROWN: f"{origin}: {size} records; the first {before} are those that were there before",
            Sighting.FORKED: f"{origin}: FORKED. {size} records under another root than the one it signed before",
            Sighting.SHRANK: f"{origin}: SHRANK. {size} records, where it signed {before} before",
            Sighting.REWRITTEN: f"{origin}: REWRITTEN. {size} records, but not after the {before} it signed before",
        }[self.sighting]


class Source(Protocol):
    """Where the log is asked. Either may raise what means that it could not be asked now.

    is_live : it is the log that answers, now; a file may be an old one
    """

    @property
    def is_live(self) -> bool:
        """Whether the log itself answers."""

    def checkpoint(self) -> str:
        """The log's newest signed note."""

    def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Path that proves the tree of `new_size` records to begin with that of `old_size` (RFC 6962, 2.1.2)."""


class Monitor:
    """Remembers in `folder`, which is its own; made if absent.

    Parameters
    ----------
    verifier_keys : public keys of the log, each of which must have signed
    """

    def __init__(self, folder: str | Path, verifier_keys: Sequence[str], files: Files | None = None) -> None:
        self.folder, self._keys, self._files = Path(folder), verifier_keys, files or Files()

    def look(self, source: Source) -> Seen:
        """Ask the log, compare, and remember what is new where it extends what was remembered.

        After an alarm the old note stays, so every later look alarms too, until a person has judged.

        Raises
        ------
        ProofRefused : what is shown, or what was remembered, is not signed by the keys
        InputError : it is no checkpoint
        and whatever `source` raises; nothing is then remembered
        """
        note = source.checkpoint()
        new = signing.verify(note, self._keys)
        before = self._remembered()
        if before is None:
            self._files.make_folder(self.folder)
            self._remember(note)
            return Seen(Sighting.FIRST, new)
        old = signing.verify(before, self._keys)
        path: Sequence[bytes] = ()
        if new.size == old.size:
            sighting = Sighting.SAME if new.root == old.root else Sighting.FORKED
        elif new.size < old.size:
            if not source.is_live:
                raise InputError(
                    "the checkpoint is older than the remembered one, so it says nothing about the log of now",
                    found=f"{new.size} records",
                    allowed=f"{old.size} records or more",
                    cure="Ask for a newer one.",
                )
            sighting = Sighting.SHRANK
        else:
            path = source.consistency(old.size, new.size)
            made = proof.ConsistencyProof(old.size, new.size, old.root, new.root, tuple(path))
            sighting = Sighting.GROWN if proof.verify_consistency(made) else Sighting.REWRITTEN
        if sighting is Sighting.GROWN:
            self._remember(note)
        if sighting not in ALARMING:
            return Seen(sighting, new, old)
        seen = Seen(sighting, new, old, self.folder / ALARMS / _name(sighting, old, before))
        self._keep(seen, before, note, path)
        return seen

    def _remembered(self) -> str | None:
        path = self.folder / LATEST
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                "the remembered checkpoint cannot be read",
                where=str(path),
                found=str(error),
                cure="Put the file back from a copy; without it a rewritten log would be believed.",
            ) from error

    def _remember(self, note: str) -> None:
        self._files.write_durably(self.folder / LATEST, note.encode())

    def _keep(self, seen: Seen, old_note: str, new_note: str, path: Sequence[bytes]) -> None:
        """Write the evidence once: the first contradiction of a note is as good as any later one."""
        folder = seen.evidence
        if folder is None or folder.is_dir():
            return
        aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        self._files.make_folder(aside)
        for name, text in (
            ("old.checkpoint", old_note),
            ("new.checkpoint", new_note),
            ("path.txt", "".join(f"{one.hex()}\n" for one in path)),
            ("alarm.txt", seen.sentence() + "\n"),
        ):
            self._files.write_durably(aside / name, text.encode())
        self._files.rename(aside, folder)
        self._files.sync_folder(folder.parent)


def _name(sighting: Sighting, old: Checkpoint, old_note: str) -> str:
    return f"{sighting}-{old.size}-{sha256(old_note.encode()).hexdigest()[:12]}"
