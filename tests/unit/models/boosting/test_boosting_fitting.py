"""Fitting boosted models: the same sums as the library, encodings without a row's own target, refusals that say why."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import polars as pl
import pytest

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra
from quanheng.models.boosting.additive import compiled
from quanheng.models.boosting.ebm import EbmEstimator
from quanheng.models.boosting.encoding import fit_encoding, ordered_statistics, training_matrix
from quanheng.models.boosting.lightgbm_fit import LightgbmEstimator
from quanheng.models.boosting.monotone import breaks_monotone, isotonic, monotone_signs, trend_z
from quanheng.models.boosting.packed import Packed, pack, unpack
from quanheng.models.boosting.stopping import inner_parts
from quanheng.models.table import Column, Table
from quanheng.testing.estimator_kit import kit_table

pytest.importorskip("lightgbm", reason="the extra `models` is not installed")


def codes_table(rows: int = 4000) -> Table:
    """A risk that falls with `age`, whose code -1 is the worst of all; `noise` says nothing."""
    random = np.random.default_rng(9)
    age, noise = random.uniform(20, 70, rows), random.normal(size=rows)
    age[:400] = -1.0
    target = random.random(rows) < np.where(age < 0, 0.8, 0.7 - age / 100)
    columns = (Column(name="age", kind="number", specials=(-1.0,)), Column(name="noise", kind="number"))
    return Table(pl.DataFrame({"age": age, "noise": noise}), target, columns)


def test_auto_constrains_what_has_a_monotone_trend_and_leaves_its_codes_free():
    table = codes_table()
    assert monotone_signs("auto", table) == {"age": -1}
    model = LightgbmEstimator(monotone="auto", rounds_max=60, averaged=2).fit(table, 1)
    assert [one.name for one in model.encoding.inputs] == ["age", "age codes", "noise"]
    assert breaks_monotone(model.trees, 0, -1) is None
    rows = pl.DataFrame({"age": [-1.0, 25.0, 45.0, 65.0], "noise": [0.0] * 4})
    coded, *plain = model.probability(rows).tolist()
    assert coded > max(plain)
    assert plain == sorted(plain, reverse=True)


def test_the_mean_of_boosters_is_one_ensemble():
    table = kit_table()
    both = LightgbmEstimator(rounds_max=40, averaged=2).fit(table, 1)
    one = LightgbmEstimator(rounds_max=40, averaged=1).fit(table, 1)
    half = len(one.trees.roots)
    assert len(both.trees.roots) == 2 * half
    assert np.array_equal(both.trees.values[: len(one.trees.values)] * 2, one.trees.values)


def test_search_takes_the_leaves_with_the_least_loss_inside():
    how = LightgbmEstimator(rounds_max=40, averaged=1, search=True).fit(kit_table(), 1).how
    assert how["searched"][str(how["leaves"])] == min(how["searched"].values())
    assert set(how["searched"]) == {"7", "15", "31"}


def test_rare_categories_do_not_see_their_own_target():
    random = np.random.default_rng(3)
    rows = 2000
    table = Table(
        pl.DataFrame({"shop": [str(one) for one in random.permutation(rows)]}),
        random.random(rows) < 0.3,
        (Column(name="shop", kind="category"),),
    )
    encoding = fit_encoding(table)
    leaking, kept = encoding.matrix(table.rows)[:, 0], training_matrix(encoding, table, 1)[:, 0]
    assert np.corrcoef(leaking, table.target)[0, 1] > 0.99
    assert abs(np.corrcoef(kept, table.target)[0, 1]) < 0.1


def test_ordered_statistics_know_earlier_moments_alone():
    target, times = np.array([True, False, True, True]), np.array([5, 1, 5, 9])
    found = ordered_statistics(pl.Series(["a", "a", "a", None]), target, times, 0.5)
    # At 5 one row of `a` without an event is known; rows of one moment do not know one another.
    assert found[:3].tolist() == [5.0 / 11, 0.5, 5.0 / 11]
    assert np.isnan(found[3])


@pytest.mark.parametrize("rows", [600, 12_000])
def test_inner_parts_keep_the_share_of_events_and_never_overlap(rows):
    table = kit_table(rows)
    parts = inner_parts(table, 1)
    assert len(parts) == (5 if rows < 10_000 else 1)
    for part in parts:
        assert not set(part.teach) & set(part.watch)
        assert len(part.teach) + len(part.watch) == rows
        assert table.target[part.watch].mean() == pytest.approx(table.target.mean(), abs=0.02)


def test_with_times_the_latest_rows_watch():
    table = kit_table()
    (part,) = inner_parts(table._replace(times=np.arange(len(table.target))[::-1].astype(np.int64)), 1)
    assert part.watch.max() < part.teach.min()
    timed = table._replace(times=np.arange(len(table.target), dtype=np.int64))
    assert LightgbmEstimator(rounds_max=20, averaged=1).fit(timed, 1).how["rounds"] >= 1
    assert EbmEstimator(bags=1, pairs=0, rounds_max=20).fit(timed, 1).probability(timed.rows).min() > 0


@pytest.mark.filterwarnings("ignore:Missing values detected")
def test_explainable_boosting_is_the_library_bit_for_bit():
    interpret = pytest.importorskip("interpret.glassbox", reason="the extra `models` is not installed")
    from quanheng.models.boosting.ebm import look_up

    random = np.random.default_rng(5)
    rows = np.column_stack([random.normal(size=1500), random.integers(0, 40, 1500), random.normal(size=1500)])
    rows[random.random(rows.shape) < 0.05] = np.nan
    target = np.nan_to_num(rows[:, 0] * rows[:, 2]) + random.normal(size=1500) > 0
    learner = interpret.ExplainableBoostingClassifier(outer_bags=2, interactions=2, n_jobs=1, max_rounds=100)
    additive = look_up(learner.fit(rows, target), [False] * 3)
    cuts = learner.bins_[0][0][:200]
    rows[: len(cuts), 0] = cuts  # Values that lie on cuts.
    rows[-2:] = [[np.inf] * 3, [-np.inf] * 3]
    theirs = learner.decision_function(rows)
    assert np.array_equal(additive.log_odds(rows), theirs)
    assert np.abs(additive.intercept + additive.contributions(rows).sum(axis=1) - theirs).max() < 1e-12


def test_isotonic_and_trend_by_hand():
    assert isotonic(np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])).tolist() == [1.0, 2.5, 2.5, 4.0]
    # 2 of 10 and 8 of 10: z = (8 - 5) / sqrt(0.25 * 5).
    assert trend_z(np.array([10.0, 10.0]), np.array([2.0, 8.0])) == pytest.approx(3.0 / np.sqrt(1.25))


@pytest.mark.parametrize(
    ("monotone", "message"),
    [
        ("up", "there is no such rule of monotone constraints; was up; allowed: none, auto"),
        ({"region": 1}, "only a number of the table can be monotone; was region"),
        ({"income": 2}, "monotone: income: a monotone constraint says which way; was 2"),
    ],
)
def test_constraints_that_cannot_hold_are_refused(monotone, message):
    with pytest.raises(InputError, match=message):
        LightgbmEstimator(monotone=monotone).fit(kit_table(), 1)


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(ConfigurationError, match="lightgbm: leaves: a setting is out of its bounds; was 1"):
        LightgbmEstimator(leaves=1)
    with pytest.raises(ConfigurationError, match="ebm: bags: a setting is out of its bounds; was 0"):
        EbmEstimator(bags=0)
    with pytest.raises(ConfigurationError, match="this parameter of LightGBM cannot be changed; was num_threads"):
        LightgbmEstimator(parameters={"num_threads": 4})


def test_tables_that_teach_nothing_are_refused():
    table = kit_table(60)
    with pytest.raises(InputError, match="there is nothing to learn from; was 0 of 60 rows"):
        LightgbmEstimator().fit(table._replace(target=np.zeros(60, bool)), 1)
    with pytest.raises(InputError, match="there is no usable column; was 0 inputs"):
        EbmEstimator().fit(table._replace(columns=()), 1)


def test_files_that_are_not_what_was_written_are_refused():
    whole = pack(Packed("lightgbm", {"a": 1}, {"x": np.arange(3.0)}))
    assert unpack(whole).arrays["x"].tolist() == [0.0, 1.0, 2.0]

    def sealed(body: bytes) -> bytes:
        return body + hashlib.sha256(body).digest()

    for content, message in (
        (b"else", "not a weights file"),
        (whole[:-1] + b"\0", "the weights file was changed or cut"),
        (sealed(whole[:-32] + b"more"), "holds more than it describes; was 4 bytes"),
        (sealed(whole[:-40]), "does not describe its arrays"),
    ):
        with pytest.raises(InputError, match=message):
            unpack(content)
    with pytest.raises(InputError, match="an array of this kind is not kept in a weights file"):
        pack(Packed("lightgbm", {}, {"x": np.array(["text"])}))
    with pytest.raises(InputError, match="a weights file holds finite numbers"):
        pack(Packed("lightgbm", {"a": float("nan")}, {}))
    for estimator in (LightgbmEstimator(), EbmEstimator()):
        with pytest.raises(InputError, match="the weights are of another estimator; was other"):
            estimator.read(pack(Packed("other", {}, {})))


def test_additive_tables_that_do_not_fit_are_refused():
    edges = [np.array([0.0])] * 2
    with pytest.raises(
        InputError, match=r"a term of the additive model does not fit its bins; was scores of shape \(2,\)"
    ):
        compiled(0.0, [False], edges, [((0,), np.zeros(2))])
    fitted = EbmEstimator(bags=1, pairs=1, rounds_max=20).fit(kit_table(), 1)
    packed = unpack(fitted.to_bytes())
    broken = packed._replace(arrays={**packed.arrays, "bins": packed.arrays["bins"] + 1})
    with pytest.raises(InputError, match="the tables of the additive model do not fit one another"):
        EbmEstimator().read(pack(broken))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "interpret.glassbox", None)
    with pytest.raises(MissingExtra, match="explainable boosting needs the package 'interpret-core'"):
        EbmEstimator().fit(kit_table(60), 1)
