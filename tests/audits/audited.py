"""What the audits read: sources, tests, documents of this repository. Enumerated, never listed by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "quanheng"
TESTS = ROOT / "tests"


@cache
def trees(folder: Path = SRC) -> dict[str, ast.Module]:
    """Syntax tree of each Python file under `folder`, by path from the root of the repository."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def texts(node: ast.AST) -> Iterator[str]:
    """Every text in `node`; an f-string gives its parts that stand still, one by one."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def docstrings(tree: ast.AST) -> set[int]:
    """Identities of the nodes that are docstrings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


@cache
def texts_of_tests() -> str:
    """Every text that tests, and the kits shipped for tests, compare with, in one normal form; no docstrings."""
    parts = []
    for tree in [*trees(TESTS).values(), *trees(SRC / "testing").values()]:
        described = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
                parts.append(normal(node.value))
    return "\n".join(parts)


def normal(text: str) -> str:
    """Lower case, one blank between words, without the escapes of a regular expression."""
    return " ".join(text.replace("\\", "").lower().split())
