"""Steps of processes: what an event, or a timer that fires, makes of an instance. Pure: `processes.book` keeps them.

A process is compiled once for each event type that may start or move it (`Life`), because what a guard may ask differs
from event to event. What one step asks of the ledger and sends is collected beside it; all of a decision is one chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.amounts import minor_units
from quanheng.asking import Postings
from quanheng.events.intake import EventFact
from quanheng.events.schema import NO_KEY, NULL, EventType
from quanheng.expressions import Expression, Getter
from quanheng.facts import StepBody
from quanheng.kernel.errors import EventRejected
from quanheng.loading.declared_processes import Act, Start
from quanheng.loading.process_steps import acts_on, events_of
from quanheng.machines import Machine, State
from quanheng.moves import EXTRA, Asking, Move
from quanheng.processes.book import Instance
from quanheng.processes.records import Step, StepKind
from quanheng.processes.timers import Due
from quanheng.sending import Sends

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

ALONE_MAX = 64
"""Moves that are made by themselves behind one event; a declaration that could need more is refused at load."""


class View(NamedTuple):
    """An instance as an event meets it, with the timer that the event tells of."""

    instance: Instance | None = None
    fired: Due | None = None


NOBODY = View()
"""What an event meets that names no instance."""


class Chosen(NamedTuple):
    """What becomes of an instance, and what its steps ask for, in order: postings; calls and notices."""

    steps: tuple[Step, ...] = ()
    told: tuple[StepBody, ...] = ()
    postings: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    context: object = None


NOTHING = Chosen()


class Life:
    """A process as one event type starts or moves it.

    Parameters
    ----------
    names, getter : what is known of the event, as for `Postings`
    """

    def __init__(
        self, machine: Machine, pack: Declared, event: EventType, names: Sequence[str], getter: Callable[[str], Getter]
    ) -> None:
        declared = machine.declared
        self.machine, self.event, self.name = machine, event.name, machine.name
        self.is_timer = event.name == declared.timer_event
        self.always_taken = bool(event.declaration.client) or event.name in declared.ignores
        self.key_name = declared.by.get(event.name, declared.per)
        self.key_at = event.key_fields.index(self.key_name)
        self._kept = [
            event.header_fields.index(one.name) if one.name in event.header_fields else -1 for one in declared.numbers
        ]
        self._scales = [event.scales[at] if at >= 0 else 0 for at in self._kept]

        def compile(text: str, where: str) -> Expression:
            return Expression(text, names, getter, where, EXTRA)

        self.starts = [Move(machine, one, 0, compile) for one in declared.starts if one.event == event.name]
        self.moves: dict[int, list[Move]] = {}
        self.alone: dict[int, list[Move]] = {}
        for code, state in machine.states.items():
            for one in state.declared.moves:
                part = declared.parts[state.part].name
                if event.name in events_of(declared, part, state.name, one):
                    kept = self.moves if one.event else self.alone
                    kept.setdefault(code, []).append(Move(machine, one, state.part, compile))
        every = [self.starts, *self.moves.values(), *self.alone.values()]
        self.asks_instance = any(move.asks_instance for some in every for move in some)
        """Whether a guard, or what is set, asks about the instance."""
        self.begins_again = any(isinstance(one.declared, Start) and one.declared.again for one in self.starts)
        acts = acts_on(declared, event.name)
        posted = dict.fromkeys(act.name for act in acts if act.kind == "transfer")
        self.postings = (
            Postings({name: (name,) for name in posted}, declared.refused_as, pack, event, names, getter)
            if posted
            else None
        )
        sent = {act.name for act in acts if act.kind != "transfer"}
        calls = [one for one in pack.calls.calls if one.name in sent]
        self.sends = Sends(calls, pack, event, names, getter) if calls else None

    def key(self, keys: NDArray[np.uint64]) -> bytes:
        """The instance that an event is about, by its keys (u64[K, 2]); `NO_KEY` = none."""
        key: bytes = keys[self.key_at].tobytes()
        return key

    def refusal(self, instance: Instance | None) -> EventRejected | None:
        """Why the event may not come now; None = it may."""
        machine = self.machine
        if self.always_taken or self._may_start(instance):
            return None
        if self.starts and not self.moves:  # What only starts one is no news for one that lives: it moves nothing.
            return None
        if instance is not None and any(code in self.moves for code in instance.states):
            return None
        allowed = ", ".join(self.allowed(instance)) or "nothing more"
        if instance is None:
            state = "no instance of it has begun"
        else:
            state = ", ".join(
                f"{name} {state!r}" if name != "state" else repr(state)
                for name, state in machine.names(instance).items()
            )
        return EventRejected(
            f"the process {machine.name} does not allow this event now",
            where=self.event,
            found=state,
            allowed=allowed,
            cure="Send what is allowed in this state; `quanheng process show` tells how it came there.",
        )

    def allowed(self, instance: Instance | None) -> list[str]:
        """Event types that may move the instance as it stands, or start one."""
        machine, over = self.machine, instance is None or self.machine.is_over(instance)
        found = {one.event for one in machine.declared.starts if over and (instance is None or one.again)}
        for code in () if instance is None else instance.states:
            moves = machine.states[code].declared.moves if code in machine.states else ()
            found.update(one.event for one in moves if one.event and not one.timer)
        return sorted(found)

    def _may_start(self, instance: Instance | None) -> bool:
        """Whether a start is looked at: there is no instance, or it is over and one begins again."""
        if instance is None:
            return bool(self.starts)
        return self.begins_again and self.machine.is_over(instance)

    def choose(self, asking: Asking, view: View) -> Chosen:
        """What the event makes of the instance."""
        key = asking.keys[self.key_name]
        if key == NO_KEY:
            return NOTHING
        run = _Run(self, asking, key, self.machine.widened(view.instance))
        if view.instance is None or self._may_start(view.instance):
            run.start()
        else:
            run.move(view)
        run.go_on_alone()
        return run.chosen()

    def consumed(self, view: View, now_ms: int) -> tuple[Step, ...]:
        """The step of a timer that has fired and moves nothing."""
        if view.instance is None or view.fired is None:
            return ()
        part = view.fired.part
        state = self.machine.states.get(view.instance.states[part])
        again = () if state is None else self.machine.again(state, view.fired, view.instance, now_ms)
        return (
            Step(
                self.machine.code, view.instance.key, StepKind.STAY, part, fired=view.fired.timer & 0xFFFF, armed=again
            ),
        )

    def kept(self, event: EventFact, numbers: Sequence[int], asking: Asking) -> tuple[tuple[bytes, ...], list[int]]:
        """The keys and numbers that an instance keeps of the event that starts it."""
        declared = self.machine.declared
        keys = tuple(asking.keys.get(one.name, NO_KEY) for one in declared.keys)
        values = []
        machine = self.machine
        for at, scale, decimals, first in zip(self._kept, self._scales, machine.decimals, machine.initial, strict=True):
            value = numbers[at] if at >= 0 else first
            values.append(value if value == NULL else value * 10 ** (decimals - scale))
        return keys, values


class _Run:
    """The steps of one instance behind one event, while they are made."""

    def __init__(self, life: Life, asking: Asking, key: bytes, instance: Instance | None) -> None:
        self._life, self._machine, self._asking, self._key = life, life.machine, asking, key
        self._instance = instance
        self._steps: list[Step] = []
        self._told: list[StepBody] = []
        self._postings: list[str] = []
        self._sends: list[str] = []

    def _context(self) -> object:
        return self._machine.context(self._instance) if self._life.asks_instance else None

    def start(self) -> None:
        """Begin, where a start fits."""
        asking, context = self._asking, self._context()
        for start in self._life.starts:
            again = self._instance is None or (isinstance(start.declared, Start) and start.declared.again)
            if not again or not start.fits(asking, context):
                continue
            to = start.to
            if asking.refused and start.is_refused(self._asks(start, to, None)):
                to = start.refused
                if to is None:
                    return
                self._begin(to, ())
            else:
                assert to is not None
                self._begin(to, start.do)
            return

    def _begin(self, to: State, do: Sequence[Act]) -> None:
        life, machine, asking = self._life, self._machine, self._asking
        columns_numbers = asking.columns.known.batch.numbers[asking.at].tolist()
        keys, numbers = life.kept(asking.event, columns_numbers, asking)
        self._ask(do)
        states, now_ms = [], asking.received_ms
        for place, part in enumerate(machine.declared.parts):
            state = to if not place else machine.state(place, part.begins)
            states.append(state.code)
            self._ask(state.declared.entry)
            armed = machine.armings(state, numbers, now_ms)
            kept = ((), ()) if place else (keys, tuple(numbers))
            self._steps.append(Step(machine.code, self._key, StepKind.BEGIN, place, 0, state.code, 0, armed, *kept))
            self._told.append(StepBody(machine.name, part.name, "", state.name))
        seq = self._instance.seq if self._instance else 0
        parts = len(machine.declared.parts)
        self._instance = Instance(
            self._key, tuple(states), keys, tuple(numbers), now_ms, (now_ms,) * parts, seq + parts
        )

    def move(self, view: View) -> None:
        """Move each part that the event moves, all as they stand before it."""
        life, instance = self._life, self._instance
        assert instance is not None
        context, fired = self._context(), view.fired
        skipped = life.is_timer and self._asking.event.fields.skipped
        for part, code in enumerate(instance.states):
            if life.is_timer and (fired is None or fired.part != part):
                continue
            timer = self._timer_name(code, fired)
            moves = () if skipped else life.moves.get(code, ())
            fitting = (one for one in moves if one.timer == timer and one.fits(self._asking, context))
            move = next(fitting, None)
            made = move is not None and self._make(part, move, context, fired)
            if fired is not None and not made:
                self._steps += life.consumed(view, self._asking.received_ms)
                self._told.append(StepBody(self._machine.name, self._part(part), "", "", timer))

    def _timer_name(self, code: int, fired: Due | None) -> str:
        state = self._machine.states.get(code)
        if fired is None or state is None:
            return ""
        return next((one.declared.name for one in state.timers if one.code == fired.timer & 0xFFFF), "")

    def _part(self, part: int) -> str:
        return self._machine.declared.parts[part].name

    def go_on_alone(self) -> None:
        """Make the moves that wait for no event, until none fits."""
        if not self._life.alone or not self._steps:
            return
        for _ in range(ALONE_MAX):
            instance = self._instance
            assert instance is not None
            context = self._context()
            fitting = (
                (part, move) for part, code in enumerate(instance.states) for move in self._life.alone.get(code, ())
                if move.fits(self._asking, context)
            )  # fmt: skip
            if not any(self._make(part, move, context, None) for part, move in fitting):
                return

    def _make(self, part: int, move: Move, context: object, fired: Due | None) -> bool:
        """Make a move; False = the ledger refuses it and it says nothing for that."""
        machine, asking, instance = self._machine, self._asking, self._instance
        assert instance is not None
        now_ms, left = asking.received_ms, machine.states[instance.states[part]]
        to, do = move.to, move.do
        if asking.refused and move.is_refused(self._asks(move, to, left)):
            if move.refused is None:
                return False
            to, do = move.refused, ()
        numbers = list(instance.numbers)
        for place, expression in move.set:
            value = asking.columns.value(expression, asking.at, asking.outcome, asking.refused, context)
            whole = minor_units(value, machine.decimals[place], "half_even")
            numbers[place] = whole if isinstance(whole, int) and abs(whole) < 2**62 else NULL
        kept = tuple(numbers)
        new = kept if kept != instance.numbers else ()
        gone = fired.timer & 0xFFFF if fired is not None else 0
        timer = self._timer_name(left.code, fired)
        if to is None:
            self._ask(do)
            armed = () if fired is None else machine.again(left, fired, instance._replace(numbers=kept), now_ms)
            step = Step(machine.code, self._key, StepKind.STAY, part, 0, 0, gone, armed, (), new)
            states, entered = instance.states, instance.entered_ms
            self._told.append(StepBody(machine.name, self._part(part), left.name, left.name, timer))
        else:
            for acts in (
                left.declared.exit if move.refused is not to or not asking.refused else (),
                do,
                to.declared.entry,
            ):
                self._ask(acts)
            armed = machine.armings(to, numbers, now_ms)
            step = Step(machine.code, self._key, StepKind.MOVE, part, left.code, to.code, gone, armed, (), new)
            states = (*instance.states[:part], to.code, *instance.states[part + 1 :])
            entered = (*instance.entered_ms[:part], now_ms, *instance.entered_ms[part + 1 :])
            self._told.append(StepBody(machine.name, self._part(part), left.name, to.name, timer))
        self._steps.append(step)
        key, _, keys, _, started_ms, _, seq = instance
        self._instance = Instance(key, states, keys, kept, started_ms, entered, seq + 1)
        return True

    def _asks(self, move: Move, to: State | None, left: State | None) -> bool:
        """Whether a move asks anything of the ledger."""
        acts = [*move.do]
        if to is not None:
            acts += to.declared.entry
            acts += left.declared.exit if left is not None else ()
        return any(act.kind == "transfer" for act in acts)

    def _ask(self, acts: Sequence[Act]) -> None:
        for act in acts:
            if act.kind != "transfer":
                self._sends.append(act.name)
            else:
                self._postings.append(act.name)

    def chosen(self) -> Chosen:
        """All of it."""
        context = self._machine.context(self._instance) if self._sends else None
        return Chosen(tuple(self._steps), tuple(self._told), tuple(self._postings), tuple(self._sends), context)
