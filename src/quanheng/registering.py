"""Models of packs as the log and the content store know them: where each stands, who proposed and approved it, since
when it decides, its card. Nothing is kept for this: it is read from the steps of versions and the content they name.

A model is known by pack, name and the hash of its weights. It stands where the foremost version stands that holds it:
a champion that is drafted again with another policy stays the champion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from quanheng.activation import in_force_of
from quanheng.decisions.versions import STEPS, Move, Status, Version, Versions
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.lineage import Node, lineage
from quanheng.models.registry.card_check import lacking
from quanheng.models.registry.comparing import compared_cards
from quanheng.models.registry.evidence import Evidence, read_evidence
from quanheng.models.registry.filed import FOLDER, FiledModel, filed_models, is_declaration
from quanheng.reading import Reader
from quanheng.recovery import declared_of
from quanheng.state import State

ACTIVE = "active"
SHORTEST_PREFIX = 8
FOREMOST = (
    Status.CHAMPION, Status.SHARE, Status.SHADOW, Status.REVIEWED, Status.REVIEW, Status.DRAFT, Status.RETIRED,
    Status.REJECTED,
)  # fmt: skip
TITLES = {
    Status.CHAMPION: {"en": "champion", "zh": "冠军"},
    Status.SHARE: {"en": "challenger", "zh": "挑战者"},
    Status.SHADOW: {"en": "in the shadow", "zh": "影子运行"},
    Status.REVIEWED: {"en": "reviewed", "zh": "已复核"},
    Status.REVIEW: {"en": "in review", "zh": "待复核"},
    Status.DRAFT: {"en": "draft", "zh": "草稿"},
    Status.RETIRED: {"en": "retired", "zh": "已退役"},
    Status.REJECTED: {"en": "rejected", "zh": "已驳回"},
}


class Span(NamedTuple):
    """When a model decided as the champion's: from, until (None = it still does), epoch milliseconds."""

    from_ms: int
    until_ms: int | None


class Entry(msgspec.Struct):
    """A model of the registry: `held` are the versions that hold it, `brought` those that brought it anew."""

    pack: str
    model: FiledModel
    held: list[Version] = []
    brought: list[Version] = []
    spans: list[Span] = []

    @property
    def foremost(self) -> Version:
        """The version that says where the model stands."""
        return min(self.held, key=lambda one: FOREMOST.index(one.status))


class Registry:
    """The models of every version, read from content once: content never changes under its hash."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._kept: dict[str, dict[str, FiledModel]] = {}

    def models_of(self, hash: str) -> dict[str, FiledModel]:
        """The models of a version of a pack, by name."""
        found = self._kept.get(hash)
        if found is None:
            found = self._kept[hash] = filed_models(self._content.get_files(hash, is_declaration))
        return found

    def evidence_of(self, hash: str, model: FiledModel) -> Evidence | None:
        """Labels and scores of the test rows of a model's card; None where the card names none."""
        name = f"{FOLDER}{model.card.evidence}" if model.card is not None and model.card.evidence else ""
        content = self._content.get_files(hash, name.__eq__).get(name) if name else None
        return read_evidence(content, name) if content is not None else None

    def entries(self, versions: Versions, pack: str = "", model: str = "") -> list[Entry]:
        """Every model that a version ever held, in the order in which it came."""
        names = dict.fromkeys(one.pack for one in [*versions] if not pack or one.pack == pack)
        return [one for name in names for one in self._of_pack(versions, name) if model in ("", one.model.name)]

    def _of_pack(self, versions: Versions, pack: str) -> Iterator[Entry]:
        entries: dict[tuple[str, str], Entry] = {}
        reigns = reigns_of(versions, pack)
        for version in versions.of(pack):
            begun = version.moves[0].received_ms
            before = next((hash for from_ms, hash in reversed(reigns) if from_ms < begun), "")
            known = self.models_of(before) if before else {}
            for name, model in self.models_of(version.hash).items():
                entry = entries.setdefault((name, model.hash), Entry(pack, model, [], [], []))
                entry.held.append(version)
                if name not in known or known[name].hash != model.hash:
                    entry.brought.append(version)
        for number, (from_ms, hash) in enumerate(reigns):
            until_ms = reigns[number + 1][0] if number + 1 < len(reigns) else None
            for name, model in self.models_of(hash).items():
                _reigned(entries[name, model.hash].spans, Span(from_ms, until_ms))
        for entry in entries.values():  # The card is that of the version that says where the model stands.
            entry.model = self.models_of(entry.foremost.hash)[entry.model.name]
        yield from entries.values()


