"""Laid out graphs: nothing lies on anything else, every arrow goes from its source to its target."""

from __future__ import annotations

from itertools import combinations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quanheng.report.layers import Edge, Place, Size, lay_out, layers_of

NAMES = [f"n{number}" for number in range(8)]
SIZES = st.builds(Size, st.floats(10, 200), st.floats(10, 90))
PAIRS = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] != pair[1])
GRAPHS = st.tuples(st.lists(SIZES, min_size=8, max_size=8), st.lists(st.tuples(PAIRS, SIZES), max_size=14))


def apart(one: Place, other: Place) -> bool:
    return (
        abs(one.x - other.x) >= (one.width + other.width) / 2 - 0.01
        or abs(one.y - other.y) >= (one.height + other.height) / 2 - 0.01
    )


def within(point: tuple[float, float], box: Place) -> bool:
    return abs(point[0] - box.x) <= box.width / 2 + 0.01 and abs(point[1] - box.y) <= box.height / 2 + 0.01


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(GRAPHS)
def test_no_node_or_label_lies_on_another(graph):
    sizes, drawn = graph
    nodes = dict(zip(NAMES, sizes, strict=True))
    edges = [Edge(source, target, label) for (source, target), label in drawn]
    laid = lay_out(nodes, edges)
    places = [*laid.nodes.values(), *(way.label for way in laid.ways)]
    assert all(apart(one, other) for one, other in combinations(places, 2))
    for place in places:
        assert place.width / 2 - 0.01 <= place.x <= laid.width - place.width / 2 + 0.01
        assert place.height / 2 - 0.01 <= place.y <= laid.height - place.height / 2 + 0.01
    for edge, way in zip(edges, laid.ways, strict=True):
        assert within(way.points[0], laid.nodes[edge.source])
        assert within(way.points[-1], laid.nodes[edge.target])


@SLOW
@given(GRAPHS)
def test_the_same_graph_gives_the_same_drawing(graph):
    sizes, drawn = graph
    nodes = dict(zip(NAMES, sizes, strict=True))
    edges = [Edge(source, target, label) for (source, target), label in drawn]
    assert lay_out(nodes, edges) == lay_out(nodes, edges)


def test_layers_follow_arrows_and_circles_are_broken():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "a"), ("c", "d")]
    assert layers_of(["a", "b", "c", "d"], edges) == {"a": 0, "b": 1, "c": 2, "d": 3}
