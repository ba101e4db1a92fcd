"""Where a feature comes from and who uses it, both directions: fields, events, folds, balances, formulas, models,
decisions, processes, jobs, and the transfers that flows and processes ask for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from quanheng import feel
from quanheng.decisions.dmn import compile_decision
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.feel.tree import Name, walk
from quanheng.feel.types import ANY
from quanheng.kernel.errors import NotFound
from quanheng.loading.balances import balances_of
from quanheng.loading.classes import FINANCIAL, data_classes, highest_class
from quanheng.loading.declared import Declared, Fold
from quanheng.loading.declared_accounts import AccountOf, TransferTemplate
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.experiments import share_text
from quanheng.loading.policies import model_of
from quanheng.loading.process_steps import events_of, steps_of
from quanheng.loading.table import NAME

OF_STEPS = ("outcome", "refused", "instance")
"""Names that steps of processes know beside fields and features."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a pack that features are made of, are, or are used by.

    kind : "field", "event", "fold", "formula", "source", "balance", "model", "experiment", "decision", "process",
        "job" or "transfer"
    data_class : of a field as declared, of others the strictest of what they are made of
    text : what it is in one line
    made_of, used_by : names of the nodes next to it
    """

    name: str
    kind: str
    data_class: str = ""
    text: str = ""
    made_of: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()


def lineage(declared: Declared) -> dict[str, Node]:
    """Every node of a pack by name. Fields are called "event.field", what is no feature "transfer:posting.transfer",
    "process:NAME", "job:NAME"."""
    nodes: dict[str, Node] = {}
    decided = [flow.when for flow in declared.flows]
    for event in declared.events:
        for name, field in event.fields.items():
            nodes[f"{event.name}.{name}"] = Node(
                name=f"{event.name}.{name}",
                kind="field",
                data_class=field.data_class,
                text=_field_text(field.kind, field.unit),
            )
        nodes[event.name] = Node(name=event.name, kind="event", text=event.title.get("en", ""))
    for fold in declared.folds:
        reads = [f"{fold.of}.{name}" for name in (*fold.by, fold.value, fold.other) if name]
        reads += [f"{fold.of}.{name}" for name in _fields_in(declared, fold)]
        reads += [_field_of(declared, decided, name, nodes) for name in fold.match]
        made = [fold.of, *dict.fromkeys(reads), *([fold.through] if fold.through else [])]
        nodes[fold.name] = Node(name=fold.name, kind="fold", text=fold_text(fold), made_of=tuple(made))
    for source in declared.sources:
        for column in source.columns:
            nodes[column.name] = Node(name=column.name, kind="source", text=f"{source.name} {source.version}")
    for balance in declared.accounts.balances:
        knowing = [one.name for one in declared.events if balance in balances_of(declared.accounts, one)]
        made = [f"{event}.{key}" for event in knowing if event in decided for key in balance.account.keys]
        text = f"{balance.of} of {account_text(balance.account)}"
        nodes[balance.name] = Node(name=balance.name, kind="balance", text=text, made_of=tuple(made))
    for formula in declared.formulas:
        made = [_field_of(declared, decided, name, nodes) for name in formula.uses]
        nodes[formula.name] = Node(name=formula.name, kind="formula", text=formula.feel, made_of=tuple(made))
    for model in declared.models:
        made = [_field_of(declared, decided, name, nodes) for name in model.inputs]
        nodes[model.name] = Node(name=model.name, kind="model", text=model.estimator, made_of=tuple(made))
        for name in model.reason_columns:
            nodes[name] = Node(name=name, kind="model", text=f"a reason of {model.name}", made_of=tuple(made))
    for one in declared.experiments:
        made = [f"{event}.{one.by}" for event in decided if f"{event}.{one.by}" in nodes]
        nodes[one.name] = Node(name=one.name, kind="experiment", text=share_text(one), made_of=tuple(made))
    for flow in declared.flows:
        inputs = [one.name for one in compile_decision(model_of(declared, flow.policy), flow.decide).inputs]
        made = [_field_of(declared, [flow.when], name, nodes) for name in inputs]
        name = f"{flow.policy}.{flow.decide}"
        text = f"decided when {flow.when} arrives, for {flow.purpose}"
        if before := nodes.get(name):  # Several events may be decided by one decision.
            made, text = [*before.made_of, *made], f"{before.text}; {text}"
        made = [one for one in dict.fromkeys(made) if one in nodes]
        nodes[name] = Node(name=name, kind="decision", text=text, made_of=tuple(made))
    _keep(declared, nodes)
    for found in (_processes(declared, nodes), _transfers(declared, nodes)):
        more = {node.name: node for node in found}
        for name, node in more.items():
            made = [one for one in dict.fromkeys(node.made_of) if one in nodes or one in more]
            nodes[name] = msgspec.structs.replace(node, made_of=tuple(made))
    return _both_ways(nodes, data_classes(declared, {event.name: event for event in declared.events}))


def fold_text(fold: Fold) -> str:
    """A fold in one line: kind, value, event, key, window."""
    if fold.fold in CALENDAR_KINDS:
        calendar = f" by {fold.calendar}" if fold.calendar else ""
        return f"{fold.fold} of the moment of {fold.of} in {fold.zone}{calendar}"
    value = f" of {fold.value}" if fold.value else ""
    settings = ", ".join(f"{name} {text}" for name, text in fold_settings(fold).items())
    by = f" by {', '.join(fold.by)}" if fold.by else ""
    way = f" read by {', '.join(fold.match)}" if fold.match else f" read through {fold.through}" if fold.through else ""
    where = f", where {fold.where}" if fold.where else ""
    told = f" ({settings})" if settings else ""
    return f"{fold.fold}{told}{value} over {fold.of}{by}{way}, {window_text(fold)}{where}"


def fold_settings(fold: Fold) -> dict[str, str]:
    """Settings that only some kinds have, as far as they are declared: their key in features.toml → what it says."""
    found: dict[str, object] = {"other": fold.other, "nth": fold.nth, "quantile": fold.quantile}
    found |= {"accuracy": fold.accuracy, "exact_max": fold.exact_max}
    spans = {"half_life": fold.half_life_ms, "per": fold.per_ms}
    found |= {name: span_ms and duration_text(span_ms) for name, span_ms in spans.items()}
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def window_text(fold: Fold) -> str:
    """The window in one line, half-open."""
    if fold.since:
        span = f"since the start of the {fold.since} in {fold.zone}"
    elif fold.window_ms is None:
        span = "all history"
    else:
        span = f"the last {duration_text(fold.window_ms)}"
    if fold.fold in CALENDAR_KINDS:
        return "none: it asks the moment alone"
    parts = [span]
    if fold.delay_ms:
        parts.append(f"seen {duration_text(fold.delay_ms)} late")
    if fold.last is not None:
        parts.append(f"at most {fold.last} events")
    if fold.gap_ms is not None:
        parts.append(f"the session with gaps up to {duration_text(fold.gap_ms)}")
    if fold.current == "out":
        parts.append("without the event being decided")
    if fold.age_ms_max is not None:
        parts.append(f"unknown where its newest event is older than {duration_text(fold.age_ms_max)}")
    return ", ".join(parts)


def find(nodes: Mapping[str, Node], name: str) -> Node:
    """The node of a name.

    Raises
    ------
    NotFound : the pack has no such feature, field, event, model or decision
    """
    if name not in nodes:
        folds = [one.name for one in nodes.values() if one.kind == "fold"]
        near = [one for one in nodes if name and name in one] or folds
        raise NotFound(
            "the pack has nothing of this name", where="lineage", found=repr(name), allowed=", ".join(near[:20]),
            cure="Give the name of a feature, event, field (event.field), model or decision.",
        )  # fmt: skip
    return nodes[name]


def _both_ways(nodes: dict[str, Node], classes: Mapping[str, str]) -> dict[str, Node]:
    """Fill in who uses each node, and the classes of models and decisions: the highest of what they are made of."""
    users: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for one in node.made_of:
            users.setdefault(one, []).append(name)
    done: dict[str, Node] = {}
    for name, node in nodes.items():
        known = classes.get(name) if node.kind in ("fold", "balance", "formula") else None
        if known is None:
            known = highest_class([node.data_class, *(done[one].data_class for one in node.made_of if one in done)])
        done[name] = msgspec.structs.replace(node, used_by=tuple(users[name]), data_class=known)
    return done


def account_text(account: AccountOf) -> str:
    """An account as accounts.toml writes it: `wallet(payer)`, `fees`."""
    return f"{account.account}({', '.join(account.keys)})" if account.keys else account.account


def transfer_text(transfer: TransferTemplate) -> str:
    """A transfer in one line: what it settles, or from where to where it moves or holds how much."""
    amount = f"{transfer.amount} {'minor units' if transfer.minor else transfer.asset}" if transfer.amount else "all"
    where = f", where {transfer.where}" if transfer.where else ""
    if transfer.debit is None or transfer.credit is None:
        verb = {"post": "posts", "void": "voids", "reverse": "takes back"}[transfer.act]
        return f"{verb} {amount} of {transfer.settles}{where}"
    way = f"{account_text(transfer.debit)} to {account_text(transfer.credit)}"
    return f"{'holds' if transfer.hold else 'moves'} {amount} from {way}{where}"


def _transfers(declared: Declared, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """A node for each transfer that is asked for: what it reads, whom its accounts are named by, who asks for it."""
    acts = ("move", "post", "void", "reverse")  # What another one settles comes first.
    templates = [(posting, one) for posting in declared.accounts.postings for one in posting.transfers]
    for posting, transfer in sorted(templates, key=lambda pair: acts.index(pair[1].act)):
        made = [f"transfer:{transfer.settles}"] if transfer.settles else []
        for event, asking in _asking(declared, posting.name):
            keys = [key for side in (transfer.debit, transfer.credit) if side is not None for key in side.keys]
            deal = [name for name in (posting.id, posting.of) if name]
            read = [*keys, *deal, *_names_in(declared, event, (transfer.amount, transfer.where), nodes)]
            made += [_field_of(declared, [event], name, nodes) for name in read]
            made.append(asking)
        name = f"transfer:{posting.name}.{transfer.name}"
        yield Node(name=name, kind="transfer", data_class=FINANCIAL, text=transfer_text(transfer), made_of=tuple(made))


def _asking(declared: Declared, posting: str) -> Iterator[tuple[str, str]]:
    """Events on which a posting is asked for, with the decision or the process that asks."""
    for flow in declared.flows:
        if any(posting in names for names in flow.then.values()):
            yield flow.when, f"{flow.policy}.{flow.decide}"
    for process in declared.processes.processes:
        for event in dict.fromkeys(step.event for step in steps_of(process) if posting in step.transfers):
            yield event, f"process:{process.name}"


def _keep(declared: Declared, nodes: dict[str, Node]) -> None:
    """What the events of timers tell of an instance comes from the events that start it."""
    for process in declared.processes.processes:
        for name in (process.per, *(one.name for one in process.keys), *(one.name for one in process.numbers)):
            node = nodes.get(f"{process.timer_event}.{name}")
            own = {start.event: process.by.get(start.event, name) if name == process.per else name
                   for start in process.starts}  # fmt: skip
            made = [f"{event}.{field}" for event, field in own.items() if f"{event}.{field}" in nodes]
            if node is not None:
                nodes[node.name] = msgspec.structs.replace(node, made_of=tuple(made))


def _processes(declared: Declared, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """A node for each process: the events that move it, what its guards read, who decides; and for each job."""
    for process in declared.processes.processes:
        made = list(process.events())
        for event, texts in _texts_of(process):
            names = _names_in(declared, event, texts, nodes)
            made += [_field_of(declared, [event], name, nodes) for name in names]
        made += [f"{flow.policy}.{flow.decide}" for flow in declared.flows if flow.when in process.events()]
        made += [f"{start.event}.{one.name}" for start in process.starts for one in process.numbers]
        text = process_text(process)
        yield Node(name=f"process:{process.name}", kind="process", text=text, made_of=tuple(made))
    for job in declared.processes.jobs:
        sent = f", sends {job.event}" if job.event else ""
        moved = f", moves them to {job.to}" if job.to else ""
        where = f", where {job.where}" if job.where else ""
        text = f"instances of {job.process} in {', '.join(job.states) or 'any state'}{where}{moved}{sent}"
        yield Node(name=f"job:{job.name}", kind="job", text=text, made_of=(f"process:{job.process}",))


def process_text(process: ProcessDeclaration) -> str:
    """A process in one line: whose it is, and its states."""
    parts = [
        f"{part.name + ': ' if part.name else ''}{', '.join(state.name for state in part.states)}"
        for part in process.parts
    ]
    return f"one for each {process.per}, in one of {'; '.join(parts)}"


def _texts_of(process: ProcessDeclaration) -> Iterator[tuple[str, tuple[str, ...]]]:
    """FEEL texts of a process, with the event behind which they are asked."""
    for start in process.starts:
        yield start.event, (start.where,)
    for part in process.parts:
        for state in part.states:
            for move in state.moves:
                for event in events_of(process, part.name, state.name, move):
                    yield event, (move.where, *move.set.values())


def _names_in(declared: Declared, event: str, texts: Sequence[str], nodes: Collection[str]) -> list[str]:
    """Fields and features that FEEL texts read, when this event arrives."""
    fields = next((one.fields for one in declared.events if one.name == event), {})
    known = [*fields, *(name for name in nodes if NAME.fullmatch(name))]
    scope = dict.fromkeys([*known, *OF_STEPS], ANY)
    trees = [feel.parse(text, scope, strict=False) for text in texts if text]
    return [node.name for tree in trees for node in walk(tree) if isinstance(node, Name) and node.name in known]


def _field_of(declared: Declared, events: Sequence[str], name: str, nodes: Mapping[str, Node]) -> str:
    """The node that a formula, model or policy calls by a bare name: a field of the decided event, or a feature."""
    by_name = {one.name: one for one in declared.events}
    for event in [*events, *by_name]:
        if name not in nodes and event in by_name and name in by_name[event].fields:
            return f"{event}.{name}"
    return name


def _fields_in(declared: Declared, fold: Fold) -> list[str]:
    """Fields that the condition of a fold reads."""
    event = next(one for one in declared.events if one.name == fold.of)
    words = set("".join(char if char.isalnum() or char == "_" else " " for char in fold.where).split())
    return [name for name in event.fields if name in words]


def _field_text(kind: str, unit: str) -> str:
    return f"{kind}, {unit}" if unit else kind


def duration_text(span_ms: int) -> str:
    """A duration in its largest unit that is whole, "7 d"."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if span_ms % size == 0:
            return f"{span_ms // size} {unit}"
    return f"{span_ms} ms"
