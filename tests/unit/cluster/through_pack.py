"""The pack `card_fraud` with folds whose keys other folds answer, one and two deep."""

from __future__ import annotations

from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs

FOLDS = """
[[fold]]
name = "terminal_before"
of = "card.payment"
by = ["customer"]
fold = "last"
value = "terminal"
current = "out"

[[fold]]
name = "terminal_before_frauds"
of = "card.fraud_report"
by = ["terminal"]
fold = "count"
window = "60d"
through = "terminal_before"

[[fold]]
name = "terminal_before_mean"
of = "card.payment"
by = ["terminal"]
fold = "mean"
value = "amount_minor"
window = "7d"
current = "out"
through = "terminal_before"

[[fold]]
name = "device_there"
of = "card.payment"
by = ["terminal"]
fold = "last"
value = "device"
age_max = "2d"
through = "terminal_before"

[[fold]]
name = "device_there_customers"
of = "card.payment"
by = ["device"]
fold = "distinct"
value = "customer"
window = "30d"
through = "device_there"

[[formula]]
name = "amount_to_terminal_before"
feel = "amount_minor / terminal_before_mean"
"""
NAMES = ("terminal_before_mean", "device_there_customers")


def card_fraud_through() -> PackFiles:
    files = dict(read_packs()["card_fraud"].files)
    files["features.toml"] += FOLDS.encode()
    return read_pack(files, "card_fraud")
