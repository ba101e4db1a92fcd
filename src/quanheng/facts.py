"""Facts as the log keeps them: decisions with their opinions, and the columns that `State.apply` folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventFact
from quanheng.events.schema import NULL
from quanheng.features.source import Batch
from quanheng.kernel.log.records import DECISION, EVENT
from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.instruments.loan_book.events import LoanAsk
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.processes.records import Step

if TYPE_CHECKING:
    from quanheng.program import Program

DECIDED, FAILED, LATE, REFUSED, RECORDED = "decided", "failed", "late", "refused", "recorded"
STATUSES = (DECIDED, FAILED, LATE, REFUSED, RECORDED)
DECISION_NUMBERS = 3
"""Header numbers of a decision: severity of its outcome, status, offset of the activation that decided."""


class Opinion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one flow says of one event.

    status : decided | failed (the policy raised or gave no declared outcome) | late (deadline passed)
    trace : per decision of the policy: name, matched rules (1-based), result
    note : why it failed, without personal data
    """

    flow: str
    outcome: str
    status: str
    reasons: Sequence[str]
    trace: Sequence[object]
    note: str = ""


class DecisionBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The sealed content of a decision: enough to show it, explain it and prove it by replay.

    outcome, status : "recorded" and no outcome where no flow decides the event and a process alone looks at it

    vector : int64 little-endian, the raw fold columns of the plan
    formulas : float64 little-endian, the formula columns
    sources : float64 little-endian, the columns of models and other sources
    program : offset of the activation whose versions decided
    arm : hash of the challenger that decided instead of the champion; nothing = the champion
    transfers : what the ledger was asked for, and what became of it
    day : business day on which the ledger was asked, days since 1970-01-01; 0 = it was not
    steps : what became of instances of processes
    sent : what is to be sent to the outside
    """

    outcome: str
    status: str
    reasons: Sequence[str]
    opinions: Sequence[Opinion]
    vector: bytes
    formulas: bytes
    sources: bytes
    program: int
    engine: str
    arm: str = ""
    transfers: Sequence[Moved] = ()
    day: int = 0
    steps: Sequence[StepBody] = ()
    sent: Sequence[Sent] = ()


class StepBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step as people read it: one part of an instance of a process has begun, moved or stayed.

    process : "pack.process"
    left, entered : names of states; nothing left = it has begun; nothing at all = a timer has fired and moved nothing
    timer : whose firing it answers
    """

    process: str
    part: str
    left: str
    entered: str
    timer: str = ""


class Sent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that a decision asks to be sent.

    name : of the call or notice, "pack.call"
    id : 16 bytes, for whoever gets it twice
    body : JSON
    """

    name: str
    id: bytes
    body: bytes


class Moved(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transfer that a decision asked for.

    name : "pack.posting.transfer"; of an act on a loan "pack.servicing"
    id : of the transfer, 16 bytes, the low one first; of an act the loan's number and the event's, 8 bytes each
    outcome : name of a `TransferOutcome` or `BookOutcome`, or of what kept it from being asked
        (`declared_accounts.Unasked`)
    amount_minor : what it moved, held or let go; of a loan what was lent, paid or charged; 0 = nothing
    """

    name: str
    id: bytes
    outcome: str
    amount_minor: int = 0


class PastBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision body as it is read in bulk: its opinions are left packed until somebody asks."""

    outcome: str
    status: str
    reasons: msgspec.Raw
    opinions: msgspec.Raw
    vector: bytes
    formulas: bytes
    sources: bytes
    program: int
    engine: msgspec.Raw
    arm: str = ""


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One row of what was known, as bytes for the decision's body."""

    vector: bytes
    formulas: bytes
    sources: bytes


class Ask(NamedTuple):
    """A transfer that a decision asks the ledger for.

    name : "pack.posting.transfer"
    accounts : to be opened where they are not
    unasked : why it cannot be asked for; nothing = it can
    """

    name: str
    transfer: Transfer
    accounts: tuple[Account, ...] = ()
    unasked: str = ""


