"""`Definitions` to a checked `Model`: names resolved, every expression parsed and typed, all problems gathered.

Boxed expressions become ordinary FEEL trees (a boxed context is a context, an invocation is a call ...); only the
decision table is a node of its own. One variable, one slot: elements of a model are the outermost variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from quanheng.decisions.dmn.boxes import BoxBuilder
from quanheng.decisions.dmn.imports import Gatherer, Origin, qualified
from quanheng.decisions.dmn.model import Decision, Definitions, Element, InputData, Knowledge, Service
from quanheng.decisions.dmn.tables import free_slots
from quanheng.decisions.dmn.types import Constraint, TypeTable
from quanheng.decisions.dmn.xml import Reader
from quanheng.feel import tree
from quanheng.feel.scope import Scope, Variable
from quanheng.feel.types import ANY, ContextType, FeelType, FunctionType
from quanheng.kernel.errors import DeclarationError, Problem


@dataclass(slots=True)
class Model:
    """A checked model. `variables` and `trees` are by element id; `order` lists ids so that requirements come first.

    `definitions` and `types` are those of the file itself; elements of imported files have ids `namespace#id`.
    """

    definitions: Definitions
    strict: bool
    types: TypeTable
    scope: Scope
    elements: dict[str, Element] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    trees: dict[str, tree.Node] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    knows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Functions that a decision service uses inside."""
    origins: dict[str, Origin] = field(default_factory=dict)
    """The file of each element, by element id."""
    input_names: dict[str, str] = field(default_factory=dict)
    """The name under which a caller gives each input, by element id."""

    @property
    def files(self) -> tuple[Definitions, ...]:
        """The file itself, then every file that it imports, directly or not, as far as elements of it are known."""
        imported = {id(one.definitions): one.definitions for one in self.origins.values()}
        imported.pop(id(self.definitions), None)
        return (self.definitions, *imported.values())

    @property
    def decisions(self) -> tuple[str, ...]:
        """Names of the decisions, in the order of the file."""
        return tuple(one.name for one in self.definitions.decisions)

    def target(self, name: str) -> Decision | Knowledge | Service | None:
        """The decision, decision service or business knowledge model of that name."""
        groups = (self.definitions.decisions, self.definitions.services, self.definitions.knowledge)
        return next((one for group in groups for one in group if one.name == name), None)

    def inputs(self) -> list[InputData]:
        """All input data, those of the file itself first."""
        return [one for one in self.elements.values() if isinstance(one, InputData)]

    def constraint(self, element: InputData | Decision) -> Constraint | None:
        """What a value of the element's declared type must satisfy beyond its kind."""
        return self.origins[element.id].types.constraint(element.type_ref)

    def needs(self, identity: str) -> tuple[str, ...]:
        """Ids of what an element requires directly; a service only of the functions it uses."""
        element = self.elements[identity]
        if isinstance(element, Decision):
            return element.requires + element.knows
        return element.knows if isinstance(element, Knowledge) else self.knows.get(identity, ())

    def required(self, target: str) -> list[str]:
        """Ids of an element and of everything it requires, requirements first."""
        wanted: set[str] = set()
        waiting = [target]
        while waiting:
            identity = waiting.pop()
            if identity not in wanted and identity in self.elements:
                wanted.add(identity)
                waiting += self.needs(identity)
        return [identity for identity in self.order if identity in wanted]


