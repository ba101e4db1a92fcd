"""Laws of offline wallets: honest purses settle in whatever order they upload, and only who signs twice is named."""

from __future__ import annotations

import copy
import random
import sys
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.instruments.wallet.messages import LOWEST, OfflinePayment, Tier, digest
from quanheng.ledger.instruments.wallet.wallets import COUNTER, DAY_LIMIT, WalletRefusal, proves

sys.path.insert(0, str(Path(__file__).parents[4] / "unit" / "ledger" / "instruments" / "wallet"))
from wallet_town import ISSUER_KEY, UNTIL_MS, Town

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
TIER = Tier("t", 400, 1_500, 1_000)
DAY_MS = 86_400_000


def trade(rng, town, purses, payments):
    """Random offers; a purse refuses what its limits do not allow."""
    for _ in range(payments):
        town.now_ms += rng.choice([0, 1_000, 3_600_000])
        payer, payee = rng.sample(purses, 2)
        if payer.certificate.device != payee.certificate.device:
            payment = payer.pay(payee.certificate, rng.choice([1, 50, 400, 401, 900]), town.now_ms)
            if isinstance(payment, OfflinePayment):  # The payee may refuse: it still settles once the payer uploads it.
                payee.receive(payer.certificate, payment, town.now_ms)


def upload_some(rng, town, purses):
    uploaded = [one for purse in rng.sample(purses, rng.randint(1, len(purses))) for one in purse.sent + purse.received]
    chosen = rng.sample(uploaded, rng.randint(0, len(uploaded)))
    result = town.upload(*chosen)
    assert town.ledger.is_conserved(town.now_ms, town.day)
    return result


def honest(seed):
    rng = random.Random(seed)
    town = Town(purses=5, tier=TIER, load_minor=rng.choice([300, 1_000]))
    for _ in range(3):
        trade(rng, town, town.purses, 14)
        result = upload_some(rng, town, town.purses)
        assert result.refused == [], f"seed={seed}"
        for one in result.settled:  # Settled once: a repeat under another id is refused.
            assert town.instrument.settled[one.payer, one.counter] == one
    result = town.upload(*(one for purse in town.purses for one in purse.sent))
    assert (result.waiting, result.refused) == ([], []), f"seed={seed}"
    assert town.instrument.accusations == {}, f"seed={seed}"
    for n, purse in enumerate(town.purses, start=1):
        missed = [one for other in town.purses for one in other.sent if one.payee == purse.certificate.device]
        lost = sum(one.amount_minor for one in missed if one not in purse.received)
        assert town.lies_in(n) == purse.balance_minor + lost, f"seed={seed}"
    town.check_town_replay()


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_honest_purses_settle_whatever_the_order(seed):
    honest(seed)


def dishonest(seed):
    """Some purses are copied, some of the copies lie about their balance. Returns how many second payments came in."""
    rng = random.Random(seed)
    town = Town(purses=5, tier=TIER, load_minor=600)
    trade(rng, town, town.purses, 8)
    copies = [copy.deepcopy(one) for one in town.purses[:2]]
    for one in copies:
        one.balance_minor += rng.choice([0, 400])
    for _ in range(2):
        trade(rng, town, [*town.purses, *copies], 14)
        upload_some(rng, town, [*town.purses, *copies])
    town.now_ms = max(town.now_ms, UNTIL_MS) if rng.random() < 0.3 else town.now_ms
    every = {one for purse in [*town.purses, *copies] for one in purse.sent}
    result = town.upload(*every)
    accused = [one for found in town.instrument.accusations.values() for one in found]
    check_attribution(town, every, set(result.waiting), accused, seed)
    check_value(town, seed)
    town.check_town_replay()
    return sum(one.kind == COUNTER for one in accused)


def check_attribution(town, every, waiting, accused, seed):
    """Whoever is accused has signed two histories; whoever did, and both came in, is accused."""
    by_place = {}
    for one in every:
        by_place.setdefault((one.payer, one.counter), set()).add(one)
    twice = {payer for (payer, _), found in by_place.items() if len(found) > 1}
    names = {one.first.payer for one in accused}
    assert names <= {101, 102}, f"seed={seed}"
    certificates = {one.certificate.device: one.certificate for one in town.purses}
    for one in accused:
        assert one.kind == DAY_LIMIT or proves(one, certificates[one.first.payer], ISSUER_KEY), f"seed={seed} {one}"
    for found in by_place.values():
        if len(found) > 1 and not found & waiting:
            assert {digest(one) for one in found} <= {
                digest(side) for one in accused if one.kind == COUNTER for side in (one.first, one.second)
            }, f"seed={seed}"
    assert {one.first.payer for one in accused if one.kind == COUNTER} <= twice


def check_value(town, seed):
    """No purse is below zero, and all purses together hold what was loaded: nobody has made value by a copy."""
    held = [town.lies_in(n) for n in range(1, 6)]
    assert min(held) >= 0, f"seed={seed}"
    assert sum(held) == 5 * 600, f"seed={seed}"
    assert town.ledger.is_conserved(town.now_ms, town.day)


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
@example(0)
def test_only_who_signs_twice_is_named(seed):
    dishonest(seed)


def test_the_random_towns_meet_double_spending():
    assert sum(dishonest(seed) for seed in range(8)) > 3


def test_a_changed_payment_settles_nothing():
    """One bit of each field of a good payment: never settled, and nobody is accused."""
    town = Town()
    payment = town.pay(town.purses[0], town.purses[1], 500)
    for name, value in (
        ("payer", 103), ("payee", 103), ("counter", 2), ("amount_minor", 501), ("balance_minor", 0),
        ("time_ms", payment.time_ms + 1), ("previous", bytes([1]) * 32), ("signature", payment.signature[::-1]),
    ):  # fmt: skip
        [(_, why)] = town.upload(replace(payment, **{name: value})).refused
        assert why.code == WalletRefusal.SIGNATURE_IS_WRONG, name
    assert town.instrument.accusations == {}
    assert town.upload(payment).settled == [payment]
    assert payment.amount_minor <= LOWEST.payment_max_minor
