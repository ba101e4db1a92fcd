"""What /schema says about the addresses that change what decides: texts, bodies, answers, examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, RequestBody

from quanheng.server import bodies
from quanheng.server.api import answers

ONCE = "The same request again (client, `id`, content) is answered with what was recorded, `repeated` true."


@dataclass
class StepReply:
    """A step that was taken.

    pack: name
    hash: of the version
    version: its number, as pack.toml says
    step: draft, submit, approve …
    actor: client of the token
    reason: why
    share_bp: basis points of the subjects, for share
    received_ms: the writer's stamp, epoch milliseconds
    as_of: committed offset
    repeated: true if it was recorded before
    """

    pack: str
    hash: str
    version: str
    step: str
    actor: str
    reason: str
    share_bp: int
    received_ms: int
    as_of: int
    repeated: bool


def described(
    id: str, summary: str, text: str, tag: str, reply: Any, of: type[bodies.Change] | None = None, **example: Any
) -> dict[str, Any]:
    """What the framework is told of one address; one with a body `of` is a change, and the example is such a body."""
    statuses = (401, 403, 404, 429, 503) if of is None else (400, 401, 403, 404, 409, 413, 422, 429, 503)
    told: dict[str, Any] = {
        "operation_id": id,
        "summary": summary,
        "description": text if of is None else f"{text} {ONCE}",
        "tags": [tag],
        "responses": {200: ResponseSpec(reply, generate_examples=False), **answers(*statuses)},
    }
    return told if of is None else {**told, "operation_class": _with_body(of, {"id": "change-2026-031", **example})}


def _with_body(of: type[bodies.Change], example: dict[str, Any]) -> type[Operation]:
    """An operation whose body is described by the type that reads it."""
    schema: Any = inlined(msgspec.json.schema(of))
    content = {"application/json": OpenAPIMediaType(schema=schema, examples={of.__name__: Example(value=example)})}

    @dataclass
    class ChangeOperation(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(required=True, content=content)

    return ChangeOperation


def inlined(schema: dict[str, Any]) -> Any:
    """A JSON schema with every reference replaced by what it refers to; ours refer to nothing twice over."""
    known = schema.get("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return put(known[part["$ref"].rpartition("/")[2]])
            return {key: put(value) for key, value in part.items() if key != "$defs"}
        return [put(one) for one in part] if isinstance(part, list) else part

    return put(schema)


DRAFT = described(
    "postDraft",
    "Draft a version of a pack",
    "Needs scope author: you become its author. The content is checked among the packs in force, its golden cases run, "
    "and it is kept. If it is wrong the answer lists every problem.",
    "policies",
    StepReply,
    bodies.DraftBody,
    base="active",
    files={"parameters/limits.toml": "…"},
    reason="Losses above 4,000 EUR have doubled",
)
ACTIVATE = described(
    "postActivate",
    "Put a pack in force directly",
    "Needs scope admin. Where four eyes are demanded and a champion would be replaced, `break_glass` says why one "
    "person does it alone; that awaits review by another person (`accept_glass`, `reject_glass`).",
    "policies",
    dict[str, Any],
    bodies.ActivateBody,
    base="3f9c2a71",
    break_glass="Fraud wave, nobody else on call",
)
ROLL_BACK = described(
    "postRollBack",
    "Bring the champion before back",
    "Needs scope approve. `version` names another version that was champion.",
    "policies",
    StepReply,
    bodies.RollBackBody,
    reason="Approvals fell by half",
)
STEP = described(
    "postStep",
    "Take a step with a version",
    "submit, shadow and retire need scope author; approve, reject, share, promote, roll_back, accept_glass and "
    "reject_glass need scope approve and another person than the version's authors.",
    "policies",
    StepReply,
    bodies.StepBody,
    reason="Backtest read, 12 more reviews a day",
)
LISTS = described(
    "getLists", "Lists with their sizes, and changes that wait", "Needs scope read.", "lists", dict[str, Any]
)
LIST = described(
    "getList",
    "Entries of a list in clear, newest first",
    "Needs scope read. Where the name is an offset: what a change that waits is about.",
    "lists",
    dict[str, Any],
)
LIST_CHANGE = described(
    "postListChange",
    "Put values on a list, or take them off",
    "Needs scope author. Where four eyes are demanded the change waits for another person.",
    "lists",
    dict[str, Any],
    bodies.ListChangeBody,
    change="add",
    values=["d-4711"],
    reason="reported stolen",
    **{"for": "30d"},
)
VERDICT = described(
    "postListVerdict",
    "Approve or reject a change that waits",
    "Needs scope approve, and another person than whoever proposed it.",
    "lists",
    dict[str, Any],
    bodies.VerdictBody,
    reason="the report lies before me",
)
