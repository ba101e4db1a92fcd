"""`quanheng serve`: the core in this process, HTTP in a child, both started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from quanheng.kernel.errors import InputError, QuanhengError
from quanheng.server.config import Config, socket_path
from quanheng.server.connection import Link
from quanheng.server.core import Core
from quanheng.server.engines import Engine
from quanheng.server.lock import FolderLock
from quanheng.server.logs import Log
from quanheng.server.outgoing import places_of, send_outgoing
from quanheng.server.relief import relieved
from quanheng.server.snapshots import follow
from quanheng.server.streams import Readers, check_streams
from quanheng.server.trials import follow_trials

START_S_MAX = 120.0
SWITCH_S = 0.001
"""How long the thread that decides keeps the interpreter from the one that commits; callers wait for the commit."""
FAIL_ANSWER_S = 0.5  # Time for the edge to pass on the last answers of a failed core.


class AddressInUse(InputError):
    """Another program listens on the address."""


class EdgeFailed(QuanhengError):
    """The process that serves HTTP ended by itself."""


class Opened(NamedTuple):
    """What `serve` needs of an engine.

    engine : owner of the log
    request : builds a request: (client, id, type, data, deadline_ms)
    examples : events for the API's documentation
    notes : lines worth telling at the start (a new key ring, a new token)
    """

    engine: Engine
    request: Callable[..., Any]
    examples: list[dict[str, Any]]
    notes: list[str]


def clock_ms() -> int:
    """Wall clock, UTC milliseconds. Read here and in the engine only; everything else is passed the time."""
    return time.time_ns() // 1_000_000


def serve(config: Config, opener: Callable[[Config], Opened], tell: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT.

    Parameters
    ----------
    config : everything that can be configured
    opener : opens the engine on the configured folders
    tell : receives the lines for the person who started it

    Returns
    -------
    exit code: 0 after an ordered stop, 1 after a failure

    Raises
    ------
    FolderInUse, AddressInUse, ConfigurationError, LogError : it could not start
    """
    lock = FolderLock(Path(config.storage.data))
    sys.setswitchinterval(SWITCH_S)
    try:
        check_address(config)
        check_streams(config)
        opened = opener(config)
        try:
            with relieved(config), asyncio.Runner(loop_factory=_loop_factory()) as runner:
                return runner.run(_Service(config, opened, tell).run())
        finally:
            opened.engine.close()
    finally:
        lock.close()


