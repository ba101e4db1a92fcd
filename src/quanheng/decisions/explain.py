"""Why a decision was taken: matched rules, reasons by what they contribute, and what would have changed it.

What a reason contributes is found by taking it away: the rules that give it are removed from the tables, and the model
is judged again. `alone` is the outcome with no other reason, `without` the outcome with this one gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from quanheng.decisions.backtest.rules import Names, Rule, rule_book
from quanheng.decisions.bounds import Changeable
from quanheng.decisions.counterfactual import INPUTS_MAX, RUNS_MAX, Search, search
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.decisions.dmn.tables import RuleNode, TableNode
from quanheng.decisions.policy import Judgement, Policy
from quanheng.feel import tree
from quanheng.feel.values import Membership

VANISH_MAX = 3
"""Reasons that are taken away together, at most."""
PRINCIPAL_MAX = 4
"""Reasons that an adverse-action notice names, at most (Regulation B, comment 9(b)(2)-1)."""

Answer = Callable[[Judgement], tuple[str, Sequence[str]]]
"""Outcome and reason codes of a judgement."""


class Reason(NamedTuple):
    """One reason of the outcome.

    rules : the rules that gave it; empty where an expression did
    alone : outcome with this reason only; without : outcome with all the others; None where no rule gives it
    """

    code: str
    text: Mapping[str, str]
    rules: tuple[Rule, ...]
    alone: str | None
    without: str | None
    decides_alone: bool
    necessary: bool


class Explanation(NamedTuple):
    """Everything that explains one judgement.

    matched : rules that matched, in the order of evaluation
    results : (decision, result) of every decision evaluated
    reasons : ranked: those that decide alone first, then those without which the outcome would change
    vanish : least sets of reasons, of which one must go before the outcome changes
    search : smallest changes of inputs that give `wanted`; None where the outcome is the wanted one
    """

    outcome: str
    wanted: str
    matched: tuple[Rule, ...]
    results: tuple[tuple[str, object], ...]
    reasons: tuple[Reason, ...]
    vanish: tuple[tuple[str, ...], ...]
    search: Search | None
    names: Names


class Case(NamedTuple):
    """One judgement to explain.

    model, policy : the decision as read and as compiled
    given : values of the policy's inputs by name
    answer : reads outcome and reasons from a judgement
    outcomes : in rising severity
    reasons : what the codes say; names : what inputs are called
    lists : what stood on the lists that the policy asks
    """

    model: Model
    policy: Policy
    given: Mapping[str, object]
    answer: Answer
    outcomes: Sequence[str]
    reasons: Mapping[str, Mapping[str, str]]
    names: Names
    lists: Membership | None = None

    def judge(self, values: Sequence[object]) -> Judgement:
        """The policy's judgement of these values, under the lists of then."""
        return self.policy(values, None, self.lists)


def explain(
    case: Case,
    changeable: Sequence[Changeable] = (),
    wanted: str = "",
    *,
    inputs_max: int = INPUTS_MAX,
    runs_max: int = RUNS_MAX,
) -> Explanation:
    """Explain one judgement.

    Parameters
    ----------
    changeable : inputs that may be varied in the search; none = no search
    wanted : the outcome that was hoped for; default: the least severe
    """
    judgement = case.judge([case.given.get(one.name) for one in case.policy.inputs])
    outcome, codes = case.answer(judgement)
    wanted = wanted or case.outcomes[0]
    book = rule_book(case.model.files)
    matched = tuple(book.find(name, number) for name, rules, _ in judgement.trace for number in rules)
    sources = {code: _sources(case.model, judgement, code) for code in dict.fromkeys(codes)}
    found = None
    if outcome != wanted and changeable:
        found = search(
            case.model, case.policy, case.given, changeable, wanted,
            lambda values: case.answer(case.judge(values))[0], inputs_max=inputs_max, runs_max=runs_max,
        )  # fmt: skip
    return Explanation(
        outcome,
        wanted,
        matched,
        tuple((name, result) for name, _, result in judgement.trace),
        _ranked(case, outcome, sources, book.find),
        _vanishing(case, outcome, sources),
        found,
        case.names,
    )


# -- what reasons contribute

RuleIds = frozenset[tuple[str, int]]


def _sources(model: Model, judgement: Judgement, code: str) -> RuleIds:
    """The matched rules whose outputs name a reason code."""
    matched = {(name, number) for name, rules, _ in judgement.trace for number in rules}
    return frozenset(key for key, rule in _rules_of(model).items() if key in matched and _names(rule, code))


def _rules_of(model: Model) -> dict[tuple[str, int], RuleNode]:
    found = {}
    for identity, node in model.trees.items():
        table = _table(node)
        if table is not None:
            name = model.elements[identity].name
            found.update({(name, rule.number): rule for rule in table.rules})
    return found


def _table(node: tree.Node) -> TableNode | None:
    inner = node.value if isinstance(node, tree.Cast) else node
    return inner if isinstance(inner, TableNode) else None


def _names(rule: RuleNode, code: str) -> bool:
    return any(
        isinstance(part, tree.Const) and part.value == code for output in rule.outputs for part in tree.walk(output)
    )


def judged_without(case: Case, rules: Collection[tuple[str, int]]) -> str:
    """The outcome if these rules did not exist."""
    trees = dict(case.model.trees)
    for identity, node in trees.items():
        table, name = _table(node), case.model.elements[identity].name
        if table is not None and any(key[0] == name for key in rules):
            kept = replace(table, rules=tuple(rule for rule in table.rules if (name, rule.number) not in rules))
            trees[identity] = replace(node, value=kept) if isinstance(node, tree.Cast) else kept
    model = replace(case.model, trees=trees)
    return case.answer(judge_model(model, case.policy.decision, case.given, lists=case.lists))[0]


