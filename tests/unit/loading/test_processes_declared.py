"""What processes.toml declares as it is read, what is remarked of it, and the events of its timers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.events.schema import EventType, header_fields
from quanheng.loading import check_pack, load_packs, read_pack
from quanheng.loading.declared_processes import (
    Act,
    JobDeclaration,
    KeptKey,
    KeptNumber,
    MoveDeclaration,
    Start,
    TimerDeclaration,
)
from quanheng.loading.lineage import lineage
from quanheng.loading.process_events import TIMER_FIELDS, TIMER_TELLER
from quanheng.loading.process_steps import acts_on, events_into, steps_of
from quanheng.processes.times import Wait

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, checkout_files, checkout_pack

AVAILABLE = available()
FILE = "processes.toml"
FLOW_ON_TIMER = """
[[flow]]
when     = "review.timer.fired"
purpose  = "payment_service"
decide   = "authorise"
fallback = "decline"
refused_as = "decline"
"""
FOLD = """
[[fold]]
name   = "unanswered_90d"
of     = "review.timer.fired"
by     = ["payer"]
fold   = "count"
window = "90d"
where  = 'timer = "no_answer"'
title  = {en = "Questions that a payer left open", zh = "未答复次数"}
"""


@pytest.fixture(scope="module")
def declared():
    return load_packs(["checkout"], {**AVAILABLE, "checkout": checkout_pack()})["checkout"]


def changed(*changes: tuple[str, str, str]):
    """What is declared, what hinders and what is remarked where texts of the checkout's files are replaced."""
    files = checkout_files()
    for name, old, new in changes:
        before = files.get(name, b"").decode()
        assert old in before, (name, old)
        files[name] = before.replace(old, new, 1).encode() if old else (before + new).encode()
    declared, problems = check_pack(checkout_pack(dict(files)), AVAILABLE)
    return declared, [str(one) for one in problems], [str(one) for one in declared.warnings]


def in_processes(old: str, new: str):
    return changed((FILE, old, new))


def process_of(declared, name: str):
    return next(one for one in declared.processes.processes if one.name == name)


def event_of(declared, name: str):
    return next(one for one in declared.events if one.name == name)


def test_a_process_is_read_as_it_is_said(declared):
    review = process_of(declared, "review")
    assert (review.per, review.entity, review.subject) == ("payment", "checkout.payment", "payer")
    assert review.keys == (KeptKey("payer", "party.customer"),)
    assert review.numbers == (KeptNumber("amount_minor"), KeptNumber("reminders"))
    assert review.starts == (
        Start(
            event="checkout.payment", where='outcome = "review"', to="asked", do=(Act("transfer", "hold"),),
            refused="failed",
        ),
    )  # fmt: skip
    assert review.by == {"checkout.answer": "about"}
    assert review.ignores == ("checkout.answer",)
    assert (review.refused_as, review.migrate) == ("review", {"waiting": "asked"})
    assert (review.en, review.zh) == ("Review of a payment", "支付审核")
    assert [part.name for part in review.parts] == [""]
    assert [(one.name, one.end) for one in review.parts[0].states] == [
        ("asked", False), ("doubted", False), ("taken", True), ("released", True), ("failed", True),
    ]  # fmt: skip


def test_moves_of_timers_stand_behind_the_others_and_name_the_event_of_their_process(declared):
    moves = process_of(declared, "review").state("", "asked").moves
    assert moves == (
        MoveDeclaration(
            event="checkout.answer", where='answer = "mine"', to="taken", do=(Act("transfer", "capture"),)
        ),
        MoveDeclaration(event="checkout.answer", to="doubted"),
        MoveDeclaration(
            event="review.timer.fired", timer="no_answer", where="instance.reminders < 2", to="asked",
            set={"reminders": "instance.reminders + 1"},
        ),
        MoveDeclaration(event="review.timer.fired", timer="no_answer", to="doubted"),
    )  # fmt: skip


def test_timers_are_read_with_their_waits(declared):
    (let_go,) = process_of(declared, "review").state("", "doubted").timers
    assert let_go == TimerDeclaration(
        name="let_go",
        wait=Wait(days=2, time_of_day_ms=18 * 3_600_000, cut_off_ms=63_000_000, zone="Asia/Shanghai", calendar="china"),
    )
    nudge, too_late = process_of(declared, "claim").state("papers", "awaited").timers
    assert nudge == TimerDeclaration(
        name="nudge", wait=Wait(after_ms=7 * 86_400_000), every=True, times_max=3, stale="once",
        stale_after_ms=86_400_000, en="Papers are missing", zh="催交材料",
    )  # fmt: skip
    assert too_late.wait == Wait(months=3, roll="following", calendar="china")


