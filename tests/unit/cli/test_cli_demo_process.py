"""`quanheng demo PACK --process`: what it plays and proves, and what it says of a pack that it cannot play."""

from __future__ import annotations

import json

import pytest

from quanheng.cli.demo_play import ms_of, script_of
from quanheng.cli.demo_receiver import Answer, Receiver
from quanheng.cli.main import main
from quanheng.kernel.errors import InputError
from quanheng.loading.find import read_packs
from quanheng.outbox.signing import SIGNATURE_HEADER, sign


@pytest.fixture(scope="module")
def played():
    """The whole play of the card pack, once."""
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["demo", "card_fraud", "--process", "--json"])
    return code, json.loads(out.getvalue())


def test_everything_that_must_hold_holds(played):
    code, told = played
    assert (code, told["ok"]) == (0, True)
    assert [one["name"] for one in told["checks"] if not one["held"]] == []
    assert len(told["checks"]) == 8


def test_reviews_have_all_three_ends_and_a_dispute_takes_weeks(played):
    _, told = played
    ends = {one["id"]: one["states"] for one in told["instances"]}
    assert ends["pay-mine"] == ends["pay-silent"] == {"state": "captured"}
    assert ends["pay-stolen"] == ends["pay-unheard"] == {"state": "voided"}
    assert ends["d-lost"] == {"credit": "taken_back", "claim": "lost"}
    silent = next(one for one in told["instances"] if one["id"] == "pay-silent")
    assert [step["to"] for step in silent["steps"]] == ["asked", "case_open", "case_open", "captured"]
    assert told["days"] > 40


def test_messages_went_over_the_wire_and_came_again_where_nobody_took_them(played):
    _, told = played
    messages = told["messages"]
    assert messages["tries"] > messages["messages"] > messages["taken"]
    assert messages["refused"] == 1


def test_a_pack_that_plays_nothing_says_so(capsys):
    assert main(["demo", "party", "--process"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == (
        "error: party: the pack plays no processes; was no demo.toml; allowed: a pack with demo.toml. "
        "Play its traffic: leave --process out."
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"start = 2026-01-01T00:00:00Z\n", "Object missing required field `event`"),
        (b"start = tomorrow\n", "Invalid value"),
        (b"start = 2026-01-01T00:00:00Z\nevent = []\nend = {}\nplays = 1\n", "Object contains unknown field `plays`"),
    ],
)
def test_a_play_that_cannot_be_read_says_why(text, told):
    with pytest.raises(InputError) as error:
        script_of({"demo.toml": text}, "shop")
    assert "shop, demo.toml: what the pack plays cannot be read" in str(error.value)
    assert told in str(error.value)


def test_a_play_whose_event_is_refused_says_which(tmp_path, capsys):
    files = dict(read_packs()["card_fraud"].files)
    script = files["demo.toml"].decode().replace('answer = "not_mine"', 'answer = "perhaps"')
    for name, content in (files | {"demo.toml": script.encode()}).items():
        (tmp_path / "card_fraud" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "card_fraud" / name).write_bytes(content)
    (tmp_path / "quanheng.toml").write_text(f'[packs]\nfolders = ["{tmp_path / "card_fraud"}"]\n')
    assert main(["demo", "card_fraud", "--process", "--config", str(tmp_path / "quanheng.toml")]) == 2
    err = capsys.readouterr().err
    assert "error: demo.toml, card.payer_answer: what the pack plays is refused; was " in err
    assert "'perhaps'; allowed: mine, not_mine" in err


def test_a_partner_answers_by_what_a_message_says_fails_as_told_and_checks_signatures():
    secret, body = b"s", b'{"payment": "p1"}'
    receiver = Receiver([Answer("app", {"payment": "p1"}, fails=1, event="e", after="2m")], secret, lambda: 1_000)
    headers = {"Quanheng-Id": "m1", SIGNATURE_HEADER: sign(body, [secret], 1_000)}
    assert [receiver.take("app", headers, body)[0] for _ in range(2)] == [503, 200]
    assert [one.event for one in receiver.back] == ["e"]
    assert receiver.take("app", headers | {SIGNATURE_HEADER: sign(body, [b"other"], 1_000)}, body)[0] == 401
    assert receiver.take("app", {"Quanheng-Id": "m2"}, b'{"payment": "p2"}') == (200, b"{}")
    assert [one.signed for one in receiver.got] == [True, True, False, None]


def test_a_moment_without_a_zone_is_of_utc():
    import datetime as dt

    assert ms_of(dt.datetime(2026, 3, 2, 12)) == ms_of(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)) == 1_772_452_800_000
