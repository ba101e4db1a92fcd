"""A whole small pack with every kind of file, sound as it stands: tests break it one piece at a time."""

from __future__ import annotations

import hashlib
from pathlib import Path

from quanheng.loading import PackFiles, read_pack, read_packs
from quanheng.loading.new import starter_files

WEIGHTS = b"not really a model"

MODEL = f"""
[model]
name            = "risk_score"
estimator       = "lightgbm"
inputs          = ["amount_minor", "customer_count_1d", "amount_to_mean"]
output_decimals = 4
weights         = "risk.trees"
hash            = "sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
label           = "sample.report"

[training]
seed = 7
"""

EVENTS = """
[entity.shop]
personal = false
title = {en = "Shop", zh = "商店"}

[event."sample.report"]
title   = {en = "A request was fraud", zh = "欺诈举报"}
subject = "customer"
time    = "request_time_ms"

[event."sample.report".fields]
request_time_ms = {type = "time"}
reported_ms     = {type = "time"}
customer        = {type = "key", entity = "party.customer"}
shop            = {type = "key", entity = "shop"}
amount_minor    = {type = "integer", unit = "minor"}
request         = {type = "text", optional = true}
rate            = {type = "decimal", scale = 2, min = 0, max = 1.5, optional = true}
urgent          = {type = "boolean", optional = true}
"""

MAPPING = """
[event."sample.request"]
fields.time_ms      = {column = "time"}
fields.customer     = {column = "customer_id"}
fields.shop         = {column = "shop_id"}
fields.amount_minor = {column = "amount"}
fields.currency     = {constant = "EUR"}
fields.channel      = {constant = "web"}
id                  = {column = "id"}

[event."sample.report"]
where = {column = "is_fraud", equals = 1}
delay = "7d"
fields.request_time_ms = {column = "time"}
fields.reported_ms     = {column = "time"}
fields.customer        = {column = "customer_id"}
fields.shop            = {column = "shop_id"}
fields.amount_minor    = {column = "amount"}
"""

EVALUATION = """
[protocol.handbook]
kind        = "delayed_card"
train_from  = 2018-07-25
train_days  = 7
delay_days  = 7
test_days   = 7
key         = "customer"
label_event = "sample.report"
mapping     = "file"
top_k       = 100
"""

TRAFFIC = """
kind  = "spending"
seed  = 1
start = 2026-01-05
hours = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
week  = [100, 100, 100, 100, 100, 100, 100]

[event]
type     = "sample.request"
payer    = "customer"
place    = "shop"
amount   = "amount_minor"
channel  = "channel"
constant = {currency = "EUR"}

[report]
type        = "sample.report"
paid_at     = "request_time_ms"
reported_at = "reported_ms"
payment     = "request"
delay       = "7d"

[payers]
count      = 50
mean_minor = [500, 10_000]
spread     = 0.5
per_day    = [0.2, 4.0]

[places]
count = 100
area  = 100
reach = 5

[[channel]]
value  = "web"
weight = 1

[[attack]]
name         = "large"
kind         = "amounts"
share        = 0.01
amount_minor = [1_000, 2_000]

[[attack]]
name    = "stolen"
kind    = "payers"
per_day = 0.5
lasts   = "14d"
share   = 0.33
times   = 5

[[attack]]
name         = "ring"
kind         = "devices"
per_day      = 0.5
lasts        = "5d"
devices      = 2
payers       = 3
payments     = [1, 2]
amount_minor = [1_000, 2_000]

[faults]
duplicate = 0.01
late      = 0.01
late_by   = {least = "5m", most = "1h"}
malformed = 0.01
"""


def sample_files() -> dict[str, bytes]:
    """The files of the sample pack."""
    files = starter_files("sample")
    files["events.toml"] = (
        files["events.toml"].replace(
            b"amount_minor = {", b'shop         = {type = "key", entity = "shop"}\namount_minor = {'
        )
        + b'channel      = {type = "choice", choices = ["web", "desk"]}\n'
        + EVENTS.encode()
    )
    files["cases/first.toml"] = (
        files["cases/first.toml"]
        .replace(b'customer     = "anna"', b'customer     = "anna"\nshop         = "corner"\nchannel      = "desk"')
        .replace(b"clock = 2026-01-15T10:00:00Z", b"clock = 2026-01-15T10:00:00Z\nscores = {risk_score = 0.1}")
    )
    files |= {
        "models/risk.toml": MODEL.encode(),
        "models/risk.trees": WEIGHTS,
        "mappings/file.toml": MAPPING.encode(),
        "evaluations.toml": EVALUATION.encode(),
        "traffic.toml": TRAFFIC.encode(),
    }
    return files


def sample_pack(changes: dict[str, bytes | None] | None = None) -> PackFiles:
    """The sample pack with files replaced, added, or removed (None)."""
    files = {**sample_files(), **(changes or {})}
    return read_pack({name: content for name, content in files.items() if content is not None}, "sample")


WALLET = Path(__file__).parents[2] / "packs" / "wallet"


def wallet_files() -> dict[str, bytes]:
    """The files of the pack that moves value: `tests/packs/wallet`, sound as it stands."""
    return dict(read_pack(WALLET).files)


def loans_files() -> dict[str, bytes]:
    """The files of the pack that lends: `tests/packs/loans`, sound as it stands."""
    return dict(read_pack(WALLET.with_name("loans")).files)


def loans_pack(changes: dict[str, bytes | None] | None = None) -> PackFiles:
    """The pack that lends with files replaced, added, or removed (None)."""
    files = {**loans_files(), **(changes or {})}
    return read_pack({name: content for name, content in files.items() if content is not None}, "loans")


def wallet_pack(changes: dict[str, bytes | None] | None = None) -> PackFiles:
    """The wallet with files replaced, added, or removed (None)."""
    files = {**wallet_files(), **(changes or {})}
    return read_pack({name: content for name, content in files.items() if content is not None}, "wallet")


SCREEN = Path(__file__).parents[2] / "packs" / "screen"


def screen_pack(old: str = "", new: str = "") -> PackFiles:
    """The pack that calls a partner, `tests/packs/screen`, with one text of its calls.toml replaced."""
    files = dict(read_pack(SCREEN).files)
    calls = files["calls.toml"].decode()
    assert old in calls, f"the pack has no {old!r} in calls.toml"
    return read_pack({**files, "calls.toml": calls.replace(old, new, 1).encode()}, "screen")


CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"


def checkout_files() -> dict[str, bytes]:
    """The files of the pack with processes: `tests/packs/checkout`, sound as it stands."""
    return dict(read_pack(CHECKOUT).files)


def checkout_pack(changes: dict[str, bytes | None] | None = None) -> PackFiles:
    """The checkout with files replaced, added, or removed (None)."""
    files = {**checkout_files(), **(changes or {})}
    return read_pack({name: content for name, content in files.items() if content is not None}, "checkout")


def available() -> dict[str, PackFiles]:
    """Packs the sample may require: those that ship."""
    return read_packs()
