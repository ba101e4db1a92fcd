"""What a checked pack holds: values as declared, exact, in an order that can be computed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quanheng.loading import check_pack, read_pack, read_packs
from quanheng.loading.declared import Parameter, ParameterValue, Requirement, Title
from quanheng.loading.new import starter_files
from quanheng.loading.notes import Notes, describe
from quanheng.loading.table import moment_ms
from quanheng.loading.toml import read_toml

DAY_MS = 86_400_000


def declared(**changes: bytes):
    files = starter_files("mine")
    for name, more in changes.items():
        files[f"{name}.toml"] += more
    found, problems = check_pack(read_pack(files, "mine"), read_packs())
    assert problems == ()
    return found


def test_numbers_are_exact():
    notes = Notes()
    values = read_toml(b"a = 0.1\nb = 1_000.50\nc = 1e-3\nd = 7", "x.toml", notes)
    assert values == {"a": Decimal("0.1"), "b": Decimal("1000.50"), "c": Decimal("0.001"), "d": 7}
    assert all(isinstance(values[name], Decimal) for name in "abc")
    assert not notes.problems


def test_a_byte_order_mark_and_windows_line_ends_are_read():
    assert read_toml(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n", "x.toml", Notes()) == {"a": 1, "b": 2}


def test_the_value_in_force_is_the_newest_that_has_begun():
    values = tuple(ParameterValue(from_date="", from_ms=day * DAY_MS, value=day, source="x") for day in (10, 20))
    parameter = Parameter(name="p", unit="count", title=Title(), values=values)
    at = [parameter.at(moment) for moment in (10 * DAY_MS - 1, 10 * DAY_MS, 20 * DAY_MS - 1, 20 * DAY_MS, 99 * DAY_MS)]
    assert [one.value if one else None for one in at] == [None, 10, 10, 20, 20]


def test_formulas_are_put_after_those_they_use():
    found = declared(
        features=b"""
[[formula]]
name = "twice_again"
feel = "twice * 2"

[[formula]]
name = "twice"
feel = "amount_to_mean * 2"
"""
    )
    assert [formula.name for formula in found.formulas] == ["amount_to_mean", "twice", "twice_again"]
    assert found.formulas[2].uses == ("twice",)


def test_folds_have_their_default_for_an_empty_window():
    found = declared(
        features=b"""
[[fold]]
name = "largest"
of = "mine.request"
by = ["customer"]
fold = "max"
value = "amount_minor"
delay = "12h"

[[fold]]
name = "largest_or"
of = "mine.request"
by = ["customer"]
fold = "max"
value = "amount_minor"
empty = 1.5
"""
    )
    by_name = {fold.name: fold for fold in found.folds}
    assert by_name["customer_count_1d"].empty == 0
    assert by_name["largest"].empty is None
    assert by_name["largest"].window_ms is None
    assert by_name["largest"].delay_ms == DAY_MS // 2
    assert by_name["largest_or"].empty == Decimal("1.5")
    assert by_name["customer_mean_30d_before"].current == "out"


def test_the_flow_knows_the_file_of_its_decision():
    assert declared().flows[0].policy == "answer"
    assert set(declared().policies) == {"answer"}


def test_a_personal_key_is_personal_without_saying_so():
    found = declared(events=b'card = {type = "key", entity = "party.account", optional = true}\n')
    assert found.events[0].fields["card"].data_class == "personal"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-01-31", 1_769_817_600_000),
        ("2026-01-31T10:00:00Z", 1_769_853_600_000),
        ("soon", "the date cannot be read"),
    ],
)
def test_moments_as_text(value, found):
    assert moment_ms(value) == found


def test_a_requirement_reads_as_it_was_written():
    assert str(Requirement("party", ((">=", "1.0.0"), ("<", "2.0.0")))) == "party >= 1.0.0, < 2.0.0"
    assert str(Requirement("party")) == "party"


def test_long_values_are_cut_in_messages():
    assert len(describe("x" * 1000)) < 130
    assert describe({"a": 1}) == "a table with a"
    assert describe([1, 2]) == "a list of 2"
    assert describe(True) == "true"
