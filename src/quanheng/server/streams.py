"""Streams beside the server: a process of its own reads each, and speaks with the core as an edge does.

The client of a broker, with its threads and memory, so never is in the process that owns the log. A reader that ends is
started again, ever slower; the core goes on whatever happens to it. A stream has one reader on a machine, by a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from quanheng.events.stream import REFUSE_MESSAGES, RefusedMessage, StreamFailed, StreamSettings, stream_of
from quanheng.kernel.errors import InputError, NotFound, Overloaded, QuanhengError
from quanheng.server import wire
from quanheng.server.config import Config, socket_path
from quanheng.server.consumer import Consumer, Tell
from quanheng.server.intake import token_digest
from quanheng.server.link import CorePool
from quanheng.server.lock import FolderLock
from quanheng.server.logs import Log

ENVIRONMENT = "QUANHENG_STREAM"
ANSWER_S_MAX = 30.0
AGAIN_FIRST_S, AGAIN_S_MAX = 0.5, 30.0
LASTING_S = 60.0
"""A reader that ran so long is started again at once when it ends."""


READ_ALREADY = "another process on this machine reads this stream"
READ_CURE = "Let it read, or stop it; `quanheng serve` reads every stream whose section does not say serve = false."


class NotTaken(InputError):
    """The core refuses what a stream sends, whatever it is."""


class CoreBusy(Overloaded):
    """The core has no room, or is stopping; nothing is known to be written."""


class CorePort:
    """The way to the writer: frames over the core's socket.

    Parameters
    ----------
    pool : connections to the core
    token : digest of the bearer token on whose behalf the stream is read
    """

    def __init__(self, pool: CorePool, token: bytes) -> None:
        self._pool, self._token = pool, token

    async def take(self, events: Sequence[tuple[str, str, bytes]], positions: Sequence[str]) -> list[msgspec.Raw]:
        """Events through the path; their answers after the durable commit."""
        frame = wire.Events(self._token, False, False, 0, list(events), list(positions))
        answer = await self._pool.ask(wire.Kind.EVENTS, frame, ANSWER_S_MAX)
        answers: list[msgspec.Raw] = msgspec.json.decode(_checked(answer).body, type=list[msgspec.Raw])
        return answers

    async def refuse(self, messages: Sequence[RefusedMessage]) -> None:
        """Record what is no event."""
        arguments = msgspec.msgpack.encode({"messages": messages})
        frame = wire.Admin(self._token, REFUSE_MESSAGES, arguments)
        _checked(await self._pool.ask(wire.Kind.ADMIN, frame, ANSWER_S_MAX))


def _checked(answer: wire.Answer) -> wire.Answer:
    if answer.status == 200:
        return answer
    found = f"{answer.status} {answer.body[:300].decode('utf-8', 'replace')}"
    if answer.status == 429 or answer.status >= 500:
        raise CoreBusy("the writer has no room or does not answer", found=found, cure="It is asked again.")
    raise NotTaken(
        "the writer takes nothing from this stream",
        found=found,
        cure="Give the stream a token with the scope ingest: token_file of its section, or QUANHENG_TOKEN.",
    )


def check_streams(config: Config) -> None:
    """Find out before anything starts whether the clients of all brokers are there.

    Raises
    ------
    ConfigurationError, MissingExtra : a stream names no broker that is known, or one whose client is not installed
    """
    for settings in config.stream.values():
        stream_of(settings)


def settings_of(config: Config, name: str) -> StreamSettings:
    """The section of a stream.

    Raises
    ------
    NotFound : there is none
    """
    if name not in config.stream:
        raise NotFound(
            "the configuration has no such stream",
            where=f"[stream.{name}]",
            allowed=", ".join(config.stream) or "none is configured",
            cure="Add the section to quanheng.toml.",
        )
    return config.stream[name]


def consume(config: Config, name: str, log: Log, until_empty: bool = False) -> dict[str, Any]:
    """Read a stream into the running server until SIGTERM, SIGINT, or (`until_empty`) until nothing is pending.

    Returns
    -------
    counts of messages and answers, seconds, and upper bounds of the time from publication to acknowledgement

    Raises
    ------
    FolderInUse : another process reads this stream
    NotFound, NotTaken, StreamFailed : what no repetition mends
    """
    settings = settings_of(config, name)
    lock = FolderLock(Path(config.storage.data) / "streams" / name, READ_ALREADY, READ_CURE)
    try:
        with asyncio.Runner() as runner:
            return runner.run(_consume(config, name, settings, log, until_empty))
    finally:
        lock.close()


async def _consume(
    config: Config, name: str, settings: StreamSettings, log: Log, until_empty: bool
) -> dict[str, Any]:  # fmt: skip
    def told(level: str, event: str, error: BaseException | None) -> None:
        fields = {} if error is None else {"error_class": type(error).__name__, "message": _safe(error)}
        log.write(level, event, time.time_ns() // 1_000_000, stream=name, **fields)

    counters: dict[str, int] = {}
    pool = CorePool(socket_path(config), 1, counters)
    await pool.open()
    tell = Tell(told, asyncio.sleep, lambda: time.time_ns() // 1_000_000, time.monotonic)
    port = CorePort(pool, token_digest(_token(config, settings).encode()))
    consumer = Consumer(name, settings, stream_of(settings), port, counters, tell)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, consumer.stop)
    started_s = time.perf_counter()
    try:
        await consumer.run(until_empty)
    finally:
        await pool.close()
    seconds = time.perf_counter() - started_s
    ages = {f"ack_p{share}_s": consumer.ack_s.quantile(share / 100) for share in (50, 99)}
    return {"stream": name, **consumer.totals, "seconds": round(seconds, 3), **ages}


def _safe(error: BaseException) -> str:
    """Our own sentences about brokers and the core hold no values of events."""
    return str(error) if isinstance(error, QuanhengError) else ""


def _token(config: Config, settings: StreamSettings) -> str:
    from quanheng.server.opening import read_token

    if not settings.token_file:
        return read_token(config)
    try:
        return Path(settings.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StreamFailed(
            "the token of the stream cannot be read", where=settings.token_file, found=type(error).__name__,
            cure="Correct token_file of its section.",
        ) from error  # fmt: skip


class Readers:
    """The processes that read streams beside a core, one for each section with `serve = true`.

    Parameters
    ----------
    config : everything that can be configured
    log, clock_ms : for lines about readers that ended
    """

    def __init__(self, config: Config, log: Log, clock_ms: Callable[[], int]) -> None:
        self._config, self._log, self._clock_ms = config, log, clock_ms
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all; the event loop must run."""
        names = [name for name, settings in self._config.stream.items() if settings.serve]
        self._tasks = [asyncio.create_task(self._keep(name)) for name in names]

    async def stop(self) -> None:
        """Let each finish its batch; end those that do not within `server.stop_ms_max`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        until_s = time.monotonic() + self._config.server.stop_ms_max / 1000
        while any(process.poll() is None for process in self._running.values()) and time.monotonic() < until_s:
            await asyncio.sleep(0.02)
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        self._running.clear()

    async def _keep(self, name: str) -> None:
        """Start a reader, and again when it ends."""
        wait_s = AGAIN_FIRST_S
        while True:
            started_s = time.monotonic()
            process = self._running[name] = self._begin(name)
            while process.poll() is None:
                await asyncio.sleep(0.1)
            self._log.write("error", "stream_reader_ended", self._clock_ms(), stream=name, status=process.returncode)
            if process.stdin:
                process.stdin.close()
            if time.monotonic() - started_s > LASTING_S:
                wait_s = AGAIN_FIRST_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, AGAIN_S_MAX)

    def _begin(self, name: str) -> subprocess.Popen[bytes]:
        asked = {"config": self._config, "name": name}
        environment = {**os.environ, ENVIRONMENT: msgspec.json.encode(asked).decode()}
        command = [sys.executable, "-m", "quanheng.server.streams"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


class _Asked(msgspec.Struct):
    config: Config
    name: str


def main() -> int:
    """The reader as a process of its own: until SIGTERM, or until the core's end of standard input closes."""
    asked = msgspec.json.decode(os.environ[ENVIRONMENT], type=_Asked)
    threading.Thread(target=_end_with_core, daemon=True).start()
    try:
        consume(asked.config, asked.name, Log(asked.config.logs.level, "stream"))
    except QuanhengError as error:
        sys.stderr.write(f"error: stream {asked.name}: {error}\n")
        return 1
    return 0


def _end_with_core() -> None:
    """A killed core cannot say goodbye; its closed pipe does."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
