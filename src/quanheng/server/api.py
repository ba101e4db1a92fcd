"""What /schema says about each address: texts, answers, examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

ABOUT = "Decide events in real time, durably, with reasons. 实时决策,持久记录,附带理由。"
OFFSET = "Log offset of the decision, as `decision` in the reply to an event."


@dataclass
class AskedTransfer:
    """A transfer that a decision asked the ledger for.

    name: pack.posting.transfer
    id: of the transfer, in decimal
    outcome: what the ledger said
    amount_minor: what it moved, held or let go
    """

    name: str
    id: str
    outcome: str
    amount_minor: int = 0


@dataclass
class EventReply:
    """The answer to one event.

    id: as sent
    status: decided | recorded | repeated | rejected | conflict | failed | refused
    offset: log offset of the event
    decision: log offset of the decision
    outcome: what was decided
    reasons: reason codes
    error: what was wrong, with the cure
    dry_run: true if nothing was recorded
    transfers: what the ledger was asked for
    """

    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    error: str = ""
    dry_run: bool = False
    transfers: tuple[AskedTransfer, ...] = ()


@dataclass
class Problem:
    """Why a request was refused.

    error: the whole sentence
    where: place
    found: what was found
    allowed: what would have been accepted
    cure: what to do
    problems: of a pack, each with file, key, message, found, known, cure
    """

    error: str
    where: str = ""
    found: str = ""
    allowed: str = ""
    cure: str = ""
    problems: tuple[dict[str, str], ...] = ()


def answers(*statuses: int) -> dict[int, ResponseSpec]:
    """What is said of answers with these HTTP statuses, all of them a `Problem`."""
    texts = {
        400: "The request is not JSON, or a header or parameter is wrong.",
        401: "No valid token.",
        403: "The token lacks the scope.",
        404: "No such decision, pack, version, list or record.",
        409: "The id was used before with other content.",
        410: "The subject's data was erased.",
        413: "Too many bytes or events.",
        422: "The event or the body does not fit, or what is asked cannot be done; of a pack, every problem.",
        429: "The client's rate or the queue is exceeded; nothing was written. See Retry-After.",
        503: "The server is stopping, has failed, or did not answer in time. See Retry-After.",
    }
    return {status: ResponseSpec(Problem, description=texts[status], generate_examples=False) for status in statuses}


EVENTS: dict[str, Any] = {
    "operation_id": "postEvents",
    "summary": "Record and decide events",
    "description": (
        "One event, or an array of them. Each is checked, applied, decided and made durable before it is answered. "
        "One bad event does not stop the rest: an array is answered with 200 and a status for each event; "
        "a single event has its status in the HTTP status too."
    ),
    "tags": ["events"],
    "responses": {
        200: ResponseSpec(EventReply, description="Decided, recorded or repeated.", generate_examples=False),
        **answers(400, 401, 403, 409, 413, 422, 429, 503),
    },
}
DECISION: dict[str, Any] = {
    "operation_id": "getDecision",
    "summary": "One decision with its evidence",
    "description": "Outcome, reasons, features used, versions and trace of a decision, as recorded.",
    "tags": ["decisions"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 404, 410, 503)},
}
REJECTS: dict[str, Any] = {
    "operation_id": "getRejects",
    "summary": "Events that were rejected",
    "description": (
        "Counted, and the newest of them listed with the reason, oldest first. With `after` those behind that offset, "
        "so the offset of the last one seen continues a listing. The newest 1,000 can be listed."
    ),
    "tags": ["events"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 503)},
}
POLICIES: dict[str, Any] = {
    "operation_id": "getPolicies",
    "summary": "Versions of all packs",
    "description": (
        "Where each version stands, its authors, and every step it took: when, who, why. `glass` is null, or says who "
        "put it in force alone, why, and where the review stands, with a title in English and Chinese."
    ),
    "tags": ["policies"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(401, 403, 503)},
}
POLICY: dict[str, Any] = {
    **POLICIES,
    "operation_id": "getPolicy",
    "summary": "Versions of one pack",
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(401, 403, 404, 503)},
}
CHECKPOINT: dict[str, Any] = {
    "operation_id": "getCheckpoint",
    "summary": "Size and root of the log, signed",
    "description": (
        "A C2SP tlog-checkpoint: origin, number of records, root of the Merkle tree, and signatures. Keep it: a later "
        "one must be proved to extend it. Needs the scope watch."
    ),
    "tags": ["proofs"],
    "responses": {
        200: ResponseSpec(str, media_type="text/plain", generate_examples=False),
        **answers(401, 403, 422, 503),
    },
}
CONSISTENCY: dict[str, Any] = {
    "operation_id": "getConsistency",
    "summary": "Proof that the log extends an older checkpoint",
    "description": (
        "The path of RFC 6962, 2.1.2, hashes in base64. It leads from the older root to the newer one, or the log was "
        "written anew. Needs the scope watch."
    ),
    "tags": ["proofs"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 404, 503)},
}
INCLUSION: dict[str, Any] = {
    "operation_id": "getInclusion",
    "summary": "Proof that a record is in the log",
    "description": (
        "Leaf hash of the record and the path of RFC 6962, 2.1.1, hashes in base64. The record itself is not given. "
        "Needs the scope watch."
    ),
    "tags": ["proofs"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 404, 503)},
}
HEALTH: dict[str, Any] = {
    "operation_id": "getHealth",
    "summary": "Whether events are accepted, and the committed offset",
    "tags": ["operation"],
    "responses": {200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(503)},
}
METRICS: dict[str, Any] = {
    "operation_id": "getMetrics",
    "summary": "Numbers for Prometheus",
    "tags": ["operation"],
    "responses": {200: ResponseSpec(str, media_type="text/plain", generate_examples=False), **answers(503)},
}


def operation(examples: list[dict[str, Any]]) -> type[Operation]:
    """An OpenAPI operation for `POST /v1/events` described by hand, with events of the loaded packs as examples."""
    event = Schema(
        type=OpenAPIType.OBJECT,
        required=["id", "type", "data"],
        properties={
            "id": Schema(
                type=OpenAPIType.STRING, min_length=1, max_length=200, description="Chosen by you; makes a retry safe."
            ),
            "type": Schema(type=OpenAPIType.STRING, description="A declared event type."),
            "data": Schema(type=OpenAPIType.OBJECT, description="The fields of that type."),
        },
    )
    shown: dict[str, Example] = {f"{one['type']}": Example(value=one) for one in examples}
    if len(examples) > 1:
        shown["several at once"] = Example(value=examples)
    body = RequestBody(
        required=True,
        content={
            "application/json": OpenAPIMediaType(
                schema=Schema(one_of=[event, Schema(type=OpenAPIType.ARRAY, items=event)]), examples={**shown} or None
            )
        },
    )
    parameters = [
        Parameter("dry_run", "query", schema=Schema(type=OpenAPIType.BOOLEAN), description="Decide without recording."),
        Parameter(
            "X-Request-Timeout-Ms",
            "header",
            schema=Schema(type=OpenAPIType.INTEGER),
            description="Milliseconds you wait; after them the flow's fall-back outcome is decided.",
        ),
    ]

    @dataclass
    class EventsOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = body
            self.parameters = [*parameters]

    return EventsOperation
