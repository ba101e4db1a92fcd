"""The outbox for those who keep it: lists, one message, dead letters asked for again, by engine and command line."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from partner import HandClock, ask, opened, partner, place, sender_of, told

from quanheng.cli.main import main
from quanheng.kernel.errors import InputError, NotFound

CUSTOMER = ("party.customer", "anna")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(tmp_path, clock):
    """Two calls that were refused, and a notice that waits."""
    one = opened(tmp_path, clock, "call:ask_bureau")
    one.submit([ask("a", 100), ask("b", 200, customer="bert")])
    with partner(lambda got: (404, b"")) as bureau:
        send(one, bureau.url, clock)
    one.submit([ask("c", 300, customer="cleo")])
    yield one
    one.close()


def send(engine, url: str, clock) -> None:
    sender = sender_of(engine, {"bureau": place(url=url)}, clock)
    engine.outbox.held, engine.outbox.more_metrics = sender.held, sender.metrics
    asyncio.run(sender.send_due())


def test_what_waits_and_what_is_dead_is_listed(engine, clock):
    clock.now_ms += 5_000
    engine.submit([])
    found = engine.outbox.listed()
    assert (found["waiting"], found["dead"], found["as_of"]) == (1, 2, engine.log.head)
    assert found["calls"] == [{"name": "shop.ask_bureau", "asked": 3, "waiting": 1, "dead": 2}]
    [waits] = found["messages"]
    assert (waits["name"], waits["asked"], waits["tries"]) == ("shop.ask_bureau", "2026-01-15T10:00:00.000Z", 0)
    assert {one["reason"] for one in found["letters"]} == {"refused"}
    assert [one["again"] for one in found["letters"]] == [0, 0]
    assert engine.outbox.listed(limit=1)["letters"] == found["letters"][:1]
    assert engine.outbox.listed(call="ask_bureau", dead_only=True)["messages"] == []
    with pytest.raises(NotFound, match=r"no call or notice has this name.*was 'ask'; allowed: shop\.ask_bureau"):
        engine.outbox.listed(call="ask")


def test_one_message_is_shown_with_its_body_and_what_became_of_it(engine):
    letters = engine.outbox.listed()["letters"]
    shown = json.loads(json_of(engine.outbox.shown(letters[0]["id"])))
    assert {one["customer"]: one["amount"] for one in (shown["body"],)} in ({"anna": 1}, {"bert": 2})
    assert (shown["result"], shown["tries"], shown["reason"]) == ("fallback", 1, "refused")
    assert shown["detail"] == "the other side does not take it; was status 404"
    assert json.loads(engine.reader.event(shown["event"]).body.data)["message"] == f"#{shown['id']}"
    waits = engine.outbox.shown(engine.outbox.listed()["messages"][0]["id"])
    assert engine.log.record(waits["decision"]).kind == 2
    with pytest.raises(NotFound, match="no message with this id waits, and none is a dead letter that is kept"):
        engine.outbox.shown("0" * 32)
    with pytest.raises(InputError, match=r"the id of a message is not readable; was 'x'|.*32 hexadecimal digits"):
        engine.outbox.shown("x")


def json_of(found: dict) -> bytes:
    import msgspec

    return msgspec.json.encode(found)


def test_a_body_of_somebody_who_was_erased_is_gone(engine):
    letter = next(
        one["id"] for one in engine.outbox.listed()["letters"]
        if b"anna" in json_of(engine.outbox.shown(one["id"]))
    )  # fmt: skip
    engine.erase(*CUSTOMER)
    shown = engine.outbox.shown(letter)
    assert shown["body"] is None
    assert "this record's subject was erased" in shown["why"]
    assert "detail" not in shown


def test_dead_letters_are_asked_for_again_under_their_ids(engine, clock, tmp_path):
    first, second = (one["id"] for one in engine.outbox.listed()["letters"])
    assert engine.outbox.retry([first], "", "ann", "mended")["retried"] == 1
    assert (engine.outbox.listed()["waiting"], engine.outbox.listed()["dead"]) == (2, 1)
    with partner(lambda got: (200, b'{"score": 7}')) as bureau:
        send(engine, bureau.url, clock)
        assert first in {one.headers["quanheng-id"] for one in bureau.got}
        assert engine.outbox.retry((), "shop.ask_bureau", "ann", "")["retried"] == 1
        send(engine, bureau.url, clock)
    assert engine.outbox.listed()["dead"] == engine.outbox.listed()["waiting"] == 0
    results = [(one["message"], one["result"]) for one in told(engine)]
    assert sorted(results) == sorted(set(results))
    assert {(f"#{id}", result) for id in (first, second) for result in ("fallback", "answered")} < set(results)
    digest = engine.state.outbox.digest()
    engine.close()
    again = opened(tmp_path, clock)
    assert again.state.outbox.digest() == digest
    again.close()
    engine.close = lambda: None


def test_what_cannot_be_asked_for_again(engine, monkeypatch):
    with pytest.raises(InputError, match="say which dead letters are asked for again"):
        engine.outbox.retry((), "", "ann", "")
    with pytest.raises(InputError, match="say which dead letters are asked for again"):
        engine.outbox.retry(["0" * 32], "ask_bureau", "ann", "")
    with pytest.raises(NotFound, match="there is no such dead letter; was 0000"):
        engine.outbox.retry(["0" * 32], "", "ann", "")
    monkeypatch.setattr("quanheng.resending.RETRIED_MAX", 1)
    ids = [one["id"] for one in engine.outbox.listed()["letters"]]
    with pytest.raises(InputError, match=r"too many dead letters at once; was 2; allowed: at most 1"):
        engine.outbox.retry(ids, "", "ann", "")


def test_figures(engine, clock):
    clock.now_ms += 7_000
    figures = engine.metrics()
    assert (figures["outbox_waiting"], figures["outbox_oldest_ms"], figures["outbox_dead"]) == (1, 7_000, 2)
    assert (figures["outbox_tries"], figures["outbox_unexpected"]) == ({"refused": 2}, 0)


def test_the_command_line_beside_no_server(engine, tmp_path, capsys, monkeypatch):
    tokens = engine.issue_token("ann", ("admin", "read"))
    letters = [one["id"] for one in engine.outbox.listed()["letters"]]
    engine.close()
    engine.close = lambda: None
    place_words = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "data-keys")]
    monkeypatch.setenv("QUANHENG_TOKEN", tokens)

    def run(*words: str) -> str:
        assert main(["outbox", *words, *place_words]) == 0
        return capsys.readouterr().out

    out = run("list").splitlines()
    assert out[:2] == ["1 wait, 2 dead letters are kept", "shop.ask_bureau  asked 3, waiting 1, dead 2"]
    assert out[2].startswith("waits  ")
    assert all(line.endswith(": refused") for line in out[3:])
    assert "detail     the other side does not take it; was status 404" in run("show", letters[0])
    assert run("retry", letters[0]) == "1 asked for again\n"
    assert json.loads(run("retry", "--call", "ask_bureau", "--json"))["retried"] == 1
    assert run("list", "--dead").splitlines()[0] == "3 wait, 0 dead letters are kept"
    assert main(["outbox", "show", "1", *place_words]) == 2
    assert "the id of a message is not readable" in capsys.readouterr().err
