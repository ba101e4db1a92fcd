"""Operations that need the writer: in this process if the data folder is free, else inside the running server."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from quanheng.cli.common import locked_engine
from quanheng.kernel.errors import NotAuthenticated, QuanhengError
from quanheng.server.config import Config, socket_path

WAIT_S = 600.0


class ServerRefused(QuanhengError):
    """The running server did not carry out an operation."""


def administer(config: Config, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out an operation of `quanheng.server.admin` and give its result.

    Whoever may open the key ring folder may do everything; beside a running server a token of scope admin is needed
    (QUANHENG_TOKEN, or the development token), since the server is the one who checks rights.

    Raises
    ------
    FolderInUse : another process owns the data folder and does not serve
    NotAuthenticated : no token for the running server
    ServerRefused : the running server said no
    """
    import asyncio

    from quanheng.server.admin import NAMED, names_actor, perform, scope_of
    from quanheng.server.lock import FolderInUse

    try:
        with locked_engine(config) as engine:
            if names_actor(operation, arguments):  # People are told apart by their tokens, wherever the engine runs.
                scope = scope_of(operation, arguments) if operation in NAMED else ""
                arguments["actor"] = engine.authorise(_token_digest(config), scope)
            return perform(engine, operation, arguments)
    except FolderInUse:
        if not os.path.exists(socket_path(config)):
            raise
    return asyncio.run(_ask_server(config, operation, arguments))


def _token_digest(config: Config) -> bytes:
    from quanheng.server.intake import token_digest
    from quanheng.server.opening import read_token

    token = read_token(config)
    if not token:
        raise NotAuthenticated(
            "there is no token to ask with",
            where="QUANHENG_TOKEN",
            found="nothing",
            allowed="a token of the scope that the operation needs",
            cure="Make one with `quanheng token create NAME --scope ...` and set QUANHENG_TOKEN.",
        )
    return token_digest(token.encode())


async def _ask_server(config: Config, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    import asyncio

    from quanheng.server import wire
    from quanheng.server.link import CoreLink

    digest = _token_digest(config)
    _, link = await asyncio.get_running_loop().create_unix_connection(CoreLink, str(socket_path(config)))
    asked = wire.Admin(digest, operation, msgspec.msgpack.encode(arguments))
    answer = await link.ask(wire.Kind.ADMIN, asked, WAIT_S)
    link.close()
    if answer.status != 200:
        raise ServerRefused(
            "the running server refused",
            where=operation,
            found=str(msgspec.json.decode(answer.body).get("error", answer.status)),
        )
    return msgspec.json.decode(answer.body, type=dict[str, Any])
