"""What a DMN file says, before any expression in it is parsed. Plain immutable data, one class per element."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Element:
    """`at` is the line in the file; `name` what authors see; `id` what references use."""

    id: str
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class ItemDefinition(Element):
    """A declared type: an alias of `type_ref` or a structure of `components`, one or a list."""

    type_ref: str
    components: tuple[ItemDefinition, ...]
    collection: bool
    allowed: str
    """Unary tests that a value (each item of a collection) must pass; empty = none."""
    allowed_type: str = ""
    """`typeConstraint`: unary tests on the value as a whole."""
    parameters: tuple[tuple[str, str], ...] | None = None
    """Set for a function type: (name, type) of each parameter; `type_ref` is the result."""


@dataclass(frozen=True, slots=True)
class InputData(Element):
    type_ref: str


@dataclass(frozen=True, slots=True)
class Boxed:
    """Base of boxed expressions; `type_ref` is the declared type of the result."""

    at: int
    type_ref: str


@dataclass(frozen=True, slots=True)
class Broken(Boxed):
    """What could not be read: null, for the reason `what`."""

    what: str


@dataclass(frozen=True, slots=True)
class Literal(Boxed):
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a boxed context; the last may have no name: it is the result."""

    name: str
    type_ref: str
    value: Boxed


@dataclass(frozen=True, slots=True)
class BoxedContext(Boxed):
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class BoxedList(Boxed):
    items: tuple[Boxed, ...]


@dataclass(frozen=True, slots=True)
class Relation(Boxed):
    columns: tuple[str, ...]
    rows: tuple[tuple[Boxed, ...], ...]


@dataclass(frozen=True, slots=True)
class Invocation(Boxed):
    function: Boxed
    bindings: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class BoxedFunction(Boxed):
    kind: str
    parameters: tuple[tuple[str, str], ...]
    body: Boxed | None


@dataclass(frozen=True, slots=True)
class Conditional(Boxed):
    condition: Boxed
    then: Boxed
    otherwise: Boxed


@dataclass(frozen=True, slots=True)
class BoxedFilter(Boxed):
    source: Boxed
    match: Boxed


@dataclass(frozen=True, slots=True)
class BoxedLoop(Boxed):
    """`kind` is for, some or every."""

    kind: str
    variable: str
    source: Boxed
    body: Boxed


@dataclass(frozen=True, slots=True)
class TableInput:
    at: int
    label: str
    expression: str
    type_ref: str
    allowed: str


@dataclass(frozen=True, slots=True)
class TableOutput:
    at: int
    name: str
    type_ref: str
    allowed: str
    default: str | None


@dataclass(frozen=True, slots=True)
class TableRule:
    at: int
    tests: tuple[str, ...]
    outputs: tuple[str, ...]
    annotations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table(Boxed):
    hit_policy: str
    aggregation: str
    inputs: tuple[TableInput, ...]
    outputs: tuple[TableOutput, ...]
    rules: tuple[TableRule, ...]


@dataclass(frozen=True, slots=True)
class Decision(Element):
    type_ref: str
    requires: tuple[str, ...]
    """Ids of input data and decisions."""
    knows: tuple[str, ...]
    """Ids of business knowledge models and decision services."""
    expression: Boxed | None


@dataclass(frozen=True, slots=True)
class Knowledge(Element):
    """A business knowledge model: a function."""

    type_ref: str
    knows: tuple[str, ...]
    function: BoxedFunction | None


@dataclass(frozen=True, slots=True)
class Service(Element):
    """A decision service: decisions offered as a function of its inputs."""

    type_ref: str
    outputs: tuple[str, ...]
    encapsulated: tuple[str, ...]
    input_decisions: tuple[str, ...]
    input_data: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """`kind` is the importType: the namespace of the language of the imported file."""

    name: str
    namespace: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Definitions:
    """One file."""

    where: str
    name: str
    namespace: str
    items: tuple[ItemDefinition, ...] = ()
    inputs: tuple[InputData, ...] = ()
    decisions: tuple[Decision, ...] = ()
    knowledge: tuple[Knowledge, ...] = ()
    services: tuple[Service, ...] = ()
    imports: tuple[Import, ...] = field(default=())
