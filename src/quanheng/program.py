"""What the active packs compile to: event types, one plan of folds, and per flow a policy with its inputs.

A program is immutable. It is rebuilt from the content store when a `packs.activated` event is folded, so a
decision can always be judged again by the versions it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from quanheng.asking import REFUSED, Postings
from quanheng.decisions.dmn import compile_decision, only_compared
from quanheng.events.intake import EventFact
from quanheng.events.schema import NO_KEY, EventType
from quanheng.expressions import Getter
from quanheng.facts import DECISION_NUMBERS, Moments
from quanheng.features.exact import ExactColumns
from quanheng.features.fold import Fold, layout_of
from quanheng.features.formulas import Formulas
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.source import Batch, Source, SourceColumn, StatefulSource
from quanheng.flows import PLATFORM_REASONS, Flow
from quanheng.jobs import jobs_of
from quanheng.kernel.codec import canonical_json
from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.known import Known, ListsNow, Scope, bounds_as_floats, certain, parameter_getter, with_fixed
from quanheng.ledger.entries import BATCH_MAX
from quanheng.loading.declared import Declared
from quanheng.loading.declared import Flow as DeclaredFlow
from quanheng.loading.declared import Fold as DeclaredFold
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.experiments import experiments_of
from quanheng.loading.policies import model_of, policy_file
from quanheng.machines import Machine
from quanheng.models.serving import load_model
from quanheng.sending import Sends, answer_columns
from quanheng.stepping import Life

LATENESS_MS = 30 * 24 * 3_600_000
"""How far behind the newest event of its key an event is still put in its place; later ones are counted and shown."""

BASIS_POINTS = 10_000


class Challenger(NamedTuple):
    """A program that decides for some subjects instead of the champion, over the same folds.

    program : with the challenging version of `pack` in place of the champion's
    codes : event types that the pack decides
    hash : of the version; share_bp : basis points of the subjects that fall to it
    """

    program: Program
    pack: str
    codes: frozenset[int]
    hash: str
    share_bp: int

    def takes(self, event: EventFact) -> bool:
        """Whether this event falls to the challenger: the same subject always does, also when the share grows."""
        key = event.subject if event.subject != NO_KEY else event.request_key
        drawn = hashlib.blake2b(key, key=bytes.fromhex(self.hash), digest_size=8).digest()
        return int.from_bytes(drawn) % BASIS_POINTS < self.share_bp


class Program:
    """The active packs, compiled.

    Parameters
    ----------
    packs : checked declarations by pack name
    codes : event type name → code in this log
    activation : offset of the `packs.activated` event, -1 for a rehearsal
    engine : version of Quanheng that decides

    Attributes
    ----------
    challengers : versions that have a share of the traffic
    arm : hash of the version this program tries; nothing = the champion
    """

    challengers: tuple[Challenger, ...] = ()
    arm: str = ""

    def __init__(
        self,
        packs: Mapping[str, Declared],
        codes: Mapping[str, int],
        *,
        activation: int = -1,
        engine: str = "",
    ) -> None:
        self.packs, self.codes, self.activation, self.engine = dict(packs), dict(codes), activation, engine
        self.types = {
            event.name: EventType(event, codes[event.name]) for pack in packs.values() for event in pack.events
        }
        self._by_code = {one.code: one for one in self.types.values()}
        self.answers = answer_columns(self.types.values())
        self.widths = {one.code: (len(one.key_fields), len(one.header_fields)) for one in self.types.values()}
        self.keys_max = max((len(one.key_fields) for one in self.types.values()), default=0) or 1
        # A decision's header has numbers too, and the log is read in one width.
        self.numbers_max = max([DECISION_NUMBERS, *(len(one.header_fields) for one in self.types.values())])
        self.outcomes = _common_outcomes(packs)
        self.severity = {outcome: rank for rank, outcome in enumerate(self.outcomes)}
        self.reasons = {
            **PLATFORM_REASONS,
            **{reason.code: {"en": reason.en, "zh": reason.zh} for pack in packs.values() for reason in pack.reasons},
        }
        machines = [Machine(one, pack, codes) for pack in packs.values() for one in pack.processes.processes]
        self.machines = {one.code: one for one in machines}
        self.jobs = jobs_of(packs, self.machines, codes)
        decided = {flow.when for pack in packs.values() for flow in pack.flows}
        decided.update(event for one in machines for event in one.declared.events())
        deciding = [name for name in self.types if name in decided]
        self.layouts = tuple(layout_of(one.declaration, one.code) for one in self.types.values())
        self.sources = tuple((pack.name, one) for pack in self.packs.values() for one in pack.sources)
        self.new_sources()  # Settings that do not fit are refused here, before anything is in force.
        self.plan = self._plan(deciding)
        self.exact = ExactColumns(self.plan)
        self.scopes: dict[int, tuple[Scope, ...]] = {}
        self.flows: dict[int, tuple[Flow, ...]] = {}
        self.lives: dict[int, tuple[Life, ...]] = {}
        for name in deciding:
            self._compile_flows(name)

    def _plan(self, deciding: Sequence[str]) -> Plan:
        folds = [compiled_fold(pack, fold) for pack in self.packs.values() for fold in pack.folds]
        calendars = {f"{pack.name}.{name}": one for pack in self.packs.values() for name, one in pack.calendars.items()}
        return Plan.compile(self.layouts, folds, deciding, LATENESS_MS, calendars=calendars)

    def new_sources(self) -> list[StatefulSource]:
        """The sources with state of all packs, in order, each with nothing folded yet."""
        return [one.make(self.layouts, one.settings) for _, one in self.sources]

    def _answers(self, pack: str) -> dict[str, int]:
        """Columns of a pack's sources with state → their place among those of all packs."""
        columns = [(owner, column.name) for owner, one in self.sources for column in one.columns]
        return {name: index for index, (owner, name) in enumerate(columns) if owner == pack}

    def _compile_flows(self, event_name: str) -> None:
        event_type = self.types[event_name]
        scopes, flows, lives = [], [], []
        for pack in self.packs.values():
            declared = [flow for flow in pack.flows if flow.when == event_name]
            processes = [one for one in pack.processes.processes if event_name in one.events()]
            if not declared and not processes:
                continue
            scope = self._scope(pack, event_type)
            scopes.append(scope)
            flows += [self._flow(flow, pack, scope) for flow in declared]
            for one in processes:
                machine = self.machines[self.codes[f"process {pack.name}.{one.name}"]]
                lives.append(Life(machine, pack, event_type, *self._named(_flow_of(event_name, one), pack, scope)))
        _check_asked(event_name, flows, (*self.outcomes, REFUSED))
        self.scopes[event_type.code], self.flows[event_type.code] = tuple(scopes), tuple(flows)
        if lives:
            self.lives[event_type.code] = tuple(lives)

    def _scope(self, pack: Declared, event_type: EventType) -> Scope:
        positions = {name: index for index, name in enumerate(self.plan.names)}
        fields = tuple(event_type.declaration.fields)
        asked = [fold for fold in pack.folds if reaches(fold, pack.folds, event_type.name, event_type.key_fields)]
        folds = {fold.name: positions[f"{pack.name}.{fold.name}"] for fold in asked}
        declared = [(one.name, one.feel, one.decimals, one.uses) for one in pack.formulas]
        answers = self._answers(pack.name)
        formulas = Formulas(declared, [*folds, *event_type.number_fields, *answers])
        known = {*folds, *event_type.number_fields, *answers, *formulas.names}
        choices = {name: one.choices for name, one in event_type.declaration.fields.items() if one.kind == "choice"}
        known |= set(choices)
        models = [
            load_model(one, pack.weights[one.weights], choices) for one in pack.models if known.issuperset(one.inputs)
        ]
        needed = {name for source in models for name in source.needs}
        places: dict[str, Mapping[object, float]] = {
            name: {value: float(at) for at, value in enumerate(choices[name])} for name in choices if name in needed
        }
        sources: tuple[Source, ...] = (*models, *experiments_of(pack, event_type))
        return Scope(pack.name, folds, answers, fields, event_type.number_fields, formulas, sources, places)

    def _flow(self, flow: DeclaredFlow, pack: Declared, scope: Scope) -> Flow:
        model = model_of(pack, flow.policy)
        policy = compile_decision(model, flow.decide)
        columns = [column.name for column in _columns(pack, scope) if not column.is_text]
        computed = {*scope.formulas.names, *columns}
        computed -= {*scope.fields, *scope.folds}
        floats = only_compared(model, flow.decide, computed, bounds_as_floats(pack.parameters))
        getters = [self._getter(one.name, flow, pack, scope, one.name in floats) for one in policy.inputs]
        fields = self.types[flow.when].declaration.fields
        trusted = [*certain(policy.inputs, pack.parameters, scope, fields), *floats]
        quick = compile_decision(model, flow.decide, trusted, floats)
        event, named = self.types[flow.when], self._named(flow, pack, scope)
        asks = flow.then or flow.loans
        postings = Postings(flow.then, flow.refused_as, pack, event, *named, flow.loans) if asks else None
        sent = {name for names in flow.sends.values() for name in names}
        calls = [one for one in pack.calls.calls if one.name in sent]
        sends = Sends(calls, pack, event, *named) if calls else None
        return Flow(flow, pack.name, self.outcomes, policy, quick, getters, pack.lists, postings, sends)

    def _named(self, flow: DeclaredFlow, pack: Declared, scope: Scope) -> tuple[list[str], Callable[[str], Getter]]:
        """What is known of a flow's event by name, and what gives the column of a name."""
        parameters = [one.name for one in pack.parameters]
        columns = [one.name for one in _columns(pack, scope)]
        names = [*scope.fields, *scope.folds, *scope.formulas.names, *columns, *parameters]
        return names, partial(self._getter, flow=flow, pack=pack, scope=scope, as_float=False)

    def _getter(self, name: str, flow: DeclaredFlow, pack: Declared, scope: Scope, as_float: bool) -> Getter:
        decimals = {formula.name: formula.decimals for formula in scope.formulas.formulas}
        answers = {column.name: column for column in _columns(pack, scope)}
        parameters = {parameter.name: parameter for parameter in pack.parameters}
        if name in scope.fields:
            return lambda known: known.field(name)
        if name in scope.folds:
            index = scope.folds[name]
            return lambda known: known.fold(index)
        digits = decimals.get(name) if name not in answers else answers[name].decimals
        if as_float and digits is not None:  # Never of a reason: those are no numbers.
            return lambda known: known.formula_floats(f"{pack.name}.{name}", digits)
        if name in decimals:
            return lambda known: known.formula(f"{pack.name}.{name}", decimals[name])
        if name in answers:
            return lambda known: known.answer(f"{pack.name}.{name}", answers[name])
        if name in parameters:
            return parameter_getter(parameters[name], flow.clock, as_float)
        known = sorted({*scope.fields, *scope.folds, *decimals, *answers, *parameters})
        raise DeclarationError(
            f"pack {pack.name!r} cannot be compiled",
            [
                Problem(
                    policy_file(flow.policy),
                    name,
                    "the policy asks for an input that nothing provides",
                    name,
                    ", ".join(known),
                    "Declare it as a field, fold, formula, model or parameter.",
                )
            ],
        )

    def type_of(self, code: int) -> EventType:
        """The event type of a code."""
        return self._by_code[code]

    def source_versions(self) -> dict[str, str]:
        """Version of each source with state, by "pack.name"."""
        return {f"{pack}.{one.name}": one.version for pack, one in self.sources}

    def at(self, activation: int) -> Program:
        """This program as it is in force from the activation at that offset on."""
        if activation == self.activation:
            return self
        program = copy(self)
        program.activation = activation
        program.challengers = tuple(one._replace(program=one.program.at(activation)) for one in self.challengers)
        return program

    def challenged(self, by: Sequence[Challenger]) -> Program:
        """This program with challengers that decide for their share of the subjects."""
        program = copy(self)
        program.challengers = tuple(by)
        return program

    def trying(self, hash: str, pack: str, share_bp: int) -> Challenger:
        """This program as the challenger it is, with version `hash` of `pack` on trial."""
        program = copy(self)
        program.arm = hash
        codes = frozenset(code for code, flows in self.flows.items() if any(flow.pack == pack for flow in flows))
        return Challenger(program, pack, codes, hash, share_bp)

    def of_arm(self, arm: str) -> Program:
        """The program that decided: this one, or that of a challenger."""
        return next((one.program for one in self.challengers if one.hash == arm), self) if arm else self

    def arms(self, code: int, events: Sequence[EventFact], rows: list[int]) -> list[tuple[Program, list[int]]]:
        """Rows by the program that judges them: the champion's, and a challenger's for the subjects that fall to it."""
        for one in self.challengers:  # One at most has an event type, so that each is compared with the champion alone.
            if code in one.codes:
                tried = {row for row in rows if one.takes(events[row])}
                parts = [(self, [row for row in rows if row not in tried]), (one.program, sorted(tried))]
                return [part for part in parts if part[1]]
        return [(self, rows)]

    @property
    def asks(self) -> bool:
        """Whether any flow asks the ledger for transfers."""
        return any(map(self.postings, self.flows))

    def postings(self, code: int) -> list[Postings]:
        """What events of a type may ask of the ledger, whoever decides them."""
        programs = (self, *(one.program for one in self.challengers))
        flows = (flow.postings for program in programs for flow in program.flows[code])
        lives = (life.postings for program in programs for life in program.lives.get(code, ()))
        return [one for one in (*flows, *lives) if one is not None]

    def with_fixed(self, scores: Mapping[str, Decimal | str | None], arms: Mapping[str, str]) -> Program:
        """This program with fixed scores instead of its models, and fixed arms of its experiments (golden cases)."""
        program, scopes = copy(self), self.scopes.items()
        program.scopes = {code: tuple(with_fixed(one, scores, arms) for one in parts) for code, parts in scopes}
        return program

    def deciding(self, events: Sequence[EventFact]) -> list[tuple[int, list[int]]]:
        """Rows of the events that have a flow, by event type code."""
        rows: dict[int, list[int]] = {}
        flows = self.flows
        for index, event in enumerate(events):
            if event.code in flows:
                rows.setdefault(event.code, []).append(index)
        return list(rows.items())

    def join(
        self, code: int, events: Sequence[EventFact], batch: Batch, moments: Moments, lists: ListsNow | None = None
    ) -> Known:
        """Join what every source knows about events of one type."""
        return Known(self, self.scopes[code], events, batch, moments, lists)

    def names(self, code: int) -> tuple[list[str], list[tuple[str, SourceColumn]]]:
        """Names of formulas and columns of sources in the evidence of a decision on events of type `code`."""
        scopes = self.scopes.get(code, ())
        formulas = [f"{scope.pack}.{name}" for scope in scopes for name in scope.formulas.names]
        columns = [
            (f"{scope.pack}.{column.name}", column)
            for scope in scopes
            for column in _columns(self.packs[scope.pack], scope)
        ]
        return formulas, columns

    def digest(self) -> str:
        """SHA-256 (hex) of what shapes folds and sources: two programs with the same digest share snapshots."""
        shapes = [
            f"{pack} {one.name} {one.version} {canonical_json(one.settings).decode()}" for pack, one in self.sources
        ]
        return hashlib.sha256("\n".join([self.plan.digest, *shapes]).encode()).hexdigest()


