"""Laws of securities on random actions, against the plain twin, and of proportions."""

from __future__ import annotations

import decimal
import random
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import ID_MAX, Balance
from quanheng.ledger.instruments.conversion import rounded
from quanheng.ledger.instruments.securities.actions import (
    Admit,
    Allot,
    Declare,
    Deliver,
    PayOut,
    Redeem,
    Residue,
    SecurityTerms,
    Subscribe,
)
from quanheng.ledger.instruments.securities.actions import SecurityRefusal as R
from quanheng.ledger.instruments.securities.register import Register, in_proportion
from quanheng.ledger.instruments.securities.security import Security
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.testing.slow_securities import POOR, SlowSecurity, slow_proportion

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from asset_bench import AssetBench, account
from instrument_bench import CODE, START_MS

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
UNIT, CASH, ISSUER, OWNERS, FUNDS = 510, 2, 6, (1, 2, 3, 4, 5), 3_000


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 200), st.booleans())
def test_a_proportion_is_within_one_unit_and_none_is_lost(weights, total, give):
    assume(total <= sum(weights) > 0)
    given_units = in_proportion(total, weights, give)
    assert given_units == slow_proportion(total, weights, give)
    for units, weight in zip(given_units, weights, strict=True):
        exact = Fraction(total * weight, sum(weights))
        assert units <= weight
        assert exact - 1 < units < exact + 1
        assert give or units <= exact
    assert 0 <= total - sum(given_units) < len(weights)
    assert not give or sum(given_units) == total
    for a, wa in zip(given_units, weights, strict=True):
        assert all(a >= b for b, wb in zip(given_units, weights, strict=True) if wa > wb), "more asked, not less given"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3), st.integers(-9, 9)), max_size=20), st.integers(0, 21))
def test_a_register_is_a_sum_of_changes_in_whatever_order_they_are_folded(changes, at_ms):
    register = Register()
    for when, owner, units in changes:
        register.change(owner, units, when)
    for owner in (1, 2, 3):
        assert register.units(owner, at_ms) == sum(n for when, who, n in changes if who == owner and when <= at_ms)
        assert register.units(owner) == sum(n for _, who, n in changes if who == owner)


def terms_of(rng):
    return SecurityTerms(
        UNIT, CASH, CODE, ISSUER, account(CASH, ISSUER), rng.choice([1, 7]), rng.choice([10, 60, 300]),
        START_MS + rng.choice([50, 200]), rng.choice(list(Residue)),
        rng.choice([decimal.ROUND_DOWN, decimal.ROUND_UP, decimal.ROUND_HALF_EVEN]), rng.choice([0, 90]),
        rng.choice([3, 9]), START_MS + rng.choice([0, 400]),
    )  # fmt: skip


EACH = [Decimal(text) for text in ("0.3", "1.7", "0.125", "40", "40", "-1", "NaN", "1e30")]


def random_action(rng, security, number, now_ms):
    id, kind, by, to = 1_000 + number, rng.random(), rng.choice(OWNERS), rng.choice(OWNERS)
    issuer = ISSUER if rng.random() < 0.95 else by
    if kind < 0.14 or number < 6:
        owner, lock = rng.choice([*OWNERS, *OWNERS, ISSUER]), rng.choice([0] * 9 + [now_ms + 50] * 3 + [-1])
        cash = account(CASH, owner if rng.random() < 0.9 else rng.choice(OWNERS))
        cash = cash if rng.random() < 0.95 else security.account_of(rng.choice(["subscribed", "residue"]))
        return Admit(id, issuer, rng.choice([owner] * 30 + [ID_MAX]), cash, rng.random() < 0.9, lock)
    if security.allotted is None and kind < 0.8:
        return Subscribe(id, by, rng.choice([1, 1, 5, 5, 20, 60, 2_000, 0]))
    if kind < 0.2 or security.allotted is None:
        return Allot(id, issuer)
    if kind < 0.6:
        return Deliver(id, by, to, rng.choice([1, 2, 10, 30]))
    if kind < 0.72:
        record = now_ms + rng.choice([-20, -1, 0, 5])
        return Declare(id, issuer, record, record + rng.choice([0, 1, 30]), rng.choice(EACH))
    if kind < 0.95:
        owners = rng.sample(OWNERS, rng.choice([0, 0, 0, 1, 2]))
        return PayOut(id, issuer, rng.choice([*security.declarations, 5]), tuple(owners))
    return Redeem(id, issuer, rng.choice([0, 1, 7, 500]), rng.choice([1, 8]))


class EmptyAccountsAside(AssetBench):
    """An action that the ledger refuses may have opened accounts; they stay empty."""

    def everything(self):
        return self.instrument.digest(), {one: book for one, book in self.balances().items() if book != Balance()}