def reigns_of(versions: Versions, pack: str) -> list[tuple[int, str]]:
    """(since when, hash) of each champion of a pack, oldest first."""
    made = [move for one in versions.of(pack) for move in one.moves if _makes_champion(move)]
    return [(one.received_ms, one.hash) for one in sorted(made, key=lambda one: one.received_ms)]


def _makes_champion(move: Move) -> bool:
    step = STEPS.get(move.step)  # What is no step of a person is an activation.
    return step is None or step.after is Status.CHAMPION


def _reigned(spans: list[Span], one: Span) -> None:
    """Add a span; where the same model went on under another version, it is one."""
    if spans and spans[-1].until_ms == one.from_ms:
        spans[-1] = Span(spans[-1].from_ms, one.until_ms)
    else:
        spans.append(one)


def find(entries: list[Entry], pack: str, model: str, which: str = "") -> Entry:
    """The model that is meant: by the first digits of its hash or of a version's, or the one in force.

    Raises
    ------
    NotFound : the pack has no such model here, none begins like that, or several do
    """
    known = [one for one in entries if one.pack == pack and one.model.name == model]
    if not known:
        raise NotFound(
            "there is no such model here", where=f"{pack} {model}".strip(),
            allowed=", ".join(dict.fromkeys(f"{one.pack} {one.model.name}" for one in entries)) or "no pack has one",
            cure="See them with: quanheng models list.",
        )  # fmt: skip
    if which in ("", ACTIVE):
        found = [one for one in known if one.foremost.status is Status.CHAMPION]
    else:
        digits = which.removeprefix("sha256:")
        found = [one for one in known if len(digits) >= SHORTEST_PREFIX and _begins(one, digits)]
    if len(found) != 1:
        raise NotFound(
            "no model begins like that" if not found else "several models begin like that", where=f"{pack} {model}",
            found=which or ACTIVE, allowed=", ".join(digits_of(one.model) for one in known),
            cure=f"Give at least {SHORTEST_PREFIX} digits of the model's hash, or of a version's that holds it.",
        )  # fmt: skip
    return found[0]


def _begins(entry: Entry, digits: str) -> bool:
    return digits_of(entry.model, 64).startswith(digits) or any(one.hash.startswith(digits) for one in entry.brought)


def digits_of(model: FiledModel, many: int = 12) -> str:
    """The first digits of a model's hash."""
    return model.hash.removeprefix("sha256:")[:many]


# -- for people and programs


def summary(entry: Entry) -> dict[str, Any]:
    """A model in a line: which, where it stands, who proposed and approved it, since when it decides."""
    version, model = entry.foremost, entry.model
    moves = [move for one in entry.brought for move in one.moves]
    return {
        "pack": entry.pack,
        "model": model.name,
        "hash": model.hash,
        "estimator": model.estimator,
        "status": version.status.value,
        "title": TITLES[version.status],
        "share_bp": version.share_bp,
        "version": version.hash,
        "versions": [one.hash for one in entry.held],
        "proposed_by": sorted({name for one in entry.brought for name in one.authors}),
        "approved_by": list(dict.fromkeys(one.actor for one in moves if one.step in ("approve", "promote"))),
        "installed_by": list(dict.fromkeys(one.actor for one in moves if one.step not in STEPS)),
        "first_ms": min(one.received_ms for one in moves) if moves else 0,
        "in_force": [one._asdict() for one in entry.spans],
        "card_lacks": sum(1 for _ in lacking(model)),
    }


