"""The life of a version of a pack: who may take which step when. Pure: the log keeps the steps, this folds them.

    draft ─▶ review ─▶ reviewed ─▶ shadow ─▶ share ─▶ champion ─▶ retired
               │           └──────────┴────────┘  promote may come from any of the three
               └─▶ rejected ─▶ (a new draft)

A version is the content of a pack, named by its hash. Whoever drafted or submitted it never judges it: approving it,
giving it traffic, making it champion and rolling back to it are another person's steps (four eyes).

    (breaking the glass) ─▶ champion, awaiting review ─▶ accepted or rejected, by another person

Whoever broke the glass for a version never judges it either. A review afterwards changes nothing that is in force.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import msgspec

SHARE_BP_MAX = 9_999
"""Basis points of traffic a challenger may have; all of it is what a champion has."""


class Status(Enum):
    """Where a version stands."""

    DRAFT = "draft"
    REVIEW = "review"
    REVIEWED = "reviewed"
    REJECTED = "rejected"
    SHADOW = "shadow"
    SHARE = "share"
    CHAMPION = "champion"
    RETIRED = "retired"


class Step(NamedTuple):
    """One kind of step.

    after : None = the version stays where it stands; a broken glass is reviewed
    scope : what the actor's token must allow
    by_other : never by an author, nor by whoever broke the glass
    """

    name: str
    before: tuple[Status, ...]
    after: Status | None
    scope: str
    by_other: bool
    needs_reason: bool


_TRIED = (Status.REVIEWED, Status.SHADOW, Status.SHARE)
STEPS: dict[str, Step] = {
    one.name: one
    for one in (
        Step("draft", (Status.REJECTED, Status.RETIRED), Status.DRAFT, "author", False, False),
        Step("submit", (Status.DRAFT,), Status.REVIEW, "author", False, True),
        Step("approve", (Status.REVIEW,), Status.REVIEWED, "approve", True, True),
        Step("reject", (Status.REVIEW, Status.REVIEWED), Status.REJECTED, "approve", True, True),
        Step("shadow", (Status.REVIEWED, Status.SHARE), Status.SHADOW, "author", False, False),
        Step("share", _TRIED, Status.SHARE, "approve", True, False),
        Step("promote", _TRIED, Status.CHAMPION, "approve", True, True),
        Step("retire", _TRIED, Status.RETIRED, "author", False, True),
        Step("roll_back", (Status.RETIRED,), Status.CHAMPION, "approve", True, True),
        Step("accept_glass", tuple(Status), None, "approve", True, True),
        Step("reject_glass", tuple(Status), None, "approve", True, True),
    )
}
"""Every step a person can take. A version that is not yet known may only be drafted."""


class Refusal(Enum):
    """Why a step is not taken. Order is precedence: the first that applies is given."""

    NO_SUCH_STEP = "there is no such step"
    NO_SUCH_VERSION = "this version is not known"
    STATUS_FORBIDS = "a version that stands there cannot take this step"
    NOTHING_TO_REVIEW = "no broken glass of this version awaits review"
    AUTHOR_JUDGES_OWN = "whoever drafted or submitted a version cannot take this step"
    BREAKER_JUDGES_OWN = "whoever broke the glass for a version cannot take this step"
    REASON_MISSING = "this step needs a reason"
    SHARE_OUT_OF_RANGE = "the share of traffic is out of range"
    TRIAL_IS_TAKEN = "another version of this pack has a share of the traffic"
    NOTHING_TO_ROLL_BACK_TO = "this version was never champion"


class Move(msgspec.Struct, frozen=True, array_like=True):
    """One step that was taken, as the log keeps it.

    pack, hash : the version; `version` is the number its author gave it
    actor : client that took the step; reason : in its words
    share_bp : basis points of traffic, for `share`
    received_ms : the writer's stamp
    """

    pack: str
    hash: str
    version: str
    step: str
    actor: str
    reason: str = ""
    share_bp: int = 0
    received_ms: int = 0


class GlassState(Enum):
    """Where the review of a broken glass stands."""

    AWAITING = "awaiting review"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


GLASS_TITLES = {
    GlassState.AWAITING: {"en": "Broken glass: awaiting review", "zh": "紧急放行：待复核"},
    GlassState.ACCEPTED: {"en": "Broken glass: accepted afterwards", "zh": "紧急放行：事后复核通过"},
    GlassState.REJECTED: {"en": "Broken glass: rejected afterwards", "zh": "紧急放行：事后复核未通过"},
}


class Glass(NamedTuple):
    """The newest time that the glass was broken for a version; `reviewed` is None while it awaits review."""

    broken: Move
    reviewed: Move | None

    @property
    def state(self) -> GlassState:
        """Where its review stands."""
        if self.reviewed is None:
            return GlassState.AWAITING
        return GlassState.ACCEPTED if self.reviewed.step == "accept_glass" else GlassState.REJECTED


class Version(msgspec.Struct, array_like=True):
    """One version with everything that happened to it, oldest first."""

    pack: str
    hash: str
    version: str
    status: Status
    share_bp: int = 0
    moves: list[Move] = []

    @property
    def authors(self) -> frozenset[str]:
        """Who drafted or submitted it."""
        return frozenset(move.actor for move in self.moves if move.step in ("draft", "submit"))

    @property
    def breakers(self) -> frozenset[str]:
        """Who broke the glass to put it in force."""
        return frozenset(move.actor for move in self.moves if _broke_glass(move))

    @property
    def glass(self) -> Glass | None:
        """The newest time that the glass was broken for it, with the review if there was one; None = never."""
        broken = reviewed = None
        for move in self.moves:
            if _broke_glass(move):
                broken, reviewed = move, None
            elif move.step in ("accept_glass", "reject_glass"):
                reviewed = move
        return Glass(broken, reviewed) if broken is not None else None

    @property
    def in_force_by(self) -> Move | None:
        """The newest step that put it in force as champion; None = it never was."""
        return next((move for move in reversed(self.moves) if _after(move.step) is Status.CHAMPION), None)


INSTALLED = "install"
"""The step of a pack that was activated directly, by whoever may administer: a first version, or breaking the glass.

