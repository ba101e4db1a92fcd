"""Rules in words: what each rule of a decision table says, and which rule of one version is which of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from quanheng.decisions.dmn.model import Definitions, Table

Names = Mapping[str, Mapping[str, str]]
"""What inputs are called: name → {"en": …, "zh": …}; a name that is not there is shown as it stands."""

NO_NAMES: Names = MappingProxyType({})


class Rule(NamedTuple):
    """One rule of one table.

    number : counted from 1, as traces name it
    tests : (what is tested, the test) of the cells that test something, as written
    outputs : (name of the output, what the rule gives), as written
    note : what the author wrote beside it
    """

    table: str
    number: int
    tests: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    note: str

    @property
    def text(self) -> str:
        """The rule in the notation of the table."""
        when = " and ".join(f"{name}: {test}" for name, test in self.tests) or "always"
        return f"{when} -> {', '.join(given for _, given in self.outputs)}"

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two rules say the same: everything but their place and their note."""
        return self.table, self.tests, self.outputs

    def words(self, names: Names = NO_NAMES) -> dict[str, str]:
        """The conditions of the rule as a sentence in English and Chinese."""
        return {
            "en": " and ".join(_said(name, test, "en", names) for name, test in self.tests) or "always",
            "zh": "，且".join(_said(name, test, "zh", names) for name, test in self.tests) or "总是",
        }


RuleKey = tuple[str, int]
"""(table, number)."""


class RuleBook:
    """The rules of one version, by table and number; tables are decisions, as traces name them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = {(rule.table, rule.number): rule for rule in rules}

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules.values())

    def find(self, table: str, number: int) -> Rule:
        """The rule; one without text where the book does not hold it."""
        return self.rules.get((table, number)) or Rule(table, number, (), (), "")


def rule_book(files: Sequence[Definitions], wanted: Sequence[str] | None = None) -> RuleBook:
    """The rules of a model's decisions that are tables.

    Parameters
    ----------
    files : of a checked model; of decisions with one name, traces mean that of the first file
    wanted : names of decisions; default: all
    """
    rules = []
    for decision in (one for definitions in reversed(files) for one in definitions.decisions):
        table = decision.expression
        if not isinstance(table, Table) or (wanted is not None and decision.name not in wanted):
            continue
        for number, rule in enumerate(table.rules, 1):
            cells = zip(table.inputs, rule.tests, strict=False)
            tests = tuple(
                (clause.expression, " ".join(text.split())) for clause, text in cells if text not in ("-", "")
            )
            given = zip(table.outputs, rule.outputs, strict=False)
            outputs = tuple((output.name, " ".join(text.split())) for output, text in given)
            rules.append(
                Rule(decision.name, number, tests, outputs, "; ".join(note for note in rule.annotations if note))
            )
    return RuleBook(rules)


def align(before: RuleBook, after: RuleBook) -> dict[RuleKey, RuleKey]:
    """Which rule of `after` is which of `before`: after's key → before's key, for those that have a partner.

    Rules that say the same are the same, wherever they stand. Of the rest, a rule of the same table with the same
    output, else with the same tests, is the other one altered, the nearest number first.
    """
    partners: dict[RuleKey, RuleKey] = {}
    free = dict(before.rules)
    for same in (_same_content, _same_output, _same_tests):
        for key, rule in after.rules.items():
            if key in partners:
                continue
            found = [other for other, candidate in free.items() if same(candidate, rule)]
            if found:
                partner = min(found, key=lambda other: (abs(other[1] - rule.number), other[1]))
                partners[key] = partner
                del free[partner]
    return partners


def _same_content(one: Rule, other: Rule) -> bool:
    return one.content == other.content


def _same_output(one: Rule, other: Rule) -> bool:
    return (one.table, one.outputs) == (other.table, other.outputs)


def _same_tests(one: Rule, other: Rule) -> bool:
    return (one.table, one.tests) == (other.table, other.tests)


# -- words

_COMPARED = re.compile(r"(<=|>=|!=|<|>|=)\s*(.+)", re.DOTALL)
_RANGE = re.compile(r"([\[(\]])\s*(.+?)\s*\.\.\s*(.+?)\s*([\])\[])", re.DOTALL)
_LISTED = re.compile(r'(?:in\s+)?list\s*\(\s*"([^"\\]+)"\s*\)')
_NEGATED = re.compile(r"not\s*\((.*)\)", re.DOTALL)
_SIGNS = {
    "en": {"<": "below {}", "<=": "at most {}", ">": "above {}", ">=": "at least {}", "=": "{}", "!=": "not {}"},
    "zh": {"<": "低于{}", "<=": "不高于{}", ">": "高于{}", ">=": "不低于{}", "=": "为{}", "!=": "不为{}"},
}


def _said(name: str, test: str, language: str, names: Names) -> str:
    """One cell as a sentence; what has no plain form is quoted as it stands."""
    subject = _called(name, language, names)
    negated = _NEGATED.fullmatch(test)
    parts = [_part(part, language, names) for part in split(negated[1] if negated else test)]
    if any(part is None for part in parts):
        return f"{subject}: {test}"
    if language == "en":
        return f"{subject} is {'not ' if negated else ''}{' or '.join(filter(None, parts))}"
    joined = "或".join(filter(None, parts))
    return f"{subject}并非{joined}" if negated else f"{subject}{joined}"


def _part(test: str, language: str, names: Names) -> str | None:
    def called(text: str) -> str:
        return _called(text, language, names)

    signs = _SIGNS[language]
    if test == "null":
        return "missing" if language == "en" else "缺失"
    if found := _COMPARED.fullmatch(test):
        return signs[found[1]].format(called(found[2]))
    if (found := _RANGE.fullmatch(test)) and ".." not in found[2] + found[3]:
        low = signs[">=" if found[1] == "[" else ">"].format(called(found[2]))
        high = signs["<=" if found[4] == "]" else "<"].format(called(found[3]))
        return f"{low} and {high}" if language == "en" else f"{low}且{high}"
    if found := _LISTED.fullmatch(test):
        listed = _called(found[1], language, names)
        return f"on the list {listed}" if language == "en" else f"在名单{listed}中"
    if "?" in test:
        return None
    return signs["="].format(called(test))


def _called(text: str, language: str, names: Names) -> str:
    title = (names.get(text) or {}).get(language)
    return f"“{title}”" if title else text


def split(test: str) -> list[str]:
    """The alternatives of a cell: parts between commas that stand outside texts and brackets."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, sign in enumerate(test):
        if sign == '"' and (at == 0 or test[at - 1] != "\\"):
            quoted = not quoted
        elif not quoted and sign in "([{":
            depth += 1
        elif not quoted and sign in ")]}":
            depth -= 1
        elif sign == "," and not quoted and depth == 0:
            parts.append(test[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, test[start:]]]
