"""Generated code and the tree-walking judge give the same value for random expressions over random inputs."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING, ContextType, Expression, ListType, compile_expression
from quanheng.feel import judge as feel_judge
from quanheng.kernel.errors import ExpressionError

NAMES = {
    "a": NUMBER,
    "net income": NUMBER,
    "s": STRING,
    "p": BOOLEAN,
    "q": BOOLEAN,
    "xs": ListType(NUMBER),
    "c": ContextType((("x", NUMBER), ("first name", STRING))),
    "cs": ListType(ContextType((("x", NUMBER), ("first name", STRING)))),
    "u": ANY,
}

numbers = st.one_of(
    st.integers(-20, 20),
    st.integers(-(10**40), 10**40),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000),
    st.sampled_from([Decimal("1E+6000"), Decimal("-0.0"), Decimal("1E-6000"), 0, 1, -1]),
)
texts = st.sampled_from(["", "a", "b", "ab", 'q"uote', "\\", "😀x", "naïve"])
contexts = st.fixed_dictionaries({"x": st.none() | numbers, "first name": st.none() | texts})
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "first name", "y"]), inner, max_size=2)
    ),
    max_leaves=4,
)
VALUES = st.fixed_dictionaries(
    {
        "a": st.none() | numbers,
        "net income": st.none() | numbers,
        "s": st.none() | texts,
        "p": st.none() | st.booleans(),
        "q": st.none() | st.booleans(),
        "xs": st.none() | st.lists(st.none() | numbers, max_size=4),
        "c": st.none() | contexts,
        "cs": st.none() | st.lists(contexts, max_size=3),
        "u": anything,
    }
)

LEAVES = {
    "N": [
        "a",
        "net income",
        "c.x",
        "0",
        "1",
        "2",
        "-3",
        "0.5",
        "10",
        "1e3",
        "null",
        "xs[1]",
        "cs[-1].x",
        "12345678901234567890.5",
    ],
    "T": ["s", '"a"', '"b"', '""', '"\\u0041\\n"', "c.first name", "null"],
    "L": ["p", "q", "true", "false", "null"],
    "A": ["u", "u.x", "u[1]", "xs", "c", "cs", "cs.x", "[]", "{}", "partial", "item", "cs.first name"],
}
FORMS = {
    "N": [
        "(N + N)",
        "(N - N)",
        "(N * N)",
        "(N / N)",
        "(N ** N)",
        "-(N)",
        "(if L then N else N)",
        "min(N, N)",
        "max(N, N, N)",
        "sum([N, N])",
        "mean(N, N)",
        "median(N, N)",
        "product([N, N])",
        "stddev(N, N)",
        "abs(N)",
        "floor(N)",
        "ceiling(N, 1)",
        "sqrt(N)",
        "exp(N)",
        "log(N)",
        "modulo(N, N)",
        "decimal(N, 2)",
        "round up(N, 1)",
        "round half up(N, N)",
        "count([N, N, 3][item > 1])",
        "sum(for i in [N, N] return i + 1)",
        "{k: N, two words: k + N}.two words",
        "(function(n) n + N)(2)",
        "[N, N][N]",
        "(function(n: number, m) n * m)(m: N, n: A)",
        "string length(T)",
        "number(string(N))",
        "count(A)",
        "cs[x > N][1].x",
        "sum(cs[first name = T].x)",
        "index of([N, N], N)[1]",
        "(if A then N else N)",
    ],
    "T": [
        "(T + T)",
        "upper case(T)",
        "substring(T, N)",
        "string(N)",
        "(if L then T else T)",
        "string join([T, T], T)",
        "substring before(T, T)",
        'replace(T, "[a-c]", T)',
        "replace(T, T, T)",
    ],
    "L": [
        "(N = N)",
        "(N != N)",
        "(N < N)",
        "(N <= N)",
        "(N > N)",
        "(N >= N)",
        "(T = T)",
        "(T < T)",
        "(A = A)",
        "(A < A)",
        "(A != A)",
        "(L and L)",
        "(L or L)",
        "(L and L and A)",
        "(L or A)",
        "(L = L)",
        "(L != L)",
        "not(L)",
        "not(A)",
        "(N between N and N)",
        "(A between N and N)",
        "(N in [N..N))",
        "(N in (< N, N))",
        "(N in (>= N, not(N)))",
        "(A in A)",
        "(N in (N..N])",
        "(T in (T, T))",
        "(some i in xs satisfies i > N or L)",
        "(every i in xs, j in [1, i] satisfies i > j and L)",
        "(A instance of number)",
        "(A instance of list<number>)",
        "contains(T, T)",
        "list contains(A, N)",
        "all([L, L])",
        "any([L, A])",
        "is(A, A)",
        "odd(N)",
        "(if L then L else L)",
        "(L in (true, L))",
        "(? = N)",
        "even(A)",
        "(N = null)",
        "(A != null)",
        "(null = T)",
        "(1 = null)",
        "(T in (T, not(T)))",
        "(N in (N, null))",
        "starts with(T, T)",
        "matches(T, T)",
        'matches(T, "^(a|b)*$")',
        "(N in (!= N))",
        "(A = (= N))",
        "before(N, (< N))",
        "includes([N..N], N)",
        "overlaps([N..N], (> N))",
        "(A instance of function<number> -> Any)",
    ],
    "A": [
        "(if L then A else N)",
        "(A)[L]",
        "(A)[x > N]",
        "(A)[N]",
        "(A)[item > N]",
        "(A)[x = N and first name = T]",
        "(A + N)",
        "(A - A)",
        "-(A)",
        "[A, A]",
        "append(A, A)",
        "distinct values(flatten([A]))",
        "(for i in A return i)",
        "(for i in 0..3 return if i = 0 then N else partial[-1] + i)",
        "(for i in A, j in [i, N] return [i, j])",
        "(A).x",
        "(A).first name",
        "string(A)",
        "sort([N, N], function(l, r) l < r)",
        "sort(A)",
        "reverse(A)",
        "concatenate(A, A)",
        "concatenate([N], [N, N])[1]",
        "concatenate(if xs = null then [] else xs, if N != null then [N] else [])",
        "(concatenate([T], A)[1] < T)",
        "(list replace([T, T], N, A)[1] < T)",
        "(min([T], T) < T)",
        "(reverse([N, N])[1] < N)",
        "remove(position: [N], list: [T, T])[1]",
        "(if s != null then upper case(s) else T)",
        "union(A, [N])",
        "{x: A, y: x}",
        "context put({x: N}, T, A)",
        "insert before([N], N, A)",
        "sublist([N, N, 1], N)",
        "remove(A, N)",
        "[N..N]",
        "(N..N]",
        "(for i in 1..N return i)[1]",
        "get value(A, T)",
        "get entries(A)",
        "(function(f) f(N))(function(z) z + N)",
        "mode([N, N])",
        "min(A)",
        "max([T, T])",
        "(for i in [1..3] return i * N)",
        "L",
        "N",
        "T",
        "(A = A and L)",
        "cs[x > N and item.first name = T]",
        "xs[item > N]",
        "xs[N]",
        "(< N)",
        "(A * N)",
        "(A / N)",
        "split(T, T)",
        "(!= N)",
        "(= A)",
        "for i in [N, A] return partial",
        "for i in [1, 2], j in [N, i] return count(partial)",
        "list replace([N, N], function(x, y) L, A)",
        "{f: function(n) if n <= 0 then A else f(n - 1), r: f(2)}.r",
        "[{item: N}, A][item = N]",
        "{f: substring, r: f(T, N)}.r",
        "(!= A).start",
        "string([A, (< N), (!= T)])",
        'context put({x: {y: N}}, ["x", T], A)',
    ],
}


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """A well-formed expression, not always well-typed."""

    def grow(kind: str, depth: int) -> str:
        if depth == 0 or draw(st.integers(0, 4)) == 0:
            return draw(st.sampled_from(LEAVES[kind]))
        form = draw(st.sampled_from(FORMS[kind]))
        return HOLE.sub(lambda hole: grow(hole.group(), depth - 1), form)

    return grow(draw(st.sampled_from("NTLA")), draw(st.integers(1, 4)))


HOLE = re.compile(r"(?<![A-Za-z\"])[NTLA](?![A-Za-z\"])")


def compiled_of(text: str) -> Expression:
    """A name with a space that is not in scope does not parse; such a draw is thrown away."""
    try:
        return compile_expression(text, NAMES, strict=False)
    except ExpressionError as error:
        assume("does not parse" not in error.what)
        raise


def exact(value: object) -> str:
    """A value with its kind: 1, 1.0 and true are three different texts."""
    return repr(value)


@settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(), VALUES)
def test_compiled_code_gives_what_the_judge_gives(text: str, values: dict[str, object]) -> None:
    compiled = compiled_of(text).evaluate(values)
    judged = feel_judge.evaluate(text, NAMES, values, strict=False)
    assert exact(compiled.value) == exact(judged.value), text


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(), VALUES)
def test_null_inputs_and_odd_kinds_never_raise(text: str, values: dict[str, object]) -> None:
    expression = compiled_of(text)
    odd = dict(zip(values, list(values.values())[::-1], strict=True))
    for given_values in (dict.fromkeys(NAMES), odd):
        outcome = expression.evaluate(given_values)
        assert exact(outcome.value) == exact(feel_judge.evaluate(text, NAMES, given_values, strict=False).value)
