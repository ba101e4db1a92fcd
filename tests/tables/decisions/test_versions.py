"""The life of a version as a table: a row for every step from every status and for every refusal, in precedence."""

from __future__ import annotations

import pytest

from quanheng.decisions.versions import INSTALLED, STEPS, Move, Refusal, Status, Versions

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


def at(status: str) -> Versions:
    versions = Versions()
    versions.apply(Move("card_fraud", "a" * 64, "1.0.0", INSTALLED, "root"))
    for number, step in enumerate(WAY[status], 1):
        versions.apply(move(step, at=number))
    if status == "retired":
        versions.apply(move("roll_back", "a" * 64, at=9))
    found = versions.find("card_fraud", "b" * 64)
    assert found is not None
    assert found.status.value == status
    return versions


def rows():
    lines = [line.split() for line in TABLE.splitlines() if line.strip()]
    statuses = lines[0][2:]
    for step, *cells in lines[1:]:
        yield from ((step, status, cell) for status, cell in zip(statuses, cells, strict=True))


@pytest.mark.parametrize(("step", "status", "after"), list(rows()))
def test_what_each_step_does_from_each_status(step, status, after):
    versions = at(status)
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
        (at("reviewed"), move("promote", actor="ann", reason=" ")),
        (at("reviewed"), move("promote", reason=" ")),
        (second, move("share", share_bp=10_000)),
        (second, move("share")),
        (never, move("roll_back")),
    ]
    assert [versions.may(asked) for versions, asked in given] == list(Refusal)


@pytest.mark.parametrize("step", sorted(OTHERS))
def test_the_author_never_judges_the_own_version(step):
    before = STEPS[step].before[0].value
    assert at(before).may(move(step, actor="ann")) is Refusal.AUTHOR_JUDGES_OWN
    assert at(before).may(move(step, actor="bo")) is None


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


def test_what_is_kept_is_the_whole_fold():
    versions = at("share")
    kept = Versions(versions.keep())
    assert kept.keep() == versions.keep()
    assert [one.hash for one in kept.trials()] == ["b" * 64]