def _ranked(
    case: Case, outcome: str, sources: Mapping[str, RuleIds], find: Callable[[str, int], Rule]
) -> tuple[Reason, ...]:
    reasons = []
    for code, own in sources.items():
        others = frozenset().union(*(rules for other, rules in sources.items() if other != code)) - own
        alone = judged_without(case, others) if own else None
        without = judged_without(case, own) if own else None
        text = case.reasons.get(code, {"en": code, "zh": code})
        rules = tuple(find(*key) for key in sorted(own))
        reasons.append(Reason(code, text, rules, alone, without, alone == outcome, without not in (None, outcome)))
    severity = {one: rank for rank, one in enumerate(case.outcomes)}
    return tuple(
        sorted(reasons, key=lambda one: (-one.decides_alone, -one.necessary, -severity.get(one.alone or "", -1)))
    )


def _vanishing(case: Case, outcome: str, sources: Mapping[str, RuleIds]) -> tuple[tuple[str, ...], ...]:
    """Least sets of reasons without which the outcome would be another."""
    known = {code: rules for code, rules in sources.items() if rules}
    found: list[tuple[str, ...]] = []
    for size in range(1, min(VANISH_MAX, len(known)) + 1):
        for codes in combinations(known, size):
            if any(set(less) <= set(codes) for less in found):
                continue
            rules = frozenset().union(*(known[code] for code in codes))
            if judged_without(case, rules) != outcome:
                found.append(codes)
    if not found and len(known) > VANISH_MAX and judged_without(case, frozenset().union(*known.values())) != outcome:
        found.append(tuple(known))
    return tuple(found)


# -- words


def notice(explanation: Explanation, language: str) -> list[str]:
    """Adverse-action wording: what was decided and its principal reasons, in the customer's language.

    Empty for the outcome that was hoped for. Only reasons that decide alone or without which the outcome would change
    are named; where none is known so, all of them, in their rank.
    """
    if explanation.outcome == explanation.wanted:
        return []
    main = [one for one in explanation.reasons if one.decides_alone or one.necessary] or list(explanation.reasons)
    head = {
        "en": f"The decision was: {explanation.outcome}. The principal reasons were:",
        "zh": f"决定结果为：{explanation.outcome}。主要理由如下：",
    }
    lines = [f"{number}. {one.text[language]}" for number, one in enumerate(main[:PRINCIPAL_MAX], 1)]
    return [head[language], *lines] if lines else [head[language].partition(".")[0] + "."]


def lines(explanation: Explanation, language: str = "en") -> list[str]:
    """The explanation as plain text in English ("en") or Chinese ("zh")."""
    en = language == "en"
    told = [f"{'Outcome' if en else '结果'}: {explanation.outcome}", ""]
    told.append("Rules that matched:" if en else "命中的规则：")
    told += [f"  {one.table} {one.number}: {one.words(explanation.names)[language]}" for one in explanation.matched]
    told += [] if explanation.matched else ["  none" if en else "  无"]
    told += ["", "Results on the way:" if en else "中间结果："]
    told += [f"  {name}: {shown(result, language)}" for name, result in explanation.results]
    told += ["", "Reasons, the weightiest first:" if en else "理由（按作用排序）："]
    told += [line for one in explanation.reasons for line in _reason_lines(one, language)]
    told += [] if explanation.reasons else ["  none" if en else "  无"]
    if explanation.vanish:
        sets = [(" and " if en else " 与 ").join(codes) for codes in explanation.vanish]
        either = (", or " if en else "，或 ").join(sets)
        told.append(f"  The outcome would change without {either}" if en else f"  若无下列理由，结果会改变：{either}")
    told += _change_lines(explanation, language)
    if said := notice(explanation, language):
        told += ["", "For the customer:" if en else "致客户：", *(f"  {line}" for line in said)]
    return told


def _reason_lines(reason: Reason, language: str) -> list[str]:
    told = [f"  {reason.code}: {reason.text[language]}"]
    if reason.alone is None:
        told.append("    given by an expression, not by a rule" if language == "en" else "    由表达式给出，并非规则")
        return told
    if language == "en":
        told.append(f"    alone: {reason.alone}; without it: {reason.without}")
    else:
        told.append(f"    仅此理由：{reason.alone}；无此理由：{reason.without}")
    return told


def _change_lines(explanation: Explanation, language: str) -> list[str]:
    found, en = explanation.search, language == "en"
    if found is None:
        return []
    wanted = explanation.wanted
    told = ["", f"Smallest changes that give {wanted}:" if en else f"改为 {wanted} 的最小改变："]
    for one in found.found:
        parts = [
            f"{_called(change.name, explanation.names, language)}: {shown(change.was, language)} → "
            f"{shown(change.would_be, language)}"
            for change in one.changes
        ]
        told.append(f"  {(' and ' if en else '，且 ').join(parts)}")
    if not found.found:
        told.append("  none among the inputs that may change" if en else "  在可改变的输入中未找到")
    if not found.complete:
        told.append(
            f"  (the search ended after {found.runs:,} runs)" if en else f"  （搜索在运行 {found.runs:,} 次后停止）"
        )
    return told


def _called(name: str, names: Names, language: str) -> str:
    return (names.get(name) or {}).get(language) or name


def shown(value: object, language: str = "en") -> str:
    """A value as people read it."""
    if value is None:
        return "missing" if language == "en" else "缺失"
    if isinstance(value, bool):
        return ("yes" if value else "no") if language == "en" else ("是" if value else "否")
    if isinstance(value, list):
        return ", ".join(shown(one, language) for one in value) or ("none" if language == "en" else "无")
    if isinstance(value, dict):
        return "; ".join(f"{key} {shown(one, language)}" for key, one in value.items())
    return str(value)
