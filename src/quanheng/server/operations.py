"""What people do to the running server, over HTTP or from the command line.

The long part runs beside the serving loop, the rest between groups.

Only a log that does not confirm a write is fatal. Every other fault is answered to the one who asked, and serving goes
on: each operation does all that can fail before its event is appended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from quanheng.kernel.errors import AppendFailed, EpochFenced, HeadMoved, QueueFull
from quanheng.once import UNNAMED, Once
from quanheng.server import admin, wire
from quanheng.server.answers import STOPPING, failed, ours, refusal
from quanheng.server.engines import Engine

FATAL = (AppendFailed, HeadMoved, EpochFenced)
WAITING_MAX = 16
"""Operations that may wait: each holds what was sent with it."""


class Asker(Protocol):
    """The connection that an operation came over."""

    def answer(self, number: int, answer: wire.Answer) -> None:
        """Keep an answer."""

    def flush(self) -> None:
        """Send what is kept."""


class Asked(NamedTuple):
    """One operation; `begun` is what its long part gave, `once` the request it was asked for by."""

    link: Asker
    number: int
    operation: str
    begun: Any
    once: Once = UNNAMED


class Operations:
    """Operations in their order.

    Parameters
    ----------
    engine : owner of log and state
    retry_after_s : told to those who may come again
    wake : called when an operation is ready to be carried out between two groups
    complain : told of faults: (level, name of the event, error)
    """

    def __init__(
        self,
        engine: Engine,
        retry_after_s: int,
        wake: Callable[[], None],
        complain: Callable[[str, str, BaseException], None],
    ) -> None:
        self._engine, self._administered = engine, cast(admin.Administered, engine)
        self._retry_after_s, self._wake, self._complain = retry_after_s, wake, complain
        self._ready: deque[Asked] = deque()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="quanheng-operation")
        self._beginning: dict[asyncio.Future[Any], Asked] = {}

    def __bool__(self) -> bool:
        return bool(self._ready)

    def receive(self, link: Asker, number: int, asked: wire.Admin) -> None:
        """Take an operation: refuse it, begin its long part in a thread, or make it ready."""
        try:
            arguments = msgspec.msgpack.decode(asked.arguments)
            actor = self._engine.authorise(asked.token, admin.scope_of(asked.operation, arguments))
            once = admin.request_of(self._administered, actor, asked.request, asked.operation, arguments)
            arguments["actor"] = actor  # Never who the caller says it is.
            one = Asked(link, number, asked.operation, arguments, once)
            if self._answered_again(one):
                return
            self._check_room()
        except Exception as error:  # The declared boundary: whatever is wrong with an operation is answered.
            self._refuse(link, number, asked.operation, error)
            return
        if asked.operation not in admin.LONG:
            self._make_ready(one)
            return
        begin = asyncio.get_running_loop().run_in_executor(
            self._beside, admin.begin, self._administered, asked.operation, arguments
        )
        self._beginning[begin] = one
        begin.add_done_callback(self._begun)

    def _check_room(self) -> None:
        waiting = len(self._beginning) + len(self._ready)
        if waiting >= WAITING_MAX:
            raise QueueFull(
                "too many operations wait; nothing was written",
                found=f"{waiting}",
                allowed=f"{WAITING_MAX}",
                cure=f"Ask again after {self._retry_after_s} s.",
            )

    def _answered_again(self, one: Asked) -> bool:
        """Whether the request was recorded before: it is answered with what was recorded.

        Raises
        ------
        RequestConflict : something else was asked under its id
        """
        again = admin.recorded(self._administered, one.once)
        if again is not None:
            one.link.answer(one.number, wire.Answer(200, msgspec.json.encode(again)))
            one.link.flush()
        return again is not None

    def _begun(self, begin: asyncio.Future[Any]) -> None:
        one = self._beginning.pop(begin, None)
        if one is None or begin.cancelled():
            return
        error = begin.exception()
        if isinstance(error, Exception):
            self._begin_failed(one, error)
        else:
            self._make_ready(one._replace(begun=begin.result()))

    def _begin_failed(self, one: Asked, error: Exception) -> None:
        """Refuse it, unless the same request was carried out meanwhile and is what hindered this one."""
        try:
            if self._answered_again(one):
                return
        except Exception as conflict:  # The declared boundary, as in `receive`.
            error = conflict
        self._refuse(one.link, one.number, one.operation, error)

    def _make_ready(self, one: Asked) -> None:
        self._ready.append(one)
        self._wake()

    def carry_out(self) -> None:
        """Carry out the next operation. No group may be in flight.

        Raises
        ------
        AppendFailed, HeadMoved, EpochFenced : the log did not take its event; the process must stop
        """
        one = self._ready.popleft()
        try:
            done = admin.finish(self._administered, one.operation, one.begun, one.once)
            one.link.answer(one.number, wire.Answer(200, msgspec.json.encode(done)))
        except FATAL:
            one.link.answer(one.number, failed())
            raise
        except Exception as error:  # The declared boundary: an operation that failed must not stop the payments.
            self._refuse(one.link, one.number, one.operation, error)
        finally:
            one.link.flush()

    def close(self, answer: wire.Answer = STOPPING) -> None:
        """Answer all that were not carried out."""
        for one in [*self._beginning.values(), *self._ready]:
            one.link.answer(one.number, answer)
            one.link.flush()
        self._beginning.clear()
        self._ready.clear()
        self._beside.shutdown(wait=False, cancel_futures=True)

    def _refuse(self, link: Asker, number: int, operation: str, error: Exception) -> None:
        told = ours(error, operation)
        if told is not error:
            self._complain("warning", "operation_failed", told)
        link.answer(number, refusal(told, self._retry_after_s))
        link.flush()