@pytest.mark.parametrize(
    ("written", "wait"),
    [
        ('every = true\nat = "02:00:30"', Wait(time_of_day_ms=7_230_000)),
        ("at = 02:00:00", Wait(time_of_day_ms=7_200_000)),
        ("every = true\nafter = \"1d12h\"", Wait(after_ms=129_600_000)),
        ('weekday = "friday"', Wait(weekday=5)),
        ("every = true\nday_of_month = 31", Wait(day_of_month=31)),
        ('after = "1d"\ncalendar = "china"\nzone = "Asia/Shanghai"',
         Wait(after_ms=86_400_000, calendar="china", zone="Asia/Shanghai")),
        ('days = 0\ncalendar = "china"', Wait(days=0, calendar="china")),
        ('until = "reminders"', Wait(until="reminders")),
        ('until = "reminders"\nevery = true\nmonths = 1', Wait(until="reminders", months=1)),
        ('roll = "preceding"\ncalendar = "china"\nmonths = 1', Wait(months=1, roll="preceding", calendar="china")),
    ],
)  # fmt: skip
def test_every_wait_can_be_said(written, wait):
    declared, problems, _ = in_processes('after = "15m"', written)
    assert problems == []
    (timer,) = process_of(declared, "review").state("", "asked").timers
    assert (timer.wait, timer.every) == (wait, "every" in written)


def test_parts_go_on_side_by_side_and_the_first_is_where_an_instance_starts(declared):
    claim = process_of(declared, "claim")
    assert [(part.name, part.begins, len(part.states)) for part in claim.parts] == [
        ("papers", "awaited", 3), ("ruling", "open", 3),
    ]  # fmt: skip
    assert claim.starts == (Start(event="checkout.claim", to="awaited"),)
    alone = claim.state("ruling", "open").moves[1]
    assert alone == MoveDeclaration(event="", where='instance.papers = "missing"', to="refused")
    assert claim.numbers[0] == KeptNumber("share", 2)


def test_a_job_is_read_as_it_is_said(declared):
    assert declared.processes.jobs == (
        JobDeclaration(
            name="age", process="claim", wait=Wait(time_of_day_ms=7_200_000, zone="Asia/Shanghai"),
            states=("papers.awaited",), where="instance.rounds > 3", set={"rounds": "0"}, event="checkout.claim_aged",
            fields={"rounds": "instance.rounds"}, chunk=5_000, en="Claims that are old", zh="逾期理赔",
        ),
    )  # fmt: skip


def test_a_list_keeps_numbers_with_the_decimals_of_their_fields():
    declared, problems, _ = in_processes("keep    = {share = 2, rounds = 0, until_ms = 0}", 'keep = ["share", "time"]')
    assert [one for one in problems if "has such a field; was 'time'" in one]
    assert KeptNumber("share", 2) in process_of(declared, "claim").numbers


def test_the_event_of_timers_tells_who_which_when_and_what_is_kept(declared):
    event = event_of(declared, "review.timer.fired")
    assert (event.client, event.subject, event.time) == (TIMER_TELLER, "payer", "time_ms")
    assert event.title == {"en": "A timer fired: Review of a payment", "zh": "计时到期：支付审核"}
    fields = event.fields
    assert list(fields) == ["payment", "payer", *TIMER_FIELDS, "amount_minor", "reminders"]
    assert [fields[name].entity for name in ("payment", "payer")] == ["checkout.payment", "party.customer"]
    assert fields["payer"].data_class == "personal"
    assert fields["timer"].choices == ("no_answer", "let_go")
    assert (fields["amount_minor"].unit, fields["amount_minor"].data_class) == ("minor", "financial")
    assert all(fields[name].optional for name in ("amount_minor", "reminders"))
    share = event_of(declared, "claim.timer.fired").fields["share"]
    assert (share.kind, share.scale) == ("decimal", 2)


def test_the_event_of_timers_is_read_like_any_other(declared):
    event = EventType(event_of(declared, "review.timer.fired"), 1)
    row = event.read(
        b'{"payment": "#0", "payer": "#1", "time_ms": 5, "due_ms": 5, "late_ms": 2, "skipped": false, "serial": 7, '
        b'"timer": "let_go", "state": "doubted", "amount_minor": 300}'
    )
    assert row.subject == ("party.customer", "#1")
    assert row.values["reminders"] is None


