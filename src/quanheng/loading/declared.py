"""What a checked pack declares: frozen structs that the other parts read. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from quanheng.events.schema import EventDeclaration
from quanheng.features.source import SourceColumn, SourceMaker
from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import Problem
from quanheng.loading.declared_accounts import AccountsDeclaration
from quanheng.loading.declared_calls import CallsDeclaration
from quanheng.loading.declared_processes import ProcessesDeclaration
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration
from quanheng.loading.traffic.declaration import TrafficDeclaration

Basis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interest",
    "public_task",
    "legitimate_interest",
    "public_information",
]
"""The closed list of legal bases (GDPR article 6, PIPL article 13). Only consent can be withdrawn."""

ParameterValueType = int | Decimal | bool | str | tuple[int | Decimal | bool | str, ...]


class Title(msgspec.Struct, frozen=True):
    """A text in both languages of the platform."""

    en: str = ""
    zh: str = ""


class Requirement(msgspec.Struct, frozen=True):
    """Another pack this one needs. `bounds` holds (operator, version), all of which must hold; empty = any version."""

    pack: str
    bounds: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.pack, ", ".join(f"{operator} {version}" for operator, version in self.bounds)]).strip()


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """Why data is used, on which legal basis, and where that basis is written."""

    name: str
    basis: Basis
    source: str
    title: Title


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """When this event arrives, take this decision for this purpose.

    policy : name of the file in policies/ (without `.dmn`) that holds the decision
    fallback : outcome that is answered when deciding fails or comes too late
    clock : which time picks the parameter in force, "received" (the writer's) or "event" (the event's own)
    then : outcome → postings of accounts.toml that are asked for; under "refused" those asked for where the ledger
        refuses the others
    refused_as : outcome that is given instead where the ledger refuses what was asked for
    loans : outcome ("refused" too) → acts on loans, of accounts.toml
    sends : outcome ("refused" too) → calls and notices of calls.toml that are sent
    """

    when: str
    purpose: str
    decide: str
    policy: str
    fallback: str
    clock: Literal["received", "event"] = "received"
    then: Mapping[str, tuple[str, ...]] = {}
    refused_as: str = ""
    sends: Mapping[str, tuple[str, ...]] = {}
    loans: Mapping[str, tuple[str, ...]] = {}


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that events are about. `name` is qualified by its pack: "party.customer"."""

    name: str
    personal: bool
    title: Title


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """An aggregate over past events, as `features.fold.Fold` explains it. `window_ms` None = all history."""

    name: str
    of: str
    by: tuple[str, ...]
    fold: str
    value: str = ""
    window_ms: int | None = None
    delay_ms: int = 0
    current: Literal["in", "out"] = "in"
    empty: int | Decimal | None = None
    where: str = ""
    since: str = ""
    zone: str = "UTC"
    last: int | None = None
    gap_ms: int | None = None
    match: tuple[str, ...] = ()
    through: str = ""
    age_ms_max: int | None = None
    other: str = ""
    half_life_ms: int | None = None
    per_ms: int | None = None
    nth: int | None = None
    quantile: Decimal | None = None
    accuracy: Decimal | None = None
    exact_max: int | None = None
    calendar: str = ""
    decimals: int = 4
    title: Title = Title()


class Formula(msgspec.Struct, frozen=True, kw_only=True):
    """A FEEL expression over fields, folds and formulas. `Declared.formulas` stand in an order that can be computed."""

    name: str
    feel: str
    type: Literal["float"] = "float"
    decimals: int = 4
    uses: tuple[str, ...] = ()
    title: Title = Title()


class ParameterValue(msgspec.Struct, frozen=True, kw_only=True):
    """One dated value. In force from `from_ms` (midnight UTC of `from_date`) until the next one."""

    from_date: str
    from_ms: int
    value: ParameterValueType
    source: str


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold, rate or list with its values in order of date."""

    name: str
    unit: str
    title: Title
    values: tuple[ParameterValue, ...]

    def at(self, time_ms: int) -> ParameterValue | None:
        """The value in force at `time_ms` (ms UTC), or None before the first."""
        found = None
        for value in self.values:
            if value.from_ms > time_ms:
                break
            found = value
        return found


class ListDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A list that policies ask: `device in list("blocked_devices")`. Its entries come and go by events of the log.

    kind : what it is for people: who is on it is refused, let through, or looked at
    of : the entity whose ids stand on it ("party.device"), or "text"
    entity : what the pseudonyms of its entries are made under
    personal : whether an entry stands for a person: it is then sealed under that person's own key
    expires_ms : how long an entry stays where nothing else is said; None = for good
    """

    name: str
    title: Title
    kind: Literal["deny", "allow", "watch"]
    of: str
    entity: str
    personal: bool = False
    expires_ms: int | None = None


class ExperimentDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """Who is drawn into which arm, as `features.experiments.Experiment` explains it.

    never : who is never held out: for people, the policy sees to it
    of, by : the entity whose ids are drawn, and the key field that holds them
    arms : name → basis points, in order; rest : arm of everybody else
    from_ms, until_ms : while it runs, by the time of the decided event; None = without end
    """

    name: str
    title: Title
    never: Title = Title()
    of: str
    by: str
    salt: str
    arms: Mapping[str, int]
    rest: str
    from_ms: int
    until_ms: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Every arm, the rest last."""
        return (*self.arms, self.rest)


class Reason(msgspec.Struct, frozen=True):
    """A reason code with the sentence a person reads, in both languages."""

    code: str
    en: str
    zh: str


class SourceDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A source with state that an installed distribution brings: it folds the log beside the windows.

    make : the class that the distribution names; version, columns : what it says of itself
    """

    name: str
    make: SourceMaker
    version: str
    columns: tuple[SourceColumn, ...]
    settings: Mapping[str, object] = {}


class ModelDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model of the pack. `settings` is the whole file, for the part that trains and serves it.

    output : `probability` or `points`; reasons : how many of its reasons are columns too
    """

    name: str
    estimator: str
    inputs: tuple[str, ...]
    output_decimals: int
    weights: str
    hash: str
    settings: Mapping[str, object] = {}
    output: str = "probability"
    reasons: int = 0

    @property
    def reason_columns(self) -> tuple[str, ...]:
        """Columns beside the score: codes of its reasons, the weightiest first."""
        return tuple(f"{self.name}_reason_{place}" for place in range(1, self.reasons + 1))

    @property
    def names(self) -> tuple[str, ...]:
        """The score and its reasons, as policies ask for them."""
        return (self.name, *self.reason_columns)


class CaseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a golden case, as it arrives."""

    id: str
    type: str
    data: Mapping[str, object]
    received_ms: int
    expect: CaseExpectation | None = None


class CaseExpectation(msgspec.Struct, frozen=True, kw_only=True):
    """What must come back. None = not compared. `reasons` are compared as a set: their order is the policy's affair.

    transfers : all that were asked for, in order
    instances : process → state that the event's instance of it is in behind it ("" = there is none); of a process with
        parts "part.state" of some of them
    sent : calls and notices that were sent, in order
    """

    status: str = "decided"
    outcome: str | None = None
    reasons: tuple[str, ...] | None = None
    transfers: tuple[CaseTransfer, ...] | None = None
    instances: Mapping[str, tuple[str, ...]] | None = None
    sent: tuple[str, ...] | None = None


class CaseTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that a decision must have asked for: "posting.transfer", what became of it, what it moved or held.

    outcome : a name of `ledger.outcomes.TransferOutcome`, or of `declared_accounts.Unasked`
    amount_minor : minor units; None = not compared
    """

    name: str
    outcome: str = "APPLIED"
    amount_minor: int | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A golden case: its own clock, fixed scores, what stands on lists, events in, what must come out."""

    name: str
    file: str
    clock_ms: int
    scores: Mapping[str, Decimal | str | None]
    events: tuple[CaseEvent, ...]
    lists: Mapping[str, tuple[str, ...]] = {}
    arms: Mapping[str, str] = {}
    """Experiment → the arm that everybody is in while the case runs; where none is named, the rest."""


class ColumnSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a field comes from: a column of the file, or one constant."""

    column: str = ""
    constant: str | int | Decimal | bool | None = None


class EventMapping(msgspec.Struct, frozen=True, kw_only=True):
    """How rows of a file become events of one type. `where` None = every row; `delay_ms` moves the arrival time."""

    event: str
    fields: Mapping[str, ColumnSource]
    where: tuple[str, object] | None = None
    delay_ms: int = 0
    id: ColumnSource | None = None


class FileMapping(msgspec.Struct, frozen=True, kw_only=True):
    """One file of mappings/: all events that one row of a file becomes."""

    name: str
    events: tuple[EventMapping, ...]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A whole pack, checked. What other packs own (entities, events) is under its qualified or global name."""

    name: str
    version: str
    kind: str = "data"
    title: Title = Title()
    law: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    outcomes: tuple[str, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    flows: tuple[Flow, ...] = ()
    entities: tuple[Entity, ...] = ()
    events: tuple[EventDeclaration, ...] = ()
    folds: tuple[Fold, ...] = ()
    formulas: tuple[Formula, ...] = ()
    calendars: Mapping[str, Calendar] = {}
    """Calendars that its folds may use, by name: its own, and those that come with Quanheng."""
    sources: tuple[SourceDeclaration, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    policies: Mapping[str, bytes] = {}
    library: Mapping[str, bytes] = {}
    """DMN files of required packs that policies may import."""
    models: tuple[ModelDeclaration, ...] = ()
    weights: Mapping[str, bytes] = {}
    references: Mapping[str, bytes] = {}
    """By model: how its scores and inputs were distributed in training (`models.monitoring.reference`)."""
    reasons: tuple[Reason, ...] = ()
    lists: tuple[ListDeclaration, ...] = ()
    experiments: tuple[ExperimentDeclaration, ...] = ()
    accounts: AccountsDeclaration = AccountsDeclaration()
    processes: ProcessesDeclaration = ProcessesDeclaration()
    calls: CallsDeclaration = CallsDeclaration()
    cases: tuple[Case, ...] = ()
    mappings: tuple[FileMapping, ...] = ()
    evaluations: Mapping[str, Mapping[str, object]] = {}
    traffic: TrafficDeclaration | BorrowingDeclaration | None = None
    readme: str = ""
    warnings: tuple[Problem, ...] = ()
    """What the check remarks without hindering: gaps of tables, rules that never decide."""
