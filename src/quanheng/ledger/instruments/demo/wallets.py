"""A day of offline wallets: a market without a network, synchronised at night; two of the purses were copied."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import spendable_minor
from quanheng.ledger.instruments.instrument import LedgerLike, Refusal, part_id
from quanheng.ledger.instruments.wallet.messages import LOWEST, Certificate, OfflinePayment, Receipt, Statement, signed
from quanheng.ledger.instruments.wallet.purse import Purse, issue
from quanheng.ledger.instruments.wallet.synchronise import Synchronised, settlement_id, synchronise
from quanheng.ledger.instruments.wallet.wallets import (
    COUNTER,
    DAY_LIMIT,
    Compensate,
    Load,
    Open,
    Redeem,
    Settle,
    Wallets,
    proves,
)

ASSET, CODE = 130, 1_300
PURSES, COPIED, PAYMENTS = 10, 2, 150
FUNDS_MINOR, LOAD_MINOR, AMOUNT_MINOR_MAX = 20_000_00, 3_000_00, 900_00
DAY_MS, HOUR_MS, GRACE_MS = 86_400_000, 3_600_000, 30 * 86_400_000
CHINA_MS = 8 * HOUR_MS


class Market:
    """The purses of one day, their copies, the issuer's key and the business on the ledger."""

    def __init__(self, ledger: LedgerLike, seed: int, start_ms: int, day: int) -> None:
        self.rng, self.seed, self.now_ms, self.day = random.Random(seed), seed, start_ms, day
        self.issuer, self._issuer_private = part_id(seed, "wallets issuer"), self.rng.randbytes(32)
        self.issuer_key = Ed25519PrivateKey.from_private_bytes(self._issuer_private).public_key().public_bytes_raw()
        self.wallets = self.fresh()
        self.business = Business(ledger, self.wallets, day, every=9)
        self.purses: list[Purse] = []

    def fresh(self) -> Wallets:
        """An instrument of the same declaration, empty."""
        guarantee = part_id(self.seed, "wallets guarantee")
        return Wallets(self.issuer, self.issuer_key, ASSET, CODE, GRACE_MS, guarantee, CHINA_MS)

    def holder(self, n: int) -> Party:
        """Who holds purse n."""
        return Party(part_id(self.seed, f"wallets owner {n}"), part_id(self.seed, f"wallets holder {n}"))

    def open(self) -> None:
        """Accounts, purses and a first load for each."""
        bank, guarantee = part_id(self.seed, "wallets bank"), self.wallets.guarantee
        holders = [self.holder(n).account for n in range(PURSES)]
        self.business.open(holders, [bank, guarantee], ASSET, CODE, self.now_ms)
        self.business.fund(bank, holders, FUNDS_MINOR, CODE, self.now_ms)
        for n in range(PURSES):
            private = self.rng.randbytes(32)
            public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
            device = part_id(self.seed, f"wallets device {n}")
            asked = Certificate(device, public, LOWEST, self.now_ms, self.now_ms + 90 * DAY_MS)
            certificate = issue(asked, self._issuer_private)
            self.business.do(Open(self.id(f"open {n}"), self.issuer, self.holder(n), certificate), self.now_ms)
            self.purses.append(Purse(private, certificate, self.issuer_key, CHINA_MS))
            self.load(n, LOAD_MINOR)

    def id(self, name: str) -> int:
        """Id of an action of this day."""
        return part_id(self.seed, f"wallets action {name}")

    def load(self, n: int, amount_minor: int) -> None:
        """Purse n asks for a load; the issuer's receipt tops it up once the ledger has moved the value."""
        purse = self.purses[n]
        statement = purse.ask_load(amount_minor)
        if isinstance(statement, Statement):
            action = Load(self.id(f"load {n} {purse.loads}"), self.holder(n).owner, amount_minor, statement)
            if self.business.do(action, self.now_ms).applied:
                unsigned = Receipt(purse.certificate.device, purse.loads + 1, amount_minor)
                purse.top_up(signed(unsigned, self._issuer_private))

    def trade(self, payments: int) -> list[tuple[OfflinePayment, OfflinePayment]]:
        """Payments between devices; then the copied purses spend again what their originals have spent."""
        copies = [copy.deepcopy(one) for one in self.purses[:COPIED]]
        for _ in range(payments):
            self.now_ms += self.rng.randrange(8 * HOUR_MS // payments)
            payer, payee = self.rng.sample(self.purses, 2)
            self._pay(payer, payee)
        twice = []
        for original, copied in zip(self.purses, copies, strict=False):
            for payee in self.rng.sample(self.purses[COPIED:], 2):
                payment = self._pay(copied, payee)
                if payment is not None and len(original.sent) >= payment.counter:
                    twice.append((original.sent[payment.counter - 1], payment))
        return twice

    def _pay(self, payer: Purse, payee: Purse) -> OfflinePayment | None:
        amount = self.rng.randint(1, AMOUNT_MINOR_MAX)
        room = payee.certificate.tier.balance_max_minor - payee.balance_minor
        payment = payer.pay(payee.certificate, min(amount, max(room, 1)), self.now_ms)
        if isinstance(payment, Refusal):
            return None
        return payment if payee.receive(payer.certificate, payment, self.now_ms) is None else None

    def synchronise(self, purses: list[Purse]) -> Synchronised:
        """Upload what the purses have sent and received."""
        uploaded = [one for purse in purses for one in purse.sent + purse.received]
        return synchronise(lambda action: self.business.do(action, self.now_ms), self.wallets, uploaded)

    def compensate(self) -> None:
        """The guarantee pays whoever has a second payment of a copied purse."""
        accused = [one for found in self.wallets.accusations.values() for one in found]
        for one in accused:
            if one.kind == COUNTER:
                id = part_id(settlement_id(one.second), "compensate")
                self.business.do(Compensate(id, self.issuer, one.second), self.now_ms)

    def redeem(self) -> None:
        """Half of every purse goes back to its holder."""
        for purse in self.purses:
            payment = purse.redeem(purse.balance_minor // 2, self.now_ms)
            if isinstance(payment, OfflinePayment):
                self.business.do(Redeem(settlement_id(payment), payment), self.now_ms)


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of offline wallets on a ledger; the same seed plays the same day."""
    market = Market(ledger, seed, start_ms, day)
    market.open()
    twice = market.trade(PAYMENTS)
    market.now_ms += HOUR_MS
    first = market.synchronise(market.purses[: PURSES // 2])
    market.business.do(Settle(part_id(seed, "wallets forged"), _forged(market)), market.now_ms)
    market.synchronise(market.purses)
    market.compensate()
    last = market.synchronise(market.purses)
    laws = _laws(market, twice, last.waiting)
    figures = {
        "purses": len(market.purses),
        "payments": sum(len(one.sent) for one in market.purses) + len(twice),
        "paid_minor": sum(one.amount_minor for purse in market.purses for one in purse.sent),
        "waited": len(first.waiting),
        "paid_twice": len(twice),
        "accusations": sum(map(len, market.wallets.accusations.values())),
        "compensated_minor": sum(market.wallets.guaranteed.values()),
    }
    market.redeem()
    return market.business.played("wallet", market.fresh(), laws, figures, market.now_ms)


def _forged(market: Market) -> OfflinePayment:
    """A payment that a stranger has signed in the name of the last purse."""
    payer, payee = market.purses[-1].certificate, market.purses[-2].certificate
    payment = OfflinePayment(payer.device, payee.device, 10**6, bytes(31) + b"\x01", 100, 0, market.now_ms)
    return signed(payment, bytes(32))  # type: ignore[no-any-return]


def _laws(
    market: Market, twice: list[tuple[OfflinePayment, OfflinePayment]], waiting: Sequence[OfflinePayment]
) -> Mapping[str, bool]:
    wallets, copied = market.wallets, {one.certificate.device for one in market.purses[:COPIED]}
    balances = market.business.witness.balances(market.now_ms, market.day)
    accused = [one for found in wallets.accusations.values() for one in found]
    found = {frozenset((one.first, one.second)) for one in accused}
    certificates = {one.certificate.device: one.certificate for one in market.purses}

    def is_whole(purse: Purse) -> bool:
        device, has = purse.certificate.device, spendable_minor(balances[purse.certificate.account])
        sent = sum(one.amount_minor for one in waiting if one.payer == device)
        received = sum(one.amount_minor for one in waiting if one.payee == device)
        return has == purse.balance_minor + sent - received

    return {
        "copied purses are accused, and no other": set(wallets.accusations) == copied,
        "every second payment is found": {frozenset(pair) for pair in twice} <= found,
        "two histories are proved by signatures": all(
            proves(one, certificates[one.first.payer], market.issuer_key) for one in accused if one.kind != DAY_LIMIT
        ),
        "the ledger has what honest purses say": all(is_whole(one) for one in market.purses[COPIED:]),
        "no purse is below zero": all(spendable_minor(balances[one.certificate.account]) >= 0 for one in market.purses),
    }
