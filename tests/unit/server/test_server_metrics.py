"""Counters and histograms, in the text format of Prometheus."""

from __future__ import annotations

from quanheng.server.metrics import Histogram, Metrics, flatten


def test_a_histogram_counts_at_its_bounds():
    histogram = Histogram((1, 2, 5))
    for value in (0.5, 1, 1.5, 5, 9):
        histogram.add(value)
    assert histogram.counts == [2, 1, 1, 1]
    assert (histogram.quantile(0.5), histogram.quantile(0.99), Histogram((1,)).quantile(0.5)) == (2, 5, 0)


def test_the_text_is_complete():
    metrics = Metrics()
    metrics.count("events_total", 2, status="decided")
    metrics.count("events_total", 1, status='od"d\n\\')
    metrics.gauges = {("queue", ()): 3}
    metrics.histogram("wait_seconds", (0.001, 1), "Waiting.").add(0.5, times=2)
    assert metrics.text() == (
        "# TYPE events_total counter\n"
        'events_total{status="decided"} 2\n'
        'events_total{status="od\\"d\\n\\\\"} 1\n'
        "# TYPE queue gauge\n"
        "queue 3\n"
        "# HELP wait_seconds Waiting.\n"
        "# TYPE wait_seconds histogram\n"
        'wait_seconds_bucket{le="0.001"} 0\n'
        'wait_seconds_bucket{le="1"} 2\n'
        'wait_seconds_bucket{le="+Inf"} 2\n'
        "wait_seconds_sum 1\n"
        "wait_seconds_count 2\n"
    )


def test_what_others_count_is_shown_as_a_counter():
    metrics = Metrics()
    metrics.gauges = {("stream_connected", ()): 1, ("stream_messages_total", (("stream", "a"),)): 7}
    assert metrics.text() == (
        "# TYPE stream_connected gauge\nstream_connected 1\n"
        '# TYPE stream_messages_total counter\nstream_messages_total{stream="a"} 7\n'
    )


def test_numbers_of_a_mapping_become_gauges():
    assert flatten("x", {"a b": 1, "late": {"f": 2, "g": "text"}, "text": "t", "ok": True}) == {
        ("x_a_b", ()): 1.0,
        ("x_late", (("key", "f"),)): 2.0,
        ("x_ok", ()): 1.0,
    }
