"""Drift between two distributions: every measure against a plain computation on the raw values."""

import random
from fractions import Fraction
from math import log

import numpy as np
import polars as pl
import pytest

from quanheng.features.drift.measures import apart, compare, ks_probability
from quanheng.features.drift.page import page
from quanheng.features.drift.profile import (
    CATEGORIES_MAX,
    Profile,
    Profiles,
    bucket_of,
    decode,
    encode,
    profiles_of,
    value_of,
)
from quanheng.kernel.errors import InputError


def numbers(values, name="x"):
    profile = Profile(name, "number")
    profile.add_numbers(np.array(values, np.float64))
    return profile


def texts(values, name="x"):
    profile = Profile(name, "category")
    profile.add_categories(values)
    return profile


def plain_ks(one, other):
    """The largest distance of two distribution functions, over every value."""
    return max(
        abs(Fraction(sum(v <= at for v in one), len(one)) - Fraction(sum(v <= at for v in other), len(other)))
        for at in {*one, *other}
    )


def test_buckets_keep_the_order_and_are_narrow():
    rng = random.Random(1)
    values = [rng.choice([-1, 1]) * rng.random() * 10.0 ** rng.randrange(-300, 300) for _ in range(20_000)]
    values += [0.0, 5e-324, -5e-324, 1.7e308, *range(-300, 301)]
    ordered = np.array(sorted(values))
    places = bucket_of(ordered)
    assert (np.diff(places) >= 0).all()
    near = value_of(places)
    assert (np.abs(near) <= np.abs(ordered)).all()
    normal = np.abs(ordered) > 1e-300
    assert (np.abs(ordered - near)[normal] <= np.abs(ordered)[normal] / 128).all()


def test_whole_numbers_up_to_128_have_a_bucket_of_their_own():
    whole = np.arange(-128, 129).astype(np.float64)
    assert len(np.unique(bucket_of(whole))) == 257
    assert value_of(bucket_of(whole)).tolist() == whole.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_measures_equal_those_of_the_raw_values(seed):
    rng = random.Random(seed)
    was = [rng.randrange(rng.choice([3, 40, 120])) for _ in range(rng.randrange(100, 400))]
    now = [rng.randrange(rng.choice([3, 60])) for _ in range(rng.randrange(100, 400))]
    found = apart(numbers(was), numbers([*now, float("nan")]))
    assert found.ks == pytest.approx(float(plain_ks(was, now)), abs=1e-12)
    assert sum(one.reference for one in found.bins) == len(was)
    assert sum(one.served for one in found.bins) == len(now)
    for one in found.bins:
        assert one.reference == sum(one.low <= value <= one.high for value in was)
        assert one.served == sum(one.low <= value <= one.high for value in now)
    shares = [(one.served / len(now), one.reference / len(was)) for one in found.bins]
    psi = sum((max(p, 1e-4) - max(q, 1e-4)) * log(max(p, 1e-4) / max(q, 1e-4)) for p, q in shares)
    assert found.psi == pytest.approx(psi)
    assert found.missing == (0.0, 1 / (len(now) + 1))
    assert numbers(was).quantile(0.5) == sorted(was)[(len(was) + 1) // 2 - 1]
    assert numbers(was).mean == pytest.approx(sum(was) / len(was))


def test_chunks_make_the_same_profile_as_the_whole():
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1e6, 5_000)
    whole, parts = numbers(values), Profile("x", "number")
    for first in range(0, 5_000, 700):
        parts.add_numbers(values[first : first + 700])
    assert parts.buckets == whole.buckets
    assert parts.rows == whole.rows


def test_one_distribution_is_stable_and_a_shifted_one_has_drifted():
    rng = np.random.default_rng(4)
    same = apart(numbers(rng.lognormal(3, 1, 20_000)), numbers(rng.lognormal(3, 1, 20_000)))
    assert same.verdict == "stable"
    assert same.psi < 0.01
    assert same.ks_p > 0.01
    moved = apart(numbers(rng.lognormal(3, 1, 20_000)), numbers(rng.lognormal(3.6, 1, 20_000)))
    assert moved.verdict == "drifted"
    assert moved.why == ("psi",)
    assert moved.ks > 0.2
    assert moved.ks_p < 1e-6


