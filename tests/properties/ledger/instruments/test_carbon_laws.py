"""Laws of carbon units: blocks against units one by one, and two linked registries on random actions."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.instruments.carbon.actions import (
    Assign,
    CancelUnits,
    Export,
    Import,
    Issue,
    Link,
    Retire,
)
from quanheng.ledger.instruments.carbon.actions import CarbonRefusal as R
from quanheng.ledger.instruments.carbon.registry import CarbonRegistry
from quanheng.ledger.instruments.carbon.serials import Block, Place, Range, SerialMap, Status
from quanheng.ledger.instruments.demo.witness import Witness, spendable_minor
from quanheng.ledger.instruments.instrument import perform
from quanheng.testing.slow_carbon import SlowCarbon

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from instrument_bench import CODE, DAY, START_MS, new_ledger

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
ADMINS = {"QH": 90, "EU": 91}
blocks = st.builds(
    lambda first, length, issuance, of: Block(first, first + length, issuance, Place(Status.HELD, of)),
    st.integers(1, 40), st.integers(0, 12), st.integers(1, 2), st.integers(1, 2),
)  # fmt: skip


@given(st.lists(blocks, max_size=30), st.integers(1, 45), st.integers(0, 20))
def test_the_map_of_blocks_is_a_map_of_units(puts, first, length):
    fast, slow = SerialMap(), {}
    for one in puts:
        fast.put([one])
        slow |= dict.fromkeys(range(one.first, one.last + 1), (one.issuance, one.place))
    assert {n: (one.issuance, one.place) for one in fast for n in range(one.first, one.last + 1)} == slow
    for a, b in zip(list(fast), list(fast)[1:], strict=False):
        assert a.last < b.first
        assert (a.last + 1, a.issuance, a.place) != (b.first, b.issuance, b.place), "joined"
    pieces = fast.pieces(first, first + length)
    within = {n for n in slow if first <= n <= first + length}
    assert [n for one in pieces for n in range(one.first, one.last + 1)] == sorted(within)


class World:
    """Two registries that are linked, on one ledger, each with its twin; administrators take in what was sent once."""

    def __init__(self, kind="slow"):
        self.ledger, self.now_ms = Witness(new_ledger(kind)), START_MS
        self.registries = {code: CarbonRegistry(code, admin, 500 + admin, CODE) for code, admin in ADMINS.items()}
        self.twins = {code: SlowCarbon(code, admin) for code, admin in ADMINS.items()}
        self.sent, self.applied, self.asked, self.codes = [], {code: [] for code in ADMINS}, [], set()

    def do(self, code, action):
        registry, twin = self.registries[code], self.twins[code]
        repeated, before = action.id in registry.done, (registry.digest(), self.balances())
        may = repeated or twin.may(action)
        result = perform(self.ledger, registry, action, self.now_ms, DAY)
        if result.refusal:
            self.codes.add(result.refusal.code)
        if repeated or not result.applied:
            assert (registry.digest(), self.balances()) == before, action
        else:
            twin.do(action)
            self.applied[code].append((action, self.now_ms))
            if isinstance(action, Export):
                self.sent.append((code, action))
        return may, result

    def balances(self):
        return self.ledger.balances(self.now_ms, DAY)

    def check(self):
        """A unit is in one place, an account has as many units as serial numbers, and no unit counts twice."""
        assert self.ledger.is_conserved(self.now_ms, DAY)
        active = []
        for code, registry in self.registries.items():
            twin, counts = self.twins[code], {}
            held = {
                (origin, n): (one.place.status.value, one.place.of)
                for origin, blocks in registry.serials.items()
                for one in blocks
                for n in range(one.first, one.last + 1)
            }
            assert held == twin.units
            active += [unit for unit, (status, _) in held.items() if status != "exported"]
            for status, of in held.values():
                name = {"held": of, "exported": f"linked {registry.exports.get(of)}"}.get(status, status)
                counts[name] = counts.get(name, 0) + 1
            own = sum(origin == code for origin, _ in held)
            counts["issued"] = -own
            for other in ADMINS.keys() - {code}:
                counts[f"linked {other}"] = counts.get(f"linked {other}", 0) - (len(held) - own)
            balances = self.balances()
            for name in {*counts, "retired", "cancelled"}:
                account = registry.account_of(name)
                found = spendable_minor(balances[account]) if account in balances else 0
                assert found == counts.get(name, 0), name
        assert len(active) == len(set(active)), "a unit counts in one registry only"


def random_ranges(rng, world, code, by):
    registry = world.registries[code]
    known = registry.holdings(by) if rng.random() < 0.8 else []
    if not known:
        first = rng.randint(1, 60)
        known = [Range(rng.choice([code, code, "EU"]), first, first + rng.randint(0, 9))]
    chosen = []
    for one in rng.sample(known, min(len(known), rng.randint(1, 3))):
        first = rng.randint(one.first, one.last)
        chosen.append(Range(one.origin, first, min(one.last, first + rng.choice([0, 1, 5, 20]))))
    if rng.random() < 0.04:
        chosen += chosen[:1]
    return tuple(chosen)


def random_action(rng, world, code, number):
    id, by, to, kind = 1_000 + number, rng.randint(1, 3), rng.randint(1, 3), rng.random()
    if kind < 0.12:
        first = 20_089 + rng.randrange(0, 300, 10)
        by = ADMINS[code] if rng.random() < 0.9 else by
        return Issue(id, by, rng.choice("pq"), 2025, first, first + rng.randint(0, 12), rng.randint(1, 30), to)
    if kind < 0.18:
        return Link(id, ADMINS[code], *rng.choice([("EU", True), ("QH", True), ("EU", False)]))
    if kind < 0.32 and world.sent:
        origin, sent = rng.choice(world.sent[-6:])
        if sent.registry == code:
            return Import(id, ADMINS[code], sent.ranges, origin, sent.id, sent.to, "p", 2025)
    ranges = random_ranges(rng, world, code, by)
    if kind < 0.35 and world.registries[code].holdings(by):  # A message that no registry sent, of units that are here.
        other = next(other for other in ADMINS if other != code)
        return Import(id, ADMINS[code], tuple(world.registries[code].holdings(by)[:1]), other, id, to, "p", 2025)
    if kind < 0.55:
        return Assign(id, by, ranges, to)
    if kind < 0.65:
        return Retire(id, by, ranges, "someone", "2025")
    if kind < 0.72:
        return CancelUnits(id, rng.choice([by, ADMINS[code]]), ranges, "a reason")
    return Export(id, by, ranges, next(other for other in ADMINS if other != code), to)


def run(seed, actions_n=70, kind="slow"):
    rng, world = random.Random(seed), World(kind)
    for number in range(actions_n):
        if world.asked and rng.random() < 0.06:
            code, action = rng.choice(world.asked)
            action = replace(action, by=99) if rng.random() < 0.3 else action
        else:
            code = rng.choice(list(ADMINS))
            action = random_action(rng, world, code, number)
        world.asked.append((code, action))
        world.now_ms += rng.choice([0, 1, 20])
        may, result = world.do(code, action)
        refusal = result.refusal.code if result.refusal else None
        if refusal not in (R.RANGES_ARE_WRONG, R.ID_HAS_OTHER_CONTENT):
            assert may == result.applied, f"seed={seed} {action} {result}"
    world.check()
    for code, applied in world.applied.items():
        fresh = CarbonRegistry(code, ADMINS[code], 500 + ADMINS[code], CODE)
        for action, now_ms in applied:
            fresh.apply(action, now_ms)
        assert fresh.digest() == world.registries[code].digest()
    return world.codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_carbon_units(seed):
    run(seed)


def test_the_laws_on_the_core():
    for seed in range(3):
        run(seed, kind="core")


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 150) for seed in range(25)))
    rare = {
        R.ID_IS_OUT_OF_RANGE, R.OWNER_IS_OUT_OF_RANGE, R.TEXT_IS_WRONG, R.QUANTITY_IS_OUT_OF_RANGE, R.PERIOD_IS_WRONG,
        R.SERIALS_ARE_USED_UP,
    }  # fmt: skip
    assert set(R) - rare <= met, set(R) - rare - met
