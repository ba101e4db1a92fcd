"""cases/*.toml: golden cases. Read here, run by `quanheng.loading.cases`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import msgspec

from quanheng.events.schema import EventDeclaration, EventType
from quanheng.kernel.errors import EventRejected
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.loan_book.outcomes import BookOutcome
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.declared import Case, CaseEvent, CaseExpectation, CaseTransfer
from quanheng.loading.declared_accounts import Unasked
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import DOTTED_NAME, Table, moment_ms

STATUSES = ("decided", "recorded", "rejected", "failed", "refused")
TIMES_MAX = 10_000
TRANSFER_OUTCOMES: tuple[str, ...] = tuple(
    dict.fromkeys((*TransferOutcome.__members__, *Unasked.__members__, *BookOutcome.__members__))
)
"""What can become of a transfer that a flow asks for."""
MISSING_SCORE = "missing"
CLOCK = "clock"
"""Type of an entry that is no event: time goes on to it, and timers fire."""
DEFAULTS = "default"
"""Kind of name in doubt when a default is for an unknown event: what it would have filled in is not missed again."""

_JSON = msgspec.json.Encoder(decimal_format="number")


class Known(msgspec.Struct, frozen=True):
    """What cases may name: events, which of them are decided, models, outcomes and reason codes.

    unsound : events with problems of their own: what a case sends of them is not read
    lists : lists of the pack
    transfers : event → transfers that may be asked for on it, "posting.transfer"
    processes : of the pack and of packs that it requires, by name
    sends : event → calls and notices that may be sent on it
    told : columns that hold reasons of a model → the codes they may hold
    experiments : name → its arms
    """

    events: Mapping[str, EventDeclaration]
    decided: Collection[str]
    models: Collection[str]
    outcomes: Sequence[str]
    reasons: Collection[str]
    unsound: Collection[str] = ()
    lists: Collection[str] = ()
    transfers: Mapping[str, Collection[str]] = {}
    processes: Mapping[str, ProcessDeclaration] = {}
    sends: Mapping[str, Collection[str]] = {}
    told: Mapping[str, Sequence[str]] = {}
    experiments: Mapping[str, Sequence[str]] = {}


def check_cases(files: Mapping[str, dict[str, object]], known: Known, notes: Notes) -> tuple[Case, ...]:
    """Read all case files (parsed, by name). Events are read by their schema, as intake reads them."""
    types = {name: EventType(event, 0) for name, event in known.events.items() if name not in known.unsound}
    seen: dict[str, str] = {}
    cases = []
    for file, values in files.items():
        top = Table(values, file, "", notes)
        top.title(required=False)
        defaults = {name: dict(table.values) for name, table in top.named("default", DOTTED_NAME)}
        for name in defaults:
            if name not in known.events:
                top.problem(
                    "default",
                    NO_SUCH_EVENT,
                    found=name,
                    known=list(known.events),
                    of="event",
                )
                notes.doubt(DEFAULTS)
        for table in top.tables("case", required=True):
            case = _case(table, file, defaults, types, known)
            if case is None:
                continue
            if case.name in seen:
                table.problem("name", f"the name is taken by a case in {seen[case.name]}", found=case.name)
            seen[case.name] = file
            cases.append(case)
        top.done()
    return tuple(cases)


def _case(
    table: Table, file: str, defaults: Mapping[str, dict[str, object]], types: Mapping[str, EventType], known: Known
) -> Case | None:
    name = table.text("name", wanted="one sentence that says what must happen")
    clock_ms = table.time_ms("clock")
    scores = _scores(table, known.models, known.told)
    lists = _lists(table, known.lists)
    arms = _fixed_arms(table, known.experiments)
    events: list[CaseEvent] = []
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "case"
    for inner in table.tables("event", required=True):
        events += _events(
            inner,
            clock_ms or 0,
            f"{stem}-{len(events) + 1}",
            events[-1].received_ms if events else clock_ms or 0,
            defaults,
            types,
            known,
        )
    table.done()
    raw = table.values.get("event")
    if isinstance(raw, list) and not any(isinstance(one, dict) and "expect" in one for one in raw):
        table.problem(
            "event", "the case expects nothing", cure='Add expect = {outcome = "…", reasons = […]} to an event.'
        )
    if not name or clock_ms is None or not events:
        return None
    return Case(name=name, file=file, clock_ms=clock_ms, scores=scores, events=tuple(events), lists=lists, arms=arms)


def _scores(
    table: Table, models: Collection[str], told: Mapping[str, Sequence[str]]
) -> dict[str, Decimal | str | None]:
    """A score for every model of the pack, so that cases do not move when a model is trained again; reasons of a model
    as codes, where a case is about them, else none."""
    inner = table.table("scores", required=False)
    if models and not table.has("scores"):
        table.problem(
            "scores",
            "scores are fixed in a case, so that none moves when a model is trained again; the key is missing",
            cure=f'Write scores = {{{next(iter(models))} = "{MISSING_SCORE}"}}, or a number for each model.',
        )
    scores: dict[str, Decimal | str | None] = {}
    for name, value in inner.values.items():
        if name in told:
            scores[name] = inner.choice(name, told[name], of="reason")
        elif name not in models:
            inner.problem(name, "no such model is declared", found=name, known=list(models), of="model")
        elif value == MISSING_SCORE:
            scores[name] = None
        elif isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            inner.problem(
                name, "the score is neither a number nor missing", found=value, known=f'a number, or "{MISSING_SCORE}"'
            )
        else:
            scores[name] = Decimal(value)
    absent = [name for name in models if name not in inner.values]
    if inner.values and absent:
        inner.problem(
            "",
            "scores are fixed in a case: a model has none",
            found=", ".join(absent),
            cure=f'Write a number, or "{MISSING_SCORE}".',
            of="model",
        )
    return scores


def _lists(table: Table, lists: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What stands on lists of the pack while the case runs; lists that are not named are empty."""
    inner = table.table("lists", required=False)
    found = {}
    for name in inner.values:
        if name in lists:
            found[name] = inner.texts(name)
        else:
            inner.problem(name, "no such list is declared", found=name, known=list(lists), of="list")
    return found