def test_the_kolmogorov_distribution_is_that_of_the_tables():
    """Critical values at 5 % and 1 % for large samples: 1.358 and 1.628 (Smirnov 1948)."""
    n = 10**8
    scale = (n * n / (n + n)) ** 0.5
    assert ks_probability(1.3581 / scale, n, n) == pytest.approx(0.05, abs=1e-4)
    assert ks_probability(1.6276 / scale, n, n) == pytest.approx(0.01, abs=1e-4)
    assert ks_probability(0.0, 50, 50) == 1.0


def test_missing_values_and_new_categories_are_told():
    was, now = texts(["web"] * 600 + ["chip"] * 400), texts(["web"] * 590 + ["chip"] * 390 + ["watch"] * 20)
    found = apart(was, now)
    assert found.verdict == "drifted"
    assert found.why == ("new",)
    assert found.new == (("watch", 0.02),)
    assert [(one.label, one.reference, one.served) for one in found.bins] == [
        ("web", 600, 590), ("chip", 400, 390), ("other", 0, 20),
    ]  # fmt: skip
    holes = apart(numbers([1] * 1_000), numbers([1] * 950 + [float("nan")] * 50))
    assert holes.verdict == "watch"
    assert "missing" in holes.why


def test_a_distance_of_the_functions_alone_is_to_be_watched():
    rng = np.random.default_rng(5)
    was = rng.uniform(0, 1, 5_000)
    now = np.where(rng.uniform(0, 1, 5_000) < 0.12, was * 0.35, was)
    found = apart(numbers(was), numbers(now))
    assert 0.05 < found.ks < 0.10 or found.verdict in ("watch", "drifted")


def test_few_values_new_columns_and_gone_ones():
    few = apart(numbers(range(99)), numbers(range(500)))
    assert few.verdict == "too few"
    reference = Profiles("p", "then", 200, [numbers([1] * 200, "a"), numbers([1] * 200, "gone")])
    served = Profiles("p", "now", 200, [numbers([1] * 200, "a"), texts(["x"] * 200, "fresh")])
    found = compare(reference, served)
    assert [(one.name, one.verdict) for one in found] == [("gone", "gone"), ("fresh", "new"), ("a", "stable")]
    assert compare(Profiles("p", "", 0, [numbers([], "a")]), served)[0].verdict == "new"
    assert apart(numbers([]), numbers([])).bins == ()
    assert apart(numbers([]), numbers([1, 2])).bins[0].reference == 0
    assert apart(texts(["1"] * 200), numbers([1] * 200)).verdict == "new"


def test_many_categories_are_bounded():
    profile = texts([f"v{n}" for n in range(CATEGORIES_MAX + 50)])
    assert len(profile.categories) == CATEGORIES_MAX
    assert profile.others == 50
    assert apart(profile, texts(["unheard"] * 200)).new == ()


def test_profiles_are_kept_in_a_file_and_read_again():
    made = profiles_of(
        pl.DataFrame({"a": [1, 2, None], "b": ["x", None, "y"], "c": [True, False, None]}),
        {"a": "number", "b": "category", "c": "number"}, "p", "file",
    )  # fmt: skip
    again = decode(encode(made), "file.json")
    assert again == made
    assert [one.missing for one in again.columns] == [1, 1, 1]
    with pytest.raises(InputError, match="the file holds no profiles"):
        decode(b"{}", "file.json")
    made.format = 9
    with pytest.raises(InputError, match="the profiles have another format"):
        decode(encode(made), "file.json")
    with pytest.raises(InputError, match="the column holds no numbers"):
        profiles_of(pl.DataFrame({"a": ["x"]}), {"a": "number"}, "p", "file")


def test_the_page_draws_every_column_and_escapes_what_it_shows():
    rng = np.random.default_rng(6)
    reference = Profiles("p", "then", 500, [numbers(rng.normal(0, 1, 500), "score"), texts(["<b>"] * 500, "kind")])
    served = Profiles("p", "now", 500, [numbers(rng.normal(1, 1, 500), "score"), texts(["<i>"] * 500, "kind")])
    made = page("p", reference, served, compare(reference, served), {"score": {"en": "Score", "zh": "评分"}})
    assert made.count("<svg") == 2
    assert "&lt;i&gt; (100.00%)" in made
    assert "<i>" not in made.replace('<i class="was"></i>', "").replace('<i class="now"></i>', "")
    assert "评分" in made
    assert "已漂移" in made
