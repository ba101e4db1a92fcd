"""A pack that watches transfers: it decides `ledger.posted` and folds it; and a bank whose transfers it watches."""

from __future__ import annotations

import json
from pathlib import Path

from shop import HandClock

from quanheng.engine import Engine
from quanheng.events.intake import decode_event_body
from quanheng.kernel.log.records import EVENT
from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.posted import LEDGER_POSTED
from quanheng.loading.files import PackFiles, read_pack
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX

BANK, ANNA, BERT, TILL = 1, 2, 3, 2**100 + 7
ACCOUNTS = [
    Account(BANK, 978, 100, entity=7),
    Account(ANNA, 978, 200, owner=0xA11A),
    Account(BERT, 978, 200, owner=0xBE27, entity=7),
    Account(TILL, 978, 300),
]
LIMIT_MINOR = 1_000_000

PACK = """
[pack]
name     = "{name}"
version  = "0.1.0"
title    = {{en = "Watch of transfers", zh = "转账监测"}}
outcomes = ["approve", "review", "decline"]

[purpose.money_laundering]
basis  = "legal_obligation"
source = "AMLD5 art. 13"
title  = {{en = "Watch against money laundering", zh = "反洗钱监测"}}

[[flow]]
when     = "ledger.posted"
purpose  = "money_laundering"
decide   = "watch"
fallback = "review"
"""
FEATURES = """
[[fold]]
name   = "received_1d"
of     = "ledger.posted"
by     = ["credit"]
fold   = "sum"
value  = "amount_minor"
window = "1d"
where  = 'kind in ("move", "post")'
empty  = 0
title  = {en = "Received by the account in 24 hours", zh = "账户24小时内收款"}

[[fold]]
name   = "passed_on_1d"
of     = "ledger.posted"
by     = ["debit"]
match  = ["credit"]
fold   = "sum"
value  = "amount_minor"
window = "1d"
where  = 'kind in ("move", "post")'
empty  = 0
title  = {en = "Paid by the account in 24 hours", zh = "账户24小时内付款"}
"""
REASONS = """
[reason.large]
en = "The amount is large."
zh = "金额较大。"

[reason.much_received]
en = "Much was received in a day."
zh = "一日内收款较多。"
"""
POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="watch" name="watch" namespace="urn:quanheng:watch">
  <inputData id="i" name="amount_minor"><variable name="amount_minor" typeRef="number"/></inputData>
  <inputData id="r" name="received_1d"><variable name="received_1d" typeRef="number"/></inputData>
  <decision id="watch" name="watch">
    <variable name="watch"/>
    <informationRequirement><requiredInput href="#i"/></informationRequirement>
    <informationRequirement><requiredInput href="#r"/></informationRequirement>
    <context>
      <contextEntry><variable name="outcome" typeRef="string"/>
        <literalExpression><text>if amount_minor &gt; 1000000 or received_1d &gt; 3000000 then "review" else "approve"</text></literalExpression>
      </contextEntry>
      <contextEntry><variable name="reasons"/>
        <literalExpression><text>[if amount_minor &gt; 1000000 then "large" else null, if received_1d &gt; 3000000 then "much_received" else null]</text></literalExpression>
      </contextEntry>
    </context>
  </decision>
</definitions>
"""  # noqa: E501


def watch(name: str = "watch", *changes: tuple[str, str, str]) -> PackFiles:
    """The pack; each change is (file, text, its replacement)."""
    files = {
        "pack.toml": PACK.format(name=name), "features.toml": FEATURES, "reasons.toml": REASONS,
        "policies/watch.dmn": POLICY, "README.md": f"# {name}\n",
    }  # fmt: skip
    for file, old, new in changes:
        assert old in files[file], f"{file} has no {old!r}"
        files[file] = files[file].replace(old, new)
    return read_pack({file: text.encode() for file, text in files.items()}, name)


CASE = """
[default."ledger.posted"]
transfer = "0a"
debit = "01"
credit = "02"
kind = "move"
asset = 978
code = 1
debit_code = 100
credit_code = 200
debit_entity = 0
credit_entity = 0
day = 20468
applied_ms = 2026-01-15T10:00:00Z
offset = 1
row = 0

[[case]]
name  = "a large transfer is looked at"
clock = 2026-01-15T10:00:00Z

[[case.event]]
type   = "ledger.posted"
data   = {amount_minor = 1000001}
expect = {outcome = "review", reasons = ["large"]}

[[case.event]]
type   = "ledger.posted"
data   = {amount_minor = 1000000}
expect = {outcome = "approve", reasons = []}
"""


def with_files(pack: PackFiles, **files: str) -> PackFiles:
    """The pack with other files: `events` is events.toml, `cases__large` cases/large.toml."""
    more = {name.replace("__", "/") + ".toml": text.encode() for name, text in files.items()}
    return read_pack({**pack.files, **more}, pack.label)


def unused() -> PackFiles:
    """A later version of the watch that looks at no transfer any more."""
    files = {"pack.toml": PACK.format(name="watch").partition("[[flow]]")[0], "README.md": "# watch\n"}
    return read_pack({file: text.encode() for file, text in files.items()}, "watch")


def bank(folder: Path, clock: HandClock | None = None, *packs: PackFiles, **options: object) -> Engine:
    """An engine with these packs (default: the watch) and accounts, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock or HandClock(), **options)
    if not engine.log.head:
        engine.open_accounts(ACCOUNTS)
        engine.activate(packs or [watch()])
    return engine


def told(engine: Engine) -> list[dict]:
    """The data of every `ledger.posted` in the log, in order, each with the offset of its event as `at`."""
    code = engine.state.program.codes.get(LEDGER_POSTED, 0)
    found = []
    for first, columns in engine.log.read_columns(0, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX):
        for place in ((columns.kind == EVENT) & (columns.type == code)).nonzero()[0].tolist():
            body = decode_event_body(columns.record(place).payload)
            assert (body.client, body.id) == ("quanheng.ledger", str(json.loads(body.data)["offset"]))
            found.append({**json.loads(body.data), "at": first + place})
    return found


def pay(id: int, amount_minor: int, debit: int = BANK, credit: int = ANNA, **more: object) -> Transfer:
    """A transfer, by default from the bank to Anna."""
    return Transfer(id, debit, credit, amount_minor, code=5, **more)
