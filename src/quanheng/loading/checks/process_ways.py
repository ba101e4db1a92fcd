"""Ways through the states of processes.toml: every state can be reached, and from each one an end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from quanheng.kernel.errors import Problem
from quanheng.loading.checks.processes import FILE, ProcessDraft
from quanheng.loading.checks.states import PartDraft, StateDraft
from quanheng.loading.declared_processes import JobDeclaration, MoveDeclaration
from quanheng.loading.notes import Words

Ways = dict[str, set[str]]
BY_ITSELF_MAX = 64


def check_ways(draft: ProcessDraft, jobs: Sequence[JobDeclaration], told: bool) -> None:
    """Check how the states of a process hang together. Nothing is said where some of it could not be read.

    Parameters
    ----------
    jobs : of the pack: they move instances too
    told : whether something of the pack hears of its timers besides the process
    """
    for state in draft.states:
        _check_never_made(state)
        _check_timers(draft, state, told)
    _check_starts(draft)
    _check_alone(draft)
    if not draft.sound:
        return
    for number, part in enumerate(draft.parts):
        begins = {part.part.begins} if number else {
            state for one in draft.starts for state in (one.start.to, one.start.refused)
        }  # fmt: skip
        led = {new.rpartition(".")[2] for new in draft.process.migrate.values() if _is_in(part, new)}
        ways = _ways(part, [one for one in jobs if one.process == draft.process.name])
        _check_reached(part, _reached(ways, (begins | led) & ways.keys()))
        _check_ends(draft, part, ways)
        _check_rounds(part)


def _is_in(part: PartDraft, written: str) -> bool:
    return written.rpartition(".")[0] == part.part.name


def _ways(part: PartDraft, jobs: Sequence[JobDeclaration]) -> Ways:
    """From each state of a part to those that a move, a refusal or a job leads to."""
    ways: Ways = {one.state.name: set() for one in part.states}
    for one in part.states:
        ways[one.state.name] |= {to for move in one.state.moves for to in (move.to, move.refused) if to}
    for job in jobs:
        own = [name.rpartition(".")[2] for name in job.states if _is_in(part, name)]
        for name in own:
            if job.to in ways and name in ways:
                ways[name].add(job.to)
    return ways


def _reached(ways: Mapping[str, Iterable[str]], begins: Iterable[str]) -> set[str]:
    """States that can be reached from some, these among them."""
    found: set[str] = set()
    waiting = list(begins)
    while waiting:
        state = waiting.pop()
        if state not in found:
            found.add(state)
            waiting += ways.get(state, ())
    return found


def _check_reached(part: PartDraft, reached: Collection[str]) -> None:
    for one in part.states:
        if one.state.name not in reached:
            cure = "Lead a move to it, or remove it."
            one.table.problem("", "nothing leads to the state", found=one.state.name, cure=cure)


def _check_ends(draft: ProcessDraft, part: PartDraft, ways: Ways) -> None:
    """A state is an end, or leads on, and at last to an end."""
    ends = {one.state.name for one in part.states if one.state.end}
    if not ends:
        what = f"the part {part.part.name}" if part.part.name else "the process"
        message, cure = f"no state of {what} is an end, so no instance is ever over", "Write end = true in one."
        part.table.problem("state", message, known=[one.state.name for one in part.states], cure=cure)
        return
    stuck = {name for name, others in ways.items() if not others - {name} and name not in ends}
    back: Ways = {name: set() for name in ways}
    for name, others in ways.items():
        for other in others & back.keys():
            back[other].add(name)
    ending = _reached(back, ends | stuck)
    for one in part.states:
        if one.state.name in stuck:
            cure = "Give it a move with `to`, or write end = true."
            one.table.problem("", "the state is no end, and nothing leads out of it", found=one.state.name, cure=cure)
        elif one.state.name not in ending:
            round = " → ".join(_walk(ways, one.state.name))
            cure = "Lead a move of one of them on, or write end = true."
            one.table.problem("", "no end can be reached from the state", found=Words(round), known=sorted(ends),
                              cure=cure)  # fmt: skip


def _walk(ways: Ways, state: str) -> list[str]:
    """From a state on, always to another one, until a state comes again."""
    way = [state]
    while way[-1] not in way[:-1]:
        others = sorted(ways[way[-1]] - {way[-1]})
        way.append(next((one for one in others if one not in way), others[0]))
    return way


def _check_rounds(part: PartDraft) -> None:
    """Moves that are made by themselves come to rest."""
    by_itself: Ways = {one.state.name: {move.to for move in one.state.moves if not move.event} for one in part.states}
    told: set[str] = set()
    for one in part.states:
        name = one.state.name
        if name not in told and name in _reached(by_itself, by_itself[name]):
            way = _round(by_itself, name)
            told.update(way)
            message = "moves that are made by themselves lead round in a circle, and might never come to rest"
            cure = "Give one of them an event."
            one.table.problem("on", message, found=Words(" → ".join(way)), cure=cure)


def _round(ways: Ways, state: str) -> list[str]:
    """A way from a state back to it."""
    waiting = [[state]]
    while waiting:
        way = waiting.pop(0)
        for other in sorted(ways.get(way[-1], ())):
            if other == state:
                return [*way, other]
            if other not in way:
                waiting.append([*way, other])
    return [state]


def _check_alone(draft: ProcessDraft) -> None:
    """Behind one event only so many moves are made by themselves: each state is left once."""
    leaving = [one for one in draft.states if any(not move.event for move in one.state.moves)]
    if len(leaving) > BY_ITSELF_MAX:
        message = "moves that are made by themselves lead out of too many states"
        draft.table.problem("", message, found=len(leaving), known=f"at most {BY_ITSELF_MAX}")


def _check_never_made(one: StateDraft) -> None:
    """Of two moves of a state on the same event, the second is made only where the first is not."""
    before: dict[tuple[str, str], list[MoveDeclaration]] = {}
    for draft in one.moves:
        move = draft.move
        same = before.setdefault((move.event, move.timer), [])
        if move.event and any(not other.where or other.where == move.where for other in same):
            what = f"firing of the timer {move.timer}" if move.timer else move.event
            message = f"a move before it takes every {what} that this one would"
            cure = "Give the first a `where`, or put the one with a condition first."
            draft.table.problem("where", message, found=Words(move.where or "no condition"), cure=cure)
        same.append(move)


def _check_starts(draft: ProcessDraft) -> None:
    for number, one in enumerate(draft.starts):
        earlier = [other.start for other in draft.starts[:number] if other.start.event == one.start.event]
        if any((not other.where or other.where == one.start.where) and (other.again or not one.start.again)
               for other in earlier):  # fmt: skip
            message = f"a start before it takes every {one.start.event} that this one would"
            cure = "Give the first a `where`, or put the one with a condition first."
            one.table.problem("where", message, found=Words(one.start.where or "no condition"), cure=cure)


def _check_timers(draft: ProcessDraft, one: StateDraft, told: bool) -> None:
    """A timer that moves nothing is worth a remark where nobody hears of it."""
    led = {move.move.timer for move in one.moves}
    for table, timer in one.timers:
        if timer.name not in led and not told and table.sound:
            message = f"the timer moves nothing, and nothing of the pack reads {draft.process.timer_event}"
            table.notes.warn([Problem(FILE, table.key, message, cure="Say where it leads: to.")])
