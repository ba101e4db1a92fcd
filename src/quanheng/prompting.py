"""What the platform itself has to say: whoever prepares groups asks here beside its callers.

Timers that are due need no request: the writer puts them first in the next group, which may hold nothing else. Nor do
jobs that are due or going on: a chunk of one stands ahead of the next group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from quanheng.events.intake import Request
from quanheng.working import Jobs
from quanheng.writer import Pending, Writer


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

    def __init__(self, writer: Writer, jobs: Jobs, *prompters: Prompter) -> None:
        self._writer, self._jobs, self._prompters = writer, jobs, list(prompters)

    def add(self, prompter: Prompter) -> None:
        """Ask one more."""
        self._prompters.append(prompter)

    @property
    def waits(self) -> bool:
        """Whether a group should be prepared though no caller waits for one."""
        return self.is_due or any(one.waits for one in self._prompters)

    @property
    def is_due(self) -> bool:
        """Whether a timer or a job waits for the next group."""
        return self._writer.is_due or self._jobs.waits

    def requests(self, *, beside: bool = False) -> list[Request]:
        """What is next of each."""
        return [request for one in self._prompters if one.waits for request in one.requests(beside=beside)]

    def prepare(self, requests: Sequence[Request]) -> Pending:
        """Take a group through the main path, with a chunk of a job ahead of it where one is due or going on."""
        return self._jobs.prepare(requests) if self._jobs.waits else self._writer.prepare(requests)

    def carry_out(self) -> int:
        """Fire, work and tell all that waits, in groups; how many. To be called now and then by who owns the engine.

        Raises
        ------
        LogError : a group is not durable and never will be; the process must stop
        """
        groups = 0
        while self.waits:
            self._writer.commit(self.prepare(self.requests()))
            groups += 1
        return groups
