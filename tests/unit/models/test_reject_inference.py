"""Reject inference where the truth is known: when it helps, and when it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.models.reject_inference import accepted_only, extrapolated, fuzzy, parcelled, reweighted
from quanheng.testing.through_the_door import SCENARIOS, study, table_of

ROWS, SEED, FACTOR = 20_000, 11, 1.8


@pytest.fixture(scope="module")
def worth():
    return {name: {one.method: one for one in study(ROWS, name, SEED, FACTOR)} for name in SCENARIOS}


def test_what_each_method_is_worth_is_printed(worth, capsys):
    for name, found in worth.items():
        print(name)
        print("\n".join(table_of(list(found.values()))))
    out = capsys.readouterr().out
    assert all(name in out for name in SCENARIOS)
    assert out.count("accepted only") == len(SCENARIOS)


def test_at_random_with_a_model_of_the_right_form_nothing_helps(worth):
    """Crook and Banasik (2004): little or nothing is gained; a factor that is not true does harm."""
    found = worth["at_random"]
    alone, bound = found["accepted only"], found["everybody's outcome"]
    assert alone.auc == pytest.approx(bound.auc, abs=0.002)
    assert alone.predicted == pytest.approx(alone.truth, abs=0.02)
    for name in ("reweighting", "fuzzy, factor 1", "parcelling, factor 1"):
        assert found[name].brier == pytest.approx(alone.brier, abs=0.001)
    assert found["parcelling, factor 1.8"].brier > alone.brier + 0.01


def test_a_model_of_the_wrong_form_gains_by_reweighting_and_not_by_its_own_guesses(worth):
    found = worth["wrong_form"]
    alone, bound = found["accepted only"], found["everybody's outcome"]
    assert found["reweighting"].brier < alone.brier - 0.001
    assert found["reweighting"].brier == pytest.approx(bound.brier, abs=0.001)
    assert abs(found["reweighting"].predicted - alone.truth) < abs(alone.predicted - alone.truth) - 0.02
    assert found["fuzzy, factor 1"].brier == pytest.approx(alone.brier, abs=1e-3)
    assert found["extrapolation"].brier > alone.brier


def test_not_at_random_only_knowledge_from_outside_helps(worth):
    found = worth["not_at_random"]
    alone = found["accepted only"]
    assert alone.predicted < alone.truth - 0.15, "the rejected are far worse than the accepted let us think"
    for name in ("reweighting", "fuzzy, factor 1", "parcelling, factor 1"):
        assert abs(found[name].predicted - alone.predicted) < 0.02, "no method finds that out by itself"
    outside = found["parcelling, factor 1.8"]
    assert outside.brier < alone.brier - 0.01
    assert alone.predicted + 0.1 < outside.predicted < outside.truth
    assert max(one.auc for one in found.values()) - min(one.auc for one in found.values()) < 0.01, "ranks hardly move"


people = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1)), min_size=4, max_size=60)


@given(people)
@settings(max_examples=80, deadline=None)
def test_every_method_keeps_the_accepted_and_gives_every_applicant_its_weight(rows):
    accepted, bad, p = (np.array([one[at] for one in rows]) for at in range(3))
    if accepted.all() or not accepted.any():
        return
    for made in (extrapolated(accepted, bad, p, 0.5), fuzzy(accepted, bad, p), parcelled(accepted, bad, p, 3)):
        weight = np.bincount(made.rows, made.weights, len(rows))
        assert weight == pytest.approx(np.ones(len(rows)))
        mine = accepted[made.rows]
        assert (made.target[mine] == bad[made.rows][mine]).all()
    for made in (accepted_only(accepted, bad), reweighted(accepted, bad, p)):
        assert accepted[made.rows].all()
        assert made.weights.sum() == pytest.approx(accepted.sum())


def test_parcelling_takes_the_rate_of_the_band_times_the_factor_and_is_the_same_again():
    accepted = np.array(([True] * 100 + [False] * 50) * 2)
    p = np.repeat([0.1, 0.4], 150)
    bad = np.zeros(300, bool)
    bad[:10] = bad[150:190] = True
    made = parcelled(accepted, bad, p, 5, factor=1.5, bands=2)
    rejected = ~accepted
    assert made.target[:150][rejected[:150]].sum() in (7, 8), "a tenth of fifty, times 1.5"
    assert made.target[150:][rejected[150:]].sum() == 30
    assert made.target.tolist() == parcelled(accepted, bad, p, 5, factor=1.5, bands=2).target.tolist()


def test_weights_are_drawn_for_estimators_that_take_none():
    accepted = np.array([True, False, True])
    made = fuzzy(accepted, np.array([True, False, False]), np.array([0.9, 0.25, 0.1]))
    rows, target = made.drawn(3_000, 2)
    assert np.bincount(rows).tolist() == pytest.approx([1_000, 1_000, 1_000], abs=1)
    assert target[rows == 1].mean() == pytest.approx(0.25, abs=0.002)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (lambda: extrapolated(np.ones(3, bool), np.ones(3, bool), np.ones(3), 0.5), "there is nothing to infer from"),
        (
            lambda: fuzzy(np.array([True, False]), np.ones(2, bool), np.array([0.1, 1.2])),
            "not every value is a probability",
        ),
        (lambda: fuzzy(np.array([True, False]), np.ones(3, bool), np.ones(2)), "the columns are of different lengths"),
        (lambda: fuzzy(np.array([True, False]), np.ones(2, bool), np.ones(2), factor=0), "the factor must be positive"),
        (
            lambda: parcelled(np.array([True, False]), np.ones(2, bool), np.ones(2), 1, factor=-1),
            "the factor must be positive; was -1",
        ),
    ],
)
def test_what_cannot_be_inferred_from_is_refused(run, text):
    with pytest.raises(InputError, match=text):
        run()
