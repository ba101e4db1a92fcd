"""Golden cases: how they are read, and what is said when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.loading import check_pack, read_pack, read_packs
from quanheng.loading.cases import CaseReply, run_cases
from quanheng.loading.declared import Case, CaseTransfer
from quanheng.loading.new import starter_files

CASE = b"""
[default."mine.request"]
customer     = "anna"
amount_minor = 20_000
currency     = "EUR"

[[case]]
name  = "One"
clock = 2026-01-15T10:00:00Z

[[case.event]]
type  = "mine.request"
times = 3
every = "1h"

[[case.event]]
type   = "mine.request"
id     = "last"
data   = {time_ms = 2026-01-15T09:00:00Z}
expect = {outcome = "review", reasons = ["too_many_requests"]}
"""


def cases(text: bytes = CASE):
    files = {**starter_files("mine"), "cases/first.toml": text}
    declared, problems = check_pack(read_pack(files, "mine"), read_packs())
    assert problems == ()
    return declared


def replies(*last: CaseReply):
    def run(case: Case) -> list[CaseReply]:
        return [
            CaseReply(event.id, "decided", "approve") for event in case.events[: len(case.events) - len(last)]
        ] + list(last)

    return run


def test_times_and_defaults_are_filled_in():
    case = cases().cases[0]
    assert [event.received_ms - case.clock_ms for event in case.events] == [0, 3_600_000, 7_200_000, 7_200_000]
    assert [event.data["time_ms"] - case.clock_ms for event in case.events] == [0, 3_600_000, 7_200_000, -3_600_000]
    assert [event.id for event in case.events] == ["one-1-1", "one-1-2", "one-1-3", "last"]
    assert [event.expect is not None for event in case.events] == [False, False, False, True]
    assert case.events[0].data["amount_minor"] == 20_000


def test_a_written_time_moves_along_with_repetition():
    for time in (b"2026-01-15T09:00:00Z", b"1768467600000"):
        text = CASE.replace(b'every = "1h"', b'every = "1h"\ndata = {time_ms = ' + time + b"}")
        assert [event.data["time_ms"] for event in cases(text).cases[0].events[:3]] == [
            1768467600000, 1768471200000, 1768474800000,
        ]  # fmt: skip


def test_a_passing_case_gives_no_problem():
    reply = CaseReply("last", "decided", "review", ("too_many_requests",))
    assert run_cases(cases(), replies(reply)) == ()


def test_a_failing_case_says_what_was_expected_and_what_came():
    reply = CaseReply("last", "decided", "decline", ("amount_over_limit",))
    problems = run_cases(cases(), replies(reply))
    assert [str(problem) for problem in problems] == [
        (
            "cases/first.toml: One: the golden case fails at event 4 of 4 (mine.request at 2026-01-15T12:00:00.000Z): "
            "expected outcome review, was decline; "
            "missing reason too_many_requests, unexpected reason amount_over_limit. "
            "Change the policy or parameter back, or the case if the new answer is the right one."
        )
    ]


def test_a_refused_event_says_why():
    reply = CaseReply("last", "rejected", error="mine.request.currency: the value does not fit the field")
    (problem,) = run_cases(cases(), replies(reply))
    expected = "expected to be decided, was rejected (mine.request.currency: the value does not fit the field)"
    assert expected in str(problem)


def test_an_event_that_the_ledger_refused_says_what_it_said():
    asked = CaseTransfer(name="pay.principal", outcome="DEBITS_WOULD_EXCEED_CREDITS")
    other = CaseTransfer(name="pay.fee", outcome="CHAIN_FAILED")
    reply = CaseReply("last", "refused", "decline", ("ledger_refused",), transfers=(asked, other))
    (problem,) = run_cases(cases(), replies(reply))
    told = "(pay.principal: DEBITS_WOULD_EXCEED_CREDITS, pay.fee: CHAIN_FAILED)"
    assert f"expected to be decided, was refused {told}" in str(problem)


def test_an_event_of_which_nothing_is_expected_may_not_fail():
    def run(case: Case) -> list[CaseReply]:
        last = CaseReply("last", "decided", "review", ("too_many_requests",))
        return [
            CaseReply("x", "failed", "review", ("policy_failed",)),
            *[CaseReply("x", "decided", "approve")] * 2,
            last,
        ]

    (problem,) = run_cases(cases(), run)
    assert "at event 1 of 4" in str(problem)
    assert "nothing was expected of it, and it was failed" in str(problem)


def test_an_event_of_which_nothing_is_expected_may_not_be_refused_by_the_ledger():
    moved = (CaseTransfer(name="pay.one", outcome="NOTHING_IS_THERE"),)
    refused = CaseReply("x", "refused", "decline", transfers=moved)
    last = CaseReply("last", "decided", "review", ("too_many_requests",))
    (problem,) = run_cases(cases(), lambda case: [refused, *[CaseReply("x", "decided", "approve")] * 2, last])
    assert "nothing was expected of it, and it was refused (pay.one: NOTHING_IS_THERE)" in str(problem)


def test_a_case_that_is_not_answered_in_full_fails():
    (problem,) = run_cases(cases(), lambda case: [])
    assert str(problem) == (
        "cases/first.toml: One: the case was not answered in full; was 0 replies; allowed: 4, one for each event"
    )


WALLET = Path(__file__).parents[2] / "packs" / "wallet"
HOLD = CaseTransfer(name="authorise.principal", amount_minor=2_500)
FEE = CaseTransfer(name="refusal_fee.fee", outcome="NOTHING_IS_THERE")


def of_transfers(*asked: CaseTransfer) -> list[str]:
    """What is said of the wallet's first case where its payment, which must hold 25.00, asked for these transfers."""
    declared, problems = check_pack(read_pack(WALLET), read_packs())
    assert problems == ()
    case = declared.cases[0]
    assert case.events[1].expect.transfers == (HOLD,)

    def run(case: Case) -> list[CaseReply]:
        expected = [event.expect for event in case.events]
        good = [CaseReply("", "decided", one.outcome, one.reasons or (), transfers=one.transfers) for one in expected]
        return [good[0], good[1]._replace(transfers=asked), *good[2:]]

    said = run_cases(replace(declared, cases=(case,)), run)
    return [problem.message.partition("): ")[2] for problem in said]


