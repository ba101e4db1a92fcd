"""Inputs declared as float: floats give what the judge gives on the decimals that they stand for."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan, nextafter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_tables import INPUTS, models, texts

from quanheng.decisions.dmn import compile_decision, read_model, table_code
from quanheng.decisions.dmn.index import index_of
from quanheng.decisions.dmn.judge import judge_model
from quanheng.feel.floats import decimal_of, float_of, least_above, least_from

FLOATS = ("n", "m")
near = st.builds(nextafter, st.sampled_from([0.1, 0.3, 2.5, 5.0, 7.0, -1.0, 0.0, 1e-11]), st.sampled_from([inf, -inf]))
near |= st.sampled_from([0.1, 0.3, 2.5, 5.0, 7.0, -1.0, 0.0, 1e-11])
floats = st.none() | near | st.sampled_from([-0.0, nan, inf, -inf, 1e300, 5e-324, 1e21]) | st.floats()
exact = st.integers(-3, 9) | st.sampled_from([Decimal("2.5"), Decimal("0.30000000000000001"), 10**40]) | st.just("a")
ROWS = st.tuples(floats, floats, texts, st.none() | st.booleans(), texts | floats)
MIXED = st.tuples(floats | exact, floats | exact, texts, st.none() | st.booleans(), texts)


@pytest.fixture(params=["indexed", "one after another"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tables of any size go the same way."""
    indexed = request.param == "indexed"
    monkeypatch.setattr(table_code, "index_for", lambda node: index_of(node) if indexed and node.rules else None)
    return request.param


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(xml=models(), rows=st.lists(ROWS, min_size=3, max_size=6), mixed=st.lists(MIXED, max_size=2))
def test_floats_give_what_the_judge_gives(
    way: str, xml: bytes, rows: list[tuple[object, ...]], mixed: list[tuple[object, ...]]
) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    policy = compile_decision(model, "after", floats=FLOATS)
    for row in rows + mixed:
        values = {name: value for (name, _), value in zip(INPUTS, row, strict=True)}
        compiled, judged = policy.judge(values), judge_model(model, "after", values, floats=FLOATS)
        assert repr((compiled.result, compiled.trace)) == repr((judged.result, judged.trace)), policy.source
        causes = [[one.cause for one in each.diagnostics] for each in (compiled, judged)]
        assert causes[0] == causes[1], policy.source


bounds = st.decimals(allow_nan=False, allow_infinity=False) | st.integers() | st.integers(-(10**400), 10**400)


@settings(max_examples=2_000, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), bounds)
def test_a_bound_brought_to_a_float_splits_the_floats_as_before(value: float, far: Decimal | int) -> None:
    for start in (value, nextafter(value, inf), nextafter(value, -inf)):
        number = decimal_of(value)
        assert number is not None
        close = decimal_of(start)
        for bound in (far, close, None if close is None else close + Decimal("1e-400"), Decimal(value)):
            if bound is None:
                continue
            assert (value >= least_from(bound)) == (number >= bound)
            assert (value >= least_above(bound)) == (number > bound)
            exact_float = float_of(bound)
            assert (exact_float is not None and value == exact_float) == (number == bound)