def _fixed_arms(table: Table, experiments: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The arm of every subject while the case runs, by experiment; of one that is not named, the rest."""
    inner = table.table("arms", required=False)
    found = {}
    for name in inner.values:
        if name in experiments:
            found[name] = inner.choice(name, experiments[name], of="experiment")
        else:
            inner.problem(name, "no such experiment is declared", found=name, known=list(experiments), of="experiment")
    return {name: arm for name, arm in found.items() if arm}


def _events(
    table: Table,
    clock_ms: int,
    id: str,
    last_ms: int,
    defaults: Mapping[str, dict[str, object]],
    types: Mapping[str, EventType],
    known: Known,
) -> list[CaseEvent]:
    """One `[[case.event]]`, repeated `times` with `every` between; or time that goes on."""
    if table.values.get("type") == CLOCK and CLOCK not in known.events:
        return _clock(table, id, last_ms, known)
    name = table.choice("type", known.events, of="event")
    at_ms = table.time_ms("at", required=False) if table.has("at") else max(clock_ms, last_ms)
    times = table.integer("times", required=False, default=1, least=1, most=TIMES_MAX)
    every_ms = table.duration_ms("every") or 0
    id = table.text("id", required=False, default=id)
    data = {**defaults.get(name, {}), **table.table("data", required=False).values}
    expect = _expect(table.table("expect", required=False), name, known) if table.has("expect") else None
    table.done()
    if at_ms is None or name not in types:
        return []
    if at_ms < last_ms:
        table.problem(
            "at",
            "the event arrives before the one above it",
            found=table.values.get("at"),
            cure="Write events in order of arrival.",
        )
    event_type = types[name]
    found = []
    for number in range(times):
        last = number == times - 1
        moved = _moments(data, event_type, number * every_ms, at_ms + number * every_ms)
        found.append(
            CaseEvent(
                id=id if times == 1 else f"{id}-{number + 1}",
                type=name,
                data=moved,
                received_ms=at_ms + number * every_ms,
                expect=expect if last else None,
            )
        )
    if expect is None or expect.status != "rejected":
        try:
            event_type.read(_JSON.encode(found[0].data))
        except EventRejected as error:
            table.problem(
                "data",
                f"the event does not fit its type: {error.where}: {error.what}",
                found=Words(error.found),
                known=error.allowed,
                cure=error.cure,
                of=DEFAULTS,
            )
    return found


def _clock(table: Table, id: str, last_ms: int, known: Known) -> list[CaseEvent]:
    """An entry of type "clock": `at` a moment, or `after` a time since the entry above it."""
    table.text("type")
    after_ms = table.duration_ms("after")
    at_ms = table.time_ms("at", required=False) if table.has("at") else last_ms + (after_ms or 0)
    id = table.text("id", required=False, default=id)
    expect = _expect(table.table("expect", required=False), CLOCK, known) if table.has("expect") else None
    table.done()
    if table.has("at") == table.has("after"):
        found = Words("`at` and `after`") if table.has("at") else ""
        cure = "Keep one of the two." if found else 'Write after = "15m".'
        table.problem("after", "time goes on to a moment, or for a while", found=found, known="at, or after", cure=cure)
    if at_ms is not None and at_ms < last_ms:
        message, cure = "time goes back behind the entry above it", "Write entries in order of time."
        table.problem("at", message, found=table.values.get("at"), cure=cure)
    return [] if at_ms is None else [CaseEvent(id=id, type=CLOCK, data={}, received_ms=at_ms, expect=expect)]


def _moments(data: Mapping[str, object], event_type: EventType, later_ms: int, received_ms: int) -> dict[str, object]:
    """Dates become milliseconds, moved along with repetition; a time field left out is the moment of arrival."""
    moved = dict(data)
    for name, field in event_type.declaration.fields.items():
        if field.kind != "time":
            continue
        if name not in moved:
            if not field.optional:
                moved[name] = received_ms
        elif not isinstance(moved[name], int) or isinstance(moved[name], bool):
            moment = moment_ms(moved[name])
            moved[name] = moment + later_ms if isinstance(moment, int) else moved[name]
        else:
            moved[name] = int(str(moved[name])) + later_ms
    return moved


def _expect(table: Table, event: str, known: Known) -> CaseExpectation:
    transfers = _transfers(table, event, known) if table.has("transfers") else None
    instances = _instances(table, event, known) if table.has("instances") else None
    sent = _sent(table, event, known) if table.has("sent") else None
    if not table.values:
        table.problem("", "nothing is expected", known="outcome, reasons, status, transfers, instances, sent")
    if event == CLOCK:
        for name in ("transfers", "instances", "sent"):
            table.any(name, required=False)
        table.done()
        return CaseExpectation(status="recorded", transfers=transfers, instances=instances, sent=sent)
    status = table.choice(
        "status", STATUSES, default="decided" if event in known.decided else "recorded", required=False
    )
    outcome = table.choice("outcome", known.outcomes, required=False, of="outcome") or None
    reasons = table.texts("reasons", required=False) if table.has("reasons") else None
    for code in reasons or ():
        if code not in known.reasons:
            table.problem(
                "reasons", "no such reason code is declared", found=code, known=list(known.reasons), of="reason"
            )
    if outcome and event and event not in known.decided and event not in known.transfers:
        table.problem(
            "outcome",
            f"no flow decides {event}",
            found=outcome,
            cure="Expect it of an event that is decided.",
            of="decided",
        )
    table.done()
    return CaseExpectation(
        status=status, outcome=outcome, reasons=reasons, transfers=transfers, instances=instances, sent=sent
    )


def _transfers(table: Table, event: str, known: Known) -> tuple[CaseTransfer, ...]:
    """All transfers that must have been asked for, in order; an empty list expects none."""
    found = []
    asked = _of_event(known.transfers, event)
    for inner in table.tables("transfers"):
        name = inner.text("name", wanted='a transfer, as "posting.transfer"')
        if name and (event in known.decided or event == CLOCK or asked) and name not in asked:
            message = f"nothing asks for such a transfer{'' if event == CLOCK else f' on {event}'}"
            inner.problem("name", message, found=name, known=asked, of="transfer")
        outcome = inner.text("outcome", required=False, default="APPLIED", wanted="an outcome of a transfer")
        if outcome not in TRANSFER_OUTCOMES:
            inner.problem("outcome", "a transfer has no such outcome", found=outcome, known=TRANSFER_OUTCOMES)
        amount = inner.integer("amount_minor", required=False, default=-1, least=0, most=AMOUNT_MAX)
        inner.done()
        found.append(CaseTransfer(name=name, outcome=outcome, amount_minor=None if amount < 0 else amount))
    if found and event and event not in known.decided and event != CLOCK and not asked:
        message = f"no flow decides {event}, so it asks for no transfer"
        cure = "Expect it of an event that is decided."
        table.problem("transfers", message, found=found[0].name, cure=cure, of="decided")
    return tuple(found)


def _of_event(named: Mapping[str, Collection[str]], event: str) -> list[str]:
    """What may come of an event; of time that goes on, what may come of any."""
    if event == CLOCK:
        return list(dict.fromkeys(name for names in named.values() for name in names))
    return list(named.get(event, ()))


def _instances(table: Table, event: str, known: Known) -> dict[str, tuple[str, ...]]:
    """Process → state that the instance must be in, "" for none; of a process with parts a list of "part.state"."""
    inner = table.table("instances", required=False)
    found: dict[str, tuple[str, ...]] = {}
    for name in inner.values:
        value = inner.any(name)
        process = known.processes.get(name)
        texts: list[object] = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in texts):
            inner.problem(name, "the value is of the wrong kind", found=value, known="a state, or a list of part.state")
        elif process is None:
            inner.problem(name, "no such process is declared", found=name, known=list(known.processes), of="process")
        elif event != CLOCK and event and event not in process.events():
            message = f"{event} names no instance of this process"
            inner.problem(name, message, found=name, known=list(process.events()), of="process")
        else:
            found[name] = tuple(str(one) for one in texts if one)
            _check_states(inner, name, found[name], process)
    return found


def _check_states(table: Table, name: str, states: Sequence[str], process: ProcessDeclaration) -> None:
    known = [f"{part.name}.{one.name}" if part.name else one.name for part in process.parts for one in part.states]
    for state in states:
        if state not in known:
            table.problem(name, "the process has no such state", found=state, known=known, of="process")
    parts = [state.rpartition(".")[0] for state in states]
    if len(set(parts)) < len(parts):
        message = "an instance is in one state of each part"
        table.problem(name, message, found=Words(", ".join(states)), cure="Keep one of them.")


def _sent(table: Table, event: str, known: Known) -> tuple[str, ...]:
    """All calls and notices that must have been sent, in order; an empty list expects none."""
    value = table.any("sent")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        table.problem("sent", "the value is of the wrong kind", found=value, known="a list of calls and notices")
        return ()
    names = _of_event(known.sends, event)
    for name in dict.fromkeys(value):
        if name not in names:
            message = "nothing sends this" if event == CLOCK else f"nothing sends this on {event}"
            table.problem("sent", message, found=name, known=names, of="call")
    return tuple(value)
