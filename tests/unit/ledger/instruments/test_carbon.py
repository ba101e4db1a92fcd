"""Carbon units: a row for each refusal in order of precedence, blocks that split, and where units are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.entries import BATCH_MAX, ID_MAX, Transfer, TransferFlag
from quanheng.ledger.instruments.carbon.actions import (
    TEXT_MAX,
    Assign,
    CancelUnits,
    Export,
    Import,
    Issue,
    Link,
    Retire,
)
from quanheng.ledger.instruments.carbon.actions import CarbonRefusal as R
from quanheng.ledger.instruments.carbon.registry import CarbonRegistry, Certificate, part_id
from quanheng.ledger.instruments.carbon.serials import SERIAL_MAX, Block, Place, Range, Status
from quanheng.ledger.instruments.demo import carbon as demo
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from asset_bench import AssetBench
from instrument_bench import CODE, DAY, LEDGERS, START_MS, new_ledger

ADMIN, ANNA, BEN, ASSET = 90, 1, 2, 500
ISSUE = Issue(100, ADMIN, "windpark 7", 2025, 20_089, 20_453, 1_000, ANNA)


def registry():
    return CarbonRegistry("QH", ADMIN, ASSET, CODE)


def r(first, last, origin="QH"):
    return (Range(origin, first, last),)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return AssetBench(registry(), request.param, assets=(), parties=0)


def units(bench, name):
    return bench.has(bench.instrument.account_of(name))


def test_part_of_a_block_is_transferred_and_splits_it(bench):
    bench.must(ISSUE)
    bench.must(Assign(101, ANNA, r(301, 400), BEN))
    held = Status.HELD
    assert bench.instrument.blocks("QH") == [
        Block(1, 300, 100, Place(held, ANNA)),
        Block(301, 400, 100, Place(held, BEN)),
        Block(401, 1_000, 100, Place(held, ANNA)),
    ]
    assert (units(bench, ANNA), units(bench, BEN), units(bench, "issued")) == (900, 100, -1_000)
    bench.must(Assign(102, BEN, r(301, 400), ANNA))
    assert bench.instrument.blocks("QH") == [Block(1, 1_000, 100, Place(held, ANNA))], "joined again"
    bench.check_replay(registry())


def test_a_retirement_has_a_certificate_and_is_for_good(bench):
    bench.must(ISSUE)
    bench.must(Retire(101, ANNA, r(1, 10) + r(21, 30), "Anna's bakery", "emissions of 2025"))
    certificate = Certificate(ANNA, r(1, 10) + r(21, 30), "Anna's bakery", "emissions of 2025", START_MS)
    assert bench.instrument.certificates == {101: certificate}
    assert certificate.quantity == units(bench, "retired") == 20
    assert bench.refused(Retire(102, ANNA, r(10, 11), "Ben", "his too")) == R.SERIAL_IS_RETIRED
    bench.must(Retire(101, ANNA, r(1, 10) + r(21, 30), "Anna's bakery", "emissions of 2025"))
    assert units(bench, "retired") == 20, "asked twice, retired once"
    bench.check_replay(registry())


def test_the_ledger_lets_nothing_leave_what_is_retired(bench):
    """Neither by a transfer past the registry, nor by a reversal of the retirement."""
    bench.must(ISSUE)
    bench.must(Retire(101, ANNA, r(1, 10), "Anna", "2025"))
    account = bench.instrument.account_of
    past = Transfer(900, account("retired"), account(ANNA), 1, CODE)
    retired = part_id(101, f"QH {ASSET} 0")
    back = Transfer(901, amount_minor=10, code=CODE, flags=int(TransferFlag.REVERSAL), reference=retired)
    for one in (past, back):
        assert bench.ledger.transfer([one], START_MS, DAY)[0].outcome == TransferOutcome.DEBIT_ACCOUNT_IS_FROZEN


def test_units_go_to_a_linked_registry_and_come_back(bench):
    bench.must(ISSUE)
    bench.must(Link(101, ADMIN, "EU"))
    bench.must(Export(102, ANNA, r(1, 100), "EU", 7))
    assert (units(bench, ANNA), units(bench, "linked EU")) == (900, 100)
    bench.must(Import(103, ADMIN, r(41, 50), "EU", 5_000, BEN, "windpark 7", 2025))
    assert bench.instrument.holdings(BEN) == list(r(41, 50))
    assert bench.instrument.blocks("QH", 41, 50)[0].issuance == 100, "it is still what it was issued as"
    bench.must(Import(104, ADMIN, r(5, 9, "EU"), "EU", 5_001, BEN, "forest 1", 2024))
    assert bench.instrument.holdings(BEN) == [*r(5, 9, "EU"), *r(41, 50)]
    assert (units(bench, BEN), units(bench, "linked EU")) == (15, 85)
    bench.check_replay(registry())


def test_holdings_are_joined_over_issuances_and_blocks_are_not(bench):
    bench.must(ISSUE)
    bench.must(replace(ISSUE, id=101, first_day=20_454, last_day=20_460, vintage=2026, quantity=5))
    assert bench.instrument.holdings(ANNA) == list(r(1, 1_005))
    assert [one.issuance for one in bench.instrument.blocks("QH")] == [100, 101]
    bench.must(Assign(102, ANNA, r(990, 1_002), BEN))
    assert len(bench.instrument.done[102][1].transfers) == 1, "one transfer of what leaves one account"


def test_the_administrator_cancels_units_of_several_holders(bench):
    bench.must(ISSUE)
    bench.must(Assign(101, ANNA, r(501, 1_000), BEN))
    bench.must(CancelUnits(102, ADMIN, r(451, 550), "reversal: fire"))
    assert (units(bench, ANNA), units(bench, BEN), units(bench, "cancelled")) == (450, 450, 100)


def test_a_range_is_written_as_its_origin_and_numbers():
    assert str(Range("QH", 5, 9)) == "QH-5-9"


def crowded():
    """A registry with more blocks than one batch has transfers."""
    full = registry()
    full._map("QH").put([Block(n, n, 100, Place(Status.HELD, n % 2 + 1)) for n in range(1, BATCH_MAX + 2)])
    return full


SOLD, LINKED = Assign(101, ANNA, r(1, 10), BEN), Link(102, ADMIN, "EU")
RETIRED, GONE = Retire(103, ANNA, r(11, 20), "x", "y"), Export(104, ANNA, r(21, 30), "EU", 7)
OUT, IN = CancelUnits(105, ANNA, r(31, 40), "z"), Import(106, ADMIN, r(21, 21), "EU", 7, BEN, "p", 2025)
ALL = [ISSUE, SOLD, LINKED, RETIRED, GONE, OUT]
LAST = replace(ISSUE, id=200, project="p")
TABLE = [
    (R.ID_IS_OUT_OF_RANGE, [], replace(ISSUE, id=ID_MAX)),
    (R.ID_HAS_OTHER_CONTENT, [ISSUE], replace(ISSUE, quantity=1)),
    (R.ACTOR_MAY_NOT, [], replace(ISSUE, by=ANNA)),
    (R.ACTOR_MAY_NOT, ALL, replace(IN, by=ANNA)),
    (R.OWNER_IS_OUT_OF_RANGE, [], replace(ISSUE, to=0)),
    (R.OWNER_IS_OUT_OF_RANGE, [ISSUE], replace(SOLD, to=ID_MAX)),
    (R.TEXT_IS_WRONG, [ISSUE], replace(RETIRED, beneficiary=" ")),
    (R.TEXT_IS_WRONG, [ISSUE], replace(RETIRED, purpose="x" * (TEXT_MAX + 1))),
    (R.RANGES_ARE_WRONG, [ISSUE], replace(SOLD, ranges=())),
    (R.RANGES_ARE_WRONG, [ISSUE], replace(SOLD, ranges=r(2, 1))),
    (R.RANGES_ARE_WRONG, [ISSUE], replace(SOLD, ranges=r(0, 1))),
    (R.RANGES_ARE_WRONG, [ISSUE], replace(SOLD, ranges=r(1, 5) + r(5, 6))),
    (R.QUANTITY_IS_OUT_OF_RANGE, [], replace(ISSUE, quantity=0)),
    (R.QUANTITY_IS_OUT_OF_RANGE, [ISSUE], replace(SOLD, ranges=r(1, SERIAL_MAX) + r(1, 9, "EU"))),
    (R.PERIOD_IS_WRONG, [], replace(ISSUE, last_day=20_088)),
    (R.PERIOD_IS_WRONG, [], replace(ISSUE, vintage=2024)),
    (R.PERIOD_IS_WRONG, [], replace(ISSUE, last_day=10_000_000)),
    (R.PERIOD_IS_ISSUED, [ISSUE], replace(ISSUE, id=101, first_day=20_453, last_day=20_460)),
    (R.SERIALS_ARE_USED_UP, [replace(ISSUE, quantity=SERIAL_MAX - 5)], replace(LAST, quantity=6)),
    (R.REGISTRY_IS_LINKED, ALL, Link(200, ADMIN, "EU")),
    (R.REGISTRY_IS_LINKED, ALL, Link(200, ADMIN, "QH")),
    (R.REGISTRY_IS_NOT_LINKED, ALL, Link(200, ADMIN, "CH", linked=False)),
    (R.REGISTRY_IS_NOT_LINKED, [ISSUE], GONE),
    (R.EXPORT_WAS_TAKEN_IN, [*ALL, IN], replace(IN, id=200, ranges=r(22, 22))),
    (R.SERIAL_NOT_FOUND, [ISSUE], replace(SOLD, ranges=r(1_000, 1_001))),
    (R.SERIAL_NOT_FOUND, [ISSUE], replace(SOLD, ranges=r(1, 1, "EU"))),
    (R.SERIAL_NOT_FOUND, ALL, replace(IN, ranges=r(1_001, 1_001))),
    (R.SERIAL_IS_RETIRED, ALL, replace(SOLD, id=200, ranges=r(15, 15))),
    (R.SERIAL_IS_RETIRED, ALL, replace(IN, ranges=r(20, 21))),
    (R.SERIAL_IS_CANCELLED, ALL, CancelUnits(200, ADMIN, r(31, 31), "again")),
    (R.SERIAL_IS_CANCELLED, ALL, replace(IN, ranges=r(31, 31))),
    (R.SERIAL_IS_EXPORTED, ALL, replace(SOLD, id=200, ranges=r(21, 21))),
    (R.SERIAL_IS_EXPORTED, [*ALL, Link(107, ADMIN, "CH")], replace(IN, registry="CH")),
    (R.SERIAL_IS_HELD, ALL, replace(IN, ranges=r(1, 1))),
    (R.SERIAL_HAS_OTHER_HOLDER, ALL, replace(SOLD, id=200)),
    (R.SERIAL_HAS_OTHER_HOLDER, ALL, CancelUnits(200, BEN, r(10, 10) + r(41, 41), "not all mine")),
]


@pytest.mark.parametrize(("refusal", "before", "action"), TABLE)
def test_each_refusal(refusal, before, action):
    bench = AssetBench(registry(), assets=(), parties=0)
    for one in before:
        bench.must(one)
    assert bench.refused(action) == refusal


def test_more_blocks_than_a_batch_has_transfers():
    refusal = crowded().decide(CancelUnits(1, ADMIN, r(1, BATCH_MAX + 1), "all"), START_MS)
    assert (refusal.code, refusal.found) == (R.RANGES_ARE_WRONG, f"{BATCH_MAX + 1} blocks")


def test_the_table_is_the_list_in_order_of_precedence():
    assert list(dict.fromkeys(row[0] for row in TABLE)) == list(R)


@pytest.mark.parametrize("code", R)
def test_titles(code):
    assert code.en
    assert re.search(r"[\u4e00-\u9fff]", code.zh)


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_business(kind):
    played = demo.play(new_ledger(kind), 5, START_MS, DAY)
    assert all(played.checked.values()), played.checked
    assert played == demo.play(new_ledger("slow"), 5, START_MS, DAY)
    assert min(played.figures.values()) > 0, played.figures
