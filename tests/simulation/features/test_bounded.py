"""Keys that go to disk and come back: every vector and the digest are those of a state without a bound."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from quanheng.features.bounded import BoundedState, Here, Memory
from quanheng.features.fold import Fold
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.snapshot import Snapshots
from quanheng.testing.slow_features import as_arrays

sys.path.insert(0, str(Path(__file__).parents[2] / "properties" / "features"))
from feature_worlds import LAYOUTS, PAYMENT, random_events, random_folds


def simulate(seed, events_n, folder, *, keys, bytes_max, groups=(1, 5, 60, 200, 200, 200, 1000, 6000)):
    """A stream through a state with a tiny bound and one without; dry runs, dumps and snapshots in between."""
    rng = random.Random(seed)
    plan = Plan.compile(LAYOUTS, random_folds(rng, 24), ["payment"], 30)
    plain, snapshots = FeatureState(plan), Snapshots(folder / "snapshots")
    memory = Memory(plan.state_words * 8 + bytes_max, folder / "cold")
    bound = BoundedState(plan, memory)
    first, evicted, returned, packed = 0, 0, 0, 0
    while first < events_n:
        events = random_events(rng, min(rng.choice(groups), events_n - first), keys=keys, jump_ms=4, late_ms=40)
        arrays = as_arrays([event._replace(time_ms=event.time_ms + first) for event in events], 3, 2)
        where = f"seed={seed} at {first}"
        if rng.random() < 0.3:
            assert (bound.peek(*arrays) == plain.peek(*arrays)).all(), where
        if len(events) == 1 and events[0].code == PAYMENT.code:
            pairs, numbers = np.asarray(arrays[2][0]).tobytes(), arrays[3][0].tolist()
            one, other = (state.one(1, int(arrays[1][0]), pairs, numbers).tolist() for state in (bound, plain))
            assert one == other, where
        elif rng.random() < 0.3:
            assert np.array_equal(bound.run_floats(*arrays), plain.run_floats(*arrays), equal_nan=True), where
        else:
            assert (bound.run(*arrays) == plain.run(*arrays)).all(), where
        if rng.random() < 0.05:
            assert bound.digest() == plain.digest(), where
        if rng.random() < 0.05:
            assert FeatureState.load(plan, bound.dump()).digest() == plain.digest(), where
            snapshots.write(first, "program", bound.parts())
            kept = snapshots.newest(program="program").parts
            evicted, returned, packed = evicted + bound.evicted, returned + bound.returned, packed + bound.packed
            bound = Here(memory).load(plan, kept)
        first += len(events)
    assert bound.digest() == plain.digest(), f"seed={seed}"
    assert bound.late == plain.late
    assert bound.keys == plain.keys
    return evicted + bound.evicted, returned + bound.returned, packed + bound.packed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_simulation(seed, tmp_path):
    evicted, returned, packed = simulate(seed, 12_000, tmp_path, keys=300, bytes_max=200_000)
    assert evicted > 1_000
    assert returned > 500
    assert packed > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(11, 15))
def test_long_simulation(seed, tmp_path):
    evicted, returned, _ = simulate(seed, 40_000, tmp_path, keys=2_000, bytes_max=1_000_000)
    assert min(evicted, returned) > 1_000
    simulate(seed, 5_000, tmp_path / "tiny", keys=50, bytes_max=0)


def test_large_groups_are_cut_and_overflows_found(tmp_path):
    folds = [Fold("s", of="payment", by=("customer",), fold="sum", value="amount", window_ms=60)]
    plan = Plan.compile(LAYOUTS, folds, ["payment"], 30)
    events = random_events(random.Random(5), 70_000, keys=5_000, jump_ms=2, late_ms=10, big=True)
    arrays = as_arrays(events, 3, 2)
    plain, bound = FeatureState(plan), BoundedState(plan, Memory(600_000, tmp_path))
    for call in ("run", "run_floats"):
        with pytest.raises(FeatureOverflow) as one:
            getattr(plain, call)(*arrays)
        with pytest.raises(FeatureOverflow) as two:
            getattr(bound, call)(*arrays)
        assert one.value.cells == two.value.cells
        assert np.array_equal(one.value.raw, two.value.raw)
    assert bound.evicted > 5_000
    assert bound.digest() == plain.digest()


def test_a_canary(tmp_path, monkeypatch):
    """A store that loses a key must be caught."""
    from quanheng.features import cold

    take = cold.ColdStore.take
    monkeypatch.setattr(cold.ColdStore, "take", lambda store, wanted: take(store, wanted)[::2])
    with pytest.raises(AssertionError, match="seed=1"):
        simulate(1, 12_000, tmp_path, keys=300, bytes_max=200_000)
