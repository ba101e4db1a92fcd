"""What the platform itself has to say: whoever prepares groups asks here beside its callers.

Timers that are due need no request: the writer puts them first in the next group, which may hold nothing else.
"""

from __future__ import annotations

from typing import Protocol

from quanheng.events.intake import Request
from quanheng.writer import Writer


class Prompter(Protocol):
    """One who makes requests of the platform's own: applied transfers told, answers of partners, events of jobs."""

    @property
    def waits(self) -> bool:
        """Whether `requests` should be asked."""
        ...

    def requests(self, *, beside: bool = False) -> list[Request]:
        """What is next, in order; a bounded piece. `beside`: others wait for the answers of the same group."""
        ...


class Prompting:
    """All of them together."""

    def __init__(self, writer: Writer, *prompters: Prompter) -> None:
        self._writer, self._prompters = writer, list(prompters)

    def add(self, prompter: Prompter) -> None:
        """Ask one more."""
        self._prompters.append(prompter)

    @property
    def waits(self) -> bool:
        """Whether a group should be prepared though no caller waits for one."""
        return self._writer.is_due or any(one.waits for one in self._prompters)

    @property
    def is_due(self) -> bool:
        """Whether a timer waits for the next group."""
        return self._writer.is_due

    def requests(self, *, beside: bool = False) -> list[Request]:
        """What is next of each."""
        return [request for one in self._prompters if one.waits for request in one.requests(beside=beside)]

    def carry_out(self) -> int:
        """Fire and tell all that waits, in groups; how many groups. To be called now and then by who owns the engine.

        Raises
        ------
        LogError : a group is not durable and never will be; the process must stop
        """
        groups = 0
        while self.waits:
            self._writer.submit(self.requests())
            groups += 1
        return groups