def test_more_that_is_kept_and_more_timers_only_append_to_headers(declared):
    was = EventType(event_of(declared, "review.timer.fired"), 1)
    first = '[process.review.state.asked.timer.first]\nafter = "1m"\nto = "doubted"\n\n'
    more, problems, _ = changed(
        (FILE, "keep       = {amount_minor = 0, reminders = 0}", "keep = {amount_minor = 0, reminders = 0, more = 0}"),
        (FILE, 'per        = "payment"', 'per = "payment"\ntimers = ["no_answer", "let_go", "first"]'),
        (FILE, "[process.review.state.asked.timer.no_answer]",
         f"{first}[process.review.state.asked.timer.no_answer]"),
    )  # fmt: skip
    assert problems == []
    now = event_of(more, "review.timer.fired")
    assert was.moved(EventType(now, 1)) == []
    assert header_fields(now)[-3:] == ("amount_minor", "reminders", "more")
    assert now.fields["timer"].choices == ("no_answer", "let_go", "first")


def test_a_process_without_timers_has_no_event():
    start = FILE, "[process.claim]\n", (
        '[process.seen]\nper = "claim"\n[[process.seen.start]]\nevent = "checkout.claim"\nto = "open"\n'
        '[process.seen.state.open]\n[[process.seen.state.open.on]]\nevent = "checkout.ruling"\nto = "done"\n'
        "[process.seen.state.done]\nend = true\n\n[process.claim]\n"
    )  # fmt: skip
    declared, problems, _ = changed(start)
    assert problems == []
    assert [one.name for one in declared.events if one.client] == ["review.timer.fired", "claim.timer.fired"]


def test_flows_folds_and_other_processes_may_use_the_event_of_timers():
    other = (
        '[process.chase]\nper = "payment"\n[[process.chase.start]]\nevent = "review.timer.fired"\n'
        'where = \'timer = "let_go"\'\nto = "open"\n[process.chase.state.open]\n'
        '[[process.chase.state.open.on]]\nevent = "checkout.answer"\nto = "done"\n'
        '[process.chase.state.done]\nend = true\n\n[process.chase.by]\n"checkout.answer" = "about"\n\n[process.claim]\n'
    )
    declared, problems, _ = changed(
        ("pack.toml", "", FLOW_ON_TIMER), ("features.toml", "", FOLD), (FILE, "[process.claim]\n", other)
    )
    assert problems == []
    assert process_of(declared, "chase").entity == "checkout.payment"
    assert lineage(declared)["unanswered_90d"].made_of[0] == "review.timer.fired"


def test_a_fold_and_a_flow_are_known_in_conditions():
    declared, problems, _ = changed(
        ("features.toml", "", FOLD),
        (FILE, "where   = 'outcome = \"review\"'", "where = 'outcome = \"review\" and unanswered_90d < 3'"),
    )
    assert problems == []
    assert "unanswered_90d" in lineage(declared)["process:review"].made_of


def test_a_pack_that_requires_another_may_use_the_event_of_its_timers():
    pack = """
[pack]
name     = "above"
version  = "1.0.0"
requires = ["checkout"]
title    = {en = "Above", zh = "上层"}
outcomes = ["approve"]
"""
    process = (
        '[process.chase]\nper = "payment"\n[[process.chase.start]]\nevent = "review.timer.fired"\nto = "open"\n'
        '[process.chase.state.open]\n[process.chase.state.open.timer.end]\nafter = "1d"\nto = "done"\n'
        "[process.chase.state.done]\nend = true\n"
    )
    files = {"pack.toml": pack.encode(), "README.md": b"# above\n", FILE: process.encode()}
    packs = {**AVAILABLE, "checkout": checkout_pack()}
    declared, problems = check_pack(read_pack(files, "above"), packs)
    assert problems == ()
    assert process_of(declared, "chase").entity == "checkout.payment"
    assert [one.name for one in declared.events] == ["chase.timer.fired"]


def test_a_timer_that_nobody_hears_of_is_remarked():
    silent = '[process.review.state.doubted.timer.note]\nafter = "1d"\n\n[process.review.state.taken]'
    _, problems, warnings = in_processes("[process.review.state.taken]", silent)
    assert problems == []
    assert warnings == [
        (
            "processes.toml: process.review.state.doubted.timer.note: the timer moves nothing, and nothing of the pack "
            "reads review.timer.fired. Say where it leads: to."
        )
    ]
    heard = changed((FILE, "[process.review.state.taken]", silent), ("features.toml", "", FOLD))
    assert heard[1:] == ([], [])


def test_postings_that_only_processes_ask_for_are_asked_for(declared):
    assert declared.warnings == ()
    _, problems, warnings = in_processes('do       = ["transfer:release"]\n', "")
    assert [one for one in problems if not one.startswith("cases/")] == []
    assert [one.partition(".")[0] for one in warnings] == ["accounts"]
    assert "posting.release: no flow asks for this posting" in warnings[0]


