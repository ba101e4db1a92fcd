"""CLAIMS.toml: each promise points at code and at tests that exist, and says where it ends."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
from audited import ROOT

CLAIMS = tomllib.loads((ROOT / "CLAIMS.toml").read_text(encoding="utf-8"))["claim"]


def test_there_are_claims_and_each_has_an_id_of_its_own():
    ids = [claim["id"] for claim in CLAIMS]
    assert len(ids) == len(set(ids)) > 10


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim["id"] for claim in CLAIMS])
def test_every_claim_points_at_something_that_exists(claim):
    assert set(claim) == {"id", "says", "code", "checks", "limit"}
    assert len(claim["says"]) > 20
    assert len(claim["limit"]) > 20, f"a promise without a limit: {claim['says']}"
    assert claim["code"]
    assert claim["checks"]
    for place in claim["code"]:
        path, _, name = place.partition(":")
        assert (ROOT / path).is_file(), f"{claim['id']}: {path} is gone"
        assert not name or name in defined(path), f"{claim['id']}: {name} is no longer in {path}"
    for check in claim["checks"]:
        path, _, name = check.partition("::")
        assert (ROOT / path).is_file(), f"{claim['id']}: {path} is gone"
        assert name.startswith("test_"), f"{check} names no test"
        assert name in defined(path), f"{claim['id']}: {name} is no longer in {path}"


def defined(path: str) -> set[str]:
    """Functions, classes and methods (Class.method) that a Python file defines."""
    names = set()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, kinds):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, kinds)}
    return names


def test_a_check_is_not_switched_off():
    """A test that is always skipped proves nothing."""
    for claim in CLAIMS:
        for check in claim["checks"]:
            path, _, name = check.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not re.search(rf"@pytest\.mark\.(skip|xfail)[^\n]*\n(@[^\n]*\n)*def {name}\(", text), check
