"""How problems call an entry of a list: by its name where it has one of its own, else by its place from 1."""

from __future__ import annotations

from quanheng.loading.notes import Notes
from quanheng.loading.toml import entry_keys, read_toml


def test_an_entry_is_called_by_its_name():
    assert entry_keys("fold", [{"name": "count_1d"}, {"name": "mean_7d"}]) == ["fold.count_1d", "fold.mean_7d"]


def test_without_a_plain_name_of_its_own_it_is_called_by_its_place():
    entries = [{"name": "twice"}, {"name": "twice"}, {"name": "An ordinary request"}, {}, 7, {"name": 3}, {"name": "a"}]
    places = [f"case[{place}]" for place in range(1, 7)]
    assert entry_keys("case", entries) == [*places, "case.a"]


def test_numbers_that_no_type_holds_are_found_under_the_same_keys():
    notes = Notes()
    text = b'[[fold]]\nname = "count_1d"\nlast = nan\n[[fold]]\nlast = 9223372036854775808\n[levels]\nof = [1.5, inf]\n'
    read_toml(text, "features.toml", notes)
    assert [problem.key for problem in notes.problems] == ["fold.count_1d.last", "fold[2].last", "levels.of[2]"]
