"""Messages to the outside: calls and notices of calls.toml with their bodies, rendered from what is known of an event,
and how the events that tell what became of them are folded.

Pure: `outbox` sends them, after the commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from quanheng.events.schema import NULL, EventType
from quanheng.expressions import Expression, Getter
from quanheng.facts import FactColumns, Sent
from quanheng.feel.temporal import Date, DateTime, DaysDuration, Time, YearsDuration
from quanheng.kernel.log.records import EVENT
from quanheng.known import Known
from quanheng.loading.declared_calls import OUTBOX, RESULTS, SENT_RESULTS, CallDeclaration
from quanheng.processes.outbox import Outbox

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

EXTRA = ("outcome", "refused", "instance")
BODY_BYTES_MAX = 256 * 1024
"""A longer body is not sent: its message ends as one that cannot be."""
WELL: Mapping[tuple[str, ...], int] = {RESULTS: 2, SENT_RESULTS: 1}
"""Of results, how many at the head of the list are good: the others make dead letters."""
_WORD_MAX = 2**63
_INTEGERS_MAX = 10**34


def message_id(request_key: bytes, name: str, number: int) -> bytes:
    """Id of a message, 16 bytes: BLAKE2b of the event's request key, the call's name and its number in the decision."""
    text = request_key + f"{name}/{number}".encode()
    return hashlib.blake2b(text, digest_size=16, person=b"quanheng message").digest()


class Sends:
    """The calls and notices that may be asked for when an event of one type comes.

    Parameters
    ----------
    names, getter : what is known of the event, as for `Postings`
    """

    def __init__(
        self,
        calls: Sequence[CallDeclaration],
        pack: Declared,
        event: EventType,
        names: Sequence[str],
        getter: Callable[[str], Getter],
    ) -> None:
        self._pack = pack.name
        self._bodies = {
            call.name: [
                (field, Expression(text, names, getter, f"{call.kind} {call.name}.send.{field}", EXTRA))
                for field, text in call.send.items()
            ]
            for call in calls
        }

    def render(
        self,
        known: Known,
        row: int,
        names: Sequence[str],
        outcome: str,
        instance: object,
        first: int = 0,
        refused: bool = False,
    ) -> list[Sent]:
        """Messages for one row, in order.

        Parameters
        ----------
        instance : context of the process that asks; None = a flow does
        first : number of the first message among those of the decision
        refused : the ledger refuses what the decision asked for
        """
        sent = []
        for number, name in enumerate(names, first):
            body = {field: one.column(known)(row, outcome, refused, instance) for field, one in self._bodies[name]}
            full = f"{self._pack}.{name}"
            sent.append(Sent(full, message_id(known.events[row].request_key, full, number), body_of(body)))
        return sent


def body_of(values: Mapping[str, object]) -> bytes:
    """The body as canonical JSON: sorted names, exact numbers, moments and durations as ISO 8601 texts.

    Nothing where the values have no form in JSON (a function, a range) or are longer than `BODY_BYTES_MAX`: that such a
    message cannot be sent is told when it is tried, for a decision does not fail because of what it tells others.
    """
    try:
        body = _encode(_plain(values))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return b""
    return body if len(body) <= BODY_BYTES_MAX else b""


def _plain(value: object) -> object:
    """A value of FEEL as JSON has it."""
    if isinstance(value, int) and not -_WORD_MAX <= value < _WORD_MAX:
        return Decimal(value) if abs(value) < _INTEGERS_MAX else _no_form(value)
    if isinstance(value, str | int | Decimal) or value is None:
        return value
    if isinstance(value, dict | Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Date | Time | DateTime | DaysDuration | YearsDuration):
        return str(value)
    return _no_form(value)


def _no_form(value: object) -> object:
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


class AnswerColumns(NamedTuple):
    """Where the header of an event that tells of a message says what became of it.

    key : place of the message among the keys; result, reason : places among the numbers
    well : results before this one in their list are good
    """

    key: int
    result: int
    reason: int
    well: int


def answer_columns(types: Iterable[EventType]) -> dict[int, AnswerColumns]:
    """Of the events of calls and notices among these types, by code."""
    found = {}
    for one in types:
        if one.declaration.client == OUTBOX:
            result, reason = (one.header_fields.index(name) for name in ("result", "reason"))
            well = WELL[one.declaration.fields["result"].choices]
            found[one.code] = AnswerColumns(one.key_fields.index("message"), result, reason, well)
    return found


def fold_answers(outbox: Outbox, columns: FactColumns, answers: Mapping[int, AnswerColumns]) -> None:
    """Fold the events among these facts that tell what became of messages, in order."""
    if not answers:
        return
    rows = np.flatnonzero((columns.kind == EVENT) & np.isin(columns.type, list(answers)))
    for row in rows.tolist():
        at = answers[int(columns.type[row])]
        result, reason = int(columns.numbers[row, at.result]), int(columns.numbers[row, at.reason])
        outbox.end(
            columns.keys[row : row + 1, at.key],
            np.array([result >= at.well]),
            np.array([-1 if reason == NULL else reason]),
            columns.time_ms[row : row + 1],
        )


_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
