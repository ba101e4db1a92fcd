"""What is asked for after a decision, by flows of pack.toml and by steps of processes: whether accounts.toml and
calls.toml have it, and the event the keys that it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.errors import Problem
from quanheng.loading.checks.asks import StepAsks, check_send
from quanheng.loading.checks.chart import FILE
from quanheng.loading.checks.loan_asks import check_loan_asks
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import REFUSED, FlowDraft
from quanheng.loading.checks.postings import TRANSFERS_MAX
from quanheng.loading.declared_accounts import AccountsDeclaration, PostingDeclaration
from quanheng.loading.declared_calls import CallsDeclaration
from quanheng.loading.declared_processes import Act
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import Table


class Asked(msgspec.Struct, frozen=True):
    """Which postings, calls and notices a pack asks for, in flows and in steps of processes.

    by_event : event → names of its postings, each once
    sends : event → names of calls and notices, each once
    loans : event → names of acts on loans, each once
    """

    by_event: Mapping[str, tuple[str, ...]]
    sends: Mapping[str, tuple[str, ...]] = {}
    loans: Mapping[str, tuple[str, ...]] = {}

    def events(self, posting: str) -> list[str]:
        """Events on which a posting is asked for."""
        return [event for event, names in self.by_event.items() if posting in names]

    def transfers(self, accounts: AccountsDeclaration) -> dict[str, list[str]]:
        """Event → names of the transfers that may be asked for on it, "posting.transfer", and of acts on loans."""
        return {
            event: [f"{one.name}.{transfer.name}" for one in accounts.postings if one.name in names
                    for transfer in one.transfers] + list(self.loans.get(event, ()))
            for event, names in self.by_event.items()
        }  # fmt: skip


def check_acts(
    flows: Sequence[FlowDraft],
    outcomes: Sequence[str],
    accounts: AccountsDeclaration,
    events: Mapping[str, EventDeclaration],
    unsound: Collection[str],
    calls: CallsDeclaration,
    steps: StepAsks,
    notes: Notes,
) -> Asked:
    """Check what the flows ask for, and of steps of processes what they have in common with flows.

    Parameters
    ----------
    outcomes : in rising severity
    events : events of this pack and of required packs
    unsound : events with problems of their own: nobody can say which keys they have
    steps : what steps of processes ask for
    """
    postings = {one.name: one for one in accounts.postings}
    if notes.doubted("act") or any(
        name not in postings for flow in flows for one in flow.then.values() for name in one
    ):
        notes.doubt("transfer")  # Cases that expect what could not be read, or is not there, are not blamed for it.
    by_event, sends = dict(steps.postings), dict(steps.sends)
    kinds = {one.name: one.kind for one in calls.calls}
    for flow in flows:
        for outcome, names in flow.then.items():
            _check_outcome(flow, outcome, names, outcomes, postings, notes)
        _check_sends(flow, kinds, notes)
        _check_refused(flow, outcomes, flow.when in steps.postings, notes)
        asked = dict.fromkeys(name for names in flow.then.values() for name in names if name in postings)
        by_event[flow.when] = tuple(dict.fromkeys((*asked, *by_event.get(flow.when, ()))))
        sent = dict.fromkeys(name for acts in flow.sends.values() for _, name in acts if name in kinds)
        sends[flow.when] = tuple(dict.fromkeys((*sent, *sends.get(flow.when, ()))))
    found = Asked(by_event, sends, check_loan_asks(flows, accounts, events, unsound, notes))
    sound = {name: event for name, event in events.items() if name not in unsound}
    for posting in accounts.postings:
        asking = [sound[name] for name in found.events(posting.name) if name in sound]
        for event in asking:
            _check_keys(posting, accounts, event, notes)
        for event in asking:
            _check_deal(posting, postings, event, found, sound, notes)
        if not found.events(posting.name) and not (notes.doubted("act") or notes.doubted("decided")):
            cure = f'Ask for it: then.OUTCOME = ["transfer:{posting.name}"] in a flow of pack.toml.'
            notes.warn([Problem(FILE, f"posting.{posting.name}", "no flow asks for this posting", cure=cure)])
    return found


def _check_outcome(
    flow: FlowDraft,
    outcome: str,
    names: Sequence[str],
    outcomes: Sequence[str],
    postings: Mapping[str, PostingDeclaration],
    notes: Notes,
) -> None:
    """One `then.OUTCOME`."""
    key = f"{flow.key}.then.{outcome}"
    if outcome not in outcomes and outcome != REFUSED:
        message, known = "no such outcome is declared in this file", [*outcomes, REFUSED]
        notes.add(MANIFEST_FILE, key, message, found=outcome, known=known, of="outcome")
    for name in names:
        if name not in postings:
            message = "no such posting is declared in accounts.toml"
            notes.add(MANIFEST_FILE, key, message, found=name, known=list(postings), of="posting")
    count = sum(len(postings[name].transfers) for name in names if name in postings)
    if count > TRANSFERS_MAX:
        message, found = "the flow asks for too many transfers at once", Words(f"{count} transfers")
        notes.add(MANIFEST_FILE, key, message, found=found, known=f"at most {TRANSFERS_MAX}")


def _check_sends(flow: FlowDraft, kinds: Mapping[str, str], notes: Notes) -> None:
    """Calls and notices of a flow are those of calls.toml."""
    for outcome, acts in flow.sends.items():
        for kind, name in acts:
            check_send(Table({}, MANIFEST_FILE, f"{flow.key}.then", notes), outcome, Act(kind, name), kinds)


def _check_refused(flow: FlowDraft, outcomes: Sequence[str], steps: bool, notes: Notes) -> None:
    """Where the ledger may refuse, the outcome that is given instead, not milder than what it replaces.

    steps : whether a process asks for transfers on the same event
    """
    asking = [one for one in dict.fromkeys((*_asking(flow.then), *_asking(flow.loans))) if one != REFUSED]
    key = f"{flow.key}.refused_as"
    if steps and not asking:
        if not flow.has_refused_as:
            message = "the ledger may refuse what a process asks for, so the outcome that is given then must be said"
            notes.add(MANIFEST_FILE, key, f"{message}; the key is missing", known=list(outcomes))
        elif flow.refused_as and flow.refused_as not in outcomes:
            message = "what a refusal is answered as is not one of the outcomes"
            notes.add(MANIFEST_FILE, key, message, found=flow.refused_as, known=list(outcomes), of="outcome")
        return
    if not flow.refused_as and not flow.has_refused_as and asking:
        message = f"the ledger may refuse what {asking[0]} asks for, so the outcome that is given then must be said"
        notes.add(MANIFEST_FILE, key, f"{message}; the key is missing", known=list(outcomes))
    if not asking:
        if notes.doubted("act"):
            return
        for name, given in (
            ("refused_as", flow.has_refused_as),
            (f"then.{REFUSED}", REFUSED in {*_asking(flow.then), *_asking(flow.sends), *_asking(flow.loans)}),
        ):
            if given:
                message, cure = "the flow asks nothing of the ledger that it could refuse", f"Remove `{name}`."
                notes.add(MANIFEST_FILE, f"{flow.key}.{name}", message, cure=cure)
        return
    if not flow.refused_as:
        return
    if flow.refused_as not in outcomes:
        message = "what a refusal is answered as is not one of the outcomes"
        notes.add(MANIFEST_FILE, key, message, found=flow.refused_as, known=list(outcomes), of="outcome")
        return
    place = outcomes.index(flow.refused_as)
    if severer := [one for one in asking if one in outcomes and outcomes.index(one) > place]:
        message = f"a refusal is answered milder than {severer[0]}, which asks for transfers"
        known = ", ".join(outcomes[max(outcomes.index(one) for one in severer) :])
        notes.add(MANIFEST_FILE, key, message, found=flow.refused_as, known=known)


def _asking(then: Mapping[str, Sequence[object]]) -> list[str]:
    """Outcomes under which something is asked for."""
    return [outcome for outcome, acts in then.items() if acts]


def _check_keys(
    posting: PostingDeclaration, accounts: AccountsDeclaration, event: EventDeclaration, notes: Notes
) -> None:
    """The event has every key field by which the posting names a deal or an account, of the right entity."""
    fields = event.fields
    keys = [name for name, field in fields.items() if field.kind == "key"]
    for place, name in (("id", posting.id), ("of", posting.of)):
        if name and name not in keys:
            message = f"{event.name} asks for this posting and has no such key field"
            notes.add(FILE, f"posting.{posting.name}.{place}", message, found=name, known=keys)
    for where, name, entity in _named(posting, accounts):
        fitting = [key for key in keys if fields[key].entity == entity]
        if name not in fitting:
            found = Words(f"{name}, of {fields[name].entity}") if name in keys else name
            message = f"{event.name} asks for this posting and has no such key field of {entity}"
            notes.add(FILE, where, message, found=found, known=fitting)


def _named(posting: PostingDeclaration, accounts: AccountsDeclaration) -> Iterator[tuple[str, str, str]]:
    """Place of an account in the file, key field, entity that the account is kept per."""
    per = {one.name: one.per for one in accounts.accounts}
    for transfer in posting.transfers:
        for side, account in (("debit", transfer.debit), ("credit", transfer.credit)):
            if account is not None:
                where = f"posting.{posting.name}.transfer.{transfer.name}.{side}"
                for name, entity in zip(account.keys, per[account.account], strict=True):
                    yield where, name, entity


def _check_deal(
    posting: PostingDeclaration,
    postings: Mapping[str, PostingDeclaration],
    event: EventDeclaration,
    asked: Asked,
    events: Mapping[str, EventDeclaration],
    notes: Notes,
) -> None:
    """`of` names what the `id` of each settled posting names: a key of the same entity."""
    field = event.fields.get(posting.of)
    if field is None or field.kind != "key":
        return
    for name in dict.fromkeys(one.settles.partition(".")[0] for one in posting.transfers if one.settles):
        made = [events[one] for one in asked.events(name) if one in events]
        id = postings[name].id if name in postings else ""
        entities = {one.fields[id].entity for one in made if id in one.fields and one.fields[id].kind == "key"}
        if entities and field.entity not in entities:
            message = f"the deals of {name} are named by a key of another entity"
            found = Words(f"{posting.of} of {event.name}, of {field.entity}")
            known = [f"{one}: {key}" for one, key in _keys_of(event, entities)]
            notes.add(FILE, f"posting.{posting.name}.of", message, found=found, known=known or sorted(entities))


def _keys_of(event: EventDeclaration, entities: Collection[str]) -> list[tuple[str, str]]:
    return [(name, field.entity) for name, field in event.fields.items() if field.entity in entities]
