"""Decide: judge events by the policies of their flows. Changes nothing, does no I/O, reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import msgspec

from quanheng.asking import Postings
from quanheng.events.intake import EventFact
from quanheng.facts import DecisionFact, Evidence, FactColumns, Moments, Moves, Opinion, unasked, weigh
from quanheng.flows import Flow
from quanheng.known import Known, ListsNow
from quanheng.making import step, together
from quanheng.program import Program
from quanheng.stepping import View


class Rows(NamedTuple):
    """Events to judge, with all that is asked for it.

    columns, moments : the events' facts, and what folds and sources with state knew at each event's own moment
    offset : the log's head before the run of events
    received_ms : the writer's stamp for the group, epoch milliseconds
    lists : answers what is on a list at the group's moment
    views : per event the instances it meets, one for each of its processes; nothing = its type has none
    """

    events: Sequence[EventFact]
    columns: FactColumns
    moments: Moments
    offset: int
    received_ms: int
    lists: ListsNow | None = None
    views: Sequence[tuple[View, ...]] = ()

    def some(self, rows: Sequence[int]) -> Rows:
        """Those in the places `rows`, copied."""
        events = [self.events[row] for row in rows]
        views = [self.views[row] for row in rows] if self.views else ()
        columns, moments = self.columns.rows(rows), self.moments.rows(rows)
        return self._replace(events=events, columns=columns, moments=moments, views=views)


def decide(program: Program, asked: Rows) -> list[DecisionFact | None]:
    """Judge every event whose type has a flow.

    An exception anywhere in here becomes a recorded `failed` decision of the event that caused it, with the flow's
    fall-back outcome: a bank must answer the payment that waits. The other events of the group are not touched.
    """
    decisions: list[DecisionFact | None] = [None] * len(asked.events)
    deciding = program.deciding(asked.events)
    parts = ((code, part) for code, rows in deciding for part in program.arms(code, asked.events, rows))
    for code, (arm, rows) in parts:
        some = asked.some(rows)
        try:
            made = _decide_rows(arm, code, some)
        except Exception:  # The declared boundary: the event at fault is found by judging each alone.
            made = [_decide_alone(arm, code, some.some([row])) for row in range(len(rows))]
        for row, decision in zip(rows, made, strict=True):
            decisions[row] = decision
    return decisions


def _decide_rows(program: Program, code: int, asked: Rows) -> list[DecisionFact]:
    events, received_ms = asked.events, asked.received_ms
    batch = asked.columns.batch(slice(None), asked.offset, received_ms)
    known = program.join(code, events, batch, asked.moments, asked.lists)
    flows = program.flows[code]
    judged = [judge(flow, known, received_ms) for flow in flows]
    opinions = zip(*judged, strict=True) if flows else repeat((), len(events))
    made = [
        weigh(program, event, evidence, opinions)
        for event, evidence, opinions in zip(events, known.evidence(), opinions, strict=True)
    ]
    for flow in flows:
        if flow.postings is not None:
            _ask(flow.postings, program, known, made)
    if asked.views or any(flow.sends is not None for flow in flows):
        return step(program, code, known, made, asked.views)
    return made


def _ask(postings: Postings, program: Program, known: Known, decisions: list[DecisionFact]) -> None:
    """Put what a flow asks of the ledger, given the outcome of each row, with what other flows ask."""
    outcomes = [decision.body.outcome for decision in decisions]
    rows = [row for row, outcome in enumerate(outcomes) if postings.asks(outcome)]
    for row, more in zip(rows, postings.ask(known, rows, [outcomes[row] for row in rows]), strict=True):
        if not more.is_empty:
            asked = together(program, decisions[row].asked, more)
            decisions[row] = msgspec.structs.replace(decisions[row], asked=asked)


def _decide_alone(program: Program, code: int, asked: Rows) -> DecisionFact:
    try:
        return _decide_rows(program, code, asked)[0]
    except Exception as error:  # The declared boundary: recorded with the fall-back outcome.
        opinions = [flow.failed(error) for flow in program.flows[code]]
        made = weigh(program, asked.events[0], Evidence(asked.moments.raw[0].tobytes(), b"", b""), opinions)
        views = zip(program.lives.get(code, ()), *asked.views, strict=True) if asked.views else ()
        steps = [one for life, view in views for one in life.consumed(view, asked.received_ms)]
        return unasked(made, Moves(tuple(steps))) if steps else made


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
