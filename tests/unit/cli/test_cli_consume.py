"""What `quanheng consume` tells people at its end."""

from __future__ import annotations

from quanheng.cli.consume import lines

FOUND = {
    "stream": "requests", "messages": 29, "decided": 20, "recorded": 0, "repeated": 1, "failed": 0, "rejects": 8,
    "acked": 29, "seconds": 0.266, "ack_p50_s": 5.0, "ack_p99_s": 3600.0,
}  # fmt: skip


def test_the_parts_add_up_and_ages_are_said_to_be_ages():
    assert list(lines(FOUND)) == [
        "stream requests: 29 messages acknowledged in 0.266 s: decided 20, recorded 0, repeated 1, failed 0, rejects 8",
        "half of them within 5.0 s of their publication, 99 % within 3600.0 s; the rejects: GET /v1/rejects",
    ]


def test_without_messages_and_rejects_nothing_is_said_of_them():
    nothing = dict.fromkeys(FOUND, 0) | {"stream": "requests"}
    assert len(list(lines(nothing))) == 1
    assert "rejects:" not in list(lines(FOUND | {"rejects": 0}))[1]
