"""Partners on this machine, for a demo: a real HTTP server that takes messages, checks their signatures and answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec

from quanheng.outbox.signing import ID_HEADER, SIGNATURE_HEADER, verify


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a partner does with messages to one address.

    where : values of the body that it is for
    fails : so many tries of a message are answered 503 before it is taken
    status, body : of the response
    event, data, after : event that the partner sends back later
    """

    to: str
    where: dict[str, Any] = {}
    fails: int = 0
    status: int = 200
    body: dict[str, Any] = {}
    event: str = ""
    data: dict[str, Any] = {}
    after: str = "0s"


class Got(NamedTuple):
    """One try of a message as it came.

    signed : whether its signature held; None = it has none
    """

    address: str
    id: str
    body: Mapping[str, Any]
    signed: bool | None
    status: int


class Receiver:
    """Takes what comes, thread by thread.

    Parameters
    ----------
    secret : of the signatures; now_s : the time they must be of
    """

    def __init__(self, answers: Sequence[Answer], secret: bytes, now_s: Callable[[], int]) -> None:
        self._answers, self._secret, self._now_s = answers, secret, now_s
        self._lock = threading.Lock()
        self._tries: Counter[str] = Counter()
        self.got: list[Got] = []
        self.back: list[Answer] = []
        """What partners send back, to be sent `after` the moment at which it is taken from here."""

    def take(self, address: str, headers: Mapping[str, str], content: bytes) -> tuple[int, bytes]:
        """Status and body of the response to one try."""
        id, signature = headers.get(ID_HEADER, ""), headers.get(SIGNATURE_HEADER)
        body = msgspec.json.decode(content, type=dict[str, Any])
        signed = None if signature is None else verify(content, signature, self._secret, self._now_s())
        with self._lock:
            self._tries[id] += 1
            answer = self._answer(address, body)
            status = 401 if signed is False else 503 if self._tries[id] <= answer.fails else answer.status
            self.got.append(Got(address, id, body, signed, status))
            if answer.event and status == answer.status:
                self.back.append(answer)
        return status, msgspec.json.encode(answer.body if status == 200 else {})

    def _answer(self, address: str, body: Mapping[str, Any]) -> Answer:
        fitting = (
            one for one in self._answers
            if one.to == address and all(body.get(field) == value for field, value in one.where.items())
        )  # fmt: skip
        return next(fitting, Answer(to=address))


@contextmanager
def serving(receiver: Receiver) -> Iterator[str]:
    """Its address on loopback, as long as it is served."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, body = receiver.take(self.path.lstrip("/"), self.headers, content)  # type: ignore[arg-type]
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the demo shows what came."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
