# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Lists through the engine: changes, four eyes, expiry, restarts, snapshots, replay, erasure."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from shop import DAY_MS, T0, HandClock
from test_governing import drafted, take

from quanheng import recovery
from quanheng.decisions.lists import CHANGE_ENTRIES_MAX, ListEvent, ListVerdict, entity_of
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import DeclarationError, InputError, NotFound, NotPermitted
from quanheng.listing import AskedChange, history
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files
from quanheng.past.backtest import Settings, backtest
from quanheng.past.explaining import explain_decision
from quanheng.past.versions import Asked
from quanheng.replay import replay
from quanheng.state import LIST_CHANGED


def opened(folder, clock=None, **options) -> Engine:
    engine = Engine.open(folder / "data", clock=clock or HandClock(), **options)
    if engine.state.program.activation < 0:
        packs = read_packs()
        engine.activate([packs["party"], packs["card_fraud"]])
    return engine


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def engine(tmp_path, clock):
    engine = opened(tmp_path, clock)
    yield engine
    engine.close()


def change(engine, *values, change="add", name="blocked_devices", actor="ann", **more) -> dict:
    asked = AskedChange(name, change, values, actor, **more)
    return engine.lists.change(engine.lists.prepare(asked), engine.four_eyes)


def pay(engine, id, **more):
    data = {"time_ms": T0, "customer": "anna", "terminal": "kiosk", "amount_minor": 2500, "currency": "EUR"}
    data |= {"channel": "web", **more}
    reply = engine.submit([Request("web", id, "card.payment", json.dumps(data).encode())])[0]
    assert not reply.error, reply.error
    return reply


def listed(engine, id, device) -> bool:
    return "device_blocked" in pay(engine, id, device=device).reasons


def fresh(engine) -> str:
    return recovery.rebuild(engine.log, engine.content, None).digest()


def test_an_entry_decides_from_its_own_offset_on(engine):
    assert not listed(engine, "p1", "d1")
    done = change(engine, "d1", "d2", reason="stolen")
    assert done == {
        "list": "card_fraud.blocked_devices", "change": "add", "offset": engine.state.head - 1, "entries": 2,
        "waiting": False,
    }  # fmt: skip
    reply = pay(engine, "p2", device="d1")
    assert (reply.outcome, "device_blocked" in reply.reasons) == ("decline", True)
    assert not listed(engine, "p3", "d3")
    change(engine, "d1", change="remove")
    assert not listed(engine, "p4", "d1")
    assert listed(engine, "p5", "d2")
    assert engine.state.digest() == fresh(engine)


def test_a_decision_from_before_a_change_is_replayed_as_it_was(engine, tmp_path):
    before = pay(engine, "p1", device="d1")
    change(engine, "d1")
    during = pay(engine, "p2", device="d1")
    change(engine, "d1", change="remove")
    after = pay(engine, "p3", device="d1")
    assert [one.outcome == "decline" for one in (before, during, after)] == [False, True, False]
    write_snapshot(tmp_path / "data")
    for snapshots in (None, engine.snapshots):
        for one in (before, during, after):
            report = replay(engine.reader, snapshots, one.decision)
            assert report.same, report


def test_an_entry_expires_by_the_received_clock(engine, clock):
    change(engine, "d1", for_ms=DAY_MS)
    change(engine, "d2", until_ms=T0 + 2 * DAY_MS)
    change(engine, "d3")
    clock.now_ms = T0 + DAY_MS - 1
    assert listed(engine, "p1", "d1")
    clock.now_ms = T0 + DAY_MS
    assert not listed(engine, "p2", "d1")
    assert listed(engine, "p3", "d2")
    assert engine.lists.sizes()["lists"][0]["entries"] == 2
    clock.now_ms = T0 + 179 * DAY_MS
    assert not listed(engine, "p4", "d2")
    assert listed(engine, "p5", "d3")
    clock.now_ms = T0 + 180 * DAY_MS  # What lists.toml declares.
    assert not listed(engine, "p6", "d3")
    assert engine.lists.find("blocked_devices", "d3") == {
        "list": "card_fraud.blocked_devices", "value": "d3", "listed": False,
    }  # fmt: skip
    change(engine, "d3")
    assert listed(engine, "p7", "d3")


