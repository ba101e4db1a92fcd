"""pack.toml: who the pack is, whom it needs, for which purposes it uses data, and which events it decides."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from quanheng.loading.declared import Basis, Purpose, Requirement, Title
from quanheng.loading.declared_processes import ActKind
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

FILE = "pack.toml"
BASES: tuple[str, ...] = get_args(Basis)
VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
VERSION_WORDS = 'three numbers such as "1.0.0"'
REQUIREMENT_WORDS = '"party" or "party >= 1.2.0, < 2.0.0"'
OUTCOMES_MAX = 16
NO_SUCH_EVENT = "no such event is declared here or in a required pack"
ACT_WORDS = (
    '"transfer:NAME" of a posting or "loan:NAME" of an act of accounts.toml, "call:NAME" or "notify:NAME" of calls.toml'
)
REFUSED = "refused"
"""Name of what a flow asks for where the ledger refuses the rest; no outcome has it."""
LATER_ACTS = ("case", "process")
OF_OTHER_PACKS = ("entity", "event")
"""Kinds of names that required packs bring."""

_BOUND = re.compile(r"(?P<operator>>=|<=|==|!=|>|<)\s*(?P<version>\S+)")
_REQUIREMENT = re.compile(r"(?P<pack>[a-z][a-z0-9_]{0,63})\s*(?P<bounds>.*)")


class FlowDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as written, before its names are looked up. `key` is its place for messages.

    then : outcome → names of postings
    loans : outcome → names of acts on loans
    sends : outcome → calls and notices, each with its kind
    has_refused_as : whether the key is there, readable or not
    """

    key: str
    when: str
    purpose: str
    decide: str
    fallback: str
    clock: Literal["received", "event"]
    then: Mapping[str, tuple[str, ...]] = {}
    sends: Mapping[str, tuple[tuple[ActKind, str], ...]] = {}
    loans: Mapping[str, tuple[str, ...]] = {}
    refused_as: str = ""
    has_refused_as: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What pack.toml says."""

    name: str = ""
    version: str = ""
    kind: str = "data"
    title: Title = Title()
    law: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    outcomes: tuple[str, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    flows: tuple[FlowDraft, ...] = ()


def check_manifest(values: dict[str, object], notes: Notes) -> Manifest:
    """Read pack.toml. Names inside flows are looked up later, by `check_flows`, when all files were read."""
    top = Table(values, FILE, "", notes)
    pack = top.table("pack")
    name = pack.text("name", pattern=NAME, wanted='a name of small letters, digits and _, such as "card_fraud"')
    version = pack.text("version", pattern=VERSION, wanted=VERSION_WORDS)
    kind = pack.choice("kind", ("data",), default="data", required=False)
    title = pack.title()
    law = pack.texts("law", required=False)
    requires = read_requirements(pack)
    flows = tuple(_flow(table) for table in top.tables("flow"))
    outcomes = pack.texts("outcomes", required=bool(flows))
    if len(outcomes) > OUTCOMES_MAX:
        pack.problem(
            "outcomes", "the list is too long", found=Words(f"{len(outcomes)} entries"), known=f"at most {OUTCOMES_MAX}"
        )
    if REFUSED in outcomes:
        cure = f"Call the outcome another name: `then.{REFUSED}` says what is asked for where the ledger refuses."
        pack.problem("outcomes", "the name is reserved", found=REFUSED, cure=cure)
    purposes = tuple(_purpose(name, table) for name, table in top.named("purpose", of="purpose"))
    pack.done()
    top.done()
    return Manifest(
        name=name,
        version=version,
        kind=kind,
        title=title,
        law=law,
        requires=requires,
        outcomes=outcomes,
        purposes=purposes,
        flows=flows,
    )


def read_requirements(pack: Table) -> tuple[Requirement, ...]:
    """Read `requires`: pack names, each with bounds on its version where wanted."""
    found: list[Requirement] = []
    for text in pack.texts("requires", required=False):
        match = _REQUIREMENT.fullmatch(text.strip())
        parts = [part.strip() for part in match["bounds"].split(",")] if match and match["bounds"] else []
        bounds = [_BOUND.fullmatch(part) for part in parts]
        if match is None or any(bound is None or not VERSION.fullmatch(bound["version"]) for bound in bounds):
            pack.problem("requires", "the requirement cannot be read", found=text, known=REQUIREMENT_WORDS)
            pack.notes.doubt(*OF_OTHER_PACKS)
            continue
        requirement = Requirement(
            match["pack"], tuple((bound["operator"], bound["version"]) for bound in bounds if bound)
        )
        if requirement.pack in {other.pack for other in found}:
            pack.problem("requires", "the pack is required twice", found=text, cure="Put all bounds into one entry.")
            continue
        found.append(requirement)
    return tuple(found)


def _purpose(name: str, table: Table) -> Purpose:
    basis = table.choice("basis", BASES)
    source = table.text("source", wanted="the statute and article that give this basis")
    title = table.title()
    table.done()
    return Purpose(name=name, basis=basis, source=source, title=title)


def _flow(table: Table) -> FlowDraft:
    then, sends, loans = _then(table.table("then", required=False))
    draft = FlowDraft(
        key=table.key,
        when=table.text("when", pattern=DOTTED_NAME, wanted="the name of an event"),
        purpose=table.text("purpose", wanted="the name of a purpose of this file"),
        decide=table.text("decide", wanted="the name of a decision in policies/*.dmn"),
        fallback=table.text("fallback", wanted="one of the outcomes"),
        clock=table.choice("clock", ("received", "event"), default="received", required=False),
        then=then,
        sends=sends,
        loans=loans,
        refused_as=table.text("refused_as", required=False, wanted="one of the outcomes"),
        has_refused_as=table.has("refused_as"),
    )
    if table.has("then") and not isinstance(table.values["then"], dict):
        table.notes.doubt("act")
    table.done()
    return draft


def _then(
    table: Table,
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[tuple[ActKind, str], ...]], dict[str, tuple[str, ...]]]:
    """Outcome → postings, outcome → calls and notices, outcome → acts on loans. An act of another kind is a problem."""
    found: dict[str, tuple[str, ...]] = {}
    loans: dict[str, tuple[str, ...]] = {}
    sends: dict[str, tuple[tuple[ActKind, str], ...]] = {}
    for outcome in table.values:
        names: list[str] = []
        sent: list[tuple[ActKind, str]] = []
        served: list[str] = []
        for act in table.texts(outcome):
            kind, colon, name = act.partition(":")
            if kind == "transfer" and NAME.fullmatch(name):
                names.append(name)
            elif kind == "loan" and NAME.fullmatch(name):
                served.append(name)
            elif kind in ("call", "notify") and NAME.fullmatch(name):
                sent.append(("call" if kind == "call" else "notify", name))
            elif colon and kind in LATER_ACTS:
                message = f"acts of kind {kind} are not part of this release: what they need comes later"
                table.problem(outcome, message, found=act, known=ACT_WORDS, cure="Remove the act.")
            else:
                table.problem(outcome, "the act cannot be read", found=act, known=ACT_WORDS)
        found[outcome] = tuple(names)
        if sent:
            sends[outcome] = tuple(sent)
        if served:
            loans[outcome] = tuple(served)
    if not table.sound:
        table.notes.doubt("act")
    return found, sends, loans


def check_flow_names(manifest: Manifest, events: Collection[str], notes: Notes) -> None:
    """Each flow's event, purpose and fall-back outcome exist, and no event is decided twice in one pack."""
    seen: dict[str, str] = {}
    purposes = [purpose.name for purpose in manifest.purposes]
    for flow in manifest.flows:
        _known(flow.when, events, flow, "when", NO_SUCH_EVENT, notes, "event")
        if flow.when not in events:
            notes.doubt("decided", "feature", "source")
        _known(flow.purpose, purposes, flow, "purpose", "no such purpose is declared in this file", notes, "purpose")
        _known(
            flow.fallback,
            manifest.outcomes,
            flow,
            "fallback",
            "the fall-back is not one of the outcomes",
            notes,
            "outcome",
        )
        if flow.when in seen:
            notes.add(
                FILE,
                f"{flow.key}.when",
                f"the event is decided by {seen[flow.when]} of this pack already",
                found=flow.when,
                cure="Put both into one decision, or into two packs.",
            )
        elif flow.when:
            seen[flow.when] = flow.key


def _known(
    name: str, known: Collection[str], flow: FlowDraft, key: str, message: str, notes: Notes, of: str = ""
) -> None:
    if name and name not in known:
        notes.add(FILE, f"{flow.key}.{key}", message, found=name, known=list(known), of=of)


def version_tuple(version: str) -> tuple[int, ...]:
    """A checked version as numbers that compare."""
    return tuple(int(part) for part in version.split("."))


def meets(version: str, bounds: Sequence[tuple[str, str]]) -> bool:
    """Whether a version keeps within all bounds."""
    found = version_tuple(version)
    comparisons = {
        ">=": lambda bound: found >= bound,
        "<=": lambda bound: found <= bound,
        "==": lambda bound: found == bound,
        "!=": lambda bound: found != bound,
        ">": lambda bound: found > bound,
        "<": lambda bound: found < bound,
    }
    return all(comparisons[operator](version_tuple(bound)) for operator, bound in bounds)
