"""`quanheng dmn evaluate`: one decision of a model over inputs that are written on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quanheng.cli.common import Json, show_json
from quanheng.cli.dmn import app, model_in
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    from quanheng.decisions.policy import Judgement


DMN = app
"""`quanheng dmn` with all its commands."""


@app.command
def evaluate(file: Path, decision: str, /, *, input: str = "{}", json: Json = False) -> None:
    """Evaluate one decision of a model: its result, what each decision on the way gave, and why parts are null.

    The input is a context of FEEL, so any JSON object will do, and dates can be written as @"2026-11-30". An input
    that is not given is null.

    For example:
      quanheng dmn evaluate policies/limits.dmn "credit limit" --input '{"net income": 3200, since: @"2021-05-01"}'

    Parameters
    ----------
    file : Path
        The .dmn file.
    decision : str
        Name of the decision, decision service or business knowledge model.
    input : str
        A context of FEEL: name of the input: value.
    json : bool
        One line of JSON.
    """
    from quanheng.decisions.dmn import compile_decision

    policy = compile_decision(model_in(file), decision)
    names = [one.name for one in policy.inputs]
    given = _context(input)
    if unknown := sorted(given.keys() - set(names)):
        raise InputError(
            "the decision has no such input",
            where=f"--input for {decision}",
            found=", ".join(unknown),
            allowed=", ".join(names) or "none",
            cure="Correct the names.",
        )
    judgement = policy([given.get(name) for name in names])
    absent = [name for name in names if name not in given]
    if json:
        show_json(_as_data(judgement, absent))
        return
    for step in judgement.steps:
        print(f"{step.decision} = {_told(step.result)}{_matched(step.rules)}")
    if decision not in {step.decision for step in judgement.steps}:
        print(f"{decision} = {_told(judgement.result)}")
    for one in judgement.diagnostics:
        print(f"null because: {one}")
    if absent:
        print(f"not given, so null: {', '.join(absent)}")


def _context(text: str) -> dict[str, Any]:
    from quanheng.feel import compile_expression

    found = compile_expression(text, {}, where="--input").evaluate({})
    if not isinstance(found.value, dict):
        told = "; ".join(str(one) for one in found.diagnostics)
        raise InputError(
            "the input is no context",
            where="--input",
            found=told or text,
            allowed="name: value, in braces",
            cure="""For example --input '{"amount": 1200}'.""",
        )
    return found.value


def _as_data(judgement: Judgement, absent: Sequence[str]) -> dict[str, Any]:
    steps = [
        {"decision": step.decision, "rules": list(step.rules), "result": _plain(step.result)}
        for step in judgement.steps
    ]
    return {
        "result": _plain(judgement.result),
        "steps": steps,
        "diagnostics": [str(one) for one in judgement.diagnostics],
        "not_given": list(absent),
    }


def _plain(value: object) -> object:
    """A FEEL value as JSON says it; times, durations, ranges and functions as the text that FEEL's `string` gives."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | str | Decimal) else _told(value)


def _told(value: object) -> str:
    from quanheng.feel.functions.strings import string
    from quanheng.feel.values import Run

    return f'"{value}"' if isinstance(value, str) else string(Run(), 0, value) or "null"


def _matched(rules: Sequence[int]) -> str:
    if not rules:
        return ""
    return f"   (rule{'s' if len(rules) > 1 else ''} {', '.join(map(str, rules))})"
