"""The life of a version as a table: a row for every step from every status and for every refusal, in precedence."""

from __future__ import annotations

import pytest

from quanheng.decisions.versions import (
    GLASS_TITLES,
    INSTALLED,
    STEPS,
    GlassState,
    Move,
    Refusal,
    Status,
    Versions,
)

TABLE = """
# step       draft    review    reviewed  rejected  shadow    share     champion  retired
  draft      -        -         -         draft     -         -         -         draft
  submit     review   -         -         -         -         -         -         -
  approve    -        reviewed  -         -         -         -         -         -
  reject     -        rejected  rejected  -         -         -         -         -
  shadow     -        -         shadow    -         -         shadow    -         -
  share      -        -         share     -         share     share     -         -
  promote    -        -         champion  -         champion  champion  -         -
  retire     -        -         retired   -         retired   retired   -         -
  roll_back  -        -         -         -         -         -         -         champion
# after the glass was broken for the version
  accept_glass  =     =         =         =         =         =         =         =
  reject_glass  =     =         =         =         =         =         =         =
"""
WAY = {
    "draft": ["draft"],
    "review": ["draft", "submit"],
    "reviewed": ["draft", "submit", "approve"],
    "rejected": ["draft", "submit", "reject"],
    "shadow": ["draft", "submit", "approve", "shadow"],
    "share": ["draft", "submit", "approve", "share"],
    "champion": ["draft", "submit", "approve", "promote"],
    "retired": ["draft", "submit", "approve", "promote"],
}
OTHERS = {name for name, step in STEPS.items() if step.by_other}


def move(step: str, hash: str = "b" * 64, actor: str = "", reason: str = "because", share_bp: int = 500, at: int = 0):
    actor = actor or ("bo" if step in OTHERS else "ann")
    return Move("card_fraud", hash, "1.1.0", step, actor, reason, share_bp, at)


def install(hash: str, actor: str = "eve", reason: str = "fraud wave", at: int = 0) -> Move:
    return Move("card_fraud", hash, "1.1.0", INSTALLED, actor, reason, 0, at)


def at(status: str, broken: bool = False) -> Versions:
    """The version b stands there; where `broken`, eve once put it in force alone."""
    versions = Versions()
    versions.apply(Move("card_fraud", "a" * 64, "1.0.0", INSTALLED, "root"))
    if broken:
        versions.apply(install("b" * 64))
        versions.apply(move("roll_back", "a" * 64))
    for number, step in enumerate(WAY[status], 1):
        versions.apply(move(step, at=number))
    if status == "retired":
        versions.apply(move("roll_back", "a" * 64, at=9))
    found = versions.find("card_fraud", "b" * 64)
    assert found is not None
    assert found.status.value == status
    return versions


def rows():
    lines = [line.split() for line in TABLE.splitlines() if line.strip() and not line.startswith("# after")]
    statuses = lines[0][2:]
    for step, *cells in lines[1:]:
        yield from ((step, status, cell) for status, cell in zip(statuses, cells, strict=True))


@pytest.mark.parametrize(("step", "status", "after"), list(rows()))
def test_what_each_step_does_from_each_status(step, status, after):
    versions = at(status, broken=after == "=")
    after = status if after == "=" else after
    refusal = versions.may(move(step))
    if after == "-":
        assert refusal is Refusal.STATUS_FORBIDS
        return
    assert refusal is None
    versions.apply(move(step, at=20))
    found = versions.find("card_fraud", "b" * 64)
    assert found is not None
    assert found.status.value == after
    assert found.share_bp == (500 if after == "share" else 0)
    assert sum(one.status is Status.CHAMPION for one in versions) == 1  # Never none, never two.


def test_the_table_is_whole():
    assert {(step, status) for step, status, _ in rows()} == {(step, one.value) for step in STEPS for one in Status}


def test_each_refusal_has_a_row_and_precedence_holds():
    second = at("reviewed")
    for step in ("draft", "submit", "approve", "share"):
        second.apply(move(step, "c" * 64))
    never = at("draft")
    for step in ("submit", "approve", "retire"):
        never.apply(move(step))
    # Each row breaks its own rule and, where it can, every rule below it.
    given = [
        (at("draft"), move("fly", reason="")),
        (at("draft"), move("share", "f" * 64, "ann", "", 0)),
        (at("draft"), move("promote", actor="ann", reason="")),
        (at("draft"), move("accept_glass", actor="ann", reason="")),
        (at("reviewed"), move("promote", actor="ann", reason=" ")),
        (at("reviewed", broken=True), move("promote", actor="eve", reason=" ")),
        (at("reviewed"), move("promote", reason=" ")),
        (second, move("share", share_bp=10_000)),
        (second, move("share")),
        (never, move("roll_back")),
    ]
    assert [versions.may(asked) for versions, asked in given] == list(Refusal)


