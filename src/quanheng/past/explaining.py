"""Explains a recorded decision: the versions that took it, with the values that were served with it."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from quanheng.decisions.bounds import Changeable
from quanheng.decisions.counterfactual import Search
from quanheng.decisions.explain import Case, Explanation, Reason, explain
from quanheng.decisions.policy import Judgement
from quanheng.events.schema import FieldDeclaration
from quanheng.facts import DECIDED, REFUSED, decode_opinions
from quanheng.features.fold import EventLayout
from quanheng.features.fold import Fold as PlanFold
from quanheng.features.kinds import KINDS
from quanheng.kernel.errors import InputError, NotFound
from quanheng.loading.policies import model_of
from quanheng.past.backtest import names_in
from quanheng.past.events import EventReader
from quanheng.past.known import Asker, answers_of, served
from quanheng.past.lists import PastLists
from quanheng.past.window import one_decision
from quanheng.reading import Reader


def explain_decision(
    reader: Reader,
    offset: int,
    *,
    pack: str = "",
    wanted: str = "",
    change: Collection[str] = (),
    fixed: Collection[str] = (),
) -> Explanation:
    """Explain the decision at `offset` by the version that took it.

    Parameters
    ----------
    pack : whose opinion is meant where several packs decided, or the ledger refused; default: the one whose outcome
        won
    wanted : outcome that was hoped for; default: the least severe
    change : inputs that may be varied beside the usual ones (number, choice and yes-or-no fields, features, scores);
        parameters, texts, keys and times are varied only when they are named here
    fixed : inputs that must stay

    Raises
    ------
    NotFound : there is no such decision; DataErased : its subject was erased
    InputError : no policy took it (it failed, came too late or was refused by the ledger), or a name is unknown
    """
    rows = one_decision(reader, offset)
    program = reader.program(rows.activation).of_arm(rows.arm)
    recorded = rows.bodies[0]
    every = decode_opinions(recorded.opinions)
    opinions = [one for one in every if not pack or one.flow.startswith(f"{pack}.")]
    if not opinions:
        deciding = ", ".join(one.flow.partition(".")[0] for one in every)
        raise NotFound("this pack did not decide here", where="--pack", found=pack, allowed=deciding)
    if recorded.status == REFUSED and not pack:
        raise InputError(
            "the ledger refused the transfers of this decision, so no policy gave its outcome",
            where=f"decision {offset}",
            found=f"{recorded.status}: {recorded.outcome}",
            cure=f"See its transfers by `quanheng decision {offset}`, or explain what a pack had said: --pack.",
        )
    opinion = next((one for one in opinions if one.outcome == recorded.outcome), opinions[0])
    if opinion.status != DECIDED:
        raise InputError(
            "no policy took this decision, so there is nothing to explain but its status",
            where=f"decision {offset}",
            found=f"{opinion.status}: {opinion.outcome}",
            allowed=DECIDED,
            cure=f"See `quanheng decision {offset}`.",
        )
    if wanted and wanted not in program.outcomes:
        raise InputError(
            "there is no such outcome", where="--wanted", found=wanted, allowed=", ".join(program.outcomes)
        )
    names_of = {code: name for name, code in program.codes.items()}
    code = reader.log.record(rows.events[0]).type
    asker = Asker(program, opinion.flow.partition(".")[0], names_of[code])
    known = asker.known(rows, served(reader, names_of[code], rows), EventReader().read(asker.event_type, rows))
    inputs = asker.flow.policy.inputs
    given = {one.name: column[0] for one, column in zip(inputs, known.inputs(), strict=True)}

    def answer(judgement: Judgement) -> tuple[str, list[str]]:
        said = asker.flow.opinion(judgement)
        return said.outcome, list(said.reasons)

    model = model_of(asker.pack, asker.declared.policy)
    (lists,) = PastLists(reader).at(asker.flow, rows.events, rows.received_ms)
    names = names_in(asker.pack)
    case = Case(model, asker.flow.policy, given, answer, program.outcomes, program.reasons, names, lists)
    return explain(case, changeable_inputs(asker, change, fixed), wanted)


def changeable_inputs(asker: Asker, change: Collection[str] = (), fixed: Collection[str] = ()) -> list[Changeable]:
    """Inputs of the flow's policy that may be varied, each with its step and bounds.

    Raises
    ------
    InputError : a name is no input of the policy
    """
    inputs = [one.name for one in asker.flow.policy.inputs]
    if unknown := [name for name in (*change, *fixed) if name not in inputs]:
        raise InputError(
            "the policy has no such input",
            where="--change, --fixed",
            found=", ".join(unknown),
            allowed=", ".join(inputs),
        )
    found = []
    for name in inputs:
        one, usual = _changeable(asker, name)
        if one is not None and name not in fixed and (usual or name in change):
            found.append(one)
    return found


def _changeable(asker: Asker, name: str) -> tuple[Changeable | None, bool]:
    """How an input may be varied, and whether it is without being named."""
    fields, scope = asker.event_type.declaration.fields, asker.scope
    if name in fields:
        return _field(name, fields[name])
    if name in scope.folds:
        plan = asker.program.plan
        return _fold(name, plan.folds[scope.folds[name]], {one.name: one for one in plan.layouts}), True
    for formula in scope.formulas.formulas:
        if formula.name == name:
            return Changeable(name, _step(formula.decimals)), True
    for column in answers_of(asker):
        if column.name == name:
            if column.is_text:
                return None, False  # A reason follows from the score, an arm is drawn: nobody can change them.
            score = column.kind == "score"
            return Changeable(name, _step(column.decimals), 0 if score else None, 1 if score else None), True
    for parameter in asker.pack.parameters:
        if parameter.name == name:
            return _parameter(name, parameter.values[-1].value), False
    return None, False


def _field(name: str, field: FieldDeclaration) -> tuple[Changeable | None, bool]:
    if field.kind in ("integer", "decimal"):
        step = _step(field.scale if field.kind == "decimal" else 0)
        return Changeable(name, step, field.min, field.max), True
    if field.kind == "boolean":
        return Changeable(name, choices=(True, False)), True
    if field.kind == "choice":
        return Changeable(name, choices=field.choices), True
    return (Changeable(name, 1), False) if field.kind == "time" else (Changeable(name), False)


def _fold(name: str, fold: PlanFold, layouts: dict[str, EventLayout]) -> Changeable:
    kind, layout = KINDS[fold.fold], layouts[fold.of]
    if kind.answers == "float":
        return Changeable(name, _step(fold.decimals))
    scaled = kind.answers in ("value", "key", "quotient") and fold.value in layout.numbers
    scale = layout.scale(fold.value) if scaled and fold.value is not None else 0
    return Changeable(name, _step(scale), None if scaled else 0)


def _parameter(name: str, value: object) -> Changeable | None:
    if isinstance(value, bool):
        return Changeable(name, choices=(True, False))
    if isinstance(value, int):
        return Changeable(name, 1)
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return Changeable(name, _step(max(-exponent, 0) if isinstance(exponent, int) else 0))
    return None


def _step(decimals: int) -> int | Decimal:
    return Decimal(1).scaleb(-decimals) if decimals else 1


def told(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain data, ready for JSON."""
    return {
        "outcome": explanation.outcome,
        "wanted": explanation.wanted,
        "matched": [
            {"table": one.table, "rule": one.number, "text": one.text, "words": one.words(explanation.names)}
            for one in explanation.matched
        ],
        "results": dict(explanation.results),
        "reasons": [_reason(one) for one in explanation.reasons],
        "would_have_to_vanish": [list(codes) for codes in explanation.vanish],
        "changes": None if explanation.search is None else _search(explanation.search),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    rules = [{"table": one.table, "rule": one.number} for one in reason.rules]
    return {**reason._asdict(), "text": dict(reason.text), "rules": rules}


def _search(found: Search) -> dict[str, Any]:
    changes = [[change._asdict() for change in one.changes] for one in found.found]
    return {"found": changes, "runs": found.runs, "complete": found.complete, "tried": list(found.tried)}
