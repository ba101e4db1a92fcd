"""Settings of folds that do not fit one another: one problem each, under the key that is wrong."""

import sys
from pathlib import Path

import pytest

from quanheng.loading import check_pack

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, sample_files, sample_pack

CASES = [
    ('fold = "count"\ngap = "1h"', ".gap: a session needs a window"),
    ('fold = "count"\ngap = "2h"\nwindow = "1h"', ".gap: the gap is longer than the window"),
    ('fold = "percentile"\nvalue = "amount_minor"\nquantile = 0', ".quantile: a quantile of 0 is no rank"),
    (
        'fold = "percentile"\nvalue = "amount_minor"\nquantile = 0.1234567',
        ".quantile: the quantile has too many decimals",
    ),
    (
        'fold = "percentile"\nvalue = "amount_minor"\nquantile = 0.5\naccuracy = 0.3',
        ".accuracy: the number is out of bounds",
    ),
    (
        'fold = "distinct"\nvalue = "amount_minor"\nexact_max = 9\nwindow = "1d"',
        ".exact_max: this bound is for all history",
    ),
    ('fold = "change"', ".window: a fold of kind change needs a window"),
    ('fold = "change"\nlast = 5', ".last: a fold of kind change compares two windows of time"),
]


@pytest.mark.parametrize(("says", "told"), CASES)
def test_each_mistake_is_one_problem(says, told):
    fold = f'\n[[fold]]\nname = "wrong"\nof = "sample.request"\nby = ["customer"]\n{says}\n'
    features = sample_files()["features.toml"] + fold.encode()
    _, problems = check_pack(sample_pack({"features.toml": features}), available())
    assert len(problems) == 1
    assert told in str(problems[0])
