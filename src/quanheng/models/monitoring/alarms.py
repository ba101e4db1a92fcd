"""Findings as `model.alarm` events: what each says, and the request id under which it is told once."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import isnan
from typing import TYPE_CHECKING

import msgspec

from quanheng.models.monitoring.findings import Finding
from quanheng.models.monitoring.thresholds import observe_ms, of_model

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared, ModelDeclaration

MODEL_ALARM = "model.alarm"
"""The event; `loading/platform/model.toml` declares it."""
WATCHER = "quanheng.models"
"""The client that alone sends it."""
OF_LABELS = frozenset({"discrimination", "separation", "calibration"})
"""Measures that can be known only when the observation window of the period has passed."""
_EXACT = Decimal("0.000001")


class Alarm(msgspec.Struct, frozen=True):
    """One event, ready to be sent. data : JSON"""

    id: str
    data: bytes


def alarms_of(declared: Declared, model: ModelDeclaration, findings: Iterable[Finding]) -> list[dict[str, object]]:
    """The events of findings, as plain data for `model_alarms`: the same finding gives the same bytes."""
    waits_ms = observe_ms(of_model(model), model.settings)
    name = f"{declared.name}.{model.name}"
    return [{"id": one.id(name, model.hash), "data": _data(name, model.hash, one, waits_ms)} for one in findings]


def _data(name: str, weights: str, one: Finding, waits_ms: int) -> bytes:
    told = {
        "time_ms": one.end_ms + (waits_ms if one.measure in OF_LABELS else 0),
        "alarm": one.id(name, weights),
        "model": name,
        "weights": weights,
        "measure": one.measure,
        "subject": one.subject,
        "level": one.level,
        "value": _decimal(one.value),
        "limit": _decimal(one.limit),
        "rows": one.rows,
        "start_ms": one.start_ms,
        "end_ms": one.end_ms,
    }
    if not isnan(one.chance):
        told["chance"] = _decimal(one.chance)
    return msgspec.json.Encoder(decimal_format="number").encode(told)


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(_EXACT)
