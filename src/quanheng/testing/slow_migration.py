"""Life cycles that are declared anew while instances live, the plain way. The twin of `migrating.py`."""

from __future__ import annotations

from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.testing.slow_process import SlowInstance, SlowProcess, SlowTimer
from quanheng.testing.slow_times import slow_due


def migrate(process: SlowProcess, declared: ProcessDeclaration, now_ms: int) -> dict[str, int]:
    """Go on under a later declaration, unless live instances are in states that it neither has nor leads out of:
    those states with how many instances are returned, and nothing has changed."""
    lost: dict[str, int] = {}
    states = {(part.name, state.name) for part in declared.parts for state in part.states}
    paths = {
        (key, part): f"{part}.{name}" if part else name
        for key, one in process.instances.items() if not process.is_over(one)
        for part, name in one.states.items() if (part, name) not in states
    }  # fmt: skip
    for path in paths.values():
        if path not in declared.migrate:
            lost[path] = lost.get(path, 0) + 1
    if lost:
        return lost
    live = [key for key, one in process.instances.items() if not process.is_over(one)]
    process.declared = declared
    for key, one in process.instances.items():
        for number in declared.numbers:
            one.numbers.setdefault(number.name, None)
        for part in one.states if key in live else ():
            _lead(process, one, part, declared.migrate[paths[key, part]] if (key, part) in paths else "", now_ms)
    return {}


def _lead(process: SlowProcess, one: SlowInstance, part: str, path: str, now_ms: int) -> None:
    """Lead a part to another state, or take away the timers that its state has no longer."""
    waiting = {timer.name: timer for timer in one.timers if timer.part == part}
    state = process.state(part, path.rpartition(".")[2] or one.states[part])
    for timer in waiting.values():
        if path or timer.name not in [each.name for each in state.timers]:
            one.timers.remove(timer)
            one.steps += not path
    if not path:
        return
    one.states[part], one.entered_ms[part] = state.name, now_ms
    one.steps += 1
    for each in state.timers:
        until = one.numbers.get(each.wait.until) if each.wait.until else None
        due = slow_due(each.wait, now_ms, None if until is None else int(until), process.calendars)
        was = waiting.get(each.name)
        if was is not None or due is not None:
            moment, times = (was.due_ms, was.times) if was is not None else (due.due_ms if due else 0, 1)
            one.timers.append(SlowTimer(process.next_serial, part, state.name, each.name, moment, times))
            process.next_serial += 1
