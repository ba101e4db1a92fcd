"""calls.toml: what is read, the events that the pack is given, and FEEL against the event that asks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from quanheng.feel.types import ANY, BOOLEAN, NUMBER, STRING, FeelType
from quanheng.loading import check_pack
from quanheng.loading.checks.calls import RESERVED, answer_type
from quanheng.loading.checks.platform import platform
from quanheng.loading.checks.sends import EXTRA, check_send, check_unasked
from quanheng.loading.declared_calls import MESSAGE, OUTBOX, REASONS, RESULTS, SENT_RESULTS, CallDeclaration
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.notes import Notes

SCREEN = Path(__file__).parents[2] / "packs" / "screen"
CALLS = (SCREEN / "calls.toml").read_text(encoding="utf-8")


def pack(calls: str = CALLS, **more: str) -> PackFiles:
    files = {**read_pack(SCREEN).files, "calls.toml": calls.encode()}
    files.update({name.replace("__", "/") + ".toml": text.encode() for name, text in more.items()})
    return read_pack(files, "screen")


def declared() -> dict[str, CallDeclaration]:
    made, problems = check_pack(pack(), {})
    assert not problems
    return {one.name: one for one in made.calls.calls}


def test_a_call_is_read_as_it_is_said():
    one = declared()["ask_bureau"]
    assert (one.kind, one.channel, one.address, one.subject) == ("call", "http", "bureau", "payer")
    assert one.keys == {"payment": "screen.payment", "payer": "screen.payer"}
    assert one.send == {"amount": "amount_minor / 100", "payerId": "payer"}
    assert list(one.answer) == ["score", "rate", "grade"]
    assert not one.answer["score"].optional
    assert one.fallback == {"score": 0, "grade": "b"}
    assert (one.timeout_ms, one.tries, one.backoff_ms, one.backoff_max_ms) == (1000, 4, 200, 5000)
    assert (one.give_up_ms, one.breaker_failures, one.breaker_ms, one.cache_ms) == (60_000, 5, 20_000, 3_600_000)
    assert (one.en, one.zh, one.event) == ("Ask the bureau", "查询征信", "ask_bureau.call.answered")


def test_a_notice_has_defaults_for_what_it_does_not_say():
    one = declared()["tell_payer"]
    assert (one.kind, one.event, one.fallback, one.keys) == ("notify", "tell_payer.notice.sent", None, {})
    assert (one.timeout_ms, one.tries, one.backoff_ms, one.backoff_max_ms) == (2_000, 10, 500, 60_000)
    assert (one.give_up_ms, one.breaker_failures, one.breaker_ms, one.cache_ms) == (-1, 0, 30_000, 0)


def test_the_pack_is_given_the_events_that_tell_of_them():
    made, _ = check_pack(pack(), {})
    answered, sent = made.events[-2:]
    assert (answered.name, sent.name) == ("ask_bureau.call.answered", "tell_payer.notice.sent")
    assert answered.client == sent.client == OUTBOX
    fields = answered.fields
    assert list(fields) == [
        "time_ms", "message", "payment", "payer", "result", "reason", "detail", "tries", "score", "rate", "grade",
    ]  # fmt: skip
    assert set(RESERVED) < set(fields)
    assert fields["message"].entity == MESSAGE
    assert MESSAGE in platform().entities
    assert fields["result"].choices == RESULTS
    assert fields["reason"].choices == REASONS
    assert [name for name, field in fields.items() if not field.optional] == [
        "time_ms", "message", "payer", "result", "tries",
    ]  # fmt: skip
    assert (fields["score"].max, fields["payer"].data_class, answered.subject) == (999, "personal", "payer")
    assert answered.title == {"en": "Answer to: Ask the bureau", "zh": "答复：查询征信"}
    assert sent.fields["result"].choices == SENT_RESULTS
    assert sent.title["en"] == "Sent: Tell the payer"


FOLD = """
[[fold]]
name = "asked_1d"
of = "ask_bureau.call.answered"
by = ["payer"]
fold = "count"
window = "1d"
title = {en = "Asked", zh = "查询次数"}
"""


def test_a_fold_may_read_the_answer():
    made, problems = check_pack(pack(features=FOLD), {})
    assert not problems
    assert [fold.of for fold in made.folds] == ["ask_bureau.call.answered"]


def test_what_reads_a_file_that_cannot_be_read_is_not_blamed():
    problems = [str(one) for one in check_pack(pack("[call", features=FOLD), {})[1]]
    assert len(problems) == 1
    assert problems[0].startswith("calls.toml: line 1: this is not TOML")


def test_answers_are_read_by_their_declared_fields():
    reader = answer_type(declared()["ask_bureau"])
    fields = reader.decode(b'{"score": 7, "rate": 0.25, "grade": "a"}')
    reader.check(fields)
    assert (fields.score, fields.rate, fields.grade) == (7, Decimal("0.25"), "a")


def test_no_pack_has_the_name_of_the_platform():
    files = dict(pack().files)
    files["pack.toml"] = files["pack.toml"].replace(b'"screen"', b'"quanheng"')
    problems = [str(one) for one in check_pack(read_pack(files, "quanheng"), {})[1]]
    assert (
        "pack.toml: pack.name: the name is the platform's own; was 'quanheng'. Give the pack another name." in problems
    )


KNOWN: dict[str, FeelType] = {
    "amount_minor": NUMBER, "payer": STRING, "payment": STRING, "payee": STRING, "time_ms": NUMBER, **EXTRA,
}  # fmt: skip


def test_what_is_sent_fits_the_event_that_asks():
    text = CALLS.replace('payerId = "payer"}', 'payerId = "if refused then outcome else payer"}')
    made, problems = check_pack(pack(text), {})
    assert not problems
    notes = Notes()
    for one in made.calls.calls:
        check_send(one, made.events[0], KNOWN, unsound=False, notes=notes)
    assert not notes


def test_keys_of_an_unsound_event_are_not_judged():
    made, _ = check_pack(pack(CALLS.replace('payment = "payment"', 'order = "payment"')), {})
    notes = Notes()
    check_send(made.calls.calls[0], made.events[0], {**KNOWN, "instance": ANY, "refused": BOOLEAN}, True, notes)
    assert not notes


def test_a_call_that_nobody_asks_for_is_remarked_and_its_texts_are_read():
    made, _ = check_pack(pack(CALLS.replace('"amount_minor / 100"', '"amount_minor /"')), {})
    notes = Notes()
    check_unasked(made.calls.calls, notes)
    [problem] = notes.problems
    assert str(problem).startswith("calls.toml: call.ask_bureau.send.amount: the expression cannot be read")
    first, second = notes.warnings
    assert str(first) == (
        "calls.toml: call.ask_bureau: nothing asks for it. Ask for it:"
        ' then.OUTCOME = ["call:ask_bureau"] in a flow of pack.toml, or do = ["call:ask_bureau"] in processes.toml.'
    )
    assert (second.key, 'do = ["notify:tell_payer"]' in second.cure) == ("notice.tell_payer", True)
