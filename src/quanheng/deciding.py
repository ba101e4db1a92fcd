"""Decide: judge events by the policies of their flows. Changes nothing, does no I/O, reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from quanheng.events.intake import EventFact
from quanheng.facts import DecisionFact, Evidence, FactColumns, Moments, Opinion, weigh
from quanheng.known import Known, ListsNow
from quanheng.program import Flow, Program


def decide(
    program: Program,
    events: Sequence[EventFact],
    columns: FactColumns,
    moments: Moments,
    offset: int,
    received_ms: int,
    lists: ListsNow | None = None,
) -> list[DecisionFact | None]:
    """Judge every event whose type has a flow.

    An exception anywhere in here becomes a recorded `failed` decision of the event that caused it, with the flow's
    fall-back outcome: a bank must answer the payment that waits. The other events of the group are not touched.

    Parameters
    ----------
    columns, moments : the events' facts, and what folds and sources with state knew at each event's own moment
    offset : the log's head before the group
    lists : answers what is on a list at the group's moment
    """
    decisions: list[DecisionFact | None] = [None] * len(events)
    parts = ((code, part) for code, rows in program.deciding(events) for part in program.arms(code, events, rows))
    for code, (arm, rows) in parts:
        try:
            made = _decide_rows(arm, code, rows, events, columns, moments, offset, received_ms, lists)
        except Exception:  # The declared boundary: the event at fault is found by judging each alone.
            made = [_decide_alone(arm, code, row, events, columns, moments, offset, received_ms, lists) for row in rows]
        for row, decision in zip(rows, made, strict=True):
            decisions[row] = decision
    return decisions


def _decide_rows(
    program: Program,
    code: int,
    rows: Sequence[int],
    events: Sequence[EventFact],
    columns: FactColumns,
    moments: Moments,
    offset: int,
    received_ms: int,
    lists: ListsNow | None,
) -> list[DecisionFact]:
    some = [events[row] for row in rows]
    known = program.join(code, some, columns.batch(rows, offset, received_ms), moments.rows(rows), lists)
    judged = [judge(flow, known, received_ms) for flow in program.flows[code]]
    return [
        weigh(program, event, evidence, opinions)
        for event, evidence, opinions in zip(some, known.evidence(), zip(*judged, strict=True), strict=True)
    ]


def _decide_alone(
    program: Program,
    code: int,
    row: int,
    events: Sequence[EventFact],
    columns: FactColumns,
    moments: Moments,
    offset: int,
    received_ms: int,
    lists: ListsNow | None,
) -> DecisionFact:
    try:
        return _decide_rows(program, code, [row], events, columns, moments, offset, received_ms, lists)[0]
    except Exception as error:  # The declared boundary: recorded with the fall-back outcome.
        opinions = [flow.failed(error) for flow in program.flows[code]]
        return weigh(program, events[row], Evidence(moments.raw[row].tobytes(), b"", b""), opinions)


def judge(flow: Flow, known: Known, received_ms: int) -> Sequence[Opinion]:
    """Run one flow's policy on every row of `known`.

    An exception in a policy, or a result that is no declared outcome, is a recorded `failed` opinion with the
    flow's fall-back outcome: a bank must answer the payment that waits.
    """
    policy, opinion = flow.quick, flow.opinion
    lists = known.lists(flow.lists) if flow.lists and known.lists is not None else None
    opinions = []
    inputs = flow.inputs(known)
    for values, request in zip(zip(*inputs, strict=True) if inputs else repeat(()), known.requests, strict=False):
        if 0 < request.deadline_ms < received_ms:
            opinions.append(flow.late)
            continue
        try:
            judgement = policy(values) if lists is None else policy(values, None, lists)
        except Exception as error:  # The declared boundary: any fault in a policy becomes a recorded fall-back.
            opinions.append(flow.failed(error))
            continue
        opinions.append(opinion(judgement))
    return opinions
