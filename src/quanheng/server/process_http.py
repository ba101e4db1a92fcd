"""Processes over HTTP: which there are, their instances, how one stands and how it came there."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from quanheng.instances import LIST_MAX
from quanheng.server.api import answers
from quanheng.server.bodies import whole
from quanheng.server.ledger_http import LedgerDoor
from quanheng.server.process_core import HISTORY, INSTANCE, INSTANCES, PROCESSES

Name = Annotated[str, PathParameter(description='Name of the process: "review" or "my_pack.review".')]
Id = Annotated[str, PathParameter(description="Id of the instance as events name it, or its key, `#` and 32 digits.")]


def _read(id: str, summary: str, text: str = "") -> dict[str, Any]:
    about = "Needs scope read. `as_of` is the offset that it is of; all that it shows is durable."
    return {
        "operation_id": id,
        "summary": summary,
        "description": f"{text} {about}".strip(),
        "tags": ["processes"],
        "responses": {
            200: ResponseSpec(dict[str, Any], generate_examples=False), **answers(400, 401, 403, 404, 422, 429, 503)
        },
    }  # fmt: skip


def handlers(door: LedgerDoor) -> list[HTTPRouteHandler]:
    """The handlers of the addresses of processes."""

    @get("/v1/processes", **_read("getProcesses", "Processes in force, with how many instances are in each state"))
    async def processes(request: Request) -> Response[bytes]:
        return await door.read(request, PROCESSES)

    @get(
        "/v1/processes/{name:str}",
        **_read("getInstances", "Instances of a process", "`next_after` continues a listing as `after`."),
    )
    async def instances(
        request: Request,
        name: Name,
        in_state: Annotated[str, QueryParameter(name="state", description="Those in this state.")] = "",
        live: Annotated[bool, QueryParameter(description="Those alone that are not over.")] = False,
        limit: Annotated[str, QueryParameter(description=f"At most so many, 1 to {LIST_MAX}.")] = "100",
        after: Annotated[str, QueryParameter(description="`next_after` of the page before.")] = "",
    ) -> Response[bytes]:
        asked = {"process": name, "state": in_state, "live": live, "after": after}
        return await door.read(
            request, INSTANCES, limit=whole(limit, "limit", f"1 to {LIST_MAX}", LIST_MAX, 1), **asked
        )

    @get(
        "/v1/processes/{name:str}/{id:str}",
        **_read("getInstance", "How an instance stands: states, what it keeps, its timers, what may come now"),
    )
    async def instance(request: Request, name: Name, id: Id) -> Response[bytes]:
        return await door.read(request, INSTANCE, process=name, id=id)

    @get(
        "/v1/processes/{name:str}/{id:str}/history",
        **_read("getHistory", "Every step of an instance: when, on which event, from where to where, why"),
    )
    async def past(request: Request, name: Name, id: Id) -> Response[bytes]:
        return await door.read(request, HISTORY, process=name, id=id)

    return [processes, instances, instance, past]
