"""Steps in the life of versions: asked for, judged by `decisions.versions`, recorded with what they put in force.

Like an activation, a step has a long half that checks and may run beside groups, and a short half between two groups:
the step and the activation that follows from it are appended together, all or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from quanheng.activation import Proposal, in_force_of, name_of, propose
from quanheng.decisions.versions import GLASS_TITLES, STEPS, Glass, Move, Refusal, Status, Version, Versions
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import ConfigurationError, DeclarationError, InputError, NotFound, NotPermitted
from quanheng.loading.files import PackFiles, read_pack
from quanheng.models.registry.card_check import promotion_problems
from quanheng.models.registry.drafting import laid_over
from quanheng.reading import Reader
from quanheng.state import Activated, State, Trial

SHORTEST_PREFIX = 8
NEED_CARDS = frozenset({"submit", "approve", "share", "promote"})
"""Steps towards deciding: the cards of models that a version brings must say enough."""
ACTIVE = "active"
"""Names the version of a pack that is in force, where a version is asked for."""

CURES = {
    Refusal.NO_SUCH_STEP: "",
    Refusal.NO_SUCH_VERSION: "Draft it first: quanheng policy draft FOLDER.",
    Refusal.STATUS_FORBIDS: "See where it stands: quanheng policy list.",
    Refusal.NOTHING_TO_REVIEW: "See what does: quanheng policy list.",
    Refusal.AUTHOR_JUDGES_OWN: "Ask another person: four eyes see more than two.",
    Refusal.BREAKER_JUDGES_OWN: "Ask another person: four eyes see more than two.",
    Refusal.REASON_MISSING: "Give one with --reason.",
    Refusal.SHARE_OUT_OF_RANGE: "To give it all the traffic, promote it.",
    Refusal.TRIAL_IS_TAKEN: "Retire the other, or promote it.",
    Refusal.NOTHING_TO_ROLL_BACK_TO: "Only a version that was champion can come back.",
}


class Asked(msgspec.Struct, frozen=True):
    """What a person asks for.

    pack : needed for `roll_back` without a version; elsewhere it narrows the search
    version : hash of the version, or its first characters; nothing with `roll_back`: the champion before
    files : the content, with `draft`; None = the file of `base` of that name goes
    base : with `draft`, the version whose files stay where `files` does not say otherwise; "active" = that in force
    share_bp : basis points, with `share`
    model : with `draft`, the model of the pack whose declaration and weights `files` holds, and nothing else
    """

    step: str
    actor: str
    pack: str = ""
    version: str = ""
    files: Mapping[str, bytes | None] = {}
    base: str = ""
    reason: str = ""
    share_bp: int = 0
    model: str = ""


class Moving(NamedTuple):
    """A step that was checked; `proposal` is what it puts in force, None where nothing changes."""

    move: Move
    proposal: Proposal | None


def begin(state: State, reader: Reader, asked: Asked) -> Moving:
    """The long half of a step.

    Raises
    ------
    NotPermitted, InputError, NotFound : the step cannot be taken, and why
    DeclarationError : problems of the content, or golden cases that fail
    """
    if asked.step == "draft":
        return _draft(state, reader, asked)
    found = find_version(state.versions, asked)
    move = Move(found.pack, found.hash, found.version, asked.step, asked.actor, asked.reason, asked.share_bp)
    check(state.versions, move)
    if asked.step in NEED_CARDS:
        check_cards(state, reader, move)
    return Moving(move, _proposal(state, reader, move))


def _draft(state: State, reader: Reader, asked: Asked) -> Moving:
    laid = _of_model if asked.model else _as_asked
    files = laid(state, reader, asked)
    proposed = propose(state, reader, [files], fold=False)  # Checks it among the packs in force, and keeps its content.
    name = name_of(files)
    hash = proposed.activated.packs[name]
    if in_force_of(reader, state.program).packs.get(name) == hash:
        raise InputError("this content is in force already", where=name, found=hash[:12], cure="Change something.")
    move = Move(name, hash, proposed.activated.versions[name], "draft", asked.actor, asked.reason)
    check(state.versions, move)
    return Moving(move, None)


def _as_asked(state: State, reader: Reader, asked: Asked) -> PackFiles:
    return composed(state, reader, asked.pack, asked.base, asked.files)


def _of_model(state: State, reader: Reader, asked: Asked) -> PackFiles:
    """The content of `base`, with one of its models as `files` has it."""
    base = asked.base or ACTIVE
    given = {name: content for name, content in asked.files.items() if content is not None}
    over = laid_over(kept_of(state, reader, asked.pack, base), asked.model, given)
    return composed(state, reader, asked.pack, base, over)


def check_cards(state: State, reader: Reader, move: Move) -> None:
    """Refuse a version that brings a model whose card does not say enough. A roll-back never asks.

    Raises
    ------
    DeclarationError : what each card lacks, with file, key and cure
    """
    now = in_force_of(reader, state.program).packs.get(move.pack)
    in_force = content_of(reader.content, move.pack, now).files if now else {}
    problems = promotion_problems(content_of(reader.content, move.pack, move.hash).files, in_force)
    if problems:
        raise DeclarationError(
            f"version {move.hash[:12]} of {move.pack!r} cannot take step {move.step}: a card says too little",
            problems,
        )


def composed(state: State, reader: Reader, pack: str, base: str, files: Mapping[str, bytes | None]) -> PackFiles:
    """The content that is meant: `files`, laid over those of the version `base` where one is named.

    Raises
    ------
    NotFound : there is no such version of the pack; InputError : its pack.toml names another pack than `pack`
    """
    laid = {**kept_of(state, reader, pack, base), **files}
    read = read_pack({name: content for name, content in laid.items() if content is not None}, pack)
    if pack and name_of(read) != pack:
        raise InputError("this content is of another pack", where="pack.toml, name", found=name_of(read), allowed=pack)
    return read


def kept_of(state: State, reader: Reader, pack: str, base: str) -> Mapping[str, bytes]:
    """The files of the version `base` of a pack; none where none is named.

    Raises
    ------
    NotFound : there is no such version of the pack
    """
    if base == ACTIVE:
        packs = in_force_of(reader, state.program).packs
        if pack not in packs:
            raise NotFound(
                "the pack is not in force", where="base", found=pack, allowed=", ".join(sorted(packs)) or "none is"
            )
        return content_of(reader.content, pack, packs[pack]).files
    if not base:
        return {}
    found = find_version(state.versions, Asked("draft", "", pack, base))
    return content_of(reader.content, pack, found.hash).files


def check_glass(before: Activated, after: Activated, actor: str, break_glass: str, four_eyes: bool) -> str:
    """Why the glass is broken for an activation; nothing where it replaces no champion.

    Raises
    ------
    NotPermitted : four eyes are demanded, a champion would be replaced, and nobody says why
    """
    replaced = [name for name, hash in sorted(before.packs.items()) if after.packs.get(name) != hash]
    if four_eyes and replaced and not break_glass.strip():
        raise NotPermitted(
            "a champion is replaced by two people",
            where=", ".join(replaced),
            found=actor,
            allowed="draft, submit, and another person who approves and promotes",
            cure="quanheng policy draft FOLDER; in an emergency: --break-glass REASON, which is recorded.",
        )
    return break_glass.strip() if replaced else ""


def find_version(versions: Versions, asked: Asked) -> Version:
    """The version that is meant.

    Raises
    ------
    NotFound : none begins like that, or more than one
    """
    known = versions.of(asked.pack) if asked.pack else [*versions]
    if asked.step == "roll_back" and not asked.version:
        before = versions.before(asked.pack)
        if before is not None:
            return before
        raise NotFound("there is no champion before", where=asked.pack, cure=CURES[Refusal.NOTHING_TO_ROLL_BACK_TO])
    if len(asked.version) < SHORTEST_PREFIX:
        raise NotFound(
            "a version is named by its hash",
            where=asked.pack,
            found=repr(asked.version),
            allowed=f"at least {SHORTEST_PREFIX} characters",
            cure=CURES[Refusal.STATUS_FORBIDS],
        )
    found = [one for one in known if one.hash.startswith(asked.version)]
    if len(found) != 1:
        raise NotFound(
            "no version begins like that" if not found else "several versions begin like that",
            where=asked.pack,
            found=asked.version,
            allowed=", ".join(one.hash[:12] for one in known) or "none is known",
            cure=CURES[Refusal.NO_SUCH_VERSION],
        )
    return found[0]


_OF_ANOTHER = (Refusal.AUTHOR_JUDGES_OWN, Refusal.BREAKER_JUDGES_OWN)


def check(versions: Versions, move: Move) -> None:
    """Raise what hinders a step.

    Raises
    ------
    NotPermitted : an author, or whoever broke the glass, would judge the own version; InputError : anything else
    """
    refusal = versions.may(move)
    if refusal is None:
        return
    found = versions.find(move.pack, move.hash)
    raise (NotPermitted if refusal in _OF_ANOTHER else InputError)(
        refusal.value,
        where=f"{move.pack} {move.hash[:12]}, step {move.step}",
        found=_found(refusal, move, found),
        allowed=_allowed(refusal, move),
        cure=CURES[refusal],
    )


def _found(refusal: Refusal, move: Move, version: Version | None) -> str:
    if refusal in _OF_ANOTHER:
        return move.actor
    if refusal is Refusal.STATUS_FORBIDS and version is not None:
        return version.status.value
    return f"{move.share_bp} basis points" if refusal is Refusal.SHARE_OUT_OF_RANGE else ""


def _allowed(refusal: Refusal, move: Move) -> str:
    if refusal is Refusal.NO_SUCH_STEP:
        return ", ".join(STEPS)
    if refusal is Refusal.STATUS_FORBIDS:
        return ", ".join(status.value for status in STEPS[move.step].before)
    return "1 to 9999 basis points" if refusal is Refusal.SHARE_OUT_OF_RANGE else ""


def _proposal(state: State, reader: Reader, move: Move) -> Proposal | None:
    """What is in force after a step, checked and rehearsed; None where it stays as it is."""
    after = STEPS[move.step].after
    if after is None:
        return None
    now = in_force_of(reader, state.program)
    trials = [one for one in now.trials if (one.pack, one.hash) != (move.pack, move.hash)]
    if after in (Status.SHADOW, Status.SHARE):
        trials.append(Trial(move.pack, move.hash, move.version, move.share_bp if after is Status.SHARE else 0))
    promoted = after is Status.CHAMPION
    if not promoted and trials == [*now.trials]:
        return None
    packs = [content_of(reader.content, move.pack, move.hash)] if promoted else []
    proposal = propose(state, reader, packs, trials)
    _one_challenger_an_event(proposal)
    return proposal


def content_of(content: ContentStore, pack: str, hash: str) -> PackFiles:
    """A version's files."""
    return PackFiles(pack, content.get_folder(hash))


