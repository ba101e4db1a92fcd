"""Functions of a model that are called by name: how they are called, and which arguments are still checked."""

from __future__ import annotations

from typing import Any

import pytest
from test_model_parts import GRADE, bkm, both, data, decision, lit, model_of, rule, table

from quanheng.decisions.dmn import compile_decision
from quanheng.decisions.dmn.judge import judge_model
from quanheng.feel.limits import LIMITS

SAME = bkm("f", "g:tGrade", lit("g"))
PRE = decision("pre", lit('if n > 1 then "A" else t'), "n t", "tGrade")
INPUTS = GRADE + data("n", "number") + data("t", "string")
LESS = bkm("less", "x:number y:number", lit("x < y"))
OUTER = bkm("outer", "g:tGrade", lit("f(g)"), needs="f")
SERVICE = (
    decision("post", lit("pre"), "d:pre", "tGrade")
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#post"/>'
    '<inputDecision href="#pre"/></decisionService>'
)
CHOSEN = table(rule("1", '"A"') + rule("2", '"B"'), inputs="n")
OTHER = table(rule("1", '"A"') + rule("2", '"C"'), inputs="n")

# name, model, how often the generated code asks for allowed values
CASES = [
    ("an argument that was checked", INPUTS + SAME + PRE + decision("d", lit("f(pre)"), "d:pre f:f"), 1),
    ("an argument that was not", INPUTS + SAME + decision("d", lit("f(t)"), "t f:f"), 1),
    ("both", INPUTS + SAME + PRE + decision("d", lit("[f(pre), f(t)]"), "t d:pre f:f"), 2),
    ("handed through", INPUTS + SAME + OUTER + decision("d", lit("outer(t)"), "t f:outer"), 1),
    ("by name", INPUTS + SAME + decision("d", lit('f(g: "B")'), "f:f"), 0),
    ("a literal outside", INPUTS + SAME + decision("d", lit('f("C")'), "f:f"), 1),
    ("passed on and called", LESS + decision("d", lit("[sort([3, 1, 2], less), less(1, 2)]"), "f:less"), 0),
    (
        "a service that takes a decision as argument",
        INPUTS + PRE + SERVICE + decision("d", lit('[s("C"), s("A"), s(t)]'), "t f:s"),
        1,
    ),
    ("a table of allowed outputs", INPUTS + decision("d", CHOSEN, "n", "tGrade"), 0),
    ("a table with another", INPUTS + decision("d", OTHER, "n", "tGrade"), 1),
    (
        "a function whose table gives allowed outputs",
        INPUTS + bkm("h", "n:number", CHOSEN) + decision("d", lit("h(n)"), "n f:h", "tGrade"),
        0,
    ),
    (
        "a function that calls itself",
        INPUTS
        + bkm("h", "x:number", lit('if x = null or x > 3 then "C" else h(x + 1)'), needs="h")
        + decision("d", lit("h(n)"), "n f:h", "tGrade"),
        1,
    ),
]


@pytest.mark.parametrize(("body", "asked"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_both_engines_agree_and_nothing_is_asked_twice(body: str, asked: int) -> None:
    model = model_of(body)
    for n, t in ((1, "A"), (2, "C"), (None, None), (5, "B")):
        given: dict[str, Any] = {"n": n, "t": t}
        for one, other in zip(*(found.diagnostics for found in both(model, "d", given)), strict=True):
            assert one.cause == other.cause
    assert compile_decision(model, "d").source.count("refuse(") == asked


def test_a_call_counts_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(
        bkm("f", "x:number", lit("x + 1")) + decision("d", lit("for i in 1..100 return f(i)"), needs="f:f")
    )
    assert len(both(model, "d", {})[0].result) == 100  # type: ignore[arg-type]
    monkeypatch.setattr(LIMITS, "work", 300)
    for one in both(model, "d", {}):
        assert one.result is None
        assert "visits more than 300 items" in one.diagnostics[0].cause


def test_rules_that_exclude_each_other_stop_at_the_first() -> None:
    """An overlap, where there is one, is still found."""
    apart = table(rule("< 1", "1") + rule("[1..3)", "2") + rule(">= 3", "3"), inputs="n")
    meeting = table(rule("< 1", "1") + rule("[1..3]", "2") + rule(">= 3", "3"), inputs="n")
    model = model_of(data("n", "number") + decision("d", apart, "n") + decision("e", meeting, "n"))
    assert "hits" not in compile_decision(model, "d").source
    assert "hits" in compile_decision(model, "e").source
    for n in (None, 0, 1, 2.5, 3, 4):
        both(model, "d", {"n": n})
        both(model, "e", {"n": n})
    assert "the rules 2, 3 match" in both(model, "e", {"n": 3})[0].diagnostics[0].cause


def test_a_function_that_shares_its_id_with_a_decision_is_still_a_value() -> None:
    """A model that is not strict may hold two elements of one id; whichever is asked for, there is a result."""
    model = model_of(bkm("f", "x:number", lit("x")) + decision("d", lit("1")).replace('id="d"', 'id="f"'))
    results = compile_decision(model, "d")([]).result, judge_model(model, "d", {}).result
    assert [repr(one) for one in results] == ["function(x)"] * 2


def test_a_chain_of_branches_is_looked_at_once_per_decision() -> None:
    """Each decision names the one before it twice: 2**60 ways to read the last one."""
    first = GRADE + data("p", "boolean") + decision("d0", lit('"A"'), kind="string")
    chain = "".join(
        decision(f"d{n}", lit(f"if p then d{n - 1} else d{n - 1}"), f"p d:d{n - 1}", "string") for n in range(1, 61)
    )
    model = model_of(first + chain + decision("d", lit("d60"), "d:d60", "tGrade"))
    assert "refuse(" not in compile_decision(model, "d").source
    assert both(model, "d", {"p": True})[0].result == "A"
