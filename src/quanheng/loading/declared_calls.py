"""What calls.toml declares, checked: requests to partners, which are answered, and notices, which are not.

Nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from quanheng.events.schema import FieldDeclaration

CALL_ANSWERED, NOTICE_SENT = "call.answered", "notice.sent"
"""Last words of the events that tell what became of a call or a notice: `ask_payer.call.answered`."""

RESULTS = ("answered", "cached", "fallback", "failed")
"""What became of a call: the partner answered in time; an answer that is not too old was at hand; the declared
fall-back stands for one; there is none, and no fall-back was declared."""
SENT_RESULTS = ("sent", "dead")
"""What became of a notice: somebody took it; nobody did, and it is a dead letter."""
REASONS = (
    "timed_out",
    "unreachable",
    "failing",
    "refused",
    "wrong_answer",
    "circuit_open",
    "too_old",
    "unknown_address",
    "unsendable",
    "erased",
)
"""Why a message was not answered or taken: what hindered its last try. No answer within the time-out of a try; no
connection; the other side says it cannot now (5xx, 408, 425, 429); it says it never will (other 4xx, a mail box that
does not exist); an answer that does not fit the declared fields; the circuit of the address is open; older than
`give_up`; the configuration has no such address for this channel; the body cannot be sent (a mail to nobody); the
subject was erased, so that nobody can read what was to be sent."""

OUTBOX = "quanheng.outbox"
"""The client that alone sends the events of calls and notices, under the message's id as request id."""
MESSAGE = "quanheng.message"
"""The entity of messages. Its keys are ids of 16 bytes, written as `#` and 32 hexadecimal digits."""

Channel = Literal["http", "webhook", "smtp", "sms", "push"]


class CallDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the outside.

    kind : "call" = it is answered, by the event `NAME.call.answered`; "notify" = it is not, and the event
        `NAME.notice.sent` tells that it was taken, or is dead
    channel : how it goes out. "http" = a JSON request that is answered in the response; "webhook" = a signed JSON
        request whose answer comes later, as an event of whoever was asked or not at all; mail; ports for the others
    address : name of an address of the configuration (`[outbox.addresses]`), so that a pack names no host
    keys : key field → entity: those of the asking event that the answer carries
    subject : which of them it is about; "" = nobody
    send : name in the JSON body (in a mail: to, subject, body) → FEEL over what is known of the asking event
    answer : field of the answer → how it is declared; all are optional in the event, for it may not come
    fallback : field → value that stands for an answer that does not come; None = no fall-back (a notice)
    timeout_ms : of one try; tries : how often it is tried in all
    backoff_ms, backoff_max_ms : pause behind the first failed try, doubled behind each later one up to the other
    give_up_ms : age at which it is not tried any more, -1 = only `tries` counts
    breaker_failures, breaker_ms : so many failures in a row, whatever asked, open the circuit for so long: nothing is
        tried, the fall-back stands; 0 = none
    cache_ms : age up to which an answer to the same body is given again; 0 = never
    """

    name: str
    kind: Literal["call", "notify"]
    channel: Channel
    address: str
    keys: Mapping[str, str] = {}
    subject: str = ""
    send: Mapping[str, str] = {}
    answer: Mapping[str, FieldDeclaration] = {}
    fallback: Mapping[str, object] | None = None
    timeout_ms: int = 2_000
    tries: int = 3
    backoff_ms: int = 500
    backoff_max_ms: int = 60_000
    give_up_ms: int = -1
    breaker_failures: int = 0
    breaker_ms: int = 30_000
    cache_ms: int = 0
    en: str = ""
    zh: str = ""

    @property
    def results(self) -> tuple[str, ...]:
        """What may become of it."""
        return RESULTS if self.kind == "call" else SENT_RESULTS

    @property
    def event(self) -> str:
        """The event that tells what became of it."""
        return f"{self.name}.{CALL_ANSWERED if self.kind == 'call' else NOTICE_SENT}"


class CallsDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of calls.toml, in the order of the file."""

    calls: tuple[CallDeclaration, ...] = ()
