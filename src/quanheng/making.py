"""What decisions make of instances: the steps of every process on an event, with all that they ask and send. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quanheng.amounts import Row
from quanheng.asking import REFUSED
from quanheng.expressions import Columns
from quanheng.facts import NO_MOVES, Asked, DecisionFact, Moves, Sent, StepBody, unasked
from quanheng.flows import Flow
from quanheng.known import Known
from quanheng.moves import Asking
from quanheng.processes.records import Step
from quanheng.program import Program
from quanheng.stepping import NOBODY, Life, View


def step(
    program: Program, code: int, known: Known, decisions: Sequence[DecisionFact], views: Sequence[tuple[View, ...]]
) -> list[DecisionFact]:
    """Decisions on events of one type with the steps that they make.

    Where a decision asks the ledger for anything, it carries both: the steps that are made if the ledger does it, and
    those that are made where it refuses.
    """
    columns = Columns(known)
    names = [(name, 16 * place) for place, name in enumerate(program.type_of(code).key_fields)]
    flows, lives = program.flows[code], program.lives.get(code, ())
    sends = any(flow.sends is not None for flow in flows)
    made = []
    for at, decision in enumerate(decisions):
        if not sends and all(view is NOBODY for view in (views[at] if views else ())):
            made.append(decision)  # It names no instance: most events of busy types do not.
            continue
        event, keys = known.events[at], known.batch.keys[at].tobytes()
        row = Row({name: keys[place : place + 16] for name, place in names}, event.request_key)
        outcome = decision.body.outcome
        asking = Asking(columns, at, event, row.keys, outcome, False, known.received_ms, outcome)
        met = list(zip(lives, views[at], strict=True)) if views else []
        moves, asked = _moves(program, flows, met, asking, row, decision.asked)
        if asked is None:
            made.append(decision if moves is NO_MOVES else unasked(decision, moves))
            continue
        refused = asking._replace(outcome=asked.outcome, refused=True)
        otherwise, _ = _moves(program, flows, met, refused, row, None)
        made.append(msgspec.structs.replace(decision, asked=asked, moves=moves, refused=otherwise))
    return made


def _moves(
    program: Program,
    flows: Sequence[Flow],
    met: Sequence[tuple[Life, View]],
    asking: Asking,
    row: Row,
    asked: Asked | None,
) -> tuple[Moves, Asked | None]:
    """What one event makes of its instances, and what is then asked of the ledger."""
    sent = _sent_by_flows(flows, asking)
    steps: list[Step] = []
    told: list[StepBody] = []
    for life, view in met:
        chosen = life.choose(asking, view)
        steps += chosen.steps
        told += chosen.told
        if life.postings is not None and not asking.refused:
            named = dict.fromkeys(chosen.postings)
            found = (one for name in named for one in life.postings.transfers(asking.columns, asking.at, row, name))
            known_ids = {one.transfer.id for one in asked.transfers} if asked is not None else set()
            transfers = tuple(one for one in found if one.transfer.id not in known_ids)
            if transfers:  # What a flow or another part asks for already is made once.
                asked = together(program, asked, Asked(transfers, (), _refused_as(program, flows, life)))
        if life.sends is not None and chosen.sends:
            known, outcome = asking.columns.known, asking.outcome
            sent += life.sends.render(
                known, asking.at, chosen.sends, outcome, chosen.context, len(sent), asking.refused
            )
    return (Moves(tuple(steps), tuple(told), tuple(sent)) if steps or sent else NO_MOVES), asked


def _refused_as(program: Program, flows: Sequence[Flow], life: Life) -> str:
    """Outcome where the ledger refuses what a step asks for: the flows of the event say it, else the process."""
    said = [one.refused_as for one in flows if one.refused_as]
    return max(said, key=lambda one: program.severity[one]) if said else life.machine.declared.refused_as


def _sent_by_flows(flows: Sequence[Flow], asking: Asking) -> list[Sent]:
    sent: list[Sent] = []
    for flow in flows:
        names = flow.sent.get(REFUSED if asking.refused else asking.outcome, ()) if flow.sends is not None else ()
        if flow.sends is not None and names:
            known, outcome, refused = asking.columns.known, asking.outcome, asking.refused
            sent += flow.sends.render(known, asking.at, names, outcome, None, len(sent), refused)
    return sent


def together(program: Program, asked: Asked | None, more: Asked) -> Asked:
    """What two flows or processes ask: all of it or nothing, and the more severe outcome if the ledger refuses."""
    if asked is None:
        return more
    outcomes = [one for one in (asked.outcome, more.outcome) if one]
    outcome = max(outcomes, key=lambda one: program.severity[one], default="")
    return Asked(
        asked.transfers + more.transfers, asked.refused + more.refused, outcome, asked.loans + more.loans,
        asked.loans_refused + more.loans_refused,
    )  # fmt: skip
