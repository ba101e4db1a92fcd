"""A pack with every setting of a fold is read as it is said; what it computes is as sensitive as what it reads."""

import sys
from decimal import Decimal
from pathlib import Path

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading import check_pack
from quanheng.loading.classes import data_classes, highest_class

sys.path.insert(0, str(Path(__file__).parents[2] / "tables" / "loading"))
from sample_pack import available, sample_files, sample_pack

FOLDS = """
[[fold]]
name = "all_of_it"
of = "sample.request"
by = ["customer"]
match = ["customer"]
fold = "count"
where = 'channel = "web" and holiday'
calendar = "china"
since = "month"
zone = "Asia/Shanghai"
delay = "1d"
last = 5
age_max = "30d"

[[fold]]
name = "burst"
of = "sample.request"
by = ["customer"]
fold = "count"
window = "1d"
gap = "1h"

[[fold]]
name = "shop_before"
of = "sample.request"
by = ["customer"]
fold = "last"
value = "shop"

[[fold]]
name = "shop_amounts"
of = "sample.request"
by = ["shop"]
through = "shop_before"
fold = "sum"
value = "amount_minor"

[[fold]]
name = "request_workday"
of = "sample.request"
fold = "workday"
calendar = "china"

[[formula]]
name = "mixed"
feel = "shop_amounts + request_workday"
"""


def test_every_setting_is_read():
    files = sample_files()
    declared, problems = check_pack(
        sample_pack({"features.toml": files["features.toml"] + FOLDS.encode()}), available()
    )
    assert problems == ()
    folds = {fold.name: fold for fold in declared.folds}
    one = folds["all_of_it"]
    assert (one.since, one.zone, one.delay_ms, one.last) == ("month", "Asia/Shanghai", 86_400_000, 5)
    assert (folds["burst"].gap_ms, one.age_ms_max, one.match) == (3_600_000, 30 * 86_400_000, ("customer",))
    assert one.where == 'channel = "web" and holiday'
    assert folds["shop_amounts"].through == "shop_before"
    assert folds["request_workday"].by == ()
    assert one.empty == Decimal(0)
    events = {event.name: event for event in declared.events}
    classes = data_classes(declared, events)
    assert classes["all_of_it"] == "personal"
    assert classes["shop_amounts"] == "financial"
    assert classes["mixed"] == "financial"


def test_the_highest_class():
    assert highest_class([]) == ""
    assert highest_class(["", "internal", "public"]) == "internal"
    assert highest_class(["sensitive", "financial", "personal"]) == "sensitive"


def test_a_field_that_was_appended_is_one_of_the_header():
    event = EventDeclaration(name="e", fields={"n": FieldDeclaration(kind="integer", appended=True)})
    assert event.fields["n"].appended
