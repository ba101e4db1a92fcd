"""`decisions.table20`: one decision table, 20 rules x 5 inputs, FIRST, 3 outputs, mean hit row about 15.

Ours with the trace on: inputs as whole numbers (the value), with a Decimal score, with every number a Decimal, and with
every number declared as float; against zen-engine on its fastest path (static loader, `engine.evaluate`) and through
`ZenDecision.evaluate`, and against `table20_peers.py`. The same cells are written as DMN for us and as JDM for zen;
peer `zen` is the faster of its two ways to pass the inputs (dict, JSON text). Before anything is timed every engine
judges every sampled input and must agree in all three outputs; the mean hit row is taken from our trace.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bench import table_models
from bench.table20_peers import PEERS, Judge
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.policy import Policy
from quanheng.testing.bench import Measured, interleaved_seconds, looped

INPUTS = (
    ("amount_minor", "number"),
    ("count_1d", "number"),
    ("score", "number"),
    ("country", "string"),
    ("channel", "string"),
)
OUTPUTS = (("outcome", "string"), ("reason", "string"), ("limit_minor", "number"))
RULES = (
    ("> 900000", "-", "-", "-", "-", '"decline"', '"amount_extreme"', "0"),
    ("-", "> 45", "-", "-", "-", '"decline"', '"velocity_extreme"', "0"),
    ("-", "-", "> 980", "-", "-", '"decline"', '"score_extreme"', "0"),
    ("> 400000", "> 20", "-", '"XA","XB"', "-", '"decline"', '"risk_country"', "0"),
    ("> 400000", "-", "[900..980]", "-", '"web"', '"decline"', '"web_high"', "0"),
    ("(200000..400000]", "> 30", "-", "-", '"web"', '"decline"', '"web_velocity"', "0"),
    ("-", "-", "> 850", '"XA","XB","XC"', "-", '"decline"', '"country_score"', "0"),
    ("> 600000", "-", "> 600", "-", '"atm"', '"review"', '"atm_high"', "50000"),
    ("(100000..200000]", "> 25", "> 700", "-", "-", '"review"', '"mid_velocity"', "50000"),
    ("-", "[35..45]", "> 500", "-", "-", '"review"', '"many_today"', "40000"),
    ("> 300000", "-", "> 650", "-", '"phone"', '"review"', '"phone_high"', "40000"),
    ("> 250000", "[10..35]", "-", '"XA"', "-", '"review"', '"country_a"', "30000"),
    ("> 250000", "-", "[400..850]", '"XB"', "-", '"review"', '"country_b"', "30000"),
    ("> 700000", "-", "-", "-", '"web"', '"review"', '"web_large"', "30000"),
    ("-", "> 38", "-", '"XC"', "-", '"review"', '"country_c"', "20000"),
    ("<= 2000", "-", "<= 900", "-", '"chip"', '"approve"', '"small_chip"', "100000"),
    ("<= 150000", "<= 12", "<= 600", '"NL","DE","FR"', "-", '"approve"', '"known_country"', "200000"),
    ("<= 300000", "<= 25", "<= 700", "-", '"chip","contactless"', '"approve"', '"present_card"', "150000"),
    ("<= 500000", "-", "<= 800", "-", "-", '"approve"', '"ordinary"', "100000"),
    ("-", "-", "-", "-", "-", '"review"', '"rest"', "10000"),
)
FLOATS = tuple(name for name, kind in INPUTS if kind == "number")
SAMPLES = 2_000
SLOWER = 4
"""Slower peers judge a quarter of the samples."""
CENT = Decimal("0.01")


def dmn() -> bytes:
    """The table as DMN 1.5."""
    return table_models.dmn("authorise", INPUTS, OUTPUTS, RULES)


def jdm() -> dict[str, object]:
    """The same table as a JDM of GoRules."""
    return table_models.jdm(INPUTS, OUTPUTS, RULES)


def samples(count: int, seed: int = 20) -> list[tuple[object, ...]]:
    """Inputs whose mean hit row is about 15."""
    rng = random.Random(seed)
    channels, countries = ("chip", "contactless", "web", "phone", "atm"), ("NL", "DE", "FR", "XA", "XB", "XC", "US")
    rows = []
    for _ in range(count):
        amount = min(int(rng.lognormvariate(11.9, 1.3)), 1_200_000)
        rows.append(
            (
                amount,
                min(int(rng.expovariate(1 / 11)), 60),
                min(int(rng.expovariate(1 / 340)), 1000),
                rng.choice(countries),
                rng.choice(channels),
            )
        )
    return rows


def _decimal_rows(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The same rows with a Decimal score, as a model's output arrives."""
    return [(*row[:2], Decimal(str(row[2])) + Decimal("0.0000"), *row[3:]) for row in rows]