class Asked(NamedTuple):
    """What a decision asks of the ledger: all or nothing.

    refused : asked for where the ledger refuses that; all or nothing again
    outcome : given in place of the decision's where the ledger refuses
    loans, loans_refused : the same of loans
    """

    transfers: tuple[Ask, ...]
    refused: tuple[Ask, ...]
    outcome: str
    loans: tuple[LoanAsk, ...] = ()
    loans_refused: tuple[LoanAsk, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not self.transfers and not self.loans


class Moves(NamedTuple):
    """What a decision makes of instances, as the log keeps it and as people read it, and what it sends."""

    steps: tuple[Step, ...] = ()
    told: tuple[StepBody, ...] = ()
    sent: tuple[Sent, ...] = ()


NO_MOVES = Moves()


class DecisionFact(msgspec.Struct, frozen=True, gc=False):
    """One decision as the log keeps it; before the ledger was asked, with what it is to be `asked` for.

    moves : of instances; refused : those that are made instead where the ledger refuses
    """

    code: int
    time_ms: int
    received_ms: int
    subject: bytes
    numbers: tuple[int, int, int]
    body: DecisionBody
    payload: bytes
    asked: Asked | None = None
    moves: Moves = NO_MOVES
    refused: Moves = NO_MOVES


_encode_body = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode_body = msgspec.msgpack.Decoder(DecisionBody).decode
decode_past_body = msgspec.msgpack.Decoder(PastBody).decode
"""The body that `encode_body` wrote, with its opinions still packed."""
decode_opinions = msgspec.msgpack.Decoder(list[Opinion]).decode
"""The packed opinions of a `PastBody`."""


def encode_body(body: DecisionBody) -> bytes:
    """Bytes of a decision body: equal bodies give equal bytes, so replay can compare bytes.

    Fields at the end that say nothing are left out: so decisions were recorded before there were such fields.
    """
    if body.steps or body.sent:
        return _encode_body(body)
    fields = (
        body.outcome, body.status, body.reasons, body.opinions, body.vector, body.formulas, body.sources, body.program,
        body.engine,
    )  # fmt: skip
    if body.transfers:
        return _encode_body((*fields, body.arm, body.transfers, body.day))
    return _encode_body((*fields, body.arm) if body.arm else fields)


def decode_body(data: bytes) -> DecisionBody:
    """The decision body that `encode_body` wrote."""
    return _decode_body(data)


def weigh(program: Program, event: EventFact, evidence: Evidence, opinions: Sequence[Opinion]) -> DecisionFact:
    """Join the opinions of all flows on one event: the most severe outcome wins, every opinion is kept.

    Reasons of every opinion that reached the winning outcome are given, in the order of the flows.

    Raises
    ------
    TypeError : a trace holds what cannot be recorded (a FEEL function or range as a result)
    """
    if not opinions:  # No flow decides it, but a process looks at it.
        return _unjudged(program, event, evidence)
    if len(opinions) == 1:
        winner = opinions[0]
        reasons, status = winner.reasons, winner.status
    else:
        severity = program.severity
        winner = max(opinions, key=lambda opinion: severity[opinion.outcome])
        reasons = [code for opinion in opinions if opinion.outcome == winner.outcome for code in opinion.reasons]
        status = winner.status
    body = DecisionBody(
        winner.outcome,
        status,
        reasons,
        opinions,
        evidence.vector,
        evidence.formulas,
        evidence.sources,
        program.activation,
        program.engine,
        program.arm,
    )
    numbers = (program.severity[winner.outcome], STATUSES.index(status), program.activation)
    return DecisionFact(event.code, event.time_ms, event.received_ms, event.subject, numbers, body, encode_body(body))


def _unjudged(program: Program, event: EventFact, evidence: Evidence) -> DecisionFact:
    vector, formulas, sources = evidence.vector, evidence.formulas, evidence.sources
    by = (program.activation, program.engine, program.arm)
    body = DecisionBody("", RECORDED, (), (), vector, formulas, sources, *by)
    numbers = (0, STATUSES.index(RECORDED), program.activation)
    return DecisionFact(event.code, event.time_ms, event.received_ms, event.subject, numbers, body, encode_body(body))


REASON_LEDGER_REFUSED = "ledger_refused"


def is_there(moved: Moved) -> bool:
    """Whether a transfer was made, now or before."""
    return moved.outcome in (TransferOutcome.APPLIED.name, TransferOutcome.EXISTS.name)


def after_ledger(program: Program, decision: DecisionFact, moved: Sequence[Moved], day: int) -> DecisionFact:
    """The decision with what became of the transfers it asked for on a business day; another outcome where the ledger
    refused them."""
    asked, body, numbers, moves = decision.asked, decision.body, decision.numbers, decision.moves
    if asked is not None and not all(map(is_there, moved)):
        reasons = [*body.reasons, REASON_LEDGER_REFUSED]
        outcome = asked.outcome or body.outcome  # Another pack's flow decides it and says nothing of refusals.
        body = msgspec.structs.replace(body, outcome=outcome, status=REFUSED, reasons=reasons)
        severity = program.severity.get(outcome, 0)
        numbers, moves = (severity, STATUSES.index(REFUSED), numbers[2]), decision.refused
    body = msgspec.structs.replace(body, transfers=tuple(moved), day=day, steps=moves.told, sent=moves.sent)
    return msgspec.structs.replace(
        decision, numbers=numbers, body=body, payload=encode_body(body), asked=None, moves=moves, refused=NO_MOVES
    )


def unasked(decision: DecisionFact, moves: Moves) -> DecisionFact:
    """A decision that asks nothing of the ledger, with the moves that it makes."""
    body = msgspec.structs.replace(decision.body, steps=moves.told, sent=moves.sent)
    return msgspec.structs.replace(decision, body=body, payload=encode_body(body), moves=moves)


class FactColumns(NamedTuple):
    """Facts side by side, as `State.apply` folds them: n rows.

    kind : uint8; type : int32 code; time_ms : int64; keys : uint64 (n, K, 2); numbers : int64 (n, V)
    """

    kind: NDArray[np.uint8]
    type: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]

    def rows(self, rows: Sequence[int] | slice) -> FactColumns:
        """Those of some facts; copied, but for a slice."""
        kind, types, times, keys, numbers = self
        return FactColumns(kind[rows], types[rows], times[rows], keys[rows], numbers[rows])

    def batch(self, rows: Sequence[int] | slice, offset: int, received_ms: int) -> Batch:
        """Some rows as sources are asked about them; `offset` = the log's head before the group."""
        columns = (self.type[rows], self.time_ms[rows], self.keys[rows], self.numbers[rows])
        return Batch(*columns, offset, received_ms)


