"""An issuer, a few purses and a ledger: what the tests of offline wallets stand on."""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quanheng.ledger.instruments.instrument import part_id
from quanheng.ledger.instruments.wallet.messages import LOWEST, Certificate, Receipt, signed
from quanheng.ledger.instruments.wallet.purse import Purse, issue
from quanheng.ledger.instruments.wallet.synchronise import synchronise
from quanheng.ledger.instruments.wallet.wallets import Load, Open, Wallets

sys.path.insert(0, str(Path(__file__).parents[1]))
from instrument_bench import ASSET, CODE, START_MS, Bench, party

ISSUER, GUARANTEE, ISSUER_PRIVATE = 77, 999, bytes(range(32))
DAY_MS, GRACE_MS = 86_400_000, 1_000_000
UNTIL_MS = START_MS + 5 * DAY_MS


def public(private):
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


ISSUER_KEY = public(ISSUER_PRIVATE)


def private_of(n):
    return bytes([n]) * 32


def certificate_of(n, tier=LOWEST, from_ms=START_MS, until_ms=UNTIL_MS):
    return issue(Certificate(100 + n, public(private_of(n)), tier, from_ms, until_ms), ISSUER_PRIVATE)


def new_wallets(guarantee=GUARANTEE):
    return Wallets(ISSUER, ISSUER_KEY, ASSET, CODE, GRACE_MS, guarantee)


class Town(Bench):
    """Holders 1 .. n with a purse each; holder n's device is 100 + n."""

    def __init__(self, kind="slow", purses=3, load_minor=100_000, guarantee=GUARANTEE, tier=LOWEST):
        super().__init__(new_wallets(guarantee), kind, accounts=max(purses, 3), funds_minor=10_000_000)
        self.guarantee, self.purses = guarantee, []
        for n in range(1, purses + 1):
            certificate = certificate_of(n, tier)
            self.must(Open(n, ISSUER, party(n), certificate))
            self.purses.append(Purse(private_of(n), certificate, ISSUER_KEY))
            if load_minor:
                self.load(n, load_minor)

    def load(self, n, amount_minor):
        purse = self.purses[n - 1]
        statement = purse.ask_load(amount_minor)
        id = part_id(n, f"load {purse.loads}")
        self.must(Load(id, n, amount_minor, statement))
        receipt = Receipt(100 + n, purse.loads + 1, amount_minor)
        assert purse.top_up(signed(receipt, ISSUER_PRIVATE)) is None

    def pay(self, payer, payee, amount_minor):
        """A payment between two purses that both accept."""
        payment = payer.pay(payee.certificate, amount_minor, self.now_ms)
        assert payee.receive(payer.certificate, payment, self.now_ms) is None
        return payment

    def upload(self, *payments):
        return synchronise(self.do, self.instrument, payments)

    def lies_in(self, n):
        """What the ledger has in the purse of holder n."""
        return self.has(self.purses[n - 1].certificate.account)

    def check_town_replay(self):
        fresh = new_wallets(self.guarantee)
        for action, now_ms in self.applied:
            assert not hasattr(fresh.decide(action, now_ms), "code")
            fresh.apply(action, now_ms)
        assert fresh.state() == self.instrument.state()