class _Service:
    """One run of core and edge."""

    def __init__(self, config: Config, opened: Opened, tell: Callable[[str], None]) -> None:
        self._config, self._opened, self._tell = config, opened, tell
        self._log = Log(config.logs.level, "core")
        self._socket = socket_path(config)
        self._edge: subprocess.Popen[bytes] | None = None
        self._places = places_of(config)
        self._readers = Readers(config, self._log, clock_ms)

    async def run(self) -> int:
        config, loop = self._config, asyncio.get_running_loop()
        core = Core(self._opened.engine, self._opened.request, config.limits, clock_ms, self._log)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_unix_server(lambda: Link(core), sock=_private_socket(self._socket))
        running = asyncio.create_task(core.run())
        stopping = asyncio.create_task(stop.wait())
        edge_end: asyncio.Task[None] | None = None
        beside = [
            asyncio.create_task(send_outgoing(config, self._places, self._opened.engine, core)),
            asyncio.create_task(follow(config, self._opened.engine)),
            asyncio.create_task(follow_trials(config, self._opened.engine)),
        ]
        code = 0
        try:
            self._edge = self._start_edge()
            edge_end = asyncio.create_task(self._edge_ends())
            await self._ready(running, stopping, edge_end)
            self._readers.start()
            await asyncio.wait({running, stopping, edge_end}, return_when=asyncio.FIRST_COMPLETED)
            if edge_end.done() and not stopping.done() and not running.done():
                raise _edge_failed(self._edge)
        except QuanhengError as error:
            self._tell(f"error: {error}")
            code = 1
        finally:
            self._log.write("info", "stopping", clock_ms())
            await self._end(core, running, server, edge_end)
            stopping.cancel()
            for one in beside:
                one.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        if core.failure:
            self._tell(f"error: {_failure_text(core.failure)}")
            code = 1
        return code

    def _start_edge(self) -> subprocess.Popen[bytes]:
        edge = {"config": self._config, "socket": str(self._socket), "examples": self._opened.examples}
        environment = {**os.environ, "QUANHENG_EDGE": msgspec.json.encode(edge).decode()}
        # Its own session: Ctrl-C reaches the core only, which stops both in order. Its stdin ends when the core ends.
        command = [sys.executable, "-m", "quanheng.server.edge"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)

    async def _edge_ends(self) -> None:
        while self._edge and self._edge.poll() is None:
            await asyncio.sleep(0.05)

    async def _ready(self, *ends: asyncio.Task[Any]) -> None:
        """Wait until HTTP answers, then say where."""
        server = self._config.server
        until_s = time.monotonic() + START_S_MAX
        while not any(end.done() for end in ends):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(server.address, server.port)
                writer.close()
                break
            if time.monotonic() > until_s:
                raise _edge_failed(self._edge)
            await asyncio.sleep(0.05)
        else:
            return
        for note in self._opened.notes:
            self._tell(note)
        self._tell(f"Quanheng serves http://{server.address}:{server.port} (documentation: /schema). Stop with Ctrl-C.")
        self._log.write("info", "serving", clock_ms(), address=server.address, port=server.port)

    async def _end(
        self,
        core: Core,
        running: asyncio.Task[None],
        server: asyncio.AbstractServer,
        edge_end: asyncio.Task[None] | None,
    ) -> None:
        """Stop accepting, finish the group in hand, answer, close."""
        if core.failure:
            await asyncio.sleep(FAIL_ANSWER_S)
        await self._readers.stop()
        if self._edge and edge_end:
            if self._edge.poll() is None:
                self._edge.send_signal(signal.SIGTERM)
            _, late = await asyncio.wait([edge_end], timeout=self._config.server.stop_ms_max / 1000)
            if late:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._edge.pid, signal.SIGKILL)
                await edge_end
            if self._edge.stdin:
                self._edge.stdin.close()
        core.stop()
        await running
        for link in list(core.links):
            link.close()
        server.close()
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()


def _private_socket(path: Path) -> socket.socket:
    """A listening Unix socket that only its owner may open. One left behind is removed: we hold the folder lock."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening


def check_address(config: Config) -> None:
    """Find out before anything starts whether the address can be served.

    Raises
    ------
    AddressInUse : it cannot
    """
    server = config.server
    with socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((server.address, server.port))
        except OSError as error:
            raise AddressInUse(
                "HTTP cannot be served on this address",
                where="server.address, server.port",
                found=f"{server.address}:{server.port} ({error.strerror or error})",
                cure="Stop the program that uses it, or choose another with --port.",
            ) from error


def _edge_failed(edge: subprocess.Popen[bytes] | None) -> EdgeFailed:
    code = edge.poll() if edge else None
    return EdgeFailed(
        "the process that serves HTTP ended by itself" if code is not None else "HTTP did not start in time",
        found=f"exit code {code}" if code is not None else f"{START_S_MAX:g} s without an answer",
        cure="Look at the lines above, and start again.",
    )


def _failure_text(error: BaseException) -> str:
    """Our own sentence; of a foreign fault only class and place, since its text may hold values of an event."""
    if isinstance(error, QuanhengError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {Path(place[0].filename).name}:{place[0].lineno} in {place[0].name}" if place else ""
    return (
        f"the writer stopped on a fault of its own: {type(error).__name__}{where}. "
        "Start again: everything that was answered is in the log."
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # Not available on every system.
        return asyncio.new_event_loop
    return uvloop.new_event_loop
