# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Log lines are JSON, of fixed fields only."""

from __future__ import annotations

import io
import json

import pytest

from quanheng.server.logs import Log


def test_a_line_holds_time_level_process_event_and_fields():
    stream = io.StringIO()
    Log("info", "edge", stream).write("warning", "request", 1_700_000_000_123, status=429, took_ms=1.5)
    assert json.loads(stream.getvalue()) == {
        "time": "2023-11-14T22:13:20.123Z", "level": "warning", "process": "edge", "event": "request", "status": 429, "took_ms": 1.5,
    }  # fmt: skip


def test_lower_levels_are_left_out():
    stream = io.StringIO()
    Log("warning", "core", stream).write("info", "serving", 0)
    assert stream.getvalue() == ""


def test_a_field_that_could_hold_personal_data_is_refused():
    with pytest.raises(ValueError, match="log field 'customer' is not allowed; add it to FIELDS if it can never hold"):
        Log(stream=io.StringIO()).write("info", "request", 0, customer="c1")
