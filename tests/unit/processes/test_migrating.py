"""A life cycle is declared anew while instances live: what is refused and why, what is led on, what goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError
from quanheng.kernel.log.records import STEP
from quanheng.kernel.time import HOUR_MS, MINUTE_MS
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.machines import Machine

T0 = 1_768_471_200_000
CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"
ASKED_TIMER = "[process.review.state.asked.timer.no_answer]"


def checkout(*changes: tuple[str, str]) -> list[PackFiles]:
    """The pack without its cases; each change is a text of processes.toml and its replacement."""
    files = {name: data for name, data in read_pack(CHECKOUT).files.items() if not name.startswith("cases/")}
    life = files["processes.toml"].decode()
    for old, new in changes:
        assert old in life, old
        life = life.replace(old, new)
    files["processes.toml"] = life.encode()
    return [read_packs()["party"], read_pack(files, "checkout")]


SILENT_JOB = ('event   = "checkout.claim_aged"\nfields  = {rounds = "instance.rounds"}\n', "")
RENAMED = (("state.asked", "state.waiting_long"), ('"asked"', '"waiting_long"'))
RENAMED_MAPPED = (*RENAMED, ('migrate    = {waiting = "waiting_long"}', 'migrate = {asked = "waiting_long"}'))


class Shop:
    """An engine with one payment that is asked about and one claim."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_ms, self.number = folder, T0, 0
        self.engine = Engine.open(folder, clock=lambda: self.now_ms)
        self.engine.activate(checkout())
        self.send("payment", payment="p", payer="anna", amount_minor=20_000)
        self.send("claim", claim="c", payer="anna", amount_minor=5, share=0.25)

    def send(self, name: str, **data: object) -> str:
        self.number += 1
        body = json.dumps({"time_ms": T0, **data}).encode()
        (reply,) = self.engine.submit([Request("web", f"r{self.number}", f"checkout.{name}", body)])
        return reply.error or reply.status

    def machine(self, name: str) -> Machine:
        return next(one for one in self.engine.state.program.machines.values() if one.name == f"checkout.{name}")

    def states(self, process: str, id: str, entity: str = "") -> dict[str, str]:
        machine = self.machine(process)
        key = self.engine.ring.pseudonym(machine.declared.entity, id)
        instance = self.engine.state.book.view(machine.code, key)
        return {} if instance is None else machine.names(instance)

    def dues(self, process: str, id: str) -> list[int]:
        machine, book = self.machine(process), self.engine.state.book
        key = self.engine.ring.pseudonym(machine.declared.entity, id)
        return sorted(one.due_ms - T0 for one in book.timers.of(book.owner(machine.code, key)))

    def refused(self, *changes: tuple[str, str]) -> str:
        head, digest = self.engine.log.head, self.engine.state.digest()
        with pytest.raises(DeclarationError) as found:
            self.engine.activate(checkout(*changes))
        assert (self.engine.log.head, self.engine.state.digest()) == (head, digest)
        return str(found.value)

    def same_again(self) -> None:
        digest = self.engine.state.digest()
        assert recovery.rebuild(self.engine.log, self.engine.content, None).digest() == digest
        self.engine.close()
        self.engine = Engine.open(self.folder, clock=lambda: self.now_ms)
        assert self.engine.state.digest() == digest


@pytest.fixture
def shop(tmp_path: Path):
    shop = Shop(tmp_path / "data")
    yield shop
    shop.engine.close()


def test_a_state_that_is_no_more_hinders_where_instances_are_in_it(shop: Shop) -> None:
    text = shop.refused(*RENAMED)
    assert "process.review.migrate.asked: instances live in the state 'asked', which is no longer declared" in text
    assert "was 1 instance; allowed: waiting_long, doubted, taken, released, failed" in text
    assert 'Say which state they are led to: migrate = {asked = "…"}.' in text


def test_migrate_leads_instances_on_in_the_append_of_the_activation(shop: Shop) -> None:
    shop.now_ms += 5 * MINUTE_MS
    head = shop.engine.log.head
    shop.engine.activate(checkout(*RENAMED_MAPPED))
    assert shop.engine.log.head == head + 2
    step = shop.engine.log.record(head + 1)
    assert (step.kind, step.cause, step.received_ms) == (STEP, head, shop.now_ms)
    assert shop.states("review", "p") == {"state": "waiting_long"}
    assert shop.dues("review", "p") == [15 * MINUTE_MS], "a timer of the same name keeps its due moment"
    shop.same_again()
    assert shop.send("answer", about="p", answer="mine") == "recorded"
    assert shop.states("review", "p") == {"state": "taken"}
    write_snapshot(shop.folder)
    shop.same_again()


def test_timers_of_a_state_that_is_led_to_begin_at_the_activation(shop: Shop) -> None:
    shop.now_ms += 5 * MINUTE_MS
    other = (
        ("timer.no_answer", "timer.silence"),
        ('per        = "payment"', 'per = "payment"\ntimers = ["no_answer", "let_go", "silence"]'),
    )
    shop.engine.activate(checkout(*RENAMED_MAPPED, *other))
    assert shop.dues("review", "p") == [20 * MINUTE_MS]
    shop.same_again()


