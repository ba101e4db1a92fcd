"""Runs the golden cases of a pack. Who runs an event is given from outside; what must come back is judged here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from quanheng.kernel.errors import Problem
from quanheng.kernel.time import format_time
from quanheng.loading.declared import Case, CaseEvent, CaseTransfer, Declared


class CaseReply(NamedTuple):
    """What came back for one event of a case.

    status : decided | recorded | rejected | failed
    error : the message of a rejected event
    transfers : all that were asked for, in order, with what became of them; None where nothing was decided
    instances : process → states that the event's instance of it is in behind it, "state" or "part.state" of each part;
        not there where there is no instance
    sent : calls and notices that were sent, in order

    Of time that goes on (an entry of type "clock"), `status` is "recorded", `transfers` and `sent` are those of all
    timers that fired meanwhile, `instances` those that the newest event before it named.
    """

    id: str
    status: str
    outcome: str | None = None
    reasons: tuple[str, ...] = ()
    error: str = ""
    transfers: tuple[CaseTransfer, ...] | None = None
    instances: Mapping[str, tuple[str, ...]] = {}
    sent: tuple[str, ...] = ()


Run = Callable[[Case], Sequence[CaseReply]]
"""Runs all events of a case on an empty state, with its fixed scores and its clock: one reply per event, in order."""


def run_cases(declared: Declared, run: Run) -> tuple[Problem, ...]:
    """Run every golden case of a pack. No problem means that all pass.

    Parameters
    ----------
    declared : the checked pack
    run : runs one case and gives its replies
    """
    problems: list[Problem] = []
    for case in declared.cases:
        replies = run(case)
        if len(replies) != len(case.events):
            problems.append(
                Problem(
                    case.file,
                    case.name,
                    "the case was not answered in full",
                    f"{len(replies)} replies",
                    f"{len(case.events)}, one for each event",
                )
            )
            continue
        problems += _compare(case, replies)
    return tuple(problems)


def _compare(case: Case, replies: Sequence[CaseReply]) -> Iterator[Problem]:
    for number, (event, reply) in enumerate(zip(case.events, replies, strict=True), 1):
        differences = list(_differences(event, reply))
        if differences:
            where = f"event {number} of {len(case.events)} ({event.type} at {format_time(event.received_ms)})"
            yield Problem(
                case.file,
                case.name,
                f"the golden case fails at {where}: {'; '.join(differences)}",
                cure="Change the policy or parameter back, or the case if the new answer is the right one.",
            )


def _differences(event: CaseEvent, reply: CaseReply) -> Iterator[str]:
    """What was expected and what came, in words; nothing where they agree."""
    expect = event.expect
    why = reply.error or ", ".join(f"{one.name}: {one.outcome}" for one in reply.transfers or ())
    if expect is None:
        if reply.status in {"rejected", "failed", "refused"}:
            yield f"nothing was expected of it, and it was {reply.status}" + (f" ({why})" if why else "")
        return
    if reply.status != expect.status:
        yield f"expected to be {expect.status}, was {reply.status}" + (f" ({why})" if why else "")
        return
    if expect.outcome is not None and reply.outcome != expect.outcome:
        yield f"expected outcome {expect.outcome}, was {reply.outcome or 'none'}"
    if expect.reasons is not None and set(reply.reasons) != set(expect.reasons):
        missing = [code for code in expect.reasons if code not in reply.reasons]
        more = [code for code in reply.reasons if code not in expect.reasons]
        parts = [
            f"missing reason {', '.join(missing)}" if missing else "",
            f"unexpected reason {', '.join(more)}" if more else "",
        ]
        yield ", ".join(part for part in parts if part)
    if expect.transfers is not None:
        yield from _transfers(expect.transfers, reply.transfers or ())
    for process, states in (expect.instances or {}).items():
        found = reply.instances.get(process, ())
        if [one for one in states if one not in found] or (found and not states):
            wanted = f"to be {' and '.join(states)}" if states else "not to be there"
            yield f"expected the instance of {process} {wanted}, was {' and '.join(found) or 'not there'}"
    if expect.sent is not None and reply.sent != expect.sent:
        yield f"expected {', '.join(expect.sent) or 'nothing'} to be sent, was {', '.join(reply.sent) or 'nothing'}"


def _transfers(expected: Sequence[CaseTransfer], found: Sequence[CaseTransfer]) -> Iterator[str]:
    """Which transfers were asked for, in order; where these agree, what became of each."""
    wanted, names = [one.name for one in expected], [one.name for one in found]
    if wanted != names:
        asked = ", ".join(f"{one.name} ({one.outcome})" for one in found) or "none"
        yield f"expected transfers {', '.join(wanted) or 'none'}, were {asked}"
        return
    for one, other in zip(expected, found, strict=True):
        if other.outcome != one.outcome:
            yield f"expected transfer {one.name} to be {one.outcome}, was {other.outcome}"
        elif one.amount_minor is not None and other.amount_minor != one.amount_minor:
            moved = "none" if other.amount_minor is None else other.amount_minor
            yield f"expected transfer {one.name} of {one.amount_minor} minor units, was {moved}"
