"""Which policy is meant: a folder, a recorded version by its hash, the active one, or what was decided then."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from quanheng import __version__
from quanheng.decisions.backtest.rules import RuleBook, rule_book
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import DeclarationError, InputError, NotFound, Problem, QuanhengError
from quanheng.kernel.time import parse_time_ms
from quanheng.loading.declared import Declared, Flow
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.pack import load_packs
from quanheng.loading.policies import model_of
from quanheng.machines import log_names
from quanheng.past.window import Activation
from quanheng.program import Program

Kind = Literal["folder", "hash", "active", "recorded"]
RECORDED, ACTIVE, TODAY = "recorded", "active", "today"
HASH_LENGTH_MIN, HASH_LENGTH = 8, 64
_HEX = frozenset("0123456789abcdef")


class Asked(NamedTuple):
    """A version as it was asked for: `name` and the moment whose parameters are meant (None = each event's own)."""

    name: str
    as_of_ms: int | None


class Version(NamedTuple):
    """A version that can judge; `program` is None for what was decided then.

    hash : content hash of the pack's folder, "" where it was never stored
    """

    name: str
    kind: Kind
    program: Program | None
    hash: str
    as_of_ms: int | None

    def told(self, pack: str) -> dict[str, object]:
        """What identifies the version, for a report."""
        told: dict[str, object] = {"name": self.name, "kind": self.kind, "as_of_ms": self.as_of_ms}
        if self.program is None:
            return told
        declared = self.program.packs[pack]
        policies = {file: hashlib.sha256(xml).hexdigest() for file, xml in sorted(declared.policies.items())}
        return {**told, "version": declared.version, "hash": self.hash, "policies": policies}


def read_asked(text: str, now_ms: int, as_of: str = "") -> Asked:
    """`NAME`, `NAME@today` or `NAME@2026-01-31`; `as_of` is meant where the name says nothing.

    Raises
    ------
    InputError : the moment cannot be read, or is given for what was decided then
    """
    name, sign, moment = text.rpartition("@")
    if not sign or not (moment == TODAY or moment[:4].isdigit()):
        name, moment = text, "" if text == RECORDED else as_of
    if name == RECORDED and moment:
        raise InputError(
            "what was decided then has the parameters of then",
            where="--policy, --against",
            found=text,
            allowed=RECORDED,
            cure="Judge again with `active@` and the date.",
        )
    if not moment:
        return Asked(name, None)
    return Asked(name, now_ms if moment == TODAY else parse_time_ms(moment))


class Versions:
    """Finds versions of one pack.

    Parameters
    ----------
    activations : of the log, oldest first; available : installed packs, for what the versions require

    Raises
    ------
    NotFound : the pack was never in force here
    """

    def __init__(
        self, pack: str, activations: list[Activation], content: ContentStore, available: Mapping[str, PackFiles]
    ) -> None:
        self.pack, self.activations, self.content = pack, activations, content
        self.hashes = list(dict.fromkeys(one.packs[pack] for one in reversed(activations) if pack in one.packs))
        if not self.hashes:
            raise NotFound(
                "the pack was never in force in this log",
                where="PACK",
                found=pack,
                allowed=", ".join(sorted({name for one in activations for name in one.packs})) or "none was",
                cure="Name a pack that decided here.",
            )
        newest = activations[-1]
        stored = {name: _files(content, name, hash) for name, hash in newest.packs.items()}
        self._available = {**available, **stored}
        self._made_of: dict[str, Version] = {}
        self._active = Program(load_packs([pack], self._available, self._available), newest.codes, engine=__version__)

    def find(self, asked: Asked) -> Version:
        """The version that is meant.

        Raises
        ------
        NotFound, InputError : nothing, or more than one thing, is meant
        DeclarationError : the version is wrong, or does not fit the events of this log
        """
        if asked.name == RECORDED:
            return Version(RECORDED, "recorded", None, "", None)
        files = self.files(asked)
        if asked.name == ACTIVE:
            return Version(ACTIVE, "active", self._active, self.hashes[0], asked.as_of_ms)
        if Path(asked.name).is_dir():
            return self._made(asked, "folder", files, self._stored_as(files))
        return self._made(asked, "hash", files, self._hash(asked.name))

    def files(self, asked: Asked) -> PackFiles:
        """The files of the version that is meant.

        Raises
        ------
        NotFound, InputError : nothing, or more than one thing, is meant
        """
        if asked.name == ACTIVE:
            return _files(self.content, self.pack, self.hashes[0])
        if Path(asked.name).is_dir():
            return read_pack(Path(asked.name))
        return _files(self.content, self.pack, self._hash(asked.name))

    def _made(self, asked: Asked, kind: Kind, files: PackFiles, hash: str) -> Version:
        if asked.name in self._made_of:
            return self._made_of[asked.name]._replace(as_of_ms=asked.as_of_ms)
        in_force = self._available.keys() - ({self.pack} if kind == "folder" else set())
        packs = load_packs([self.pack], {**self._available, self.pack: files}, in_force)
        if packs[self.pack].name != self.pack:
            raise InputError(
                "the folder holds another pack", where=asked.name, found=packs[self.pack].name, allowed=self.pack
            )
        codes = dict(self.activations[-1].codes)
        for name in log_names(packs.values()):
            codes.setdefault(name, max(codes.values(), default=15) + 1)
        program = Program(packs, codes, engine=__version__)
        self._check_layouts(program, asked.name)
        made = self._made_of[asked.name] = Version(asked.name, kind, program, hash, asked.as_of_ms)
        return made

    def _check_layouts(self, program: Program, name: str) -> None:
        """Headers are read by position: a version may only append to what the log holds."""
        problems = []
        for event, active in self._active.types.items():
            other = program.types.get(event)
            for was, now in active.moved(other) if other is not None else ():
                message = "the log holds events of this type, to which fields and choices may only be appended"
                known = ", ".join(was) + ", then new ones"
                problems.append(Problem(f"{name}/events.toml", event, message, ", ".join(now), known))
        if problems:
            raise DeclarationError(f"the version {name!r} cannot read this log", problems)

    def _hash(self, text: str) -> str:
        given = text.removeprefix("sha256:").lower()
        if not (HASH_LENGTH_MIN <= len(given) <= HASH_LENGTH and set(given) <= _HEX):
            raise InputError(
                "there is no such version",
                where="--policy, --against",
                found=text,
                allowed=f"a folder, {ACTIVE}, {RECORDED}, or at least {HASH_LENGTH_MIN} digits of a content hash",
                cure="Correct the folder, or take the hash from `quanheng decision ID`.",
            )
        found = [hash for hash in self._known(given) if hash.startswith(given)]
        if len(found) != 1:
            raise NotFound(
                "the digits mean no recorded version" if not found else "the digits mean more than one version",
                where="--policy, --against",
                found=text,
                allowed=", ".join(hash[:12] for hash in found or self.hashes),
                cure="Give more digits of the hash.",
            )
        return found[0]

    def _known(self, prefix: str) -> list[str]:
        """Hashes of versions of this pack: those that were in force, and those that were only stored."""
        folder = self.content.folder / prefix[:2]
        stored = (prefix[:2] + path.name for path in sorted(folder.iterdir())) if folder.is_dir() else ()
        others = [hash for hash in stored if hash.startswith(prefix) and self._is_this_pack(hash)]
        return list(dict.fromkeys([*self.hashes, *others]))

    def _is_this_pack(self, hash: str) -> bool:
        try:
            manifest = self.content.get_folder(hash).get("pack.toml", b"")
        except QuanhengError:
            return False
        named = [line for line in manifest.splitlines() if line.split(b"=")[0].strip() == b"name"]
        return any(f'"{self.pack}"'.encode() in line for line in named)

    def _stored_as(self, files: PackFiles) -> str:
        """The hash under which these very files were in force, "" if they never were."""
        for hash in self.hashes:
            if dict(self.content.get_folder(hash)) == dict(files.files):
                return hash
        return ""


def _files(content: ContentStore, name: str, hash: str) -> PackFiles:
    return PackFiles(name, content.get_folder(hash))


def flow_on(declared: Declared, event: str = "") -> Flow:
    """The flow of a pack on an event type, or its only one.

    Raises
    ------
    InputError : the pack decides no such event, or several and none was named
    """
    found = [flow for flow in declared.flows if event in ("", flow.when)]
    if len(found) == 1:
        return found[0]
    raise InputError(
        "the pack decides several events" if found else "the pack does not decide this event",
        where="--event",
        found=event or "nothing",
        allowed=", ".join(flow.when for flow in declared.flows) or "it decides none",
        cure="Name one of its events.",
    )


def book_of(declared: Declared, flow: Flow) -> RuleBook:
    """The rules of every table that the flow's decision needs."""
    model = model_of(declared, flow.policy)
    target = model.target(flow.decide)
    needed = model.required(target.id) if target is not None else []
    return rule_book(model.files, [model.elements[one].name for one in needed])