def shown(entry: Entry, uses: list[dict[str, str]]) -> dict[str, Any]:
    """A model whole: its card, what people say of it, what the card lacks, every step, and where it is used."""
    model = entry.model
    return {
        **summary(entry),
        "inputs": list(model.inputs),
        "output_decimals": model.output_decimals,
        "card": msgspec.to_builtins(model.card),
        "about": msgspec.to_builtins(model.about),
        "signed_by": model.signed.by if model.signed is not None else "",
        "lacks": [one._asdict() for one in lacking(model)],
        "approvals": [one for one in steps_of(entry) if one["step"] in ("approve", "promote", "share", "accept_glass")],
        "steps": steps_of(entry),
        "used_by": uses,
    }


def steps_of(entry: Entry) -> list[dict[str, Any]]:
    """Every step of the versions that brought a model, oldest first, each with the hash of the model."""
    moves = sorted((move for one in entry.brought for move in one.moves), key=lambda one: one.received_ms)
    return [{"model_hash": entry.model.hash, **msgspec.structs.asdict(one)} for one in moves]


def history(entries: list[Entry]) -> list[dict[str, Any]]:
    """Every step of every version that brought one of these models, oldest first."""
    return sorted((step for one in entries for step in steps_of(one)), key=lambda step: step["received_ms"])


def compared(registry: Registry, before: Entry, after: Entry) -> dict[str, Any]:
    """Two models side by side: figures with intervals, windows, inputs, and the difference on the same rows."""
    pair = [(one, registry.evidence_of(one.foremost.hash, one.model)) for one in (before, after)]
    found = compared_cards(*((one.model, evidence) for one, evidence in pair))
    return {"before": summary(before), "after": summary(after), **found}


def uses_of(state: State, reader: Reader, entry: Entry) -> list[dict[str, str]]:
    """Formulas, policies and flows that ask for the score, in the version that says where the model stands."""
    packs = {**in_force_of(reader, state.program).packs, entry.pack: entry.foremost.hash}
    nodes = lineage(declared_of(reader.content, packs)[entry.pack])
    return [{"kind": node.kind, "name": node.name, "text": node.text} for node in _above(nodes, entry.model.name)]


def _above(nodes: dict[str, Node], name: str) -> Iterator[Node]:
    seen, waiting = {name}, [*nodes[name].used_by] if name in nodes else []
    while waiting:
        one = waiting.pop(0)
        if one not in seen and one in nodes:
            seen.add(one)
            yield nodes[one]
            waiting += nodes[one].used_by


def model_read(
    state: State, reader: Reader, registry: Registry, operation: str, asked: dict[str, Any]
) -> dict[str, Any]:
    """What the operations `models`, `model_show`, `model_history` and `model_compare` answer.

    Raises
    ------
    NotFound, InputError : nothing, or more than one thing, is meant
    """
    pack, model = str(asked.get("pack", "")), str(asked.get("model", ""))
    entries = registry.entries(state.versions)
    if operation == "models":
        known = [one for one in entries if (not pack or one.pack == pack) and model in ("", one.model.name)]
        if (pack or model) and not known:
            find(entries, pack, model)
        return {"models": [summary(one) for one in known]}
    if operation == "model_history":
        known = [one for one in entries if one.pack == pack and one.model.name == model]
        return {"steps": history(known or [find(entries, pack, model)])}
    if operation == "model_compare":
        sides = [find(entries, pack, model, str(asked.get(side, ""))) for side in ("before", "after")]
        if sides[0] is sides[1]:
            raise InputError(
                "a model is compared with another", where=f"{pack} {model}", found=digits_of(sides[0].model),
                cure="Give the first digits of two hashes.",
            )  # fmt: skip
        return compared(registry, *sides)
    entry = find(entries, pack, model, str(asked.get("version", "")))
    return shown(entry, uses_of(state, reader, entry))