def test_acts_are_known_by_event(declared):
    review = process_of(declared, "review")
    assert acts_on(review, "checkout.payment") == (Act("transfer", "hold"),)
    assert acts_on(review, "checkout.answer") == (Act("transfer", "capture"),)
    assert acts_on(review, "review.timer.fired") == (Act("transfer", "release"),)
    assert acts_on(review, "checkout.claim") == ()


def test_what_is_asked_for_stands_in_the_order_in_which_it_is_made():
    declared, problems, _ = changed(
        (FILE, "[process.review.state.doubted]\n",
         '[process.review.state.doubted]\nentry = []\nexit = ["transfer:hold"]\n'),
        (FILE, "[process.review.state.released]\n",
         '[process.review.state.released]\nentry = ["transfer:capture"]\n'),
    )  # fmt: skip
    step = next(one for one in steps_of(process_of(declared, "review")) if one.place.state == "doubted")
    assert [(ask.act.name, ask.place.key) for ask in step.asks] == [
        ("hold", "exit"), ("release", "do"), ("capture", "entry"),
    ]  # fmt: skip
    assert [one.partition(":")[0] for one in problems] == ["accounts.toml"]  # The timer has no key field `about`.


def test_a_move_by_itself_is_made_behind_every_event_that_may_lead_to_it():
    first = '[[process.review.state.doubted.on]]\nwhere = "instance.reminders > 5"\nto = "odd"\n\n'
    odd = '[process.review.state.odd]\n[[process.review.state.odd.on]]\nwhere = "amount_minor > 1"\nto = "released"\n\n'
    declared, problems, _ = in_processes(
        "[process.review.state.taken]\n", f"{first}{odd}[process.review.state.taken]\n"
    )
    review = process_of(declared, "review")
    assert events_into(review, "", "odd") == ("checkout.answer", "review.timer.fired")
    assert [one.partition("; was")[0] for one in problems] == [
        (
            "processes.toml: process.review.state.odd.on[1].where: the expression uses a name that is not known for "
            "checkout.answer"
        ),
    ]


@pytest.mark.parametrize("name", [FILE, "events.toml", "pack.toml", "accounts.toml"])
def test_what_reads_a_file_that_cannot_be_read_is_not_blamed(name):
    files = {**checkout_files(), name: checkout_files()[name] + b"\n[broken"}
    _, problems = check_pack(checkout_pack(dict(files)), AVAILABLE)
    assert [one.file for one in problems] == [name], "\n".join(map(str, problems))


def test_lineage_leads_from_events_over_processes_to_transfers_and_jobs(declared):
    nodes = lineage(declared)
    review = nodes["process:review"]
    assert review.text == "one for each payment, in one of asked, doubted, taken, released, failed"
    assert {"checkout.payment", "review.timer.fired", "checkout.answer.answer", "checkout.authorise"} <= set(
        review.made_of
    )
    assert review.used_by == ("transfer:hold.principal", "transfer:capture.principal", "transfer:release.principal")
    assert nodes["transfer:release.principal"].made_of == (
        "transfer:hold.principal", "review.timer.fired.payment", "process:review",
    )  # fmt: skip
    assert nodes["review.timer.fired.payer"].made_of == ("checkout.payment.payer",)
    assert nodes["job:age"].text == (
        "instances of claim in papers.awaited, where instance.rounds > 3, sends checkout.claim_aged"
    )
    assert nodes["process:claim"].used_by == ("job:age",)
    assert review.data_class == "financial"


def test_a_state_may_be_reached_by_a_job_or_by_instances_of_an_earlier_version():
    left = '[process.review.state.old]\n[[process.review.state.old.on]]\nevent = "checkout.answer"\nto = "taken"\n\n'
    by_migration = changed(
        (FILE, "[process.review.state.taken]\n", f"{left}[process.review.state.taken]\n"),
        (FILE, '{waiting = "asked"}', '{waiting = "old"}'),
    )
    job = '[job.back]\nevery = "1d"\nprocess = "review"\nstates = ["doubted"]\nto = "old"\n\n'
    by_job = changed(
        (FILE, "[process.review.state.taken]\n", f"{left}[process.review.state.taken]\n"),
        (FILE, "[job.age]", f"{job}[job.age]"),
    )
    assert by_migration[1] == by_job[1] == []


def test_a_declaration_with_problems_still_has_what_could_be_read():
    declared, problems, _ = in_processes('to    = "taken"', 'to    = "token"')
    assert problems
    assert process_of(declared, "review").state("", "asked").moves[0] == replace(
        MoveDeclaration(event="checkout.answer", where='answer = "mine"', do=(Act("transfer", "capture"),)), to="token"
    )