@pytest.mark.parametrize("step", sorted(OTHERS))
def test_the_author_never_judges_the_own_version(step):
    before = STEPS[step].before[0].value
    versions = at(before, broken=True)
    assert versions.may(move(step, actor="ann")) is Refusal.AUTHOR_JUDGES_OWN
    assert versions.may(move(step, actor="eve")) is Refusal.BREAKER_JUDGES_OWN
    assert versions.may(move(step, actor="bo")) is None


def test_neither_who_drafted_first_nor_who_submitted_again_may_judge():
    versions = at("rejected")
    versions.apply(move("draft", actor="bo"))
    versions.apply(move("submit", actor="cy"))
    for actor in ("ann", "bo", "cy"):
        assert versions.may(move("approve", actor=actor)) is Refusal.AUTHOR_JUDGES_OWN
    assert versions.may(move("approve", actor="dee")) is None


def test_a_roll_back_brings_back_the_champion_before():
    versions = at("champion")
    before = versions.before("card_fraud")
    assert before is not None
    assert before.hash == "a" * 64
    versions.apply(move("roll_back", before.hash, at=30))
    champion = versions.champion("card_fraud")
    assert champion is before
    again = versions.before("card_fraud")
    assert again is not None
    assert again.hash == "b" * 64


def glass(versions: Versions, hash: str = "a" * 64):
    found = versions.find("card_fraud", hash)
    assert found is not None
    return found.glass


def test_a_broken_glass_awaits_review_until_another_person_gives_it_whatever_happens_to_the_version():
    versions = at("champion")
    assert glass(versions) is None, "the first version needed nobody else"
    versions.apply(install("a" * 64, at=20))
    assert glass(versions).state is GlassState.AWAITING
    versions.apply(move("roll_back", "b" * 64, "cy", at=21))
    assert glass(versions).state is GlassState.AWAITING
    assert versions.may(move("accept_glass", "a" * 64, "eve")) is Refusal.BREAKER_JUDGES_OWN
    versions.apply(move("accept_glass", "a" * 64, "bo", "seen", at=22))
    found = versions.find("card_fraud", "a" * 64)
    assert found is not None
    assert (found.status, glass(versions).state) == (Status.RETIRED, GlassState.ACCEPTED)
    assert (glass(versions).broken.actor, glass(versions).reviewed.reason) == ("eve", "seen")
    assert versions.may(move("reject_glass", "a" * 64, "bo")) is Refusal.NOTHING_TO_REVIEW


def test_a_glass_that_is_broken_again_is_reviewed_again():
    versions = at("champion")
    for who, step in (("eve", "reject_glass"), ("fay", "accept_glass")):
        versions.apply(install("a" * 64, who))
        assert glass(versions).state is GlassState.AWAITING
        assert versions.may(move("accept_glass", "a" * 64, who)) is Refusal.BREAKER_JUDGES_OWN
        versions.apply(move(step, "a" * 64))
    assert glass(versions).state is GlassState.ACCEPTED
    # Neither of them brings back what they put in force alone.
    versions.apply(move("roll_back", "b" * 64))
    for who in ("eve", "fay"):
        assert versions.may(move("roll_back", "a" * 64, who)) is Refusal.BREAKER_JUDGES_OWN
    assert versions.may(move("roll_back", "a" * 64, "cy")) is None


def test_every_state_of_a_broken_glass_has_a_title_in_two_languages():
    assert [one.value for one in GlassState] == ["awaiting review", "accepted", "rejected"]
    assert GLASS_TITLES == {
        GlassState.AWAITING: {"en": "Broken glass: awaiting review", "zh": "紧急放行：待复核"},
        GlassState.ACCEPTED: {"en": "Broken glass: accepted afterwards", "zh": "紧急放行：事后复核通过"},
        GlassState.REJECTED: {"en": "Broken glass: rejected afterwards", "zh": "紧急放行：事后复核未通过"},
    }


def test_what_is_kept_is_the_whole_fold():
    versions = at("share")
    kept = Versions(versions.keep())
    assert kept.keep() == versions.keep()
    assert [one.hash for one in kept.trials()] == ["b" * 64]