class Builder:
    """Builds one model."""

    def __init__(
        self,
        definitions: Definitions,
        problems: list[Problem],
        strict: bool,
        files: Mapping[str, bytes],
        lists: Collection[str] | None,
    ) -> None:
        scope = Scope()
        scope.lists = lists
        gatherer = Gatherer(files, problems, strict, scope)
        self.origin = gatherer.origin(definitions)
        self.imported = gatherer.origins
        self.model = Model(definitions, strict, self.origin.types, scope, problems=problems)

    def problem(self, element: Element, message: str, found: str = "", known: str = "", cure: str = "") -> None:
        origin = self.model.origins.get(element.id, self.origin)
        key = f"line {element.at}, {element.name}"
        self.model.problems.append(Problem(origin.definitions.where, key, message, found, known, cure))

    def build(self) -> Model:
        for origin in (self.origin, *self.imported.values()):
            self.collect(origin)
        self.name_inputs()
        self.sort()
        for identity in self.model.order:
            self.element(self.model.elements[identity])
        return self.model

    def name_inputs(self) -> None:
        """An imported input keeps its name unless another has it already."""
        taken: set[str] = set()
        for one in self.model.inputs():
            name = one.name
            if name in taken:
                space = self.model.origins[one.id].definitions.namespace
                name = qualified(self.origin.names.get(space, space), name)
            taken.add(name)
            self.model.input_names[one.id] = name

    def collect(self, origin: Origin) -> None:
        """The elements of one file."""
        model, definitions = self.model, origin.definitions
        groups: tuple[Sequence[Element], ...] = (
            definitions.inputs,
            definitions.decisions,
            definitions.knowledge,
            definitions.services,
        )
        names: dict[str, Element] = {}
        for element in (one for group in groups for one in group):
            if element.id in model.elements:
                self.problem(element, "two elements have the same id", element.id, "", "Give each its own id.")
            model.origins[element.id] = origin
            if element.name in names:
                self.problem(element, "two elements have the same name", repr(element.name), "", "Rename one of them.")
            model.elements[element.id] = names[element.name] = element
        for item in definitions.items:
            for component in item.components:
                model.scope.members.add(component.name)

    # -- order

    def needs(self, element: Element) -> tuple[str, ...]:
        if isinstance(element, Decision):
            return element.requires + element.knows
        if isinstance(element, Knowledge):
            return element.knows
        if isinstance(element, Service):
            return element.outputs + element.encapsulated + element.input_decisions + element.input_data
        return ()

    def sort(self) -> None:
        """Requirements before what requires them; a cycle is refused, naming its members."""
        state: dict[str, int] = {}
        for start in self.model.elements:
            waiting = [(start, iter(self.needs(self.model.elements[start])))]
            if state.get(start):
                continue
            state[start] = 1
            while waiting:
                current, rest = waiting[-1]
                following = next(rest, None)
                if following is None:
                    waiting.pop()
                    state[current] = 2
                    self.model.order.append(current)
                elif following not in self.model.elements:
                    self.missing(self.model.elements[current], following)
                elif state.get(following) == 1:
                    self.cycle([one for one, _ in waiting], following)
                elif not state.get(following):
                    state[following] = 1
                    waiting.append((following, iter(self.needs(self.model.elements[following]))))

    def missing(self, element: Element, reference: str) -> None:
        self.problem(
            element, "a requirement points at nothing", repr(reference), "", "Correct its href, or add the element."
        )

    def cycle(self, path: Sequence[str], again: str) -> None:
        names = [self.model.elements[one].name for one in [*path[list(path).index(again) :], again]]
        recursive = len(names) == 2 and isinstance(self.model.elements[again], Knowledge)
        if not recursive:
            self.problem(
                self.model.elements[again], "requirements form a cycle", " -> ".join(names), "", "Remove one of them."
            )

    # -- elements

    def element(self, element: Element) -> None:
        builders: dict[type, Callable[..., None]] = {
            InputData: self.input,
            Decision: self.decision,
            Knowledge: self.knowledge,
            Service: self.service,
        }
        builders[type(element)](element)

    def declare(self, element: Element, kind: FeelType) -> Variable:
        variable = Variable(element.name, self.model.scope.new_slot(), kind)
        self.model.variables[element.id] = variable
        return variable

    def input(self, element: InputData) -> None:
        self.declare(element, self.resolve(element.type_ref, element))

    def resolve(self, reference: str, element: Element) -> FeelType:
        return self.model.origins[element.id].types.resolve(reference, element)

    def visible(self, element: Element, ids: Sequence[str]) -> Scope:
        """A scope of exactly these elements, under the names that the element's file has for them."""
        scope, origins = self.model.scope.inner(), self.model.origins
        for identity in ids:
            if identity in self.model.variables:
                variable = self.model.variables[identity]
                name = origins[element.id].seen(self.model.elements[identity], origins[identity])
                scope.bind(name, variable.type, variable.slot)
        return scope

    def boxes(self, element: Element, scope: Scope) -> BoxBuilder:
        origin = self.model.origins[element.id]
        where, problems = origin.definitions.where, self.model.problems
        return BoxBuilder(where, element.name, scope, origin.types, problems, self.model.strict)

    def decision(self, element: Decision) -> None:
        declared = self.resolve(element.type_ref, element)
        if element.expression is None:
            self.declare(element, declared)
            self.model.trees[element.id] = tree.Const(ANY, 0, None)
            return
        boxes = self.boxes(element, self.visible(element, self.needs(element)))
        node = boxes.declared(boxes.boxed(element.expression), element.type_ref, element.at, element.name)
        self.model.trees[element.id] = node
        self.declare(element, declared if declared != ANY else node.type)

    def knowledge(self, element: Knowledge) -> None:
        if element.function is None or element.function.body is None:
            self.declare(element, ANY)
            self.model.trees[element.id] = tree.Const(ANY, 0, None)
            return
        declared = self.resolve(element.type_ref, element)
        scope = self.visible(element, self.needs(element))
        variable: Variable | None = None
        if element.id in element.knows:
            parameters = tuple((name, self.resolve(kind, element)) for name, kind in element.function.parameters)
            variable = self.declare(element, FunctionType(parameters, ANY))
            scope.bind(variable.name, variable.type, variable.slot)
        result = declared.result if isinstance(declared, FunctionType) else declared
        node = self.closed(element, self.boxes(element, scope).function(element.function, result))
        self.model.trees[element.id] = node
        if variable is None:
            self.declare(element, node.type)

    def service(self, element: Service) -> None:
        """A function of the service's inputs: its decisions are computed inside it, in order."""
        given = list(dict.fromkeys([*element.input_data, *element.input_decisions]))  # an input named twice is one
        inside, knows = self.inside(element, set(given))
        self.model.knows[element.id] = tuple(knows)
        variables = [self.model.variables[one] for one in given if one in self.model.variables]
        outputs = [self.model.variables[one] for one in element.outputs if one in self.model.variables]
        results = tuple(tree.Name(one.type, 0, one.name, one.slot) for one in outputs)
        body: tree.Node = results[0] if len(results) == 1 else self.context_of(outputs, results)
        slots_inside = tuple(self.model.variables[one].slot for one in inside)
        body = tree.Let(body.type, 0, slots_inside, tuple(self.model.trees[one] for one in inside), body)
        declared = self.resolve(element.type_ref, element)
        result = declared.result if isinstance(declared, FunctionType) else declared
        boxes = self.boxes(element, self.model.scope)
        body = boxes.typed(body, result, element.at, f"the result of {element.name}")
        kind = FunctionType(tuple((one.name, one.type) for one in variables), body.type)
        names, slots = tuple(one.name for one in variables), tuple(one.slot for one in variables)
        node = tree.FunctionOf(kind, 0, names, slots, tuple(one.type for one in variables), body)
        self.model.trees[element.id] = self.closed(element, node)
        self.declare(element, kind)

    def closed(self, element: Element, node: tree.Node) -> tree.Node:
        """A function that reads its parameters and other functions only: what else it reads is a mistake, and null."""
        if not isinstance(node, tree.FunctionOf):
            return node
        variables, elements = self.model.variables, self.model.elements
        functions = [one for one in variables if isinstance(elements[one], Knowledge | Service)]
        foreign = free_slots(node, frozenset(variables[one].slot for one in functions))
        if not foreign:
            return node
        names = ", ".join(variables[one].name for one in variables if variables[one].slot in foreign)
        what = "a function reads what is not among its inputs"
        if self.model.strict:
            self.problem(element, what, names, ", ".join(node.parameters), "Add it to the inputs of the service.")
        failed = tuple(tree.Failed(ANY, 0, f"{what}: {names}") for _ in foreign)
        return replace(node, body=tree.Let(node.body.type, 0, tuple(foreign), failed, node.body))

    def context_of(self, outputs: Sequence[Variable], results: tuple[tree.Node, ...]) -> tree.Node:
        kind = ContextType(tuple((one.name, one.type) for one in outputs))
        slots = tuple(self.model.scope.new_slot() for _ in outputs)
        return tree.ContextOf(kind, 0, tuple(one.name for one in outputs), slots, results)

    def inside(self, service: Service, given: set[str]) -> tuple[list[str], list[str]]:
        """Ids of the decisions a service computes itself, in order, and of the functions they use."""
        wanted: set[str] = set()
        waiting = list(service.outputs)
        while waiting:
            identity = waiting.pop()
            if identity not in wanted and identity not in given and identity in self.model.trees:
                wanted.add(identity)
                waiting += self.model.needs(identity)
        ordered = [one for one in self.model.order if one in wanted]
        decisions = [one for one in ordered if isinstance(self.model.elements[one], Decision)]
        return decisions, [one for one in ordered if one not in decisions]


