"""`quanheng models watch` on a real data folder: what it finds, and alarms that become events which packs take."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest
from test_cli_commands import told
from test_cli_policy import places

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "monitoring"))
from watched import DAY_MS, MONDAY_MS, SHIFTED, WEEKS, risk_pack, watched_folder

from quanheng.alarming import record_alarms
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import InputError
from quanheng.kernel.log.records import EVENT
from quanheng.kernel.time import format_time
from quanheng.loading.find import read_packs
from quanheng.models.monitoring.alarms import Alarm
from quanheng.models.monitoring.reference import decode
from quanheng.past import watching
from quanheng.server.admin import perform, scope_of


def day(week: int) -> str:
    return format_time(MONDAY_MS + week * 7 * DAY_MS)[:10]


REFERENCE = ("--reference", f"{day(0)}..{day(SHIFTED - 1)}")
SINCE = ("--since", day(SHIFTED - 1))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return watched_folder(tmp_path_factory.mktemp("watched"))


def test_a_shift_is_found_shown_and_told_by_the_exit_code(home, capsys):
    code, out, _ = told(capsys, "models", "watch", "card_fraud", *REFERENCE, *SINCE, *places(home))
    assert code == 3
    assert f"alarm     {day(SHIFTED)}   input_stability   amount_minor" in out
    assert "right-censored" in out


def test_periods_that_are_not_complete_are_shown_and_never_judged(home, capsys):
    quiet, out, _ = told(
        capsys, "models", "watch", "card_fraud", "fraud_score", *REFERENCE, *SINCE, "--as-of", day(SHIFTED - 1),
        *places(home),
    )  # fmt: skip
    assert out.count("not complete") == WEEKS - SHIFTED + 1
    assert (quiet, out.strip().splitlines()[-1]) == (0, "nothing is beyond its limits")


def test_the_whole_is_given_as_json_and_counts_are_those_of_the_log(home, capsys):
    code, out, _ = told(capsys, "models", "watch", "card_fraud", *REFERENCE, "--json", *places(home))
    found = json.loads(out)
    assert code == 3
    assert found["decisions"] == sum(one["rows"] for one in found["periods"])
    assert [one["complete"] for one in found["performance"]] == [True] * (WEEKS - 1) + [False]
    assert found["performance"][-1]["censored"] > 0
    assert all(one["separation"] is None for one in found["performance"] if not one["complete"])
    assert {one["measure"] for one in found["findings"]} >= {"score_stability", "input_stability"}
    whole = [one for one in found["performance"] if one["complete"]]
    assert all(one["separation"]["events"] <= one["reported"] for one in whole)


def test_findings_are_recorded_once_and_a_pack_reacts_to_them(home, capsys):
    arguments = ("models", "watch", "card_fraud", *REFERENCE, *SINCE, "--record", "--json", *places(home))
    _, out, _ = told(capsys, *arguments)
    first = json.loads(out)
    assert first["recorded"]["new"] == len(first["findings"]) > 0
    _, out, _ = told(capsys, *arguments)
    again = json.loads(out)
    assert (again["recorded"]["new"], again["recorded"]["repeated"]) == (0, len(first["findings"]))
    serious = sum(one["level"] == "alarm" for one in first["findings"])
    engine = Engine.open(home / "data", keys=home / "keys")
    try:
        decided = [engine.decision(offset + 1) for offset in first["recorded"]["offsets"]]
        assert {one["outcome"] for one in decided} <= {"approve", "review"}
        assert sum(one["outcome"] == "review" for one in decided) == serious
        stopped = next(one for one in decided if one["outcome"] == "review")
        assert stopped["reasons"][0]["code"] == "beyond_limit"
        assert stopped["steps"][0]["entered"] == "open"
    finally:
        engine.close()


def test_a_reference_is_kept_and_read_again(home, capsys, tmp_path):
    kept = tmp_path / "reference.json"
    _, first, _ = told(
        capsys, "models", "watch", "card_fraud", *REFERENCE, *SINCE, "--save-reference", str(kept), "--json",
        *places(home),
    )  # fmt: skip
    reference = decode(kept.read_bytes(), "reference.json")
    assert reference.strength is not None
    assert reference.events > 0
    _, second, _ = told(
        capsys, "models", "watch", "card_fraud", "--reference", str(kept), *SINCE, "--json", *places(home)
    )
    assert json.loads(first)["periods"] == json.loads(second)["periods"]


def test_a_page_is_written_in_both_languages(home, capsys, tmp_path):
    out = tmp_path / "watch.html"
    told(capsys, "models", "watch", "card_fraud", *REFERENCE, *SINCE, "--html", str(out), *places(home))
    text = out.read_text(encoding="utf-8")
    assert "模型监测" in text
    assert "right-censored" in text
    assert "stability of an input (CSI)" in text


def test_people_who_decide_again_are_counted(home, capsys):
    """A payment with an id of its own was released by the desk: the system had reviewed it."""
    engine = Engine.open(home / "data", keys=home / "keys")
    try:
        code = engine.state.program.codes["card.payment"]
        reviewed = [
            json.loads(engine.reader.event(offset).body.data)
            for offset in range(engine.log.head)
            if (record := engine.log.record(offset)).kind == EVENT and record.type == code
            and engine.decision(offset + 1)["outcome"] != "approve"
        ]  # fmt: skip
        named = [one for one in reviewed if "payment" in one][:3]
        for at, one in enumerate(named):
            data = {
                "time_ms": one["time_ms"],
                "payment": one["payment"],
                "customer": one["customer"],
                "decision": "release",
            }
            engine.submit([Request("desk", f"d{at}", "card.case_decided", json.dumps(data).encode())])
    finally:
        engine.close()
    _, out, _ = told(capsys, "models", "watch", "card_fraud", *REFERENCE, "--json", *places(home))
    turned = sum(one["overrides"]["low_side"] for one in json.loads(out)["periods"])
    assert turned == len(named) > 0


def test_alarms_need_a_pack_that_takes_them_and_must_fit(tmp_path):
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    try:
        engine.activate([read_packs()["party"]])
        with pytest.raises(InputError, match="no active pack takes alarms of models; was party"):
            record_alarms(engine.writer, [Alarm("a", b"{}")])
        engine.activate([risk_pack()])
        with pytest.raises(InputError, match="the log refused an alarm; was"):
            record_alarms(engine.writer, [Alarm("a", b"{}")])
        assert record_alarms(engine.writer, []) == {"new": 0, "repeated": 0, "offsets": []}
    finally:
        engine.close()


def test_a_running_server_records_them_too(tmp_path):
    """The operation as it comes over the wire, for an administrator alone."""
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    try:
        engine.activate([risk_pack()])
        alarm = {
            "time_ms": MONDAY_MS, "alarm": "a", "model": "m.x", "weights": "w", "measure": "calibration",
            "subject": "score", "level": "watch", "value": 1.2, "limit": 1.1, "rows": 5,
            "start_ms": 0, "end_ms": DAY_MS,
        }  # fmt: skip
        sent = msgspec.msgpack.encode({"alarms": [{"id": "a", "data": json.dumps(alarm).encode()}]})
        assert scope_of("model_alarms", {}) == "admin"
        first = perform(engine, "model_alarms", msgspec.msgpack.decode(sent))
        assert (first["new"], first["repeated"]) == (1, 0)
        moved = json.dumps(alarm | {"value": 1.3}).encode()
        again = perform(engine, "model_alarms", {"alarms": [{"id": "a", "data": moved}]})
        assert (again["new"], again["repeated"]) == (0, 1), "its value has moved since: the first one stays"
    finally:
        engine.close()


def test_a_client_cannot_send_alarms(tmp_path):
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys")
    try:
        engine.activate([risk_pack()])
        reply = engine.submit([Request("bank", "a", "model.alarm", b"{}")])[0]
        assert reply.status == "rejected"
        assert "quanheng.models" in reply.error
    finally:
        engine.close()


def test_a_reference_of_too_many_decisions_is_refused(home, capsys, monkeypatch):
    monkeypatch.setattr(watching, "ROWS_MAX", 100)
    code, _, err = told(capsys, "models", "watch", "card_fraud", *REFERENCE, *places(home))
    assert code == 2
    assert "there are too many decisions to make a reference of" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("card_fraud",), "the model has no reference to compare with; was no file models/fraud_score.reference.json"),
        (("card_fraud", "nope", *REFERENCE), "there is no such model"),
        (("nope", *REFERENCE), "the pack was never in force"),
        (("card_fraud", "--reference", "x.json"), "there is no such file"),
        (("card_fraud", "--reference", "2020-01-01..2020-02-01"), "no decision of these weights lies in the reference"),
        (("card_fraud", *REFERENCE, "--since", "2031-01-01"), "no decision lies in the window"),
    ],
)
def test_what_cannot_be_watched_is_told(home, capsys, arguments, text):
    code, _, err = told(capsys, "models", "watch", *arguments, *places(home))
    assert code in (1, 2)
    assert text in err
