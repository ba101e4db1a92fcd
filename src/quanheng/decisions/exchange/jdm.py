"""Decision models of GoRules (JDM) as DMN: each node becomes a decision, edges become requirements.

In JDM a node sees the merged outputs of the nodes before it. Here each name is followed to the node that gives it, or
to an input of the model, so a decision requires exactly what it reads. What has no counterpart is a problem that names
node and cell: nothing is left out in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.build import Model, build
from quanheng.decisions.exchange.jdm_env import Environment, Given, Path, Provided, beside_input, listed, merged
from quanheng.decisions.exchange.jdm_nodes import Tables
from quanheng.decisions.exchange.zen_feel import COMPARE, OR, Feel, Translator, is_name
from quanheng.kernel.errors import DeclarationError, ExpressionError, Problem

SIZE_MAX = 20_000_000
"""Bytes of one file."""
_REFUSED = {
    "functionNode": ("a function in JavaScript is not run", "Write it as an expression node or a decision table."),
    "decisionNode": ("another model is called", "Put its nodes into this file."),
    "customNode": ("a node of a program is not run", "Write it as an expression node or a decision table."),
}
_KNOWN = ("inputNode", "outputNode", "decisionTableNode", "expressionNode", "switchNode")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"[A-Za-z_]\w*")


class JdmReader:
    """Reads one model; problems are gathered, not raised."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[Problem] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[tuple[str, str, str]] = []
        """Source, target, and the branch of a switch that it leaves by."""
        self.places: list[str] = []
        self.decisions: list[m.Decision] = []
        self.inputs: dict[str, set[str]] = {}
        """Inputs of the model with the kinds of values they are compared with."""
        self.provided: dict[str, Provided] = {}
        self.active: dict[str, Feel | None] = {}
        """When a node is evaluated; None for always."""
        self.branches: dict[str, dict[str, int]] = {}
        """For each node, the branch of every switch (taking the first) without which it is not evaluated."""
        self.read_paths: set[Path] = set()
        """Paths read from the input of the model."""
        self._beside: list[tuple[str, Path]] = []
        self.needs: dict[str, None] = {}
        """What the expression being read requires: names of inputs and decisions."""
        self._taken: set[str] = set()

    def problem(self, place: str, message: str, found: str = "", known: str = "", cure: str = "") -> None:
        self.problems.append(Problem(self.where, place, message, found, known, cure))

    # -- the file

    def read(self, data: bytes) -> m.Definitions:
        """The whole model."""
        content = self._content(data)
        if content is not None:
            self._collect(content)
            for identity in self._ordered():
                self._node(identity)
            self._results()
            self._check_beside()
        title = re.sub(r"\.json$", "", self.where.rpartition("/")[2])
        inputs = tuple(m.InputData(name, name, 0, self._kind(kinds)) for name, kinds in self.inputs.items())
        return m.Definitions(self.where, title, f"urn:{title}", (), inputs, tuple(self.decisions))

    def _content(self, data: bytes) -> dict[str, Any] | None:
        if len(data) > SIZE_MAX:
            self.problem("", "the file is too large", f"{len(data)} bytes", f"{SIZE_MAX} bytes", "Split the model.")
            return None
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            self.problem("", "the file is no JSON", str(error), "", "Export it again.")
            return None
        if not isinstance(content, dict) or not all(isinstance(content.get(one), list) for one in ("nodes", "edges")):
            self.problem("", "the file is no JDM", "", "an object with nodes and edges", "Export it from the editor.")
            return None
        return content

    def _collect(self, content: dict[str, Any]) -> None:
        nodes = [one for one in content["nodes"] if isinstance(one, dict) and isinstance(one.get("id"), str)]
        if len(nodes) < len(content["nodes"]):
            self.problem("nodes", "a node has no id", cure="Export the model again.")
        self.nodes = {one["id"]: one for one in nodes}
        self._taken = set(_WORD.findall(json.dumps([one.get("content") for one in nodes])))
        for edge in content["edges"]:
            told = edge if isinstance(edge, dict) else {}
            source, target = str(told.get("sourceId")), str(told.get("targetId"))
            if source in self.nodes and target in self.nodes:
                self.edges.append((source, target, str(told.get("sourceHandle") or "")))
            else:
                found = f"{source} to {target}"
                self.problem("edges", "an edge joins nodes that are not there", found, cure="Export it again.")

    def content(self, identity: str) -> dict[str, Any]:
        """What a node holds; nothing where it is no object."""
        found = self.nodes[identity].get("content")
        return found if isinstance(found, dict) else {}

    def place(self, identity: str) -> str:
        return f"node {self.nodes[identity].get('name') or identity!r}"

    def _ordered(self) -> list[str]:
        """Nodes so that those before come first; a cycle is a problem."""
        waiting = {one: {source for source, target, _ in self.edges if target == one} for one in self.nodes}
        found: list[str] = []
        while ready := [one for one, before in waiting.items() if not before - set(found)]:
            found += ready
            for one in ready:
                del waiting[one]
        if waiting:
            names = ", ".join(self.place(one) for one in waiting)
            self.problem("edges", "the nodes form a cycle", names, cure="Remove one of the edges.")
        return found

    @staticmethod
    def _kind(kinds: set[str]) -> str:
        return next(iter(kinds)) if len(kinds) == 1 and kinds <= {"number", "string", "boolean"} else ""

    # -- nodes

    def _node(self, identity: str) -> None:
        node = self.nodes[identity]
        kind, place = str(node.get("type")), self.place(identity)
        incoming = [edge for edge in self.edges if edge[1] == identity]
        self.active[identity] = self._activity(incoming)
        needed = [set(self.needed(edge).items()) for edge in incoming]
        self.branches[identity] = dict(set.intersection(*needed)) if needed else {}
        if kind == "inputNode":
            self.provided[identity] = Provided({}, True)
            return
        if kind in _REFUSED or kind not in _KNOWN:
            message, cure = _REFUSED.get(kind, ("the kind of the node is not known", f"Use {', '.join(_KNOWN)}."))
            self.problem(place, message, kind, cure=cure)
            self.provided[identity] = Provided({}, False, doubted=True)
            return
        env = self.environment(identity, guarded=kind == "outputNode")
        content = self.content(identity)
        if kind == "switchNode":
            self._switch(identity, content, env)
        elif kind == "outputNode":
            self.provided[identity] = env.provided
        else:
            self._data(identity, kind, content, env)

    def environment(self, identity: str, guarded: bool = False) -> Environment:
        """What a node sees; with one node before it, that one was evaluated if this one is."""
        incoming = [edge for edge in self.edges if edge[1] == identity and edge[0] in self.provided]
        several = guarded or len(incoming) > 1
        sources = [
            Given(self.guard(edge) if several else None, self.needed(edge), self.provided[edge[0]]) for edge in incoming
        ]
        provided, clashes = merged(sources)
        self._beside += [(self.place(identity), path) for path in beside_input(sources)]
        for path in clashes:
            message = f"several nodes give {'.'.join(path)!r} to this node, and which one wins is not certain"
            self.problem(self.place(identity), message, cure="Give it another name in one of them.")
        return Environment(self, provided)

    def needed(self, edge: tuple[str, str, str]) -> dict[str, int]:
        """The branches without which an edge carries nothing."""
        source, _, handle = edge
        found = dict(self.branches.get(source, {}))
        content = self.content(source)
        if self.nodes[source].get("type") == "switchNode" and content.get("hitPolicy", "first") == "first":
            ids = [one.get("id") for one in listed(content, "statements")]
            found[source] = ids.index(handle) if handle in ids else -1
        return found

    def _check_beside(self) -> None:
        """Names that a node gives and the input, passed beside it, has too: which one a node sees is not certain."""
        for place, path in self._beside:
            if any(_meets(path, one) for one in self.read_paths):
                message = f"{'.'.join(path)!r} comes from a node and from the input at once"
                self.problem(place, message, cure="Give the output of the node another name.")

    def guard(self, edge: tuple[str, str, str]) -> Feel | None:
        """When an edge carries something."""
        source, _, handle = edge
        node = self.nodes[source]
        if node.get("type") != "switchNode":
            return self.active[source]
        content = self.content(source)
        branches = [one.get("id") for one in listed(content, "statements")]
        number = branches.index(handle) + 1 if handle in branches else 0
        name = self.title(source)
        if not number:
            self.problem(self.place(source), "an edge leaves the switch by a branch it does not have", handle)
        if content.get("hitPolicy", "first") == "collect":
            return Feel(f"list contains({name}, {number})")
        return Feel(f"{name} = {number}", COMPARE)

    def _activity(self, incoming: Sequence[tuple[str, str, str]]) -> Feel | None:
        guards = [self.guard(edge) for edge in incoming if edge[0] in self.provided]
        if not guards or None in guards:
            return None
        texts = dict.fromkeys(one.at(OR) for one in guards if one is not None)
        return Feel(" or ".join(texts), OR) if len(texts) > 1 else guards[0]

    def title(self, identity: str) -> str:
        """The name of the decision that a node becomes: its own, as FEEL can read it, and no other's."""
        node = self.nodes[identity]
        if "title" not in node:
            plain = re.sub(r"\W+", "_", str(node.get("name") or identity), flags=re.ASCII).strip("_")
            plain = plain if is_name(plain) else f"node_{plain}"
            name, number = plain, 2
            while name in self._taken:
                name, number = f"{plain}_{number}", number + 1
            self._taken.add(name)
            node["title"] = name
        return str(node["title"])

    def decide(self, identity: str, name: str, expression: m.Boxed, label: str = "") -> None:
        """One decision that requires all that was read since the last one."""
        self.places.append(self.place(identity))
        names = {one.name: one.id for one in self.decisions}
        requires = tuple(names.get(need, need) for need in self.needs if need in names or need in self.inputs)
        words = m.Words(label if label != name else "")
        self.decisions.append(m.Decision(name, name, len(self.places), "", requires, (), expression, words))
        self.needs = {}

    def read_names(self, text: str) -> None:
        """A text that was made elsewhere reads the decisions and inputs it names."""
        known = {one.name for one in self.decisions} | self.inputs.keys()
        self.needs.update(dict.fromkeys(one for one in _WORD.findall(_TEXT.sub("", text)) if one in known))

    def input(self, name: str, kinds: set[str]) -> None:
        """An input of the model that is read."""
        self.inputs.setdefault(name, set()).update(kinds)
        self.needs[name] = None

    # -- what the nodes hold

    def _switch(self, identity: str, content: Mapping[str, Any], env: Environment) -> None:
        """The number of the branch taken (first), or of all (collect); branches count from 1."""
        collects = content.get("hitPolicy", "first") == "collect"
        place, parts = self.place(identity), []
        for number, statement in enumerate(listed(content, "statements"), 1):
            text = str(statement.get("condition") or "").strip()
            parts.append((number, self.feel(f"{place}, branch {number}", env, text) if text else Feel("true")))
        if collects:
            told = ", ".join(f"if {condition.text} then [{number}] else []" for number, condition in parts)
            feel = Feel(f"concatenate({told})" if len(parts) > 1 else f"({told})" if told else "[]")
        else:
            # What stands behind a branch without a condition is never taken.
            always = next((at for at, (_, condition) in enumerate(parts) if condition.text == "true"), len(parts))
            told = "".join(f"if {condition.text} then {number} else " for number, condition in parts[:always])
            feel = Feel(f"{told}{parts[always][0] if always < len(parts) else 'null'}")
        active = self.active[identity]
        if active is not None:
            self.read_names(active.text)
            feel = Feel(f"if {active.text} then ({feel.text}) else null")
        name = self.title(identity)
        self.provided[identity] = env.provided
        self.decide(
            identity, name, m.Literal(len(self.places) + 1, "", feel.text), str(self.nodes[identity].get("name"))
        )

    def feel(self, place: str, env: Environment, text: str, own: Mapping[Path, Feel] | None = None) -> Feel:
        """An expression of ZEN; a mistake becomes a problem of its place."""
        try:
            translator = Translator(env.resolve, None if own is None else env.own(own))
            return translator.expression(text)
        except ExpressionError as error:
            self.refuse(place, error, text)
            return Feel("null")

    def refuse(self, place: str, error: ExpressionError, text: str) -> None:
        self.problem(place, f"{error.what} ({text[:60]!r}, {error.where})", error.found, error.allowed, error.cure)

    def _data(self, identity: str, kind: str, content: Mapping[str, Any], env: Environment) -> None:
        """A table or an expression node: what goes in, what comes out."""
        place = self.place(identity)
        mode = content.get("executionMode") or "single"
        if mode != "single":
            self.problem(place, "a node that runs once for each item is not taken over", mode, "single")
        if content.get("inputField"):
            env = env.inside(str(content["inputField"]))
        tables = Tables(self, identity, env)
        outputs = tables.table(content) if kind == "decisionTableNode" else tables.expressions(content)
        prefix = tuple(str(content["outputPath"]).split(".")) if content.get("outputPath") else ()
        paths = {(*prefix, *path): feel for path, feel in outputs.items()}
        if () in paths and content.get("passThrough"):
            self.problem(
                place, "a list cannot be joined with what passes through", cure="Give the node an output path."
            )
        base = env.outer.provided if content.get("passThrough") else Provided({}, False)
        kept = {path: feel for path, feel in base.paths.items() if not any(_meets(path, one) for one in paths)}
        self.provided[identity] = Provided({**kept, **paths}, base.open, base.doubted)

    # -- the answer

    def _results(self) -> None:
        """One decision for what the output nodes, or else the last nodes, give together."""
        sources = {source for source, _, _ in self.edges}
        ends = [one for one, node in self.nodes.items() if node.get("type") == "outputNode" and one in self.provided]
        last = ends or [one for one in self.provided if one not in sources]
        if not last:
            self.problem("nodes", "no node gives a result", cure="Add an output node.")
            return
        provided, clashes = merged(
            [Given(None if ends else self.active[one], self.branches.get(one, {}), self.provided[one]) for one in last]
        )
        for path in clashes:
            self.problem("nodes", f"several last nodes give {'.'.join(path)!r}", cure="Give it another name in one.")
        env = Environment(self, provided)
        name, number = "result", 2
        while name in self._taken:
            name, number = f"result_{number}", number + 1
        box: m.Boxed
        if () in provided.paths:
            box = m.Literal(len(self.places) + 1, "", env.read(provided.paths[()]).text)
        else:
            roots = dict.fromkeys(path[0] for path in provided.paths)
            entries = [
                m.Entry(root, "", m.Literal(len(self.places) + 1, "", env.resolve((root,)).text)) for root in roots
            ]
            box = m.BoxedContext(len(self.places) + 1, "", tuple(entries))
            if not entries and not provided.doubted:
                self.problem("nodes", "the model gives nothing but its input back", cure="Add a table or expressions.")
        self.decide(last[0], name, box)


def _meets(one: Path, other: Path) -> bool:
    """Whether writing one path changes what the other reads."""
    return one[: len(other)] == other or other[: len(one)] == one


def _moved(problems: Sequence[Problem], places: Sequence[str]) -> Iterator[Problem]:
    """Problems of the DMN model with the node in place of the line."""
    for problem in problems:
        match = re.match(r"line (\d+)(.*)", problem.key, re.DOTALL)
        known = match is not None and 0 < int(match[1]) <= len(places)
        yield problem._replace(key=f"{places[int(match[1]) - 1]}{match[2]}") if match and known else problem


def read_jdm(data: bytes, where: str, strict: bool = True) -> Model:
    """A JDM of GoRules as a checked DMN model; its answer is the decision `result`.

    Parameters
    ----------
    data : the JSON file
    where : its name, for messages
    strict : as for `read_model`

    Raises
    ------
    DeclarationError : with everything that has no counterpart, each with node and cell
    """
    reader = JdmReader(where)
    definitions = reader.read(data)
    problems = reader.problems
    if not problems:
        model = build(definitions, problems, strict)
        if not problems:
            return model
    raise DeclarationError(f"{where} cannot be taken over", list(_moved(problems, reader.places)))