def build(
    definitions: Definitions,
    problems: list[Problem],
    strict: bool,
    files: Mapping[str, bytes] = {},
    lists: Collection[str] | None = None,
) -> Model:
    """Check a whole model; problems are added to `problems`, not raised."""
    return Builder(definitions, problems, strict, files, lists).build()


def read_model(
    xml: bytes,
    where: str,
    strict: bool = True,
    files: Mapping[str, bytes] = {},
    lists: Collection[str] | None = None,
) -> Model:
    """Read and check a DMN model.

    Parameters
    ----------
    xml : the file
    where : its name, for messages
    strict : mistakes are problems and refuse the model; otherwise what is mistaken is null at run time, the rest runs,
        and `problems` of the model lists them
    files : models it may import, by file name; an import finds its file by namespace
    lists : names that `list("name")` may ask for; None where that extension is not known

    Raises
    ------
    DeclarationError : with every problem of the file; without `strict` only where it is no DMN at all
    """
    reader = Reader(where)
    problems = reader.problems
    try:
        definitions = reader.read(xml)
        model = None if definitions is None else build(definitions, problems, strict, files, lists)
    except RecursionError:
        model = None
        problems.append(Problem(where, "", "the model is nested too deeply", "", "", "Split its decisions."))
    if model is not None and not (problems and strict):
        return model
    raise DeclarationError(f"{where} is not a usable DMN model", problems)
