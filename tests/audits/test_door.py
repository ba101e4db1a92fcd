"""The door: few names, sorted, each described in docs/reference/api.md, each with a docstring and types."""

from __future__ import annotations

import inspect
import re
import types

import pytest
from audited import ROOT

import quanheng

NAMES = [name for name in quanheng.__all__ if name != "__version__"]


def test_names_are_few_and_sorted():
    assert quanheng.__all__ == sorted(quanheng.__all__)
    assert len(set(quanheng.__all__)) == len(quanheng.__all__) < 60
    assert set(quanheng._PLACES) == set(NAMES)


def test_the_page_describes_every_name_and_no_other():
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    described = re.findall(r"^### `quanheng\.(\w+)", page, re.MULTILINE)
    assert sorted(described) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_described_and_typed(name):
    value = getattr(quanheng, name)
    assert len(inspect.getdoc(value) or "") > 20, f"{name} has no docstring of its own"
    assert name in dir(quanheng)
    if inspect.isfunction(value):
        check_function(name, value)
    elif inspect.isclass(value):
        for method_name, found in vars(value).items():
            method = getattr(found, "__func__", found)
            if inspect.isfunction(method) and not method_name.startswith("_"):
                assert inspect.getdoc(method), f"{name}.{method_name} has no docstring"
                check_function(f"{name}.{method_name}", method)
    else:
        assert isinstance(value, types.ModuleType)


def check_function(name: str, function: types.FunctionType) -> None:
    parameters = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
    missing = [one for one in [*parameters, "return"] if one not in function.__annotations__]
    generated = function.__module__ != function.__globals__.get("__name__") or "<" in function.__code__.co_filename
    assert generated or not missing, f"{name}: no type for {missing}"


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(AttributeError, match=r"has no attribute 'engin'; its names are: Declared, Engine"):
        _ = quanheng.engin


def test_a_name_is_the_thing_of_its_module():
    from quanheng.kernel.money import Money

    assert quanheng.Money is Money
    assert quanheng.errors.QuanhengError is quanheng.QuanhengError
