"""Nobody reads an error text for the first time in production: each is read by a test, by enumeration.

A site is every call of an error class in src/quanheng. Its text is what stands still in its first argument. A test
reads it if four words of it in a row (or all of it, where it is shorter) stand in a text of some test.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest
from audited import ROOT, normal, texts, texts_of_tests, trees

from quanheng.kernel import errors

RATCHET = ROOT / "tests" / "audits" / "errors_without_test.toml"
WORDS_IN_A_ROW = 4
ABSTRACT = {"QuanhengError", "InputError", "Overloaded", "LogError"}
"""Branches of the tree: raised where no leaf says more; they need not be raised at all."""


class Site(NamedTuple):
    """One place that makes an error: its parts that stand still."""

    path: str
    line: int
    name: str
    parts: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.path, " … ".join(self.parts)


@cache
def classes() -> dict[str, str]:
    """Every error class of the tree with its base, wherever it is defined."""
    bases = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
    found = {"QuanhengError": ""}
    while more := {n: b for n, all_ in bases.items() for b in all_ if b in found and n not in found}:
        found |= more
    return found


@cache
def sites() -> tuple[Site, ...]:
    return tuple(_sites())


def _sites() -> Iterator[Site]:
    forwarding = {(path, line) for path, lines in makers().values() for line in lines}
    for path, tree in trees().items():
        for node in (one for one in ast.walk(tree) if isinstance(one, ast.Call)):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if isinstance(node.func, ast.Name) and called in classes():
                if (path, node.lineno) in forwarding:
                    continue  # The text comes from the callers, who are sites themselves.
                literal = literals(node.args[0]) if node.args else ()
                named = tuple(part for keyword in node.keywords for part in texts(keyword.value) if " " in part)
                yield Site(path, node.lineno, called, literal or own_text(called) or named)
            for name, index in [maker[1:] for maker in makers() if maker[0] == owner(path, called)]:
                if len(node.args) > index and (literal := literals(node.args[index])):
                    yield Site(path, node.lineno, name, literal)


def literals(node: ast.AST) -> tuple[str, ...]:
    return tuple(part for part in texts(node) if part.strip(" :'()"))


def owner(path: str, function: str) -> tuple[str, str]:
    """A private function is that of its module."""
    return (path, function) if function.startswith("_") else ("", function)


@cache
def makers() -> dict[tuple[tuple[str, str], str, int], tuple[str, tuple[int, ...]]]:
    """Functions that make an error of a text they are given: (owner, class, place of the text) -> file and lines."""
    found = {}
    for path, tree in trees().items():
        functions = (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name != "__init__")
        for function in functions:
            names = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                    continue
                given = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
                if node.func.id in classes() and given in names:
                    key = owner(path, function.name), node.func.id, names.index(given)
                    found[key] = path, (*found.get(key, ("", ()))[1], node.lineno)
    return found


@cache
def own_text(name: str) -> tuple[str, ...]:
    """What stands still in the sentence that the class itself makes of its fields."""
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == name:
                calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and one.args]
                made = [one for one in calls if isinstance(one.func, ast.Attribute) and one.func.attr == "__init__"]
                return tuple(part for one in made for part in texts(one.args[0]) if part.strip(" :'()"))
    return ()


def windows(part: str) -> Iterator[str]:
    words = normal(part).split()
    for start in range(max(1, len(words) - WORDS_IN_A_ROW + 1)):
        yield " ".join(words[start : start + WORDS_IN_A_ROW])


def is_read(site: Site) -> bool:
    """A test reads the longest part of the text that stands still."""
    longest = max(site.parts, key=len, default="")
    return bool(longest) and any(window in texts_of_tests() for window in windows(longest))


@cache
def excused() -> dict[tuple[str, str], str]:
    listed = tomllib.loads(RATCHET.read_text(encoding="utf-8")).get("site", [])
    return {(one["file"], one["text"]): one["reason"] for one in listed}


def test_there_are_sites():
    assert len(sites()) > 50


def test_every_error_text_is_read_by_a_test():
    unread = [site for site in sites() if not is_read(site) and site.key not in excused()]
    lines = [f"  {site.path}:{site.line}: {site.name}: {' … '.join(site.parts)}" for site in unread]
    assert not unread, "no test reads these error texts:\n" + "\n".join(lines)


def test_the_ratchet_only_shrinks():
    unread = {site.key for site in sites() if not is_read(site)}
    stale = [key for key in excused() if key not in unread]
    assert not stale, f"remove from {RATCHET.name}, they are read by a test or are gone: {stale}"
    assert all(len(reason) > 10 for reason in excused().values())


@pytest.mark.parametrize("name", sorted(set(classes()) - ABSTRACT))
def test_every_error_class_is_raised_and_tested(name):
    made = [site for site in sites() if site.name == name]
    assert made, f"{name} is raised nowhere: remove it, or raise it where it belongs"
    assert any(is_read(site) for site in made), f"no test reads a text of {name}"


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = errors.__doc__ or ""
    defined = [name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)]
    assert not [name for name in defined if name not in drawn]
    assert all(f"### {name}" in errors_page() for name in defined)


def test_the_page_of_errors_names_every_class_and_no_other():
    headings = {line[4:].strip() for line in errors_page().splitlines() if line.startswith("### ")}
    assert headings == set(classes())


def errors_page() -> str:
    return (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")


def test_every_error_is_one_line():
    """An error goes into one line of a log; only the list of problems of a pack has a line for each."""
    for site in sites():
        assert not any("\n" in part for part in site.parts), site


def test_an_error_has_fields_and_a_sentence():
    error = errors.NotFound("no such decision", where="offset", found="7", allowed="0 to 5", cure="Look again.")
    assert str(error) == "offset: no such decision; was 7; allowed: 0 to 5. Look again."
    assert (error.where, error.found, error.allowed, error.cure) == ("offset", "7", "0 to 5", "Look again.")
    assert str(errors.NotFound("no such decision")) == "no such decision"