def _all_decimal(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The same rows with every number a Decimal."""
    return [tuple(Decimal(one).quantize(CENT) if isinstance(one, int) else one for one in row) for row in rows]


def run(quick: bool = False) -> Measured:
    """Microseconds a judgement; peers in the same run, taking turns."""
    import zen

    rows = samples(200 if quick else SAMPLES)
    table, model = read_model(dmn(), "table20.dmn"), jdm()
    policy, floating = (compile_decision(table, "authorise", floats=one) for one in ((), FLOATS))
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"table20": model}}})
    decision = zen.ZenEngine().create_decision(json.dumps(model))
    names = [one.name for one in policy.inputs]
    contexts = [dict(zip(names, row, strict=True)) for row in rows]
    peers = {name: make(names, RULES) for name, make in PEERS.items()}
    pairs = zip(rows, contexts, strict=True)
    hit_rows = [_checked(policy, floating, row, context, engine, peers) for row, context in pairs]
    few = contexts[: len(contexts) // SLOWER]
    calls: dict[str, tuple[Callable[[Any], object], Sequence[object]]] = {
        "quanheng": (policy, rows),
        "decimal_score": (policy, _decimal_rows(rows)),
        "decimal": (policy, _all_decimal(rows)),
        "float": (floating, _all_float(rows)),
        "zen_dict": (lambda one: engine.evaluate("table20", one), contexts),
        "zen_json": (lambda one: engine.evaluate("table20", one), [json.dumps(context) for context in contexts]),
        "zen_decision": (decision.evaluate, few),
        **{name: (judge, few) for name, judge in peers.items()},
    }
    seconds = interleaved_seconds({name: looped(*call) for name, call in calls.items()}, 3 if quick else 7)
    took = {name: round(seconds[name] / len(calls[name][1]) * 1e6, 3) for name in calls}
    fastest = min(took["zen_dict"], took["zen_json"])
    measured = {"zen": fastest, "zen_decision": took["zen_decision"], **{name: took[name] for name in peers}}
    extra: dict[str, object] = {
        "checked_equal": len(rows),
        "mean_hit_row": round(sum(hit_rows) / len(hit_rows), 2),
        "trace": True,
        "decimal_score_us": took["decimal_score"],
        "decimal_us": took["decimal"],
        "float_us": took["float"],
        "zen_engine_dict_us": took["zen_dict"],
        "zen_engine_json_us": took["zen_json"],
    }
    return Measured(took["quanheng"], "us", measured, extra)


def _all_float(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The same rows with every number a float."""
    return [tuple(float(one) if isinstance(one, int) else one for one in row) for row in rows]


def _checked(policy: Policy, floating: Policy, row: tuple[object, ...], context: dict[str, object], engine: Any,
             peers: Mapping[str, Judge]) -> int:  # fmt: skip
    """The rule that holds; every engine must give its outputs, also for Decimals and floats."""
    found = policy(row)
    theirs = {"zen": engine.evaluate("table20", context)["result"]}
    theirs |= {name: judge(context) for name, judge in peers.items()}
    theirs |= {"decimal": policy(_all_decimal([row])[0]).result, "float": floating(_all_float([row])[0]).result}
    for name, result in theirs.items():
        if found.result != result:
            raise AssertionError(f"quanheng and {name} differ for {context}: {found.result} and {result}")
    return found.trace[0][1][0]


if __name__ == "__main__":
    print(run())
