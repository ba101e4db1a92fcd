"""Where a monitor asks: a server that answers as it should, one that does not, and what stands on the wire."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from quanheng.server.proof_source import ANSWER_BYTES_MAX, HttpSource, LogUnreachable

PATH = "GhocHh4cHhocHhoeHBoaHBoaHBoaHBoaHBoaHBoaHBo="


@pytest.fixture
def serve():
    """A server that answers each path with (status, headers, body), and remembers what it was asked."""
    answers, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            status, headers, body = answers.get(self.path, (404, {}, b'{"error": "no such size to prove"}'))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.answers, server.asked = answers, asked
    server.address = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


def test_notes_and_paths_are_fetched_with_the_token(serve):
    serve.answers["/v1/log/checkpoint"] = (200, {}, "bank/é\n".encode())
    body = json.dumps({"old_size": 3, "new_size": 7, "path": [PATH]}).encode()
    serve.answers["/v1/log/consistency?old=3&new=7"] = (200, {}, body)
    source = HttpSource(serve.address + "/", "secret")
    assert source.is_live
    assert source.checkpoint() == "bank/é\n"
    (one,) = source.consistency(3, 7)
    assert len(one) == 32
    assert serve.asked == [
        ("/v1/log/checkpoint", "Bearer secret"),
        ("/v1/log/consistency?old=3&new=7", "Bearer secret"),
    ]
    HttpSource(serve.address, "").checkpoint()
    assert serve.asked[-1][1] is None


def test_what_is_refused_or_no_answer_is_told(serve):
    source = HttpSource(serve.address, "secret")
    with pytest.raises(LogUnreachable, match=r"the server did not give what was asked; was 404 .*no such size"):
        source.consistency(3, 9)
    serve.answers["/v1/log/consistency?old=3&new=7"] = (200, {}, b'{"path": "x"}')
    with pytest.raises(LogUnreachable, match="the answer is no consistency proof"):
        source.consistency(3, 7)
    serve.answers["/v1/log/checkpoint"] = (200, {}, b"x" * (ANSWER_BYTES_MAX + 1))
    with pytest.raises(LogUnreachable, match="the answer is too long; allowed: at most"):
        source.checkpoint()


def test_a_token_does_not_follow_a_redirect(serve):
    serve.answers["/v1/log/checkpoint"] = (302, {"Location": f"{serve.address}/elsewhere"}, b"")
    serve.answers["/elsewhere"] = (200, {}, b"note")
    assert HttpSource(serve.address, "secret").checkpoint() == "note"
    assert serve.asked[-1] == ("/elsewhere", None)