def test_a_timer_that_is_no_more_is_taken_away_and_a_new_one_begins_with_who_enters_later(shop: Shop) -> None:
    changed = (
        (
            "[process.claim.part.papers.state.awaited.timer.nudge]",
            "[process.claim.part.papers.state.awaited.timer.remind]",
        ),
        ('per     = "claim"', 'per = "claim"\ntimers = ["nudge", "too_late", "remind"]'),
    )
    before = shop.dues("claim", "c")
    assert len(before) == 2
    shop.engine.activate(checkout(*changed))
    assert shop.dues("claim", "c") == before[1:]
    shop.send("claim", claim="d", payer="anna", amount_minor=5, share=0.25)
    assert len(shop.dues("claim", "d")) == 2
    shop.same_again()


def test_numbers_that_are_kept_besides_are_null_for_those_there_are(shop: Shop) -> None:
    kept = ("keep       = {amount_minor = 0, reminders = 0}", "keep = {amount_minor = 0, reminders = 0, more = 0}")
    more = 'set   = {more = "if instance.more = null then 7 else 8", reminders = '
    shop.engine.activate(checkout(kept, ("set   = {reminders = ", more)))
    shop.now_ms += HOUR_MS
    shop.engine.submit([])
    machine = shop.machine("review")
    (one,) = shop.engine.state.book.instances(machine.code)
    assert machine.numbers(one) == {"amount_minor": 20_000, "reminders": 1, "more": 7}
    shop.same_again()


def test_what_is_kept_by_place_is_not_moved_or_removed(shop: Shop) -> None:
    text = shop.refused(("keep       = {amount_minor = 0, reminders = 0}", "keep = {reminders = 0, amount_minor = 0}"))
    assert "process.review.keep: there are instances of the process (1): kept numbers, with their decimals" in text
    assert "may only be appended; was reminders (0), amount_minor (0)" in text
    assert "allowed: amount_minor (0), reminders (0), then new ones" in text
    assert "instances there are have null for new ones" in text


def test_kept_keys_stay_while_instances_live(shop: Shop) -> None:
    subject = ('until_ms = 0}\nsubject = "payer"', "until_ms = 0}")
    text = shop.refused(SILENT_JOB, ('keys    = ["payer"]', "keys = []"), subject)
    assert "instances of the process live (1 instance), which keep keys from where they began" in text
    assert "was none; allowed: payer. Keep the keys as they are, or declare a process of another name." in text


def test_parts_stay_while_instances_live(shop: Shop) -> None:
    text = shop.refused(("part.ruling", "part.verdict"))
    assert "process.claim.part: instances of the process live (1 instance), so its parts stay as they are" in text
    assert "was papers, verdict; allowed: papers, ruling" in text
    assert "old instances go on under theirs" in text


def test_the_entity_of_an_instance_stays(shop: Shop) -> None:
    text = shop.refused(SILENT_JOB, ('per     = "claim"\nkeys    = ["payer"]', 'per = "payer"\nkeys = []'),
                        ('until_ms = 0}\nsubject = "payer"', "until_ms = 0}"),
                        ('event = "checkout.papers"', 'event = "checkout.claim"'),
                        ('event = "checkout.ruling"', 'event = "checkout.claim"'),
                        ('where = "complete"', 'where = "share > 1"'))  # fmt: skip
    assert "there are instances of the process (1), which are known by keys of one entity" in text
    assert "was party.customer; allowed: checkout.claim. Declare a process of another name." in text


def test_a_process_is_not_removed_while_instances_live(shop: Shop) -> None:
    files = dict(checkout()[1].files)
    life = files["processes.toml"].decode()
    files["processes.toml"] = life[: life.index("[process.claim]")].encode()
    gone = [read_packs()["party"], read_pack(files, "checkout")]
    with pytest.raises(DeclarationError) as found:
        shop.engine.activate(gone)
    text = str(found.value)
    assert (
        "instances of the process live, and it is no longer declared; was 1 instance; allowed: none that lives" in text
    )
    assert 'with `where = "false"` at its starts so that none begins' in text
    shop.send("papers", claim="c", complete=True)
    shop.send("ruling", claim="c", granted=True)
    shop.engine.activate(gone)
    shop.same_again()


def test_old_instances_go_on_under_their_process_beside_a_new_one(shop: Shop) -> None:
    files = dict(checkout()[1].files)
    life = files["processes.toml"].decode()
    review = life[life.index("[process.review]") : life.index("[process.claim]")]
    review = review.replace('ignores    = ["checkout.answer"]', "ignores = []")
    new = review.replace("process.review", "process.review_2").replace('after = "15m"', 'after = "1h"')
    new = new.replace("where   = 'outcome = \"review\"'", "where   = 'outcome = \"review\" and amount_minor > 20000'")
    old = review.replace("where   = 'outcome = \"review\"'", 'where   = "false"')
    files["processes.toml"] = (old + new + life[life.index("[process.claim]") :]).encode()
    shop.engine.activate([read_packs()["party"], read_pack(files, "checkout")])
    shop.send("payment", payment="q", payer="anna", amount_minor=30_000)
    assert (shop.states("review", "q"), shop.states("review_2", "q")) == ({}, {"state": "asked"})
    assert shop.dues("review_2", "q") == [60 * MINUTE_MS]
    assert shop.send("answer", about="q", answer="mine") == "recorded"
    assert shop.send("answer", about="p", answer="mine") == "recorded"
    assert shop.states("review", "p") == {"state": "taken"}
    assert shop.states("review_2", "q") == {"state": "taken"}
    assert "does not allow this event now" in shop.send("answer", about="p", answer="mine")
    assert "no instance of it has begun" in shop.send("answer", about="nobody", answer="mine")
    shop.same_again()
