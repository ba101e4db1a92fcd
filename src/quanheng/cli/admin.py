"""Operations that need the writer: in this process if the data folder is free, else inside the running server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from quanheng.cli.common import locked_engine
from quanheng.kernel.errors import NotAuthenticated, QuanhengError
from quanheng.server.config import Config, socket_path

WAIT_S = 600.0


class ServerRefused(QuanhengError):
    """The running server did not carry out an operation."""


Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Carries out an operation with its arguments, and gives its result."""


def administer(config: Config, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out an operation of `quanheng.server.admin` and give its result.

    Raises
    ------
    As `administration`, and whatever the operation raises
    """
    with administration(config) as ask:
        return ask(operation, arguments)


@contextlib.contextmanager
def administration(config: Config) -> Iterator[Ask]:
    """Carry out several operations, one after another, with one engine or over one connection.

    Whoever may open the key ring folder may do everything; beside a running server a token of scope admin is needed
    (QUANHENG_TOKEN, or the development token), since the server is the one who checks rights.

    Raises
    ------
    FolderInUse : another process owns the data folder and does not serve
    NotAuthenticated : no token for the running server
    ServerRefused : the running server said no to an operation
    """
    from quanheng.server.admin import NAMED, names_actor, perform, scope_of
    from quanheng.server.lock import FolderInUse

    with contextlib.ExitStack() as opened:
        try:
            engine = opened.enter_context(locked_engine(config))
        except FolderInUse:
            if not os.path.exists(socket_path(config)):
                raise
            yield opened.enter_context(_serving(config))
            return

        def ask(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
            if names_actor(operation, arguments):  # People are told apart by their tokens, wherever the engine runs.
                scope = scope_of(operation, arguments) if operation in NAMED else ""
                arguments["actor"] = engine.authorise(_token_digest(config), scope)
            return perform(engine, operation, arguments)

        yield ask


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


@contextlib.contextmanager
def _serving(config: Config) -> Iterator[Ask]:
    """Operations inside the running server, over one connection."""
    import asyncio

    from quanheng.server import wire
    from quanheng.server.link import CoreLink

    digest = _token_digest(config)

    async def connected() -> CoreLink:
        _, made = await asyncio.get_running_loop().create_unix_connection(CoreLink, str(socket_path(config)))
        return made

    async def answered(link: CoreLink, asked: wire.Admin) -> wire.Answer:
        return await link.ask(wire.Kind.ADMIN, asked, WAIT_S)

    with asyncio.Runner() as runner:
        link = runner.run(connected())

        def ask(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
            asked = wire.Admin(digest, operation, msgspec.msgpack.encode(arguments))
            answer = runner.run(answered(link, asked))
            if answer.status != 200:
                raise ServerRefused(
                    "the running server refused",
                    where=operation,
                    found=str(msgspec.json.decode(answer.body).get("error", answer.status)),
                )
            return msgspec.json.decode(answer.body, type=dict[str, Any])

        try:
            yield ask
        finally:
            link.close()