def _flow_of(event: str, process: ProcessDeclaration) -> DeclaredFlow:
    """A process as a flow of an event, for what asks by which clock a parameter is in force."""
    return DeclaredFlow(when=event, purpose="", decide=process.name, policy="", fallback="")


def compiled_fold(pack: Declared, fold: DeclaredFold) -> Fold:
    """A fold under the name of its pack: so are its calendar and the fold that it goes `through`."""
    made = Fold.of_pack(fold, f"{pack.name}.{fold.name}")
    return replace(made, calendar=f"{pack.name}.{made.calendar}") if made.calendar else made


def _columns(pack: Declared, scope: Scope) -> list[SourceColumn]:
    """Columns of a pack's sources in the order of the evidence: with state, then without."""
    stateful = [column for source in pack.sources for column in source.columns]
    return stateful + [column for source in scope.sources for column in source.columns]


def _check_asked(event: str, flows: Sequence[Flow], outcomes: Sequence[str]) -> None:
    """What all flows on an event ask of the ledger is one chain: each pack was checked alone."""
    for outcome in outcomes:
        count = sum(flow.postings.count(outcome) for flow in flows if flow.postings is not None)
        if count > BATCH_MAX:
            message = f"the packs on {event} together ask for too many transfers at once"
            problem = Problem(
                "pack.toml",
                f"then.{outcome}",
                message,
                f"{count} transfers",
                f"at most {BATCH_MAX}",
                "Ask for fewer in one of the packs.",
            )
            raise DeclarationError("the packs cannot be active together", [problem])


def _common_outcomes(packs: Mapping[str, Declared]) -> tuple[str, ...]:
    """The outcomes in rising severity. Packs that decide must agree on them, else no severity could be compared."""
    outcomes: tuple[str, ...] = ()
    for pack in packs.values():
        if not (pack.flows or pack.processes.processes):
            continue
        if outcomes and pack.outcomes != outcomes:
            raise DeclarationError(
                "the packs cannot be active together",
                [
                    Problem(
                        "pack.toml",
                        "outcomes",
                        f"pack {pack.name!r} orders its outcomes otherwise than the packs before it",
                        ", ".join(pack.outcomes),
                        ", ".join(outcomes),
                        "Use the same outcomes in the same order.",
                    )
                ],
            )
        outcomes = pack.outcomes
    return outcomes
