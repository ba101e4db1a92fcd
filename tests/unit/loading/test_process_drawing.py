"""Diagrams of life cycles: what stands in them, in both languages."""

from __future__ import annotations

from lxml import etree

from quanheng.loading.declared_processes import (
    Act,
    MoveDeclaration,
    PartDeclaration,
    ProcessDeclaration,
    Start,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.loading.process_drawing import mermaid, svg
from quanheng.loading.process_words import timer_words, wait_words
from quanheng.processes.times import Wait

HOUR_MS = 3_600_000


def process(*parts: PartDeclaration) -> ProcessDeclaration:
    start = Start(
        event="shop.asked", where='outcome = "review"', to="open", do=(Act("transfer", "hold"),), refused="dead"
    )
    return ProcessDeclaration(
        name="order", per="order", entity="shop.order", starts=(start,), parts=parts, en="An order", zh="订单"
    )


OPEN = StateDeclaration(
    name="open",
    en="Open: a & b",
    zh="已开",
    entry=(Act("call", "ask"), Act("notify", "tell")),
    exit=(Act("notify", "gone"),),
    moves=(
        MoveDeclaration(event="shop.paid", where='sum > "1"', to="paid", refused="dead"),
        MoveDeclaration(event="shop.note", do=(Act("notify", "tell"),)),
        MoveDeclaration(event="order.timer.fired", timer="late", to="dead"),
    ),
    timers=(
        TimerDeclaration(name="late", wait=Wait(after_ms=HOUR_MS)),
        TimerDeclaration(name="told", wait=Wait(days=2)),
    ),
)
ENDS = (StateDeclaration(name="paid", end=True), StateDeclaration(name="dead", end=True))
ONE = process(PartDeclaration(name="", states=(OPEN, *ENDS)))


def test_mermaid_has_states_moves_timers_and_ends():
    assert mermaid(ONE).splitlines() == [
        "stateDiagram-v2",
        "    direction TB",
        "    open: Open∶ a & b",
        "    open: entry / call ask, notify tell",
        "    open: exit / notify gone",
        "    open: ↻ shop.note / notify tell",
        "    open: ⏱ told∶ 2 days",
        "    paid: paid",
        "    dead: dead",
        '    [*] --> open: shop.asked [outcome = "review"] / transfer hold',
        "    [*] --> dead: the ledger refuses",
        '    open --> paid: shop.paid [sum > "1"]',
        "    open --> dead: the ledger refuses",
        "    open --> dead: late∶ after 1h",
        "    paid --> [*]",
        "    dead --> [*]",
    ]


def test_parts_of_a_process_are_boxes_of_their_own_with_names_of_their_own():
    alone = MoveDeclaration(event="", where='instance.left = "paid"', to="over")
    right = PartDeclaration(name="right", begins="wait", states=(
        StateDeclaration(name="wait", moves=(alone,)), StateDeclaration(name="over", end=True)))  # fmt: skip
    lines = mermaid(process(PartDeclaration(name="left", states=(OPEN, *ENDS)), right), "zh").splitlines()
    assert "    state left {" in lines
    assert "    state right {" in lines
    assert "        left_open: 已开" in lines
    assert "        [*] --> right_wait: shop.asked" in lines
    assert '        right_wait --> right_over: 自动 [instance.left = "paid"]' in lines


def test_the_svg_is_xml_with_every_title_and_label():
    for language, words in (("en", ("An order", "Open: a & b", "shop.paid")), ("zh", ("订单", "已开", "账本拒绝"))):
        root = etree.fromstring(svg(ONE, language).encode())
        texts = {text.text for text in root.iter("{*}text")}
        assert set(words) <= texts
        boxes = [one for one in root.iter("{*}rect") if one.get("class", "").startswith("box")]
        assert len(boxes) == 3
        assert sum("over" in one.get("class") for one in boxes) == 2
        assert sum("no" in one.get("class").split() for one in root.iter("{*}path")) == 2
    assert svg(ONE) == svg(ONE)


def test_long_labels_go_on_in_the_next_line():
    move = MoveDeclaration(event="shop.paid", where=" and ".join(f"amount_{n} > {n}" for n in range(12)), to="paid")
    state = StateDeclaration(name="open", moves=(move,))
    root = etree.fromstring(svg(process(PartDeclaration(name="", states=(state, *ENDS)))).encode())
    assert max(len(text.text or "") for text in root.iter("{*}text")) <= 50


def test_waits_in_words():
    assert wait_words(Wait(after_ms=900_000)) == "after 15m"
    assert wait_words(Wait(after_ms=4 * HOUR_MS, calendar="china")) == "after 4h (china)"
    due = Wait(days=10, time_of_day_ms=12 * HOUR_MS, zone="America/New_York", calendar="fed", cut_off_ms=17 * HOUR_MS)
    assert wait_words(due) == "10 business days, at 12:00 America/New_York, cut-off 17:00 (fed)"
    assert wait_words(due, "zh") == "10 个营业日，12:00 America/New_York，截止 17:00 (fed)"
    assert wait_words(Wait(days=1)) == "1 day"
    assert wait_words(Wait(months=3, weekday=1)) == "3 months, Monday"
    assert wait_words(Wait(until="due_ms")) == "at due_ms"
    assert wait_words(Wait(day_of_month=15), "zh") == "每月 15 日"
    again = TimerDeclaration(name="nudge", wait=Wait(days=1), every=True, times_max=5)
    assert timer_words(again) == "nudge: 1 day, again and again, 5 times at most"
    assert timer_words(again, "zh") == "nudge: 1 天，重复，至多 5 次"
