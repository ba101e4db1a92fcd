"""The purse on a device: pays and is paid without a network, within the limits of its certificate.

This is what the software of a device does. That a key does not leave the device, and that its counter does not go back,
only a secure element can see to: here both are ordinary memory, and a copy of it can pay twice. The settlement detects
that and says who did it (`wallets.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.action_fold import RefusalCode, first_refusal, is_amount
from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.wallet.messages import (
    FIRST,
    ISSUER,
    Certificate,
    OfflinePayment,
    Receipt,
    Statement,
    digest,
    is_signed,
    signed,
)

DAY_MS = 86_400_000
SKEW_MS_MAX = 600_000
"""How far the clocks of two devices may differ when one pays the other."""


class PurseRefusal(RefusalCode):
    """Why a purse does not do what it is asked, in order of precedence."""

    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    CERTIFICATE_IS_WRONG = "CERTIFICATE_IS_WRONG", "The certificate is not the issuer's", "证书并非发行方签发"
    SIGNATURE_IS_WRONG = "SIGNATURE_IS_WRONG", "The signature is wrong", "签名无效"
    CERTIFICATE_NOT_IN_FORCE = "CERTIFICATE_NOT_IN_FORCE", "The certificate is not in force", "证书不在有效期内"
    PURSES_MUST_DIFFER = "PURSES_MUST_DIFFER", "A purse cannot pay itself", "付款与收款钱包必须不同"
    NOT_FOR_THIS_PURSE = "NOT_FOR_THIS_PURSE", "The message is for another purse", "该消息属于其他钱包"
    CLOCKS_DIFFER = "CLOCKS_DIFFER", "The clocks of the devices differ too much", "设备时钟相差过大"
    COUNTER_WAS_USED = "COUNTER_WAS_USED", "The payer has used this counter before", "付款方已使用过该计数"
    RECEIPT_IS_NOT_NEXT = "RECEIPT_IS_NOT_NEXT", "The receipt is not the next one", "充值凭证序号不连续"
    PAYMENT_LIMIT_EXCEEDED = "PAYMENT_LIMIT_EXCEEDED", "The limit of one payment is exceeded", "超过单笔限额"
    DAY_LIMIT_EXCEEDED = "DAY_LIMIT_EXCEEDED", "The limit of the day is exceeded", "超过当日限额"
    BALANCE_IS_TOO_LOW = "BALANCE_IS_TOO_LOW", "The purse holds too little", "余额不足"
    BALANCE_LIMIT_EXCEEDED = "BALANCE_LIMIT_EXCEEDED", "The purse would hold too much", "超过余额上限"


P = PurseRefusal
Check = tuple[bool, RefusalCode, str, object, str]
Checks = Iterator[Check]


class Purse:
    """A purse. All times are those of its device, passed in.

    Parameters
    ----------
    private_key : 32 bytes; on a device it is in the secure element
    certificate : of this device, signed by the issuer
    issuer_key : the issuer's public key
    zone_ms : the day of the limits begins so many ms before midnight UTC; 28_800_000 is China's

    Attributes
    ----------
    balance_minor : what the purse can pay
    sent, received : every payment, to be uploaded at synchronisation
    """

    def __init__(self, private_key: bytes, certificate: Certificate, issuer_key: bytes, zone_ms: int = 0) -> None:
        self._key, self.certificate, self._issuer_key, self._zone_ms = private_key, certificate, issuer_key, zone_ms
        self.balance_minor = self.counter = self.loads = self.pending_minor = 0
        self.sent: list[OfflinePayment] = []
        self.received: list[OfflinePayment] = []
        self._previous = FIRST
        self._spent: dict[int, int] = {}
        self._seen: dict[tuple[int, int], bytes] = {}

    def pay(self, payee: Certificate, amount_minor: int, now_ms: int) -> OfflinePayment | Refusal:
        """Sign a payment to the device of a certificate, which that device has shown."""
        refusal = first_refusal(self._wrong_in_pay(payee, amount_minor, now_ms))
        if refusal is not None:
            return refusal
        day = self.day(now_ms)
        self._spent[day] = self._spent.get(day, 0) + amount_minor
        return self._sign(payee.device, amount_minor, now_ms)

    def redeem(self, amount_minor: int, now_ms: int) -> OfflinePayment | Refusal:
        """Sign a payment to the issuer: its value goes to the holder's account. No limits but the balance."""
        refusal = first_refusal(
            (_no_amount(amount_minor), _above(amount_minor, self.balance_minor, P.BALANCE_IS_TOO_LOW))
        )
        return refusal or self._sign(ISSUER, amount_minor, now_ms)

    def receive(
        self, payer: Certificate, payment: OfflinePayment, now_ms: int, forwarded: bool = False
    ) -> Refusal | None:
        """Take a payment; one that was taken before changes nothing.

        forwarded : it comes from the issuer, who has settled it: clocks do not matter, nor does the limit of the
            balance
        """
        refusal = first_refusal(self._wrong_in_message(payer, payment))
        if refusal is not None or self._seen.get((payment.payer, payment.counter)) == digest(payment):
            return refusal
        refusal = first_refusal(self._wrong_in_receive(payer, payment, now_ms, forwarded))
        if refusal is None:
            self._seen[payment.payer, payment.counter] = digest(payment)
            self.balance_minor += payment.amount_minor
            self.received.append(payment)
        return refusal

    def ask_load(self, amount_minor: int) -> Statement | Refusal:
        """A signed statement, to ask the issuer for a load. Room for it is kept until `top_up` or `drop_load`."""
        held, most = self.balance_minor, self.certificate.tier.balance_max_minor
        refusal = first_refusal((_no_amount(amount_minor), _above(amount_minor, most - held, P.BALANCE_LIMIT_EXCEEDED)))
        if refusal is not None:
            return refusal
        self.pending_minor = amount_minor
        statement: Statement = signed(Statement(self.certificate.device, self.counter, held, self.loads), self._key)
        return statement

    def drop_load(self) -> None:
        """The issuer has refused the load: its room is free again."""
        self.pending_minor = 0

    def top_up(self, receipt: Receipt) -> Refusal | None:
        """Add what the issuer says was loaded; each receipt once, in order."""
        device, following = self.certificate.device, self.loads + 1
        refusal = first_refusal(
            (
                (not is_signed(receipt, self._issuer_key), P.SIGNATURE_IS_WRONG, "receipt", "", "the issuer's"),
                (receipt.device != device, P.NOT_FOR_THIS_PURSE, "device", receipt.device, str(device)),
                (receipt.number != following, P.RECEIPT_IS_NOT_NEXT, "number", receipt.number, str(following)),
            )
        )
        if refusal is None:
            self.loads, self.pending_minor = receipt.number, 0
            self.balance_minor += receipt.amount_minor
        return refusal

    def day(self, time_ms: int) -> int:
        """The day whose limit a payment of that time counts against."""
        return (time_ms + self._zone_ms) // DAY_MS

    # --- what is wrong, one check after another: what comes later may rely on what was checked before

    def _wrong_in_pay(self, payee: Certificate, amount_minor: int, now_ms: int) -> Checks:
        own, tier = self.certificate, self.certificate.tier
        yield _no_amount(amount_minor)
        yield not is_signed(payee, self._issuer_key), P.CERTIFICATE_IS_WRONG, "payee", payee.device, "the issuer's"
        for name, one in (("payer", own), ("payee", payee)):
            yield not in_force(one, now_ms), P.CERTIFICATE_NOT_IN_FORCE, name, now_ms, period(one)
        yield payee.device == own.device, P.PURSES_MUST_DIFFER, "payee", payee.device, "another device"
        yield _above(amount_minor, tier.payment_max_minor, P.PAYMENT_LIMIT_EXCEEDED)
        spent = self._spent.get(self.day(now_ms), 0)
        yield _above(amount_minor, tier.day_max_minor - spent, P.DAY_LIMIT_EXCEEDED)
        yield _above(amount_minor, self.balance_minor, P.BALANCE_IS_TOO_LOW)

    def _wrong_in_message(self, payer: Certificate, payment: OfflinePayment) -> Checks:
        own = self.certificate
        yield not is_signed(payer, self._issuer_key), P.CERTIFICATE_IS_WRONG, "payer", payer.device, "the issuer's"
        good = payment.payer == payer.device and is_signed(payment, payer.public_key)
        yield not good, P.SIGNATURE_IS_WRONG, "payment", payment.payer, "the device's"
        for name, one in (("payer", payer), ("payee", own)):
            ended = not in_force(one, payment.time_ms)
            yield ended, P.CERTIFICATE_NOT_IN_FORCE, name, payment.time_ms, period(one)
        yield payment.payee != own.device, P.NOT_FOR_THIS_PURSE, "payee", payment.payee, str(own.device)

    def _wrong_in_receive(self, payer: Certificate, payment: OfflinePayment, now_ms: int, forwarded: bool) -> Checks:
        apart_ms = abs(now_ms - payment.time_ms)
        apart = apart_ms > SKEW_MS_MAX and not forwarded
        yield apart, P.CLOCKS_DIFFER, "time_ms", f"{apart_ms} ms", f"at most {SKEW_MS_MAX} ms"
        used = (payment.payer, payment.counter) in self._seen
        yield used, P.COUNTER_WAS_USED, "counter", payment.counter, "another one"
        yield _above(payment.amount_minor, payer.tier.payment_max_minor, P.PAYMENT_LIMIT_EXCEEDED)
        if not forwarded:
            room = self.certificate.tier.balance_max_minor - self.balance_minor - self.pending_minor
            yield _above(payment.amount_minor, room, P.BALANCE_LIMIT_EXCEEDED)

    def _sign(self, payee: int, amount_minor: int, now_ms: int) -> OfflinePayment:
        self.counter += 1
        self.balance_minor -= amount_minor
        unsigned = OfflinePayment(
            self.certificate.device, payee, self.counter, self._previous, amount_minor, self.balance_minor, now_ms
        )
        payment: OfflinePayment = signed(unsigned, self._key)
        self._previous = digest(payment)
        self.sent.append(payment)
        return payment


def in_force(certificate: Certificate, time_ms: int) -> bool:
    """Whether the certificate is valid at a time."""
    return certificate.from_ms <= time_ms < certificate.until_ms


def period(certificate: Certificate) -> str:
    """The validity of a certificate, for messages."""
    return f"{certificate.from_ms} .. {certificate.until_ms}"


def _no_amount(amount_minor: int) -> Check:
    return not is_amount(amount_minor), P.AMOUNT_IS_OUT_OF_RANGE, "amount", amount_minor, f"1 .. {AMOUNT_MAX}"


def _above(amount_minor: int, most: int, code: RefusalCode) -> Check:
    return amount_minor > most, code, "amount", amount_minor, f"at most {most}"


def issue(certificate: Certificate, issuer_private_key: bytes) -> Certificate:
    """The certificate with the issuer's signature. This runs at the issuer's."""
    made: Certificate = signed(replace(certificate, signature=b""), issuer_private_key)
    return made