Its reason says why the glass was broken; it has none where nobody else had to be asked.
"""


class Versions:
    """Every version of every pack: a fold of the steps. `may` changes nothing; `apply` is the only mutator."""

    def __init__(self, kept: list[Version] | None = None) -> None:
        self._known: dict[tuple[str, str], Version] = {(one.pack, one.hash): one for one in kept or ()}

    def __iter__(self) -> Iterator[Version]:
        return iter(self._known.values())

    def keep(self) -> list[Version]:
        """What a snapshot stores: all of them, by pack and hash."""
        return [self._known[key] for key in sorted(self._known)]

    def find(self, pack: str, hash: str) -> Version | None:
        """One version, by its whole hash."""
        return self._known.get((pack, hash))

    def of(self, pack: str) -> list[Version]:
        """The versions of a pack, in the order in which they were drafted."""
        return [one for one in self if one.pack == pack]

    def champion(self, pack: str) -> Version | None:
        """The version that has all traffic but what challengers have."""
        return next((one for one in self.of(pack) if one.status is Status.CHAMPION), None)

    def trials(self) -> list[Version]:
        """Versions in shadow or with a share of traffic, by pack and hash."""
        return [one for one in self.keep() if one.status in (Status.SHADOW, Status.SHARE)]

    def before(self, pack: str) -> Version | None:
        """The champion before the present one: whom a roll-back brings back."""
        retired = [one for one in self.of(pack) if one.status is Status.RETIRED and one.in_force_by]
        return max(retired, key=_in_force_ms, default=None)

    def may(self, move: Move) -> Refusal | None:
        """Whether a step can be taken now; None = yes. Scopes are checked by whoever knows the actor's token."""
        step = STEPS.get(move.step)
        if step is None:
            return Refusal.NO_SUCH_STEP
        found = self.find(move.pack, move.hash)
        if found is None:
            return None if move.step == "draft" else Refusal.NO_SUCH_VERSION
        if found.status not in step.before:
            return Refusal.STATUS_FORBIDS
        if step.after is None and (found.glass is None or found.glass.reviewed is not None):
            return Refusal.NOTHING_TO_REVIEW
        if step.by_other and move.actor in found.authors:
            return Refusal.AUTHOR_JUDGES_OWN
        if step.by_other and move.actor in found.breakers:
            return Refusal.BREAKER_JUDGES_OWN
        if step.needs_reason and not move.reason.strip():
            return Refusal.REASON_MISSING
        if move.step == "share":
            if not 1 <= move.share_bp <= SHARE_BP_MAX:
                return Refusal.SHARE_OUT_OF_RANGE
            if any(one.status is Status.SHARE and one is not found for one in self.of(move.pack)):
                return Refusal.TRIAL_IS_TAKEN
        if move.step == "roll_back" and found.in_force_by is None:
            return Refusal.NOTHING_TO_ROLL_BACK_TO
        return None

    def apply(self, move: Move) -> None:
        """Fold one step that the log holds."""
        key, found = (move.pack, move.hash), self.find(move.pack, move.hash)
        after = _after(move.step)
        if after is None:  # Only a version that stands somewhere can be reviewed, and it stays there.
            self._known[key].moves.append(move)
            return
        if after is Status.CHAMPION:
            champion = self.champion(move.pack)
            if champion is not None and champion.hash != move.hash:
                champion.status = Status.RETIRED
        if found is None:
            found = self._known[key] = Version(move.pack, move.hash, move.version, after, 0, [])
        found.status = after
        found.share_bp = move.share_bp if after is Status.SHARE else 0
        found.moves.append(move)


def _after(step: str) -> Status | None:
    """Where a step leads; None = nowhere else."""
    return Status.CHAMPION if step == INSTALLED else STEPS[step].after


def _broke_glass(move: Move) -> bool:
    return move.step == INSTALLED and bool(move.reason.strip())


def _in_force_ms(version: Version) -> int:
    return version.in_force_by.received_ms if version.in_force_by is not None else 0