def test_a_restart_and_a_snapshot_know_the_same(tmp_path):
    engine = opened(tmp_path)
    change(engine, *(f"d{number}" for number in range(CHANGE_ENTRIES_MAX + 5)), reason="a leak")
    change(engine, "d7", change="remove")
    engine.four_eyes = True
    waiting = change(engine, "d9", change="remove")["offset"]
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    write_snapshot(tmp_path / "data", check=True)
    engine = opened(tmp_path)
    assert engine.state.digest() == live
    assert [listed(engine, f"p{device}", f"d{device}") for device in (6, 7, CHANGE_ENTRIES_MAX + 4)] == [
        True,
        False,
        True,
    ]
    engine.lists.judge(ListVerdict(waiting, True, "bob"))
    assert not listed(engine, "q9", "d9")
    assert engine.state.digest() == fresh(engine)
    engine.close()


def test_a_large_change_is_several_events_in_one_batch(engine):
    head = engine.log.head
    change(engine, *(f"d{number}" for number in range(2 * CHANGE_ENTRIES_MAX + 1)))
    assert engine.log.head == head + 3
    assert [row.count for row in engine.log.read(head)] == [3]
    assert engine.lists.sizes()["lists"][0]["entries"] == 2 * CHANGE_ENTRIES_MAX + 1


def test_recovery_needs_no_keys(engine, tmp_path):
    change(engine, "d1")
    assert "d1" not in engine.log.record(engine.log.head - 1).payload.decode()
    for file in (tmp_path / "data-keys").glob("keys.db*"):
        file.rename(file.with_name("away-" + file.name))
    assert fresh(engine) == engine.state.digest()


# Four eyes


def test_with_four_eyes_a_change_waits_for_another_person(engine):
    engine.four_eyes = True
    done = change(engine, "d1", reason="stolen")
    assert done["waiting"] is True
    assert not listed(engine, "p1", "d1")
    assert engine.lists.sizes()["waiting"] == [
        {
            "offset": done["offset"], "list": "card_fraud.blocked_devices", "change": "add", "entries": 1,
            "complete": True, "actor": "ann", "reason": "stolen", "until": "2026-07-14T10:00:00.000Z",
        }
    ]  # fmt: skip
    assert engine.lists.entries(str(done["offset"]))["shown"] == [{"value": "d1"}]
    with pytest.raises(
        NotPermitted, match=r"whoever proposed a change of a list cannot judge it; was ann\. Ask another"
    ):
        engine.lists.judge(ListVerdict(done["offset"], True, "ann"))
    with pytest.raises(InputError, match=r"a rejection needs a reason\. Give one with --reason"):
        engine.lists.judge(ListVerdict(done["offset"], False, "bob"))
    engine.lists.judge(ListVerdict(done["offset"], True, "bob"))
    assert listed(engine, "p2", "d1")
    with pytest.raises(InputError, match="no change of a list waits there"):
        engine.lists.judge(ListVerdict(done["offset"], True, "bob"))
    assert engine.state.digest() == fresh(engine)


def test_a_rejected_change_never_comes_into_force(engine):
    engine.four_eyes = True
    done = change(engine, "d1")
    engine.lists.judge(ListVerdict(done["offset"], False, "bob", "the wrong device"))
    assert not listed(engine, "p1", "d1")
    assert engine.lists.sizes()["waiting"] == []
    told = history(engine.reader, "blocked_devices")
    assert [(one["change"], one["actor"], one["reason"]) for one in told] == [
        ("add", "ann", ""), ("reject", "bob", "the wrong device"),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="no change of a list waits there"):
        engine.lists.entries(str(done["offset"]))


# Reading, and what is refused


def test_entries_are_shown_in_clear_newest_first(engine, clock):
    change(engine, "d1", "d2", reason="stolen")
    clock.now_ms += 1000
    change(engine, "d3", "d1", actor="bob", for_ms=DAY_MS)
    shown = engine.lists.entries("card_fraud.blocked_devices")["shown"]
    assert [(one["value"], one["by"], one["reason"]) for one in shown] == [
        ("d3", "bob", ""), ("d1", "bob", ""), ("d2", "ann", "stolen"),
    ]  # fmt: skip
    assert shown[0]["until"] == "2026-01-16T10:00:01.000Z"
    assert len(engine.lists.entries("blocked_devices", 2)["shown"]) == 2
    found = engine.lists.find("blocked_devices", "d2")
    assert (found["listed"], found["by"], found["since"]) == (True, "ann", "2026-01-15T10:00:00.000Z")