class Moments(NamedTuple):
    """What is known of each event at its own moment, from headers alone.

    raw : int64 (events × plan columns), the folds; answers : float64 (events × columns of sources with state)
    """

    raw: NDArray[np.int64]
    answers: NDArray[np.float64]

    def rows(self, rows: Sequence[int]) -> Moments:
        """Those of some events."""
        return Moments(self.raw[rows], self.answers[rows])


def events_columns(events: Sequence[EventFact], program: Program) -> FactColumns:
    """Columns of new events, padded to the widest event type of the program."""
    n = len(events)
    keys = np.zeros((n, program.keys_max, 2), np.uint64)
    numbers = np.full((n, program.numbers_max), NULL, np.int64)
    listed = [event.code for event in events]
    codes = np.array(listed, np.int32)
    for code in set(listed):
        rows = np.flatnonzero(codes == code).tolist()
        n_keys, n_numbers = program.widths[code]
        tails = np.frombuffer(b"".join([events[row].tail for row in rows]), np.uint64)
        tails = tails.reshape(len(rows), 2 * n_keys + n_numbers)
        keys[rows, :n_keys] = tails[:, : 2 * n_keys].reshape(len(rows), n_keys, 2)
        numbers[rows, :n_numbers] = tails[:, 2 * n_keys :].view(np.int64)
    return FactColumns(
        np.full(n, EVENT, np.uint8), codes, np.array([event.time_ms for event in events], np.int64), keys, numbers
    )


def decisions_columns(decisions: Sequence[DecisionFact | None]) -> FactColumns:
    """Columns of new decisions: their numbers are severity, status and program."""
    made = [decision for decision in decisions if decision is not None]
    n = len(made)
    return FactColumns(
        np.full(n, DECISION, np.uint8),
        np.array([decision.code for decision in made], np.int32),
        np.array([decision.time_ms for decision in made], np.int64),
        np.zeros((n, 0, 2), np.uint64),
        np.array([decision.numbers for decision in made], np.int64).reshape(n, 3),
    )


def decision_counts(columns: FactColumns, rows: NDArray[np.bool_]) -> Iterable[tuple[tuple[int, int, int], int]]:
    """(type code, severity, status) and how many decisions had it; all three are small."""
    if not rows.any():
        return
    numbers = columns.numbers[rows]
    severities = int(numbers[:, 0].max()) + 1
    packed = (columns.type[rows].astype(np.int64) * severities + numbers[:, 0]) * len(STATUSES) + numbers[:, 1]
    counts = np.bincount(packed)
    for value in np.flatnonzero(counts).tolist():
        rest, status = divmod(value, len(STATUSES))
        code, severity = divmod(rest, severities)
        yield (code, severity, status), int(counts[value])
