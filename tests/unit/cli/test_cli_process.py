# ruff: noqa: E501  (texts under test stand whole, on one line)
"""`quanheng process`: instances read from the log, their history, diagrams, and a clock that is moved."""

from __future__ import annotations

import json

import pytest
from card_folder import MINUTE_MS, CardFolder

from quanheng.advancing import advance
from quanheng.cli.main import main
from quanheng.follower import write_snapshot


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three payments that are reviewed (mine, no answer yet, not mine) and a dispute."""
    folder = tmp_path_factory.mktemp("cards")
    cards = CardFolder(folder)
    for number in (1, 2, 3):
        assert cards.pay(f"pay-{number}", 2500 * number).outcome == "review"
    cards.clock.now_ms += MINUTE_MS
    cards.send("card.payer_answer", payment="pay-1", answer="mine")
    cards.send("card.payer_answer", payment="pay-3", answer="not_mine")
    cards.dispute("d-1")
    write_snapshot(folder / "data")
    cards.dispute("d-2", law="regulation_e")
    cards.engine.close()
    return folder


@pytest.fixture
def quanheng(folder, capsys):
    """Runs a command on the folder; (exit code, standard output, standard error)."""

    def run(*arguments, at=folder):
        code = main(["process", *arguments, "--data", str(at / "data"), "--keys", str(at / "keys")])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_processes_are_listed_with_how_many_instances_are_in_each_state(quanheng):
    code, out, _ = quanheng("list", "--json")
    review, dispute = lines(out)
    assert (code, review["process"], review["instances"]) == (0, "card_fraud.review", 3)
    assert review["states"] == {"asked": 1, "case_open": 0, "captured": 1, "voided": 1, "lapsed": 0}
    assert review["title"] == {"en": "A payment under review", "zh": "支付审核"}
    assert dispute["states"]["credit.due_next_day"] == dispute["states"]["credit.due_ten_days"] == 1
    assert dispute["states"]["claim.noticed"] == 2
    _, out, _ = quanheng("list")
    assert "card_fraud.review  A payment under review  支付审核  3 instances\n  asked  " in out


def test_instances_are_listed_by_state_with_their_next_timer_page_by_page(quanheng):
    (one,) = lines(quanheng("list", "review", "--state", "asked", "--json")[1])
    assert one["next_timer"] == {"timer": "no_answer", "due_ms": 1_772_453_700_000}
    assert (one["states"], one["steps"], one["since_ms"]) == ({"state": "asked"}, 1, 1_772_452_800_000)
    assert [row["states"]["state"] for row in lines(quanheng("list", "review", "--live", "--json")[1])] == ["asked"]
    (first,) = lines(quanheng("list", "review", "--limit", "1", "--json")[1])
    rest = lines(quanheng("list", "review", "--after", first["mark"], "--json")[1])
    assert [row["states"]["state"] for row in rest] == ["asked", "voided"]
    assert "there are more: --after card_fraud.review#" in quanheng("list", "review", "--limit", "1")[1]
    (found,) = lines(quanheng("list", "--state", "credit.due_ten_days", "--json")[1])
    assert found["next_timer"] == {"part": "claim", "timer": "reminder", "due_ms": 1_772_611_200_000}
    _, out, _ = quanheng("list", "review", "--state", "asked")
    assert out.startswith("card_fraud.review(#")
    assert out.endswith("  asked  since 2026-03-02T12:00:00.000Z  next no_answer at 2026-03-02T12:15:00.000Z\n")


def test_an_instance_is_shown_by_its_id_and_by_its_key(quanheng):
    code, out, _ = quanheng("show", "review(pay-2)", "--json")
    shown = json.loads(out)
    assert (code, shown["id"], shown["states"], shown["over"]) == (0, "pay-2", {"state": "asked"}, False)
    assert shown["titles"] == {"state": {"en": "The payer is asked", "zh": "等待付款人确认"}}
    assert (shown["numbers"], shown["timers"]) == (
        {"amount_minor": 5000},
        [{"timer": "no_answer", "due_ms": 1_772_453_700_000}],
    )
    assert {(one["event"], one["to"]) for one in shown["allowed"]} == {
        ("card.payer_answer", "captured"), ("card.payer_answer", "voided"), ("ask_payer.notice.sent", "case_open"),
    }  # fmt: skip
    again = json.loads(quanheng("show", f"card_fraud.review({shown['key']})", "--json")[1])
    assert {**again, "id": ""} == {**shown, "id": ""}


def test_an_instance_is_shown_for_people(quanheng):
    _, out, _ = quanheng("show", "dispute(d-1)")
    for line in (
        "card_fraud.dispute(d-1)  credit: due_next_day, claim: noticed",
        "  claim: The desk looks at it  初步核查",
        "  keeps amount_minor = 8000",
        "  keeps limit_ms = null",
        "  timer due fires at 2026-03-03T15:00:00.000Z",
        "  allowed card.dispute_withdrawn → withdrawn",
    ):
        assert line in out.splitlines()
    assert "  over" in quanheng("show", "review(pay-1)")[1]


def test_an_instance_is_shown_as_it_was(quanheng):
    first = lines(quanheng("history", "review(pay-1)", "--json")[1])[0]
    _, out, _ = quanheng("show", "review(pay-1)", "--as-of", str(first["offset"] + 1), "--json")
    shown = json.loads(out)
    assert (shown["as_of"], shown["states"]) == (first["offset"] + 1, {"state": "asked"})
    code, _, err = quanheng("show", "review(pay-1)", "--as-of", "9999")
    assert (code, "--as-of: the log has no such offset; was 9999; allowed: 0 to" in err) == (2, True)


def test_a_history_says_when_why_what_moved_and_what_was_sent(quanheng):
    begun, ended = lines(quanheng("history", "review(pay-3)", "--json")[1])
    assert (begun["from"], begun["to"], begun["why"]) == (None, "asked", 'outcome = "review"')
    assert begun["event"]["type"] == "card.payment"
    assert begun["event"]["instance"] == "pay-3"
    assert [(one["name"], one["amount_minor"], one["outcome"]) for one in begun["transfers"]] == [
        ("card_fraud.hold.principal", 7500, "APPLIED")
    ]
    assert [(one["name"], one["body"]) for one in begun["sent"]] == [
        (
            "card_fraud.ask_payer",
            {"payment": "pay-3", "amount_minor": 7500, "currency": "EUR", "answer_until": 1_772_453_700_000},
        )
    ]
    assert (ended["from"], ended["to"], ended["why"]) == ("asked", "voided", 'answer = "not_mine"')
    assert [one["name"] for one in ended["transfers"]] == ["card_fraud.release.principal"]
    _, out, _ = quanheng("history", "review(pay-3)")
    assert 'asked → voided  on card.payer_answer  [answer = "not_mine"]' in out
    assert "transfer card_fraud.release.principal  7,500  APPLIED" in out
    assert 'sent card_fraud.card_blocked  {"payment":"pay-3","what":"payment_not_made_by_holder"}' in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "pay-1"], "error: instance: this names no instance; was pay-1; allowed: a process and an id, such as \"review(pay-123)\". Quote it for the shell. `quanheng process list` shows the processes and the instances."),
        (["show", "refund(x)"], "error: process: no active pack declares this process; was refund; allowed: card_fraud.review, card_fraud.dispute. `quanheng process list` shows what there is."),
        (["list", "review", "--state", "open"], "error: state: no process that is looked at has this state; was open; allowed: asked, case_open, captured, voided, lapsed. Leave it out to see all."),
        (["list", "--limit", "0"], "error: --limit: this is no limit; was 0; allowed: 1 to 1000"),
        (["advance"], "error: --by, --to: one of the two is said; was none; allowed: --by 20d, or --to TIME"),
        (["advance", "--by", "1d", "--to", "2026-04-01"], "error: --by, --to: one of the two is said; was both; allowed: --by 20d, or --to TIME"),
        (["advance", "--to", "2026-03-01"], "error: clock: a clock is not moved back: the log's stamps never decrease; was 2026-03-01T00:00:00.000Z; allowed: 2026-03-02T12:01:00.000Z or later. Begin with an empty data folder to play the time again."),
        (["draw", "card_fraud.refund"], "error: card_fraud: the pack declares no such process; was refund; allowed: card_fraud.review, card_fraud.dispute. Write the pack and the process with a point between them."),
        (["draw", "party.x"], "error: party: the pack declares no such process; was x; allowed: it declares none. Write the pack and the process with a point between them."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(quanheng, arguments, told):
    code, _, err = quanheng(*arguments)
    assert (code, err.strip().splitlines()[-1]) == (2, told)


def test_an_instance_that_never_began_is_not_there(quanheng):
    code, _, err = quanheng("history", "review(pay-9)")
    assert code == 2
    assert "card_fraud.review: no instance of this process has begun under this id; was #" in err
    assert "allowed: an event that starts one: card.payment. `quanheng process list` shows those that are there." in err


def test_a_life_cycle_is_drawn_as_mermaid_and_svg(quanheng, tmp_path):
    code, out, _ = quanheng("draw", "card_fraud.review")
    assert (code, out.splitlines()[0]) == (0, "stateDiagram-v2")
    assert '    [*] --> asked: card.payment [outcome = "review"]' in out.splitlines()
    file = tmp_path / "dispute.svg"
    code, out, _ = quanheng("draw", "card_fraud.dispute", "--form", "svg", "--language", "zh", "--to", str(file))
    assert (code, out) == (0, "")
    drawn = file.read_text(encoding="utf-8")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "支付争议" in drawn
    assert "胜诉" in drawn


def test_a_moved_clock_fires_each_timer_at_its_own_moment_and_goes_on_from_there(quanheng, tmp_path):
    cards = CardFolder(tmp_path)
    cards.pay("pay-1")
    cards.dispute("d-1")
    cards.engine.close()
    code, out, _ = quanheng("advance", "--by", "28h", "--json", at=tmp_path)
    fired = lines(out)
    assert code == 0
    assert [(one["at_ms"], one["steps"][0]["timer"], one["steps"][0]["to"]) for one in fired] == [
        (1_772_453_700_000, "no_answer", "case_open"), (1_772_468_100_000, "escalation", "case_open"),
        (1_772_524_800_000, "reminder", "case_open"), (1_772_550_000_000, "due", "credited"),
    ]  # fmt: skip
    assert [one["name"] for one in fired[-1]["transfers"]] == ["card_fraud.credit.principal"]
    assert [one["name"] for one in fired[0]["sent"]] == ["card_fraud.tell_desk"]
    code, out, _ = quanheng("advance", "--to", "2026-03-05T00:00:00Z", at=tmp_path)
    assert code == 0
    assert "2026-03-04T08:00:00.000Z" in out
    assert "card_fraud.review  reminder  case_open → case_open" in out
    assert out.endswith("2 fired; the clock stands at 2026-03-05T00:00:00.000Z\n")


def test_a_clock_moves_only_with_development_keys(quanheng, tmp_path):
    cards = CardFolder(tmp_path)
    cards.engine.close()
    (tmp_path / "keys" / "development.txt").unlink()
    code, _, err = quanheng("advance", "--by", "1d", at=tmp_path)
    assert code == 2
    told = "a test clock moves only a data folder with development keys; was a key ring of your own; allowed: "
    assert f"{told}development keys. Try it in a folder of its own: --data, --keys." in err


def test_what_is_due_and_does_not_happen_is_an_error_not_an_endless_wait(tmp_path, monkeypatch):
    cards = CardFolder(tmp_path)
    cards.pay("pay-1")
    monkeypatch.setattr(cards.engine, "carry_out", lambda: 0)
    told = r"what is due does not happen, so time stands still; was 2026-03-02T12:15:00.000Z. Report it"
    with pytest.raises(Exception, match=told):
        list(advance(cards.engine, cards.clock, cards.clock.now_ms + 60 * MINUTE_MS))
    cards.engine.close()