def test_an_erased_subject_stays_on_the_list_and_its_clear_text_is_gone(engine):
    change(engine, "d1", "d2")
    engine.erase("party.device", "d1")
    shown = engine.lists.entries("blocked_devices")["shown"]
    assert [one["value"] for one in shown] == [None, "d2"]
    assert listed(engine, "p1", "d1")  # The keyed pseudonym of the id is the same for ever.
    change(engine, "d1", change="remove")
    assert not listed(engine, "p2", "d1")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (AskedChange("nothing", "add", ["a"]), "no pack in force declares such a list; was 'nothing'; allowed: card_fraud."),
        (AskedChange("blocked_devices", "add", []), "these values cannot stand on a list; was 0 values"),
        (AskedChange("blocked_devices", "add", ["a", ""]), "was a value of 0 characters; allowed: 1 to 1000000 values"),
        (AskedChange("blocked_devices", "add", ["a"], until_ms=T0), "the entries would have expired already"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_on_a_list(engine, asked, text):
    head = engine.log.head
    with pytest.raises(InputError) as error:
        engine.lists.change(engine.lists.prepare(asked), False)
    assert text in str(error.value)
    assert engine.log.head == head


def test_a_name_that_two_packs_have_needs_its_pack(engine):
    declared = b'[list.blocked_devices]\ntitle = {en = "Blocked", zh = "x"}\nkind = "deny"\nof = "text"\n'
    engine.activate([read_pack({**starter_files("shop"), "lists.toml": declared}, "shop")])
    with pytest.raises(NotFound, match="several packs declare a list of that name; was 'blocked_devices'"):
        change(engine, "d1")
    change(engine, "d1", name="shop.blocked_devices")
    assert not listed(engine, "p1", "d1")
    assert [one["value"] for one in engine.lists.entries("shop.blocked_devices")["shown"]] == ["d1"]


def test_the_past_is_asked_under_the_lists_of_its_own_moment(engine, clock):
    """The deciding version says again what it said, whatever was put on a list, expired or was taken off later."""
    for number in range(12):
        pay(engine, f"p{number}", device=f"d{number % 3}", terminal=f"t{number % 2}")
        if number == 2:
            change(engine, "d1", until_ms=clock() + 5 * DAY_MS)
        if number == 5:
            change(engine, "t1", name="watched_terminals")
        if number == 8:
            change(engine, "d1", change="remove")
        clock.now_ms += DAY_MS // 2
    for columns in (True, False):
        settings = Settings("card_fraud", Asked("active", None), Asked("recorded", None), columns=columns)
        found = backtest(engine.reader, read_packs(), settings)
        assert (found["decisions"], found["changed"], found["only_reasons"]) == (12, 0, 0)
        assert found["candidate"]["engine"]["mode"] == ("columns" if columns else "rows")
        assert "wholly by rows" not in found["candidate"]["engine"]["why"]


@pytest.mark.parametrize(("changes", "by_rows"), [(6, False), (60, True)])
def test_whole_columns_ask_the_lists_as_of_each_decision(engine, clock, changes, by_rows):
    """Payments without a device, entries that expire, come again and go, in random order: both engines say the same."""
    rng = random.Random(changes)
    for number in range(150):
        if rng.random() < changes / 150:
            name, value = rng.choice([("blocked_devices", f"d{rng.randint(0, 3)}"), ("watched_terminals", "t1")])
            kind = rng.choice(["add", "add", "remove"])
            until = {"until_ms": clock() + rng.randint(1, 40) * 60_000} if kind == "add" and rng.random() < 0.5 else {}
            change(engine, value, name=name, change=kind, **until)
        device = {"device": f"d{rng.randint(0, 5)}"} if rng.random() < 0.8 else {}
        pay(engine, f"p{number}", terminal=f"t{rng.randint(0, 2)}", customer=f"c{number}", **device)
        clock.now_ms += 60_000
    reports = []
    for columns in (True, False):
        settings = Settings("card_fraud", Asked("active", None), Asked("recorded", None), columns=columns)
        reports.append(backtest(engine.reader, read_packs(), settings))
        engines = reports[-1]["candidate"].pop("engine")
        assert ("1 chunks wholly by rows" in engines["why"]) is (columns and by_rows)
    assert reports[0] == reports[1]
    assert (reports[0]["decisions"], reports[0]["changed"], reports[0]["only_reasons"]) == (150, 0, 0)
    assert reports[0]["matrix"][2][2] > 5


@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
def test_two_arms_are_each_asked_under_the_lists_of_their_moments(engine, columns):
    """Decisions of two arms are read one arm after the other, over the same stretch of the log."""
    files = {**read_packs()["card_fraud"].files, "README.md": b"# the same, tried\n"}
    hash = drafted(engine, files=files, pack="card_fraud")
    take(engine, "share", version=hash, pack="card_fraud", share_bp=5_000)
    for number in range(60):
        pay(engine, f"p{number}", customer=f"c{number}")
        if number in (20, 40):
            change(engine, "kiosk", name="watched_terminals", change="add" if number == 20 else "remove")
    settings = Settings("card_fraud", Asked("active", None), Asked("recorded", None), columns=columns)
    found = backtest(engine.reader, read_packs(), settings)
    assert (found["decisions"], found["changed"], found["matrix"][1][1]) == (60, 0, 20)


def test_an_explanation_knows_the_lists_of_then(engine):
    change(engine, "d1")
    declined = pay(engine, "p1", device="d1")
    change(engine, "d1", change="remove")
    found = explain_decision(engine.reader, declined.decision)
    assert found.outcome == "decline"
    assert next(one.code for one in found.reasons) == "device_blocked"


# Parts of one change


def part(engine, *values, first=None, more=True, **told):
    return change(engine, *values, first=first, more=more, **told)


def test_a_change_in_parts_waits_as_one_and_is_approved_once_all_have_come(engine):
    engine.four_eyes = True
    first = part(engine, "d1", "d2", for_ms=DAY_MS, reason="stolen")["offset"]
    assert not listed(engine, "p1", "d1")  # A decision between the parts.
    assert part(engine, "d3", first=first)["offset"] == first
    [waiting] = engine.lists.sizes()["waiting"]
    assert (waiting["offset"], waiting["entries"], waiting["complete"]) == (first, 3, False)
    with pytest.raises(
        InputError, match=r"the change is not complete: parts of it have not come.* if it was broken off"
    ):
        engine.lists.judge(ListVerdict(first, True, "bob"))
    part(engine, "d4", first=first, more=False)
    engine.lists.judge(ListVerdict(first, True, "bob"))
    assert [listed(engine, f"q{device}", device) for device in ("d1", "d3", "d4", "d5")] == [True, True, True, False]
    found = engine.lists.find("blocked_devices", "d4")
    assert (found["reason"], found["until"]) == ("stolen", "2026-01-16T10:00:00.000Z")  # As its first part has it.
    assert engine.state.digest() == fresh(engine)


def test_a_change_that_was_broken_off_can_be_rejected(engine):
    engine.four_eyes = True
    first = part(engine, "d1")["offset"]
    engine.lists.judge(ListVerdict(first, False, "bob", "the file broke off"))
    assert engine.lists.sizes()["waiting"] == []
    with pytest.raises(InputError, match="there is no change to go on with"):
        part(engine, "d2", first=first)


def test_only_an_open_change_of_the_same_person_and_list_goes_on(engine):
    first = part(engine, "d1")["offset"]
    reply = pay(engine, "p2")
    for told in (
        {"first": first, "actor": "bob"},
        {"first": first, "change": "remove"},
        {"first": first, "name": "watched_terminals"},
        {"first": reply.offset},
        {"first": 10_000},
        {"first": change(engine, "d7")["offset"]},
    ):
        with pytest.raises(InputError, match=r"there is no change to go on with.*of which more was announced"):
            part(engine, "d2", **told)
    assert part(engine, "d2", first=first, more=False)["waiting"] is False


def test_a_change_in_parts_comes_into_force_as_one(engine):
    """Also where nobody else is asked: with its last part, in the same durable batch."""
    first = part(engine, "d1", reason="stolen")["offset"]
    assert part(engine, "d2", first=first)["waiting"] is True
    assert not listed(engine, "p1", "d1")
    assert part(engine, "d3", first=first, more=False)["waiting"] is False
    assert [listed(engine, f"q{device}", device) for device in ("d1", "d2", "d3")] == [True, True, True]
    assert engine.lists.sizes()["waiting"] == []
    told = [(one["change"], one["of"]) for one in history(engine.reader)]
    assert told == [("add", first)] * 3 + [("approve", first)]
    assert engine.state.digest() == fresh(engine)


# What a list is of


def of_texts():
    files = dict(read_packs()["card_fraud"].files)
    files["lists.toml"] = files["lists.toml"].replace(b'of      = "party.device"', b'of      = "text"')
    return read_pack(files, "card_fraud")


def test_what_a_list_is_of_stays_while_it_holds_entries_or_changes_wait(engine, clock):
    change(engine, "d1", for_ms=DAY_MS)
    told = (
        "card_fraud/lists.toml: list.blocked_devices.of: the list holds entries, or changes of it wait, so what it is "
        "of stays as it is; was text; allowed: party.device. Declare a list of another name; or remove its entries and "
        "judge the changes that wait first."
    )
    with pytest.raises(DeclarationError) as caught:
        engine.activate([of_texts()])
    assert [str(one) for one in caught.value.problems] == [told]
    change(engine, "d1", change="remove")
    proposed = engine.propose([of_texts()])  # Nothing hinders it now; then a change comes in between.
    engine.four_eyes = True
    waiting = change(engine, "d2")
    engine.four_eyes = False
    with pytest.raises(DeclarationError, match="what it is of stays as it is"):
        engine.put_in_force(proposed)
    engine.lists.judge(ListVerdict(waiting["offset"], False, "bob", "no"))
    prepared = engine.lists.prepare(AskedChange("blocked_devices", "add", ["d3"], "ann"))
    engine.put_in_force(proposed)
    with pytest.raises(InputError, match="other packs were put in force meanwhile"):
        engine.lists.change(prepared, False)
    change(engine, "d1")
    assert listed(engine, "p1", "d1")
    assert engine.state.digest() == fresh(engine)


def test_entries_that_have_expired_do_not_hold_a_list_to_what_it_is_of(engine, clock):
    change(engine, "d1", for_ms=DAY_MS)
    clock.now_ms += 2 * DAY_MS
    pay(engine, "p1")
    engine.activate([of_texts()])
    assert engine.lists.sizes()["lists"][0]["of"] == "text"


def test_texts_of_a_list_that_no_person_stands_behind_are_sealed_together(engine):
    engine.activate([of_texts()])
    done = change(engine, "till-a", "till-b", "till-c")
    record = engine.log.record(done["offset"])
    assert record.payload.count(b"till-a") == 0
    assert [one["value"] for one in engine.lists.entries("blocked_devices")["shown"]] == ["till-a", "till-b", "till-c"]
    change(engine, "till-b", change="remove")
    assert [one["value"] for one in engine.lists.entries("blocked_devices")["shown"]] == ["till-a", "till-c"]


def test_texts_that_were_sealed_one_by_one_are_still_read(engine):
    """As lists of texts were kept at first."""
    engine.activate([of_texts()])
    name, ring = "card_fraud.blocked_devices", engine.ring
    key, shared = ring.pseudonym(entity_of(name, "text"), "d9"), ring.pseudonym("list", name)
    [text] = ring.seal_many([shared], [name.encode() + b"\0" + key], [b"d9"])
    sealed = msgspec.Raw(msgspec.json.encode([b"l" + text]))
    engine.writer.record(LIST_CHANGED, ListEvent(name, "text", "add", engine.state.head, key, "ann", sealed=sealed))
    assert [one["value"] for one in engine.lists.entries("blocked_devices")["shown"]] == ["d9"]
    assert listed(engine, "p1", "d9")