def _one_challenger_an_event(proposal: Proposal) -> None:
    taken: dict[int, str] = {}
    for one in proposal.program.challengers:
        for code in sorted(one.codes):
            if code in taken:
                raise ConfigurationError(
                    "two challengers would share the traffic of one event",
                    where=one.pack,
                    found=taken[code],
                    allowed="one challenger for an event, so that each is compared with the champions alone",
                    cure=CURES[Refusal.TRIAL_IS_TAKEN],
                )
            taken[code] = one.pack


def awaiting_review(versions: Versions) -> int:
    """How many versions were put in force by breaking the glass, which nobody else has reviewed yet."""
    return sum(one.glass is not None and one.glass.reviewed is None for one in versions)


def shown(versions: Versions, pack: str = "") -> list[dict[str, Any]]:
    """Versions for people and programs: newest step last."""
    return [
        {
            "pack": one.pack,
            "hash": one.hash,
            "version": one.version,
            "status": one.status.value,
            "share_bp": one.share_bp,
            "authors": sorted(one.authors),
            "glass": one.glass and _shown_glass(one.glass),
            "steps": [msgspec.to_builtins(msgspec.structs.asdict(move)) for move in one.moves],
        }
        for one in versions
        if not pack or one.pack == pack
    ]


def _shown_glass(glass: Glass) -> dict[str, Any]:
    """A broken glass and its review; `reviewer` and `review` are empty while it awaits review."""
    broken, reviewed = glass
    return {
        "state": glass.state.value,
        "title": GLASS_TITLES[glass.state],
        "actor": broken.actor,
        "reason": broken.reason,
        "received_ms": broken.received_ms,
        "reviewer": reviewed.actor if reviewed is not None else "",
        "review": reviewed.reason if reviewed is not None else "",
    }
