"""What steps of processes.toml ask for: postings of accounts.toml, calls and notices of calls.toml."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from quanheng.loading.checks.manifest import FlowDraft
from quanheng.loading.checks.postings import TRANSFERS_MAX
from quanheng.loading.checks.processes import ProcessDraft
from quanheng.loading.declared_accounts import AccountsDeclaration
from quanheng.loading.declared_calls import CallsDeclaration
from quanheng.loading.declared_processes import Act
from quanheng.loading.notes import Words
from quanheng.loading.process_steps import Step, steps_of
from quanheng.loading.table import Table

KINDS = {"call": "call", "notify": "notice"}


class StepAsks(msgspec.Struct, frozen=True):
    """What processes of a pack ask for: event → names of postings, of calls and notices, each once."""

    postings: Mapping[str, tuple[str, ...]] = {}
    sends: Mapping[str, tuple[str, ...]] = {}


def check_asks(
    drafts: Sequence[ProcessDraft],
    flows: Sequence[FlowDraft],
    outcomes: Collection[str],
    accounts: AccountsDeclaration,
    calls: CallsDeclaration,
) -> StepAsks:
    """Check what steps ask for. Key fields and amounts of postings are checked with those that flows ask for."""
    postings = {one.name: len(one.transfers) for one in accounts.postings}
    kinds = {one.name: one.kind for one in calls.calls}
    decided = {flow.when for flow in flows}
    asked: dict[str, dict[str, None]] = {}
    sent: dict[str, dict[str, None]] = {}
    for draft in drafts:
        steps = list(steps_of(draft.process))
        for table, key, act in _written(draft):
            _check_act(table, key, act, postings, kinds)
        for step in steps:
            for act in (ask.act for ask in (*step.asks, *step.refused)):
                names = asked if act.kind == "transfer" else sent
                if step.event and (act.kind == "transfer" or act.name in kinds):
                    names.setdefault(step.event, {})[act.name] = None
            table = _table_of(draft, step)
            _check_size(table, step, postings)
            _check_refused(table, step)
        _check_refused_as(draft, steps, decided, outcomes)
    return StepAsks(
        {event: tuple(names) for event, names in asked.items()}, {event: tuple(names) for event, names in sent.items()}
    )


def _written(draft: ProcessDraft) -> Iterator[tuple[Table, str, Act]]:
    """Every act with its table and key."""
    for start in draft.starts:
        yield from ((start.table, "do", act) for act in start.start.do)
    for one in draft.states:
        yield from ((one.table, "entry", act) for act in one.state.entry)
        yield from ((one.table, "exit", act) for act in one.state.exit)
    for move in draft.moves:
        yield from ((move.table, "do", act) for act in move.move.do)


def _table_of(draft: ProcessDraft, step: Step) -> Table:
    """The table of the start or move that makes a step."""
    place = step.place
    if not place.state:
        return draft.starts[place.move].table
    state = next(one for one in draft.states if (one.part, one.state.name) == (place.part, place.state))
    return state.moves[place.move].table


def _check_act(table: Table, key: str, act: Act, postings: Mapping[str, int], kinds: Mapping[str, str]) -> None:
    """The posting, call or notice is there."""
    if act.kind == "transfer":
        if act.name not in postings:
            message = "no such posting is declared in accounts.toml"
            table.problem(key, message, found=act.name, known=list(postings), of="posting")
    else:
        check_send(table, key, act, kinds)


def check_send(table: Table, key: str, act: Act, kinds: Mapping[str, str]) -> None:
    """The call or notice is there, and is what it is called. kinds : of each call and notice of calls.toml"""
    if act.name not in kinds:
        message = "no such call or notice is declared in calls.toml"
        table.problem(key, message, found=act.name, known=list(kinds), of="call")
    elif kinds[act.name] != act.kind:
        message = f"it is a {KINDS[kinds[act.name]]} in calls.toml"
        cure = f'Write "{kinds[act.name]}:{act.name}".'
        table.problem(key, message, found=f"{act.kind}:{act.name}", cure=cure)


def _check_size(table: Table, step: Step, postings: Mapping[str, int]) -> None:
    count = sum(postings.get(name, 0) for name in step.transfers)
    if count > TRANSFERS_MAX:
        found = Words(f"{count} transfers")
        table.problem("", "the step asks for too many transfers at once", found=found,
                      known=f"at most {TRANSFERS_MAX}")  # fmt: skip


def _check_refused(table: Table, step: Step) -> None:
    """Where the ledger refuses a step, the state that it then leads to asks it for nothing more."""
    if not table.has("refused"):
        return
    if again := [ask.act.name for ask in step.refused if ask.act.kind == "transfer"]:
        message = "the state is entered where the ledger refuses, and asks it for transfers itself"
        cure = "Enter a state that asks for none, and move on from there."
        table.problem("refused", message, found=Words(f"transfer:{again[0]}"), cure=cure)
    if not step.transfers and not table.notes.doubted("act"):
        cure = "Remove `refused`."
        message = "the step asks nothing of the ledger that it could refuse"
        table.problem("refused", message, found=table.values["refused"], cure=cure)


def _check_refused_as(
    draft: ProcessDraft, steps: Sequence[Step], decided: Collection[str], outcomes: Collection[str]
) -> None:
    """An event without a flow that asks for transfers has an outcome where the ledger refuses them."""
    given, table = draft.process.refused_as, draft.table
    asking = [step.event for step in steps if step.transfers and step.event and step.event not in decided]
    if given and given not in outcomes:
        message = "what a refusal is answered as is not one of the outcomes"
        table.problem("refused_as", message, found=given, known=list(outcomes), of="outcome")
    elif asking and not table.has("refused_as"):
        message = f"the ledger may refuse what {asking[0]} asks for, and no flow says the outcome that is given then"
        table.problem("refused_as", f"{message}; the key is missing", known=list(outcomes), of="decided")
    elif table.has("refused_as") and not asking and not table.notes.doubted("act"):
        message, cure = "no event without a flow asks for transfers that could be refused", "Remove `refused_as`."
        table.problem("refused_as", message, found=given, cure=cure, of="decided")
