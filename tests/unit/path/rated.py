"""A business whose policy asks a model: the shop with `risk_score`, a stump on the amount, and a measured card."""

from __future__ import annotations

import numpy as np
from shop import HandClock

from quanheng.engine import Engine
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files
from quanheng.models.card import CARD_MARK, Card, Figure, Window, card_toml
from quanheng.models.metrics import auc_roc, interval
from quanheng.models.registry.evidence import Evidence, evidence_of
from quanheng.models.trees import Trees, content_hash

INPUTS = ("amount_minor", "customer_count_1d")
LOW, HIGH = 0.1, 0.9
RISK_MAX = "0.5"
ABOUT = """[about]
owner        = "Credit risk models"
intended_use = "Requests of customers of the shop"
retraining   = "Every quarter, or when PSI passes 0.25"
fairness     = "No protected attribute is held by the shop"
"""
_TO_INPUTS = '<inputData id="input_customer_count_1d" '
_TO_NEEDS = '<informationRequirement><requiredInput href="#input_amount_max_minor"/></informationRequirement>'
_TO_COLUMN = '<input><inputExpression typeRef="number"><text>amount_minor</text></inputExpression></input>'
_TO_CELL = "<inputEntry><text>&gt; amount_max_minor</text></inputEntry>"
_TO_RULE = '<outputEntry><text>"amount_over_limit"</text></outputEntry></rule>'
_NEEDS = '<informationRequirement><requiredInput href="#{}"/></informationRequirement>'
_INPUT = '<inputData id="{}" name="{}"><variable name="{}" typeRef="number"/></inputData>'
_RISKY = '<inputEntry><text>&gt; risk_max</text></inputEntry><outputEntry><text>"risk_too_high"</text></outputEntry>'
_DMN = (
    (_TO_INPUTS, _INPUT.format("risk", *["risk_score"] * 2) + _INPUT.format("most", *["risk_max"] * 2) + _TO_INPUTS),
    (_TO_NEEDS, _TO_NEEDS + _NEEDS.format("risk") + _NEEDS.format("most")),
    (_TO_COLUMN, _TO_COLUMN + _TO_COLUMN.replace("amount_minor", "risk_score")),
    (_TO_CELL, f"{_TO_CELL}<inputEntry><text>-</text></inputEntry>"),
    (
        _TO_RULE,
        f"{_TO_RULE}<rule><inputEntry><text>-</text></inputEntry>{_RISKY}</rule>",
    ),
)


def stump(threshold: float, low: float = LOW, high: float = HIGH) -> Trees:
    """Scores `low` up to an amount and `high` above it."""
    odds = [float(np.log(one / (1 - one))) for one in (low, high)]
    return Trees(
        inputs=INPUTS, sigmoid=1.0, roots=np.array([0], np.uint32), depths=np.array([1], np.int32),
        features=np.array([len(INPUTS), 0, 0], np.uint32), left=np.array([1, 1, 2], np.uint32),
        thresholds=np.array([threshold, np.inf, np.inf]), values=np.array([0.0, *odds]),
    )  # fmt: skip


def evidence(trees: Trees, seed: int = 1, rows: int = 400) -> Evidence:
    """Labels of seeded requests, where large amounts are bad more often, and the scores of the model."""
    rng = np.random.default_rng(seed)
    amounts = rng.integers(1_000, 600_000, rows)
    labels = rng.random(rows) < 0.05 + 0.5 * (amounts > 350_000)
    scores = trees.probability(np.column_stack([amounts, np.ones(rows)]).astype(float))
    return evidence_of([f"r{n}" for n in range(rows)], labels, scores, rng.integers(0, rows // 2, rows))


def card_of(trees: Trees, found: Evidence, **changes: object) -> Card:
    """A card whose figures were measured on the evidence."""
    labels, scores = found.labels, found.scores
    area = Figure(
        auc_roc(labels, scores), *interval(lambda rows, _: auc_roc(labels[rows], scores[rows]), found.groups, 1, 100)
    )
    bad = int(labels.sum())
    made = {
        "model": "risk_score", "pack": "rated", "pack_version": "0.1.0", "data": "seeded requests",
        "data_digest": "sha256:" + "0" * 64, "population": "requests of the test",
        "train": Window("2025-01-01", "2025-07-01", 400, bad),
        "test": Window("2025-07-08", "2025-10-01", len(labels), bad), "metrics": {"auc_roc": area},
        "weights_bytes": len(trees.to_bytes()), "limits": ("Seeded requests only",), "evidence": "risk.evidence",
        "evidence_hash": content_hash(found.to_bytes()),
    }  # fmt: skip
    return Card(**{**made, **changes})


def model_folder(threshold: float = 300_000, *, about: str = "", seed: int = 1, **changes: object) -> dict[str, bytes]:
    """What training writes: declaration with its card, weights, evidence."""
    trees = stump(threshold)
    found = evidence(trees, seed)
    head = "\n".join(
        ["[model]", 'name = "risk_score"', 'estimator = "lightgbm"', f"inputs = {list(INPUTS)}".replace("'", '"'),
         "output_decimals = 4", 'weights = "risk.trees"', f'hash = "{trees.hash}"', ""]
    )  # fmt: skip
    text = f"{head}\n{about}\n{card_toml(card_of(trees, found, **changes))}"
    assert CARD_MARK in text
    return {"risk.toml": text.encode(), "risk.trees": trees.to_bytes(), "risk.evidence": found.to_bytes()}


def rated_files(threshold: float = 300_000, **more: object) -> dict[str, bytes]:
    """The files of the pack `rated`."""
    files = starter_files("rated")
    policy = files["policies/answer.dmn"].decode().replace("</outputEntry>\n      </rule>", "</outputEntry></rule>")
    for old, new in _DMN:
        assert old in policy, old
        policy = policy.replace(old, new, 1)
    files["policies/answer.dmn"] = policy.encode()
    (limits,) = (name for name in files if name.startswith("parameters/"))
    files[limits] += (
        f'\n[parameter.risk_max]\ntitle  = {{en = "Highest risk", zh = "最高风险"}}\nunit   = "ratio"\n'
        f'values = [\n  {{from = 2020-01-01, value = {RISK_MAX}, source = "Test"}},\n]\n'
    ).encode()
    files["reasons.toml"] += '\n[reason.risk_too_high]\nen = "The risk is too high."\nzh = "风险过高。"\n'.encode()
    for name in [name for name in files if name.startswith("cases/")]:
        files[name] = files[name].replace(b"clock = ", b"scores = {risk_score = 0.1}\nclock = ")
    return {**files, **{f"models/{name}": data for name, data in model_folder(threshold, about=ABOUT, **more).items()}}


def rated(threshold: float = 300_000, **more: object) -> PackFiles:
    """The pack `rated`, read."""
    return read_pack(rated_files(threshold, **more), "rated")


def rated_engine(folder, clock: HandClock | None = None, **options: object) -> Engine:
    """The engine of `rated` in a folder, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock or HandClock(), **options)
    if engine.state.program.activation < 0:
        engine.activate([read_packs()["party"], rated()])
    return engine