class World:
    def __init__(self, seed, kind):
        self.rng = random.Random(seed)
        self.terms = terms_of(self.rng)
        self.security = Security(7, self.terms)
        self.bench = EmptyAccountsAside(self.security, kind, assets=(CASH,), parties=6, funds_minor=FUNDS)
        cash = Counter({account(CASH, n): FUNDS for n in (*OWNERS, ISSUER)})
        own = frozenset(map(self.security.account_of, ("subscribed", "residue")))
        self.twin, self.snapshots = SlowSecurity(self.terms, cash, own), {}

    def do(self, action):
        """The outcome, which is the twin's: applied, refused for the same reason, or refused by the ledger."""
        result, expected = self.bench.do(action), self.twin.do(action, self.bench.now_ms)
        found = result.refusal.code if result.refusal else POOR if result.outcome else ""
        assert found == expected, (action, result)
        return result

    def units(self, balances, name):
        book = balances.get(self.security.account_of(name))
        return book.credits_posted_minor - book.debits_posted_minor if book else 0

    def check(self):
        """The register is what the ledger has; subscribed cash is what awaits allotment; caps hold."""
        holders, balances = self.security.register.holders(), self.bench.balances()
        assert {owner: units for owner in OWNERS if (units := self.units(balances, owner))} == holders
        assert self.units(balances, "issued") == -sum(holders.values())
        waiting = sum(one.units for one in self.security.subscriptions.values()) * self.terms.price_minor
        assert self.units(balances, "subscribed") == (waiting if self.security.allotted is None else 0)
        assert len(holders) <= self.terms.holders_max
        assert not self.terms.holding_max_units or max(holders.values(), default=0) <= self.terms.holding_max_units
        self.snapshots[self.bench.now_ms] = holders
        self.check_twin(holders, balances)

    def check_twin(self, holders, balances):
        """Who holds what, now and at some time, in the same order; what each account has; who is due what."""
        twin, at_ms = self.twin, self.rng.randint(START_MS - 1, self.bench.now_ms)
        assert list(holders.items()) == list(twin.holders().items())
        assert self.security.register.holders(at_ms) == twin.holders(at_ms)
        for name, minor in twin.cash.items():
            assert (self.units(balances, name) if isinstance(name, str) else self.bench.has(name)) == minor, name
        for id in self.security.declarations:
            assert self.security.entitlements(id) == twin.due(id)

    def check_end(self):
        """The register as of each time is what it was then; what was paid and the residue are the whole, once."""
        for at_ms, holders in self.snapshots.items():
            assert self.security.register.holders(at_ms) == holders
        residue = 0
        for id, known in self.security.declarations.items():
            amounts, left = self.security.entitlements(id)
            units = sum(self.security.register.holders(known.declared.record_ms).values())
            whole = rounded(units * Fraction(known.declared.per_unit_minor), self.terms.rounding)
            assert sum(amounts.values()) + left == whole
            assert abs(left) <= len(amounts)
            residue += left if amounts and set(amounts) == known.paid else 0
        assert self.units(self.bench.balances(), "residue") == residue
        assert self.bench.ledger.is_conserved(self.bench.now_ms, self.bench.day)
        other = EmptyAccountsAside(Security(7, self.terms), **self.bench.made)
        for action, now_ms in self.bench.applied:
            other.now_ms = now_ms
            other.must(action)
        assert other.everything() == self.bench.everything()


def run(seed, actions_n=70, kind="slow"):
    world, asked, codes = World(seed, kind), [], set()
    rng, bench, security = world.rng, world.bench, world.security
    for number in range(actions_n):
        bench.now_ms += rng.choice([0, 0, 1, 10, 30])
        if asked and rng.random() < 0.08:
            action = rng.choice(asked)
            action = replace(action, by=rng.choice(OWNERS)) if rng.random() < 0.3 else action
        else:
            action = random_action(rng, security, number, bench.now_ms)
        asked.append(action)
        before, repeated = bench.everything(), action.id in security.done
        locked = {n: one.locked_until_ms for n, one in security.owners.items()}
        result = world.do(action)
        if not result.applied or repeated:
            assert bench.everything() == before, f"seed={seed} {action}"
            codes.add(result.refusal.code if result.refusal else result.outcome)
        elif isinstance(action, Deliver):
            assert locked.get(action.by, 0) <= bench.now_ms, "nothing locked moves"
            assert security.owners[action.to].admitted, "none but the admitted receive"
        world.check()
    world.check_end()
    return codes


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_laws_of_securities(seed):
    run(seed)


def test_the_laws_on_the_core():
    for seed in range(3):
        run(seed, kind="core")


def test_the_random_actions_reach_the_refusals():
    """What a random run never meets, it does not test."""
    met = set().union(*(run(seed, 150) for seed in range(20)))
    rare = {R.ID_IS_OUT_OF_RANGE, R.SUBSCRIPTIONS_ARE_FULL}
    assert {*R, TransferOutcome.BALANCE_IS_TOO_LOW} - rare <= met, set(R) - rare - met