def test_transfers_that_are_as_expected_are_not_spoken_of():
    assert of_transfers(HOLD) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "expected transfers authorise.principal, were none"),
        (
            (HOLD, FEE),
            (
                "expected transfers authorise.principal, were authorise.principal (APPLIED), refusal_fee.fee"
                " (NOTHING_IS_THERE)"
            ),
        ),
        ((CaseTransfer(name="authorise.principal", outcome="AMOUNT_IS_NULL"),),
         "expected transfer authorise.principal to be APPLIED, was AMOUNT_IS_NULL"),
        ((CaseTransfer(name="authorise.principal", amount_minor=2_499),),
         "expected transfer authorise.principal of 2500 minor units, was 2499"),
        ((CaseTransfer(name="authorise.principal"),),
         "expected transfer authorise.principal of 2500 minor units, was none"),
    ],
)  # fmt: skip
def test_a_difference_of_transfers_is_said(asked, said):
    assert of_transfers(*asked) == [said]


def test_no_transfers_and_transfers_that_are_not_compared():
    declared, _ = check_pack(read_pack(WALLET), read_packs())
    broke = next(case for case in declared.cases if case.name.startswith("Nobody pays more"))
    assert [event.expect and event.expect.transfers for event in broke.events] == [None, ()]
    replies = [CaseReply("", "decided", "approve", transfers=(HOLD,))]
    replies.append(CaseReply("", "decided", "decline", ("balance_too_low",), transfers=(HOLD,)))
    only = replace(declared, cases=(broke,))
    said = [problem.message for problem in run_cases(only, lambda case: replies)]
    assert [text.partition("): ")[2] for text in said] == [
        "expected transfers none, were authorise.principal (APPLIED)"
    ]


CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"
RELEASE = CaseTransfer(name="release.principal", amount_minor=50_000)


def of_instances(at: int, **other) -> list[str]:
    """What is said of the checkout's second case where one entry is answered otherwise than expected."""
    declared, problems = check_pack(read_pack(CHECKOUT), read_packs())
    assert problems == ()
    case = declared.cases[1]
    assert [event.type for event in case.events] == ["checkout.payment", "clock", "clock", "clock"]

    def run(case: Case) -> list[CaseReply]:
        good = [
            CaseReply("", one.status, one.outcome, transfers=one.transfers or (), instances=dict(one.instances or {}))
            for one in (event.expect for event in case.events)
        ]
        return [*good[:at], good[at]._replace(**other), *good[at + 1 :]]

    return [problem.message.partition("): ")[2] for problem in run_cases(replace(declared, cases=(case,)), run)]


def test_instances_and_messages_that_are_as_expected_are_not_spoken_of():
    assert of_instances(0) == []
    assert of_instances(3, transfers=(RELEASE,)) == []


@pytest.mark.parametrize(
    ("at", "other", "said"),
    [
        (1, {"instances": {"review": ("doubted",)}}, "expected the instance of review to be asked, was doubted"),
        (1, {"instances": {}}, "expected the instance of review to be asked, was not there"),
        (0, {"sent": ("ask_payer",)}, "expected nothing to be sent, was ask_payer"),
        (2, {"transfers": (RELEASE,)}, "expected transfers none, were release.principal (APPLIED)"),
    ],
)
def test_a_difference_of_what_goes_on_in_time_is_said(at, other, said):
    assert of_instances(at, **other) == [said]


def test_no_instance_some_parts_and_messages_in_order():
    declared, _ = check_pack(read_pack(CHECKOUT), read_packs())
    approved, reviewed, claimed = (case.events[0] for case in declared.cases)
    none = CaseReply("", "decided", "approve", instances={"review": ("asked",)})
    claim = CaseReply("", "recorded", instances={"claim": ("papers.awaited", "ruling.ruled")})
    sent = replace(reviewed, expect=replace(reviewed.expect, instances=None, sent=("ask_payer", "tell_desk")))
    told = CaseReply("", "decided", "review", sent=("tell_desk", "ask_payer"))

    def said(event, reply) -> list[str]:
        case = replace(declared.cases[0], events=(event,))
        problems = run_cases(replace(declared, cases=(case,)), lambda case: [reply])
        return [problem.message.partition("): ")[2] for problem in problems]

    assert said(approved, none) == ["expected the instance of review not to be there, was asked"]
    assert said(claimed, claim) == [
        "expected the instance of claim to be papers.awaited and ruling.open, was papers.awaited and ruling.ruled"
    ]
    assert said(sent, told) == ["expected ask_payer, tell_desk to be sent, was tell_desk, ask_payer"]


def test_time_goes_on_to_a_moment_or_for_a_while():
    declared, _ = check_pack(read_pack(CHECKOUT), read_packs())
    case = declared.cases[1]
    minute = 60_000
    assert [event.received_ms - case.clock_ms for event in case.events] == [
        0, 44 * minute, 45 * minute, 45 * minute + 5 * 24 * 60 * minute,
    ]  # fmt: skip
    assert [event.expect.status for event in case.events] == ["decided", "recorded", "recorded", "recorded"]
