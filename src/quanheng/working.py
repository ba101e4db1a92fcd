"""Jobs at work: runs begin when they are due and go on chunk by chunk, each ahead of what callers sent in its group.

A group holds at most one chunk. Its records stand in the log before the events of the group: what begins, then the
chunk with all that it leaves behind in the instances. Then come the events it sends for them, through the main path;
behind the group how many of those were rejected, and the end of the run. All of that is one append, so whatever
crashes, a run goes on behind the last chunk that is durable, and nothing is done twice or left out. Where it stands is
a fold of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from quanheng.events.intake import JOBS, Refusal, Request
from quanheng.events.schema import NO_KEY
from quanheng.facts import DECIDED, RECORDED, REFUSED
from quanheng.feel.values import DIGITS
from quanheng.jobs import ROWS_MAX, Asked, Job, kept_keys
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.log.records import NO_CAUSE
from quanheng.path import Repeat, Taken
from quanheng.processes.runs import Chunk, Made, Reason, Reject, Run, Standing, What, began, encode_job, tallied
from quanheng.ticking import passed
from quanheng.writer import Pending, Writer

EVENTS_MAX, EVENTS_BESIDE_MAX = 1_000, 200
"""Most events that a chunk sends: in a group of nothing else, and beside what callers wait for."""
ARMED_MAX = 4_000
"""Most instances that a chunk moves to another state: their timers are ended and begun one by one."""


class _Work(NamedTuple):
    """What a chunk has done, and the events it sends; `rows` are of these, `rejects` of fields that did not fit."""

    code: int
    run: Run
    requests: list[Request]
    rows: list[int]
    rejects: list[Reject]


class Jobs:
    """The jobs of the packs in force. Whoever prepares groups for the writer asks it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._due: dict[int, tuple[object, int, int | None]] = {}

    @property
    def waits(self) -> bool:
        """Whether `prepare` has anything to do: a run is going on, or one is due."""
        runs = self._writer.state.book.runs.jobs
        if not runs:
            return False
        if any(one.running is not None for one in runs.values()):
            return True
        due_ms = self.next_due_ms
        return due_ms is not None and due_ms <= self._writer.stamp()

    @property
    def next_due_ms(self) -> int | None:
        """When the next run is due of those that are not going on; None = none is."""
        state = self._writer.state
        found = [
            due_ms
            for code in state.program.jobs
            if (one := state.book.runs.jobs.get(code)) is not None and one.running is None
            if (due_ms := self.due_ms(code, one)) is not None
        ]
        return min(found, default=None)

    def due_ms(self, code: int, standing: Standing) -> int | None:
        """When a job runs next; None = not again."""
        program = self._writer.state.program
        known = self._due.get(code)
        if known is None or known[0] is not program or known[1] != standing.last_ms:
            due_ms = program.jobs[code].due_ms(standing.since_ms, standing.last_ms)
            known = self._due[code] = program, standing.last_ms, due_ms
        return known[2]

    # --- groups

    def prepare(self, requests: Sequence[Request] = ()) -> Pending:
        """Take a group through the main path as `Writer.prepare` does, with the next chunk ahead of it: a small one of
        a job that sends events, where others wait for the answers of the same group."""
        writer, state = self._writer, self._writer.state
        received_ms, first = writer.stamp(), state.head
        ahead = self._begin(received_ms)
        work = self._chunk(received_ms, ahead, EVENTS_BESIDE_MAX if requests else EVENTS_MAX)
        sent = work.requests if work is not None else []
        pending = writer.prepare([*sent, *requests], received_ms)
        behind = self._finish(work, pending, received_ms) if work is not None else []
        if not ahead and not behind:
            return pending
        state.head += len(behind)
        state.received_ms = received_ms
        return pending._replace(
            first=first,
            headers=[*(one.header for one in ahead), *pending.headers, *(one.header for one in behind)],
            subjects=[*[NO_KEY] * len(ahead), *pending.subjects, *[NO_KEY] * len(behind)],
            payloads=[*(one.payload for one in ahead), *pending.payloads, *(one.payload for one in behind)],
            due=pending.due + len(sent),
        )

    def run(self) -> int:
        """Work until nothing is due and no run is going on; in how many groups. By who owns the engine.

        Raises
        ------
        LogError : a group is not durable and never will be; the process must stop
        """
        groups = 0
        while self.waits:
            self._writer.commit(self.prepare())
            groups += 1
        return groups

    def _begin(self, now_ms: int) -> list[Made]:
        """Begin the runs that are due, in order; pass over those that are stale."""
        state, made = self._writer.state, list[Made]()
        for code in sorted(state.program.jobs):
            standing = state.book.runs.jobs.get(code)
            while standing is not None and standing.running is None:
                due_ms = self.due_ms(code, standing)
                if due_ms is None or due_ms > now_ms:
                    break
                job, last_ms = state.program.jobs[code], due_ms
                stale_ms = now_ms - job.declared.stale_after_ms
                stale = job.declared.stale != "fire" and due_ms < stale_ms
                if stale:  # Those that are late already are one with the last of them.
                    last_ms = job.newest_ms(standing.since_ms, due_ms, stale_ms)
                if stale and job.declared.stale == "skip":
                    numbers = (int(What.SKIP), last_ms)
                    made.append(encode_job(code, due_ms, now_ms, NO_CAUSE, numbers))
                    state.book.runs.skip(code, numbers, now_ms)
                else:
                    made.append(self._begun(job, last_ms, last_ms, False, now_ms))
                state.head += 1
        return made

    def _begun(self, job: Job, due_ms: int, last_ms: int, by_hand: bool, now_ms: int) -> Made:
        """A run begins with the record at the head."""
        state, process = self._writer.state, job.machine.code
        table = state.book.tables.get(process)
        rows = 0 if table is None else len(table)
        activation = state.program.activation
        made, numbers = began(job.code, process, due_ms, last_ms, rows, by_hand, activation, now_ms)
        state.book.runs.begin(job.code, state.head, numbers, now_ms)
        return made

    def _next(self) -> tuple[int, Run] | None:
        """The run whose turn it is: those that are going on take turns."""
        runs = self._writer.state.book.runs.jobs
        going = [(code, run) for code, one in sorted(runs.items()) if (run := one.running) is not None]
        if not going:
            return None
        return min(going, key=lambda one: (one[1].chunks, one[0]))

    def _chunk(self, now_ms: int, ahead: list[Made], most: int) -> _Work | None:
        """Go over the next rows of a run; its record joins those `ahead`."""
        if (found := self._next()) is None:
            return None
        (code, run), state = found, self._writer.state
        job, table = state.program.jobs.get(code), state.book.tables.get(run.process)
        if job is None or table is None or run.at >= run.rows or job.machine.code != run.process:
            return _Work(code, run, [], [], [])
        most = most if job.event else ARMED_MAX if job.declared.to else ROWS_MAX
        chunk = job.chunk(table, run.at, run.rows, run.due_ms, now_ms, most)
        rows = chunk.rows
        counts = (chunk.first, chunk.last, len(rows), chunk.rejected.count, state.program.activation)
        ahead.append(encode_job(code, run.due_ms, now_ms, run.offset, (int(What.CHUNK), *counts), chunk))
        state.head += 1
        state.book.apply_chunk(code, chunk, now_ms)
        if not job.event:
            return _Work(code, run, [], [], [])
        return self._events(job, run, chunk)

    def _events(self, job: Job, run: Run, chunk: Chunk) -> _Work:
        """The events of the instances that were taken, as they stand behind the chunk."""
        state = self._writer.state
        table, declared = state.book.tables[run.process], state.program.types[job.event].declaration
        work = _Work(job.code, run, [], [], [])
        for row in chunk.rows.tolist():
            asked = Asked(table, slice(row, row + 1), run.due_ms)
            keys = kept_keys(job.machine, table, row)
            data: dict[str, Any] = {declared.time: run.due_ms}
            data.update(
                (name, passed(keys[name]))
                for name, field in declared.fields.items()
                if field.kind == "key" and name in keys
            )
            for place, (name, one) in enumerate(job.fields.items()):
                value = one.value(asked, row)
                if value is not None and not isinstance(value, int | Decimal | str):
                    work.rejects.append(Reject(row, int(Reason.FIELD_DOES_NOT_FIT), place))
                    break
                if value is not None:
                    data[name] = _plain(value)
            else:
                work.rows.append(row)
                work.requests.append(Request(JOBS, f"{run.offset}/{row}", job.event, _encode(data), position=JOBS))
        return work

    def _finish(self, work: _Work, pending: Pending, now_ms: int) -> list[Made]:
        """What is said behind the group: events that were rejected, and the end of the run."""
        state, run, made = self._writer.state, work.run, list[Made]()
        group = pending.group
        assert group is not None
        items = group.items[pending.due : pending.due + len(work.rows)]
        rejects = [*work.rejects]
        for row, item in zip(work.rows, items, strict=True):
            if (reason := _reason(item)) is not None:
                rejects.append(Reject(row, int(reason)))
        if rejects:
            tally = tallied(sorted(rejects))
            numbers = (int(What.TALLY), tally.count)
            made.append(encode_job(work.code, run.due_ms, now_ms, run.offset, numbers, tally))
            state.book.runs.tally(work.code, tally)
        stopped = run.at < run.rows and self._is_gone(work)
        if stopped or run.at >= run.rows:
            numbers = (int(What.END), int(stopped))
            made.append(encode_job(work.code, run.due_ms, now_ms, run.offset, numbers))
            state.book.runs.end(work.code, numbers, now_ms)
        return made

    def _is_gone(self, work: _Work) -> bool:
        """Whether the job of a run is declared no more, or over another process."""
        job = self._writer.state.program.jobs.get(work.code)
        return job is None or job.machine.code != work.run.process

    # --- by hand, and reads

    def start(self, name: str) -> dict[str, Any]:
        """Begin a run now, whatever is due; durable when this returns. No group may be in flight.

        Parameters
        ----------
        name : of the job, with its pack (PACK.JOB) where several packs have one of that name

        Raises
        ------
        NotFound : there is no such job
        InputError : a run of it is going on
        """
        writer, job = self._writer, self._named(name)
        standing = writer.state.book.runs.jobs.get(job.code)
        running = None if standing is None else standing.running
        if running is not None:
            raise InputError(
                "a run of this job is going on",
                where=job.name,
                found=f"row {running.at} of {running.rows}",
                cure="Wait until it has ended; `quanheng job show` tells how far it is.",
            )
        now_ms, offset = writer.stamp(), writer.state.head
        last_ms = -1 if standing is None else standing.last_ms
        made = self._begun(job, now_ms, last_ms, True, now_ms)
        writer.append_made([made], now_ms)
        return {"job": job.name, "offset": offset, "rows": writer.state.book.runs.jobs[job.code].runs[-1].rows}

    def _named(self, name: str) -> Job:
        jobs = [*self._writer.state.program.jobs.values()]
        found = [one for one in jobs if name in (one.name, one.declared.name)]
        if len(found) != 1:
            raise NotFound(
                "several packs have a job of this name" if found else "there is no such job",
                where="job",
                found=name,
                allowed=", ".join(sorted(one.name for one in found or jobs)) or "no pack declares one",
                cure="Name it with its pack: PACK.JOB.",
            )
        return found[0]

    def shown(self, name: str = "") -> list[dict[str, Any]]:
        """Jobs with when they run next and their newest runs, the newest first; of one name, or all.

        Raises
        ------
        NotFound : there is no such job
        """
        state = self._writer.state
        jobs = [self._named(name)] if name else [*state.program.jobs.values()]
        return [self._shown(job, state.book.runs.jobs.get(job.code), bool(name)) for job in jobs]

    def _shown(self, job: Job, standing: Standing | None, whole: bool) -> dict[str, Any]:
        declared = job.declared
        runs = [] if standing is None else [*reversed(standing.runs)][: None if whole else 1]
        return {
            "job": job.name,
            "process": job.machine.name,
            "title": {"en": declared.en, "zh": declared.zh},
            "next_due_ms": None if standing is None else self.due_ms(job.code, standing),
            "runs_n": 0 if standing is None else standing.began,
            "runs": [self._told(job, one, whole) for one in runs],
        }

    def _told(self, job: Job, run: Run, whole: bool) -> dict[str, Any]:
        """A run as people read it; `whole` = with the rejects that are listed."""
        status = "stopped" if run.stopped else "done" if run.ended_ms else "running"
        told = {
            "offset": run.offset, "status": status, "by_hand": run.by_hand, "due_ms": run.due_ms,
            "began_ms": run.began_ms, "ended_ms": run.ended_ms or None, "done": run.at, "of": run.rows,
            "chunks": run.chunks, "taken": run.taken, "rejected": run.rejected_n,
            "reasons": {_reason_name(job, reason, place): count for reason, place, count in run.rejected},
        }  # fmt: skip
        if whole:
            table = self._writer.state.book.tables.get(run.process)
            told["rejects"] = [
                {"row": one.row, "instance": passed(table.ids[one.row].tobytes()),
                 "reason": _reason_name(job, one.reason, one.place)}
                for one in run.listed if table is not None
            ]  # fmt: skip
        return told

    def metrics(self) -> dict[str, Any]:
        """Figures for a metrics page, by job: rows that are still to be gone over; what the newest run took."""
        state = self._writer.state
        newest = {
            job.name: one.runs[-1]
            for code, job in state.program.jobs.items()
            if (one := state.book.runs.jobs.get(code)) is not None and one.runs
        }
        return {
            "job_rows_left": {name: run.rows - run.at if not run.ended_ms else 0 for name, run in newest.items()},
            "job_taken": {name: run.taken for name, run in newest.items()},
            "job_rejected": {name: run.rejected_n for name, run in newest.items()},
        }


_encode = msgspec.json.Encoder(decimal_format="number").encode


def _plain(value: int | Decimal | str) -> int | Decimal | str:
    """A value as fields take it: an integral number is an integer, however it was reckoned."""
    if isinstance(value, Decimal) and value.adjusted() < DIGITS and value == value.to_integral_value():
        return int(value)
    return value


def _reason(item: Taken | Repeat | Refusal) -> Reason | None:
    """Why the event of an instance counts among the rejects; None = it does not."""
    if isinstance(item, Refusal):
        return Reason.EVENT_REFUSED
    decision = None if isinstance(item, Repeat) else item.decision
    if decision is None or decision.body.status in (DECIDED, RECORDED):
        return None
    return Reason.MONEY_REFUSED if decision.body.status == REFUSED else Reason.EVENT_FAILED


def _reason_name(job: Job, reason: int, place: int) -> str:
    """A reason in a word, with the name of what did not fit."""
    name = Reason(reason).name.lower()
    named = [*job.declared.set] if reason in (Reason.SET_IS_NULL, Reason.SET_DOES_NOT_FIT) else []
    named = [*job.declared.fields] if reason == Reason.FIELD_DOES_NOT_FIT else named
    return f"{name} {named[place]}" if place < len(named) else name
