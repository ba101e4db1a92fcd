"""`decisions.table20`: one decision table, 20 rules x 5 inputs, FIRST, 3 outputs, mean hit row about 15.

Ours with the trace on, against zen-engine on its fastest path (static loader, `engine.evaluate`) and through
`ZenDecision.evaluate`. The same cells are written as DMN for us and as JDM for zen; peer `zen` is the faster of its
two ways to pass the inputs (dict, JSON text). Before anything is timed both engines judge every sampled input and must
agree in all three outputs; the mean hit row is taken from our trace.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from xml.sax.saxutils import escape

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.testing.bench import Measured, interleaved_seconds

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
SAMPLES = 2_000


def dmn() -> bytes:
    """The table as DMN 1.5."""
    variables = "".join(
        f'<inputData id="i{n}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for n, (name, kind) in enumerate(INPUTS)
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#i{n}"/></informationRequirement>' for n in range(len(INPUTS))
    )
    inputs = "".join(
        f'<input><inputExpression typeRef="{kind}"><text>{name}</text></inputExpression></input>'
        for name, kind in INPUTS
    )
    outputs = "".join(f'<output name="{name}" typeRef="{kind}"/>' for name, kind in OUTPUTS)
    rules = ""
    for rule in RULES:
        cells = [f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in rule[: len(INPUTS)]]
        cells += [f"<outputEntry><text>{escape(cell)}</text></outputEntry>" for cell in rule[len(INPUTS) :]]
        rules += f"<rule>{''.join(cells)}</rule>"
    table = f'<decisionTable hitPolicy="FIRST">{inputs}{outputs}{rules}</decisionTable>'
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="table20" namespace="bench">'
        f'{variables}<decision id="d" name="authorise"><variable name="authorise"/>{needs}{table}</decision>'
        "</definitions>"
    ).encode()


def jdm() -> dict[str, object]:
    """The same table as a JDM of GoRules."""
    inputs = [{"id": f"i{n}", "name": name, "field": name} for n, (name, _) in enumerate(INPUTS)]
    outputs = [{"id": f"o{n}", "name": name, "field": name} for n, (name, _) in enumerate(OUTPUTS)]
    rules = []
    for number, rule in enumerate(RULES):
        row = {"_id": f"r{number}"}
        row |= {f"i{n}": "" if cell == "-" else cell for n, cell in enumerate(rule[: len(INPUTS)])}
        row |= {f"o{n}": cell for n, cell in enumerate(rule[len(INPUTS) :])}
        rules.append(row)
    content = {"hitPolicy": "first", "inputs": inputs, "outputs": outputs, "rules": rules}
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in", "position": {"x": 0, "y": 0}},
        {"id": "table", "type": "decisionTableNode", "name": "table", "position": {"x": 0, "y": 0}, "content": content},
        {"id": "out", "type": "outputNode", "name": "out", "position": {"x": 0, "y": 0}},
    ]
    edges = [
        {"id": "e1", "sourceId": "in", "targetId": "table", "type": "edge"},
        {"id": "e2", "sourceId": "table", "targetId": "out", "type": "edge"},
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}


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
    from decimal import Decimal

    return [(*row[:2], Decimal(str(row[2])) + Decimal("0.0000"), *row[3:]) for row in rows]


def run(quick: bool = False) -> Measured:
    """Microseconds a judgement; peers in the same run, taking turns."""
    import zen

    rows = samples(200 if quick else SAMPLES)
    policy = compile_decision(read_model(dmn(), "table20.dmn"), "authorise")
    model = jdm()
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"table20": model}}})
    decision = zen.ZenEngine().create_decision(json.dumps(model))
    names = [one.name for one in policy.inputs]
    contexts = [dict(zip(names, row, strict=True)) for row in rows]
    texts = [json.dumps(context) for context in contexts]
    hit_rows = []
    for row, context in zip(rows, contexts, strict=True):
        found = policy(row)
        theirs = engine.evaluate("table20", context)["result"]
        if found.result != theirs:
            raise AssertionError(f"the engines differ for {context}: {found.result} and {theirs}")
        hit_rows.append(found.trace[0][1][0])
    decimals = _decimal_rows(rows)

    def ours(over: list[tuple[object, ...]]) -> Callable[[], object]:
        def loop() -> None:
            for row in over:
                policy(row)

        return loop

    def theirs_of(call: Callable[[object], object], given: list[object]) -> Callable[[], object]:
        def loop() -> None:
            for one in given:
                call(one)

        return loop

    calls: dict[str, Callable[[], object]] = {
        "quanheng": ours(rows),
        "quanheng_decimal": ours(decimals),
        "zen_engine": theirs_of(lambda one: engine.evaluate("table20", one), list(contexts)),
        "zen_engine_json": theirs_of(lambda one: engine.evaluate("table20", one), list(texts)),
        "zen_decision": theirs_of(decision.evaluate, list(contexts[: len(contexts) // 4])),
    }
    seconds = interleaved_seconds(calls, 3 if quick else 7)
    per_call = {
        name: taken / (len(rows) // (4 if name == "zen_decision" else 1)) * 1e6 for name, taken in seconds.items()
    }
    fastest = min(per_call["zen_engine"], per_call["zen_engine_json"])
    peers = {"zen": round(fastest, 3), "zen_decision": round(per_call["zen_decision"], 3)}
    extra: dict[str, object] = {
        "checked_equal": len(rows),
        "mean_hit_row": round(sum(hit_rows) / len(hit_rows), 2),
        "trace": True,
        "decimal_score_us": round(per_call["quanheng_decimal"], 3),
        "zen_engine_dict_us": round(per_call["zen_engine"], 3),
        "zen_engine_json_us": round(per_call["zen_engine_json"], 3),
        "ratio_fastest": round(fastest / per_call["quanheng"], 2),
    }
    return Measured(round(per_call["quanheng"], 3), "us", peers, extra)


if __name__ == "__main__":
    print(run())
