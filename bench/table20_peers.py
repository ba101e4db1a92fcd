"""The 20-rule table for other engines in Python, each on the fastest path we found.

`rule_engine` and `cel` (common-expression-language) have no tables: one compiled expression gives the number of the
first rule that holds, and a list its outputs. `spiff` is the DMN engine of SpiffWorkflow, called without a workflow
around it; it reads cells as Python, and its UNIQUE stops at the first rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

Rules = Sequence[tuple[str, ...]]
Judge = Callable[[Mapping[str, object]], object]


def conditions(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The cells of one rule as comparisons that rule-engine, CEL and Python all read."""
    parts = []
    for name, cell in zip(names, cells, strict=False):
        if cell == "-":
            continue
        if cell[0] in "[(":
            low, high = cell[1:-1].split("..")
            parts.append(f"{name} {'>=' if cell[0] == '[' else '>'} {low}")
            parts.append(f"{name} {'<=' if cell[-1] == ']' else '<'} {high}")
        else:
            parts.append(f"{name} {cell}" if cell[0] in "<>" else f"{name} in [{cell}]")
    return parts


def first_hit(names: Sequence[str], rules: Rules, conjunction: str) -> str:
    """One expression: `first ? 1 : (second ? 2 : ( ... 20))`; the last rule always holds."""
    text = ""
    for number, rule in enumerate(rules[:-1], 1):
        text += f"({conjunction.join(conditions(names, rule[: len(names)]))}) ? {number} : ("
    return text + str(len(rules)) + ")" * (len(rules) - 1)


def outputs(names: Sequence[str], rules: Rules) -> list[dict[str, object]]:
    return [
        {"outcome": outcome.strip('"'), "reason": reason.strip('"'), "limit_minor": int(limit)}
        for outcome, reason, limit in (rule[len(names) :] for rule in rules)
    ]


def rule_engine(names: Sequence[str], rules: Rules) -> Judge:
    from rule_engine import Rule

    rule, found = Rule(first_hit(names, rules, " and ")), outputs(names, rules)
    return lambda context: found[int(rule.evaluate(context)) - 1]


def cel(names: Sequence[str], rules: Rules) -> Judge:
    import cel as library

    program, found = library.compile(first_hit(names, rules, " && ")), outputs(names, rules)
    return lambda context: found[program.execute(context) - 1]


def spiff(names: Sequence[str], rules: Rules) -> Judge:
    from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
    from SpiffWorkflow.dmn.engine.DMNEngine import DMNEngine
    from SpiffWorkflow.dmn.specs.model import DecisionTable, Input, InputEntry, Output, OutputEntry, Rule

    table = DecisionTable("table20", "table20", "UNIQUE")
    columns = [Input(name, name, name, name, "") for name in names]
    results = [Output(name, name, name, "") for name in ("outcome", "reason", "limit_minor")]
    for number, cells in enumerate(rules, 1):
        rule = Rule(f"r{number}")
        rule.row_number = number
        for column, cell in zip(columns, cells, strict=False):
            entry = InputEntry(f"r{number}{column.id}", column)
            asked = " and ".join(conditions(["?"], [cell]))
            entry.lhs.append(asked or None)
            rule.inputEntries.append(entry)
        for result, cell in zip(results, cells[len(names) :], strict=True):
            output = OutputEntry(f"r{number}{result.id}", result)
            output.text = cell
            rule.outputEntries.append(output)
        table.rules.append(rule)
    engine, workflow = DMNEngine(table), SimpleNamespace(script_engine=PythonScriptEngine())
    return lambda context: dict(engine.result(SimpleNamespace(data=dict(context), workflow=workflow)))


PEERS: dict[str, Callable[[Sequence[str], Rules], Judge]] = {"rule_engine": rule_engine, "cel": cel, "spiff": spiff}
