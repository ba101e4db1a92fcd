"""Any steps by anybody: what is illegal is refused, one model is the champion, and the registry says what was done."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from rated import rated_files

from quanheng.decisions.versions import INSTALLED, STEPS, Move, Refusal, Status, Versions
from quanheng.kernel.content import ContentStore
from quanheng.registering import Registry, history, reigns_of, summary

PEOPLE = ("ann", "bo", "carl")


@pytest.fixture(scope="module")
def world():
    """A content store with four versions: three models, of which two versions hold the same."""
    content = ContentStore(Path(mkdtemp()) / "content")
    files = {number: rated_files(threshold) for number, threshold in enumerate((300_000, 300_000, 400_000, 420_000))}
    files[1]["README.md"] += b"\nAnother word.\n"
    return Registry(content), [content.put_folder(files[number]) for number in sorted(files)]


moves = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from([*STEPS, "leap"]), st.sampled_from(PEOPLE), st.integers(-1, 10_000),
        st.booleans(),
    ),
    min_size=5, max_size=60,
)  # fmt: skip


@given(moves)
@settings(max_examples=80, deadline=None)
def test_any_sequence_of_steps(world, steps):
    registry, hashes = world
    versions, now_ms, taken = Versions(), 1, []
    versions.apply(Move("rated", hashes[0], "1", INSTALLED, "root", received_ms=now_ms))
    reigning = [(now_ms, hashes[0])]
    for number, step, actor, share_bp, reasoned in steps:
        now_ms += 1
        move = Move("rated", hashes[number], "1", step, actor, "why" if reasoned else "", share_bp, now_ms)
        before = [summary(one) for one in registry.entries(versions)]
        refusal = versions.may(move)
        if refusal is not None:
            assert isinstance(refusal, Refusal)
            assert [summary(one) for one in registry.entries(versions)] == before
            continue
        found = versions.find("rated", move.hash)
        assert not (STEPS[step].by_other and found is not None and actor in found.authors), "four eyes"
        versions.apply(move)
        taken.append(move)
        if STEPS[step].after is Status.CHAMPION:
            reigning.append((now_ms, move.hash))
        lawful(registry, versions, reigning)
    entries = registry.entries(versions)
    known = [(one["step"], one["received_ms"]) for one in history(entries)]
    assert known == sorted(known, key=lambda one: one[1])
    brought = {version.hash for one in entries for version in one.brought}
    assert [(one.step, one.received_ms) for one in taken if one.hash in brought] == [
        one for one in known if one[0] != INSTALLED
    ]


def lawful(registry: Registry, versions: Versions, reigning: list[tuple[int, str]]) -> None:
    """What must hold after each step, from the plain list of champions."""
    told = [summary(one) for one in registry.entries(versions)]
    champion = registry.models_of(reigning[-1][1])["risk_score"].hash
    assert [one["hash"] for one in told if one["status"] == "champion"] == [champion]
    assert reigns_of(versions, "rated") == reigning
    assert sum(one["status"] == "share" for one in told) <= 1
    for one in told:
        assert (one["share_bp"] > 0) == (one["status"] == "share")
        assert bool(one["in_force"] and one["in_force"][-1]["until_ms"] is None) == (one["status"] == "champion")
    spans = sorted((span["from_ms"], span["until_ms"] or 10**12) for one in told for span in one["in_force"])
    assert spans[0][0] == reigning[0][0]
    assert all(was[1] == now[0] for was, now in pairwise(spans)), "one decides at each moment"
