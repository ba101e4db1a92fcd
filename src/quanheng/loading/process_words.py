"""A life cycle in words: titles, when a timer is due, what a move needs and asks for. For diagrams and lists."""

from __future__ import annotations

from typing import Literal

from quanheng.kernel.time import format_duration
from quanheng.loading.declared_processes import Act, MoveDeclaration, StateDeclaration, TimerDeclaration
from quanheng.processes.times import Wait

Language = Literal["en", "zh"]
ACT_WORDS = {
    "en": {"transfer": "transfer", "call": "call", "notify": "notify"},
    "zh": {"transfer": "转账", "call": "调用", "notify": "通知"},
}
_WEEKDAYS = {
    "en": ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("", "周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}


def title_of(name: str, en: str, zh: str, language: Language) -> str:
    """The title in a language; where there is none, the other's, else the name."""
    return (zh or en if language == "zh" else en or zh) or name.replace("_", " ")


def wait_words(wait: Wait, language: Language = "en") -> str:
    """When a timer is due: "after 15m", "10 business days, at 12:00 America/New_York (federal_reserve)"."""
    zh = language == "zh"
    parts = []
    if wait.until:
        parts.append(f"到 {wait.until}" if zh else f"at {wait.until}")
    if wait.after_ms >= 0:
        parts.append(f"{format_duration(wait.after_ms)} 后" if zh else f"after {format_duration(wait.after_ms)}")
    if wait.months >= 0:
        parts.append(f"{wait.months} 个月" if zh else f"{wait.months} months")
    if wait.days >= 0:
        kind = ("个营业日" if zh else " business days") if wait.calendar else ("天" if zh else " days")
        parts.append(f"{wait.days} {kind}" if zh else f"{wait.days}{kind[:-1] if wait.days == 1 else kind}")
    if wait.weekday:
        parts.append(_WEEKDAYS[language][wait.weekday])
    if wait.day_of_month:
        parts.append(f"每月 {wait.day_of_month} 日" if zh else f"day {wait.day_of_month} of the month")
    if wait.time_of_day_ms >= 0:
        parts.append(f"{'' if zh else 'at '}{clock(wait.time_of_day_ms)} {wait.zone}")
    if wait.cut_off_ms >= 0:
        parts.append(f"{'截止' if zh else 'cut-off'} {clock(wait.cut_off_ms)}")
    joined = ("，" if zh else ", ").join(parts) or ("立即" if zh else "at once")
    return f"{joined} ({wait.calendar})" if wait.calendar else joined


def clock(ms: int) -> str:
    """A time of the day: "17:30"."""
    minutes = ms // 60_000
    return f"{minutes // 60:02}:{minutes % 60:02}"


def timer_words(timer: TimerDeclaration, language: Language = "en") -> str:
    """A timer with its wait: "escalation: after 4h (target), again and again, 5 times at most"."""
    words = f"{timer.name}: {wait_words(timer.wait, language)}"
    if timer.every:
        words += "，重复" if language == "zh" else ", again and again"
        if timer.times_max:
            words += f"，至多 {timer.times_max} 次" if language == "zh" else f", {timer.times_max} times at most"
    return words


def acts_words(acts: tuple[Act, ...], language: Language = "en") -> str:
    """What is asked for: "transfer hold, notify ask_payer"."""
    return ("、" if language == "zh" else ", ").join(f"{ACT_WORDS[language][one.kind]} {one.name}" for one in acts)


def cause_words(state: StateDeclaration, move: MoveDeclaration, language: Language = "en") -> str:
    """What makes a move: an event, a timer with its wait, or nothing but its condition."""
    timer = next((one for one in state.timers if move.timer and one.name == move.timer), None)
    if timer is not None:
        return timer_words(timer, language)
    return move.event or ("自动" if language == "zh" else "by itself")


def guard_words(move_where: str) -> str:
    """The condition of a move in brackets, on one line; "" = there is none."""
    return f"[{' '.join(move_where.split())}]" if move_where else ""
