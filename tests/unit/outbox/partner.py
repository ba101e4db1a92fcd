"""The shop with calls and notices, and the other side of them: real HTTP and SMTP servers on loopback."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from shop import T0, HandClock, ask, shop

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.outbox.addresses import AddressSettings
from quanheng.outbox.ports import make_port
from quanheng.outbox.sender import Place, Sender
from quanheng.outbox.source import EngineSource

CALLS = """
[call.ask_bureau]
title    = {en = "Ask the bureau", zh = "查询征信"}
channel  = "http"
address  = "bureau"
keys     = {customer = "party.customer"}
subject  = "customer"
send     = {amount = "amount_minor / 100", customer = "customer", outcome = "outcome"}
answer.score = {type = "integer", min = 0, max = 999}
answer.rate  = {type = "decimal", scale = 2, optional = true}
fallback = {score = 0}
timeout  = "10s"
tries    = 3
backoff  = "1s"
backoff_max = "10s"
breaker  = {failures = 4, open = "1m"}

[notice.tell_payer]
title   = {en = "Tell the payer", zh = "通知付款人"}
channel = "webhook"
address = "payer"
keys    = {customer = "party.customer"}
send    = {amount = "amount_minor / 100"}
timeout = "10s"
tries   = 2

[notice.mail_payer]
title   = {en = "Mail the payer", zh = "邮件通知付款人"}
channel = "smtp"
address = "mail"
keys    = {customer = "party.customer"}
send    = {to = 'customer + "@payer.example"', subject = '"Your payment"', body = '"It was " + outcome + "d."'}
timeout = "10s"
tries   = 2
"""
FLOW = 'fallback = "review"                               # the answer when none can be given in time\n'
SECRET = "s3cret"
ENVIRONMENT = {"HOOK_SECRET": SECRET, "TOKEN": "Bearer t0ken"}


def calling(*acts: str, calls: str = CALLS) -> list[PackFiles]:
    """The shop, which asks for these acts whatever it decides."""
    then = "".join(f"then.{outcome} = {json.dumps(acts)}\n" for outcome in ("approve", "review", "decline"))
    files = dict(shop(("pack.toml", FLOW, FLOW + then)).files)
    return [read_packs()["party"], read_pack({**files, "calls.toml": calls.encode()}, "shop")]


def opened(folder: Path, clock: HandClock, *acts: str, calls: str = CALLS) -> Engine:
    """The engine of that shop, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock)
    if engine.state.program.activation < 0:
        engine.activate(calling(*acts, calls=calls))
    return engine


class Got(NamedTuple):
    """A request that a partner got."""

    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


class Partner:
    """A partner's HTTP server. `answer` says what each request gets: (status, body) or with headers."""

    def __init__(self, answer: Callable[[Got], Answer] = lambda got: (200, b"{}")) -> None:
        self.got: list[Got] = []
        self.answer = answer
        self.released = threading.Event()
        partner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                partner.got.append(got)
                status, answer, *more = partner.answer(got)
                try:
                    self.send_response(status)
                    for name, value in (more[0] if more else {}).items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # Whoever asked has gone.

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # Whoever asked was killed.

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/ask"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def partner(answer: Callable[[Got], Answer] = lambda got: (200, b"{}")) -> Iterator[Partner]:
    one = Partner(answer)
    try:
        yield one
    finally:
        one.close()


def place(channel: str = "http", **settings: object) -> Place:
    """An address of the configuration as the sender has it."""
    made = AddressSettings(channel=channel, **settings)
    return Place(make_port("test", made, ENVIRONMENT), channel, made.concurrency)


def sender_of(engine: Engine, places: dict[str, Place], clock: HandClock, **more: object) -> Sender:
    """A sender whose events go straight to the engine."""

    async def tell(request: Request) -> str:
        [reply] = engine.submit([request])
        return f"{reply.status}: {reply.error}" if reply.error else reply.status

    return Sender(EngineSource(engine), places, tell, clock, **more)


def told(engine: Engine) -> list[dict]:
    """The data of every event that tells what became of a message, in order."""
    codes = {one.code for one in engine.state.program.types.values() if one.declaration.client == "quanheng.outbox"}
    found = []
    for offset in range(engine.log.head):
        record = engine.log.record(offset)
        if record.kind == 1 and record.type in codes:
            found.append(json.loads(engine.reader.event(offset).body.data))
    return found


__all__ = [
    "CALLS", "T0", "Got", "HandClock", "Partner", "ask", "calling", "opened", "partner", "place", "sender_of", "told",
]  # fmt: skip
