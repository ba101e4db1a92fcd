"""A log whose model is watched: the card pack with [monitoring], payments of nine weeks, and a pack that takes alarms.

In the last weeks amounts are five times what they were, so scores and inputs shift; frauds are reported days later.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs

DAY_MS = 86_400_000
MONDAY_MS = 1_735_689_600_000 // (7 * DAY_MS) * 7 * DAY_MS
"""A whole multiple of seven days, in the last days of 2024."""
WEEKS, A_WEEK, SHIFTED = 9, 260, 6
MONITORING = """
[monitoring]
window = "7d"
label_time = "time_ms"
rows_least = 100
events_least = 5

[monitoring.override]
event = "card.case_decided"
field = "payment"
of = "payment"
decision = "decision"
approve = ["release"]

[training]"""
RISK_PACK = """
[pack]
name     = "model_risk"
version  = "0.1.0"
title    = {en = "Watch of models", zh = "模型监测"}
outcomes = ["approve", "review", "decline"]

[purpose.model_risk]
basis  = "legal_obligation"
source = "Regulation (EU) No 575/2013, article 174"
title  = {en = "Watching models in use", zh = "在用模型监测"}

[[flow]]
when     = "model.alarm"
purpose  = "model_risk"
decide   = "take"
fallback = "review"
clock    = "event"
"""
RISK_PROCESS = """
[process.finding]
title  = {en = "A finding is looked into", zh = "预警处理"}
per    = "alarm"
keys   = ["model"]
timers = ["overdue"]

[[process.finding.start]]
event = "model.alarm"
where = 'outcome = "review"'
to    = "open"

[process.finding.state.open]
title = {en = "The model's owner looks into it", zh = "模型负责人核查"}

[process.finding.state.open.timer.overdue]
after = "30d"
to    = "escalated"

[process.finding.state.escalated]
end = true
"""
RISK_FOLD = """
[[fold]]
name   = "alarms_90d"
of     = "model.alarm"
by     = ["model"]
fold   = "count"
window = "90d"
where  = 'level = "alarm"'
title  = {en = "Alarms of the model in 90 days", zh = "模型90天内预警数"}
"""
RISK_REASONS = """
[reason.beyond_limit]
en = "A measure of the model is beyond its alarm limit."
zh = "模型指标超过预警阈值。"
"""
RISK_POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="take" name="take" namespace="urn:test:take">
  <inputData id="l" name="level"><variable name="level" typeRef="string"/></inputData>
  <decision id="take" name="take">
    <variable name="take"/>
    <informationRequirement><requiredInput href="#l"/></informationRequirement>
    <literalExpression><text>
      if level = "alarm" then {outcome: "review", reasons: ["beyond_limit"]} else {outcome: "approve", reasons: []}
    </text></literalExpression>
  </decision>
</definitions>
"""


def card_pack(monitoring: str = MONITORING, **more: bytes) -> PackFiles:
    """The card pack with [monitoring]; `more` are files, `models__x` is models/x."""
    files = dict(read_packs()["card_fraud"].files)
    text = files["models/fraud.toml"].decode()
    files["models/fraud.toml"] = text.replace("\n[training]", monitoring, 1).encode()
    return read_pack({**files, **{name.replace("__", "/"): content for name, content in more.items()}}, "card_fraud")


def risk_pack() -> PackFiles:
    """A pack that decides alarms, counts them, and has a process for those that are serious."""
    files = {
        "pack.toml": RISK_PACK, "processes.toml": RISK_PROCESS, "features.toml": RISK_FOLD,
        "reasons.toml": RISK_REASONS, "policies/take.dmn": RISK_POLICY, "README.md": "# model_risk\n",
    }  # fmt: skip
    return read_pack({name: text.encode() for name, text in files.items()}, "model_risk")


def payments() -> list[Request]:
    """Payments and reports in the order of their arrival. One in twenty is a fraud, of three times the usual amount."""
    chance = random.Random(7)
    made: list[tuple[int, Request]] = []
    for number in range(WEEKS * A_WEEK):
        week = number // A_WEEK
        at = MONDAY_MS + week * 7 * DAY_MS + (number % A_WEEK) * (7 * DAY_MS // A_WEEK)
        bad = chance.random() < 0.05
        amount = int(chance.lognormvariate(7.5, 0.6) * (5 if week >= SHIFTED else 1) * (3 if bad else 1))
        data = {
            "time_ms": at, "customer": f"c{chance.randrange(80)}", "terminal": f"t{chance.randrange(40)}",
            "amount_minor": amount, "currency": "EUR", "channel": "chip",
        }  # fmt: skip
        if number % 10 == 0:  # With an id of its own it lives on as a review where it is reviewed.
            data["payment"] = f"p{number}"
        made.append((at, Request("bank", f"r{number}", "card.payment", json.dumps(data).encode())))
        if bad:
            later = at + chance.randrange(1, 6) * DAY_MS
            report = {
                "payment_time_ms": at, "time_ms": later, "customer": data["customer"], "terminal": data["terminal"],
                "amount_minor": amount, "payment": f"r{number}",
            }  # fmt: skip
            made.append((later, Request("bank", f"f{number}", "card.fraud_report", json.dumps(report).encode())))
    return [request for _, request in sorted(made, key=lambda one: one[0])]


def watched_folder(folder: Path, *, with_risk: bool = True, **more: bytes) -> Path:
    """A data folder with all of it in force and the payments in the log; the folder."""
    end_ms = MONDAY_MS + WEEKS * 7 * DAY_MS + DAY_MS
    engine = Engine.open(folder / "data", keys=folder / "keys", clock=lambda: end_ms)
    packs = [read_packs()["party"], card_pack(**more)]
    engine.activate([*packs, risk_pack()] if with_risk else packs)
    requests = payments()
    for start in range(0, len(requests), 400):
        engine.submit(requests[start : start + 400])
    engine.close()
    return folder
