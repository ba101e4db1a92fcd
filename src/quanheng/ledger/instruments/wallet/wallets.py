"""Offline wallets as an instrument: purses are opened, loaded, settled, redeemed; who pays twice is found and named.

The value of every purse lies in a ledger account of its own. A payment between devices is settled when either of them
uploads it: payer's purse to payee's, in the order of the payer's counters while its certificate lasts. So the oldest
payment that is not settled always finds its value, and payments cannot block each other. Each counter settles once. A
second payment under one counter, or one whose `previous` is not the digest of the payment before it, is proof that the
device's key has signed two histories: an accusation, which anybody can verify with the certificate (`proves`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from quanheng.ledger.entries import ALL, AMOUNT_MAX, Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.instruments.action_fold import ActionFold, Party, RefusalCode, first_refusal, is_amount
from quanheng.ledger.instruments.instrument import Refusal, Step
from quanheng.ledger.instruments.wallet.messages import (
    ISSUER,
    Certificate,
    OfflinePayment,
    Statement,
    digest,
    is_signed,
    is_well_formed,
    part_id,
)
from quanheng.ledger.instruments.wallet.purse import DAY_MS, SKEW_MS_MAX, in_force, period

COUNTER, HISTORY, DAY_LIMIT = "counter", "history", "day limit"


class WalletRefusal(RefusalCode):
    """Why an action of a wallet is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND", "There is no such device", "找不到该设备"
    SIGNATURE_IS_WRONG = "SIGNATURE_IS_WRONG", "The message is malformed or its signature wrong", "消息格式或签名无效"
    DEVICE_EXISTS = "DEVICE_EXISTS", "The device has a purse", "该设备已有钱包"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    CERTIFICATE_NOT_IN_FORCE = "CERTIFICATE_NOT_IN_FORCE", "A certificate was not in force", "证书不在有效期内"
    TIME_IS_IN_THE_FUTURE = "TIME_IS_IN_THE_FUTURE", "The time is in the future", "时间在未来"
    SETTLEMENT_HAS_ENDED = "SETTLEMENT_HAS_ENDED", "The time for settlement has ended", "结算期已结束"
    SETTLEMENT_HAS_NOT_ENDED = "SETTLEMENT_HAS_NOT_ENDED", "The time for settlement has not ended", "结算期尚未结束"
    DEVICE_IS_ACCUSED = "DEVICE_IS_ACCUSED", "The device has signed two histories", "该设备涉嫌双花"
    STATEMENT_IS_STALE = "STATEMENT_IS_STALE", "The statement is from before another load", "声明早于最近一次充值"
    COUNTERS_ARE_MISSING = "COUNTERS_ARE_MISSING", "Payments before this one are not settled", "此前的支付尚未结算"
    PAYMENT_LIMIT_EXCEEDED = "PAYMENT_LIMIT_EXCEEDED", "The limit of one payment is exceeded", "超过单笔限额"
    BALANCE_LIMIT_EXCEEDED = "BALANCE_LIMIT_EXCEEDED", "The purse would hold too much", "超过余额上限"
    WAS_SETTLED = "WAS_SETTLED", "The payment was dealt with under another id", "该支付已以其他编号处理"
    NOTHING_TO_COMPENSATE = (
        "NOTHING_TO_COMPENSATE", "No guarantee is due for the payment", "该支付无需担保赔付",
    )  # fmt: skip
    GUARANTEE_IS_USED_UP = "GUARANTEE_IS_USED_UP", "The guarantee for the device is used up", "该设备的担保额度已用尽"


class Open(msgspec.Struct, frozen=True):
    """A purse is opened for a certificate that the issuer has signed. `holder.account` funds it, and has it back."""

    id: int
    by: int
    holder: Party
    certificate: Certificate


class Load(msgspec.Struct, frozen=True):
    """The holder moves an amount into the purse; the device has stated its balance."""

    id: int
    by: int
    amount_minor: int
    statement: Statement


class Settle(msgspec.Struct, frozen=True):
    """A payment between devices is uploaded, by whichever of them."""

    id: int
    payment: OfflinePayment


class Redeem(msgspec.Struct, frozen=True):
    """A payment to the issuer is uploaded; its value goes to the holder's account."""

    id: int
    payment: OfflinePayment


class Compensate(msgspec.Struct, frozen=True):
    """The issuer pays the payee of a payment that was the second under its counter, from the guarantee; once."""

    id: int
    by: int
    payment: OfflinePayment


class Recover(msgspec.Struct, frozen=True):
    """The holder of a lost or ended device has what is left, once nobody can settle with it any more."""

    id: int
    by: int
    device: int


class Accusation(msgspec.Struct, frozen=True):
    """Proof against a device: two payments that its key has signed and that cannot both be.

    kind : COUNTER: one counter, two payments; HISTORY: `second` follows `first` by its counter, and not by `previous`;
        DAY_LIMIT: `second` exceeds the limit of its day (`first` is the same)
    """

    kind: str
    first: OfflinePayment
    second: OfflinePayment


class Wallet(msgspec.Struct, frozen=True):
    """A device that was opened."""

    holder: Party
    certificate: Certificate


R = WalletRefusal


class Wallets(ActionFold):
    """All wallets of one issuer and asset: a fold of Open, Load, Settle, Redeem, Compensate and Recover.

    Parameters
    ----------
    issuer : owner who opens purses
    issuer_key : public key of the issuer
    asset, code : of the purses' accounts and of all transfers
    grace_ms : so long after a certificate has ended its payments are still settled
    guarantee : account that compensates payees of second payments under one counter, 0 = there is none. For one device
        it pays at most the tier's balance: what one copy of an honest purse could have spent
    zone_ms : as that of the purses
    """

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(
        self, issuer: int, issuer_key: bytes, asset: int, code: int, grace_ms: int, guarantee: int = 0, zone_ms: int = 0
    ) -> None:
        super().__init__()
        self.issuer, self.issuer_key, self.asset, self.code = issuer, issuer_key, asset, code
        self.grace_ms, self.guarantee, self.zone_ms = grace_ms, guarantee, zone_ms
        self.wallets: dict[int, Wallet] = {}
        self.loads: dict[int, int] = {}
        self.settled: dict[tuple[int, int], OfflinePayment] = {}
        self.spent: dict[tuple[int, int], int] = {}
        self.contiguous: dict[int, int] = {}
        """Device -> highest counter up to which all are settled."""
        self.guaranteed: dict[int, int] = {}
        self.second: dict[bytes, bool] = {}
        """Digest of a payment that was the second under its counter -> whether its payee was compensated."""
        self.accusations: dict[int, tuple[Accusation, ...]] = {}

    def _kept(self) -> Sequence[str]:
        return ("wallets", "loads", "settled", "spent", "contiguous", "guaranteed", "second", "accusations")

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        if isinstance(action, Open):
            return first_refusal(self._wrong_in_open(action, now_ms))
        if isinstance(action, Load):
            return first_refusal(self._wrong_in_load(action, now_ms))
        if isinstance(action, Recover):
            return first_refusal(self._wrong_in_recover(action, now_ms))
        if isinstance(action, Compensate):
            return first_refusal(self._wrong_in_compensate(action))
        return first_refusal(self._wrong_in_payment(action, now_ms))

    def _wrong_in_open(self, one: Open, now_ms: int) -> Checks:
        certificate = one.certificate
        good = is_signed(certificate, self.issuer_key)
        yield not good, R.SIGNATURE_IS_WRONG, "certificate", certificate.device, "the issuer's signature"
        yield certificate.device in self.wallets, R.DEVICE_EXISTS, "certificate", certificate.device, "another device"
        yield one.by != self.issuer, R.ACTOR_MAY_NOT, "by", one.by, "the issuer"
        ended = now_ms >= certificate.until_ms
        yield ended, R.CERTIFICATE_NOT_IN_FORCE, "certificate", now_ms, period(certificate)

    def _wrong_in_load(self, one: Load, now_ms: int) -> Checks:
        said = one.statement
        if said.device not in self.wallets:
            yield True, R.DEVICE_NOT_FOUND, "statement", said.device, "a device that was opened"
        wallet = self.wallets[said.device]
        good = is_signed(said, wallet.certificate.public_key)
        yield not good, R.SIGNATURE_IS_WRONG, "statement", said.device, "the device's signature"
        yield one.by != wallet.holder.owner, R.ACTOR_MAY_NOT, "by", one.by, "the holder"
        good_amount = is_amount(one.amount_minor)
        yield not good_amount, R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", one.amount_minor, f"1 .. {AMOUNT_MAX}"
        certificate = wallet.certificate
        ended = not in_force(certificate, now_ms)
        yield ended, R.CERTIFICATE_NOT_IN_FORCE, "certificate", now_ms, period(certificate)
        yield (
            said.device in self.accusations,
            R.DEVICE_IS_ACCUSED,
            "statement",
            said.device,
            "a device in good standing",
        )
        loads = self.loads.get(said.device, 0)
        yield said.loads != loads, R.STATEMENT_IS_STALE, "statement", said.loads, f"after {loads} loads"
        held, most = said.balance_minor + one.amount_minor, certificate.tier.balance_max_minor
        yield held > most, R.BALANCE_LIMIT_EXCEEDED, "amount_minor", held, f"at most {most}"

    def _wrong_in_payment(self, one: Settle | Redeem, now_ms: int) -> Checks:
        payment = one.payment
        for device in (payment.payer, payment.payee) if isinstance(one, Settle) else (payment.payer,):
            yield device not in self.wallets, R.DEVICE_NOT_FOUND, "payment", device, "a device that was opened"
        payer = self.wallets[payment.payer].certificate
        good = is_signed(payment, payer.public_key) and (payment.payee == ISSUER) == isinstance(one, Redeem)
        yield not good, R.SIGNATURE_IS_WRONG, "payment", payment.payer, "the device's signature of such a payment"
        if isinstance(one, Settle):
            for certificate in (payer, self.wallets[payment.payee].certificate):
                ended = not in_force(certificate, payment.time_ms)
                yield ended, R.CERTIFICATE_NOT_IN_FORCE, "payment", payment.time_ms, period(certificate)
        early = payment.time_ms > now_ms + SKEW_MS_MAX
        yield early, R.TIME_IS_IN_THE_FUTURE, "payment", payment.time_ms, f"at most {now_ms + SKEW_MS_MAX}"
        ends_ms = payer.until_ms + self.grace_ms
        yield now_ms >= ends_ms, R.SETTLEMENT_HAS_ENDED, "payment", now_ms, f"before {ends_ms}"
        accused = payment.payer in self.accusations and isinstance(one, Redeem)
        yield accused, R.DEVICE_IS_ACCUSED, "payment", payment.payer, "a device in good standing"
        following = self.contiguous.get(payment.payer, 0) + 1
        ordered = now_ms < payer.until_ms or isinstance(one, Redeem)
        missing = ordered and payment.counter > following
        yield missing, R.COUNTERS_ARE_MISSING, "payment", payment.counter, f"at most {following}"
        if isinstance(one, Settle):
            amount, most = payment.amount_minor, payer.tier.payment_max_minor
            yield amount > most, R.PAYMENT_LIMIT_EXCEEDED, "payment", amount, f"at most {most}"
        settled, this = self.settled.get((payment.payer, payment.counter)), digest(payment)
        same = settled is not None and (digest(settled) == this or this in self.second)
        yield same, R.WAS_SETTLED, "payment", payment.counter, "once"

    def _wrong_in_compensate(self, one: Compensate) -> Checks:
        payment = one.payment
        yield one.by != self.issuer, R.ACTOR_MAY_NOT, "by", one.by, "the issuer"
        due = self.guarantee and is_well_formed(payment) and self.second.get(digest(payment)) is False
        nothing = not due or payment.payee == ISSUER
        yield nothing, R.NOTHING_TO_COMPENSATE, "payment", payment.counter, "a second payment, not compensated"
        paid, most = self.guaranteed.get(payment.payer, 0), self._balance_max_minor(payment.payer)
        above = paid + payment.amount_minor > most
        yield above, R.GUARANTEE_IS_USED_UP, "payment", paid + payment.amount_minor, f"at most {most}"

    def _wrong_in_recover(self, one: Recover, now_ms: int) -> Checks:
        yield one.device not in self.wallets, R.DEVICE_NOT_FOUND, "device", one.device, "a device that was opened"
        wallet = self.wallets[one.device]
        yield one.by != wallet.holder.owner, R.ACTOR_MAY_NOT, "by", one.by, "the holder"
        ends_ms = wallet.certificate.until_ms + self.grace_ms
        yield now_ms < ends_ms, R.SETTLEMENT_HAS_NOT_ENDED, "device", now_ms, f"from {ends_ms} on"
        yield one.device in self.accusations, R.DEVICE_IS_ACCUSED, "device", one.device, "a device in good standing"

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, Open):
            return Step(accounts=[self._purse(action)])
        if isinstance(action, Load):
            wallet = self.wallets[action.statement.device]
            return self._moved(action.id, wallet.holder.account, wallet.certificate.account, action.amount_minor)
        if isinstance(action, Recover):
            wallet = self.wallets[action.device]
            debit, credit = wallet.certificate.account, wallet.holder.account
            return self._moved(action.id, debit, credit, ALL, int(TransferFlag.BALANCING_DEBIT))
        payment = action.payment
        payer, amount = self.wallets[payment.payer], payment.amount_minor
        redeemed = payment.payee == ISSUER
        credit = payer.holder.account if redeemed else self.wallets[payment.payee].certificate.account
        if isinstance(action, Compensate):
            return self._moved(action.id, self.guarantee, credit, amount)
        if (payment.payer, payment.counter) in self.settled:
            return Step()  # The second under its counter: nothing moves, the accusation is what remains.
        return self._moved(action.id, payer.certificate.account, credit, amount)

    def _moved(self, id: int, debit: int, credit: int, amount_minor: int, flags: int = 0) -> Step:
        return Step([Transfer(part_id(id, "move"), debit, credit, amount_minor, self.code, flags, user_data=id)])

    def _purse(self, action: Open) -> Account:
        certificate = action.certificate
        bound = int(AccountFlag.DEBITS_BOUND)
        return Account(certificate.account, self.asset, self.code, bound, owner=action.holder.owner)

    def _balance_max_minor(self, device: int) -> int:
        return self.wallets[device].certificate.tier.balance_max_minor

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, Open):
            self.wallets[action.certificate.device] = Wallet(action.holder, action.certificate)
        elif isinstance(action, Load):
            device = action.statement.device
            self.loads[device] = self.loads.get(device, 0) + 1
        elif isinstance(action, Compensate):
            payer = action.payment.payer
            self.guaranteed[payer] = self.guaranteed.get(payer, 0) + action.payment.amount_minor
            self.second[digest(action.payment)] = True
        elif isinstance(action, (Settle, Redeem)):
            self._fold_payment(action.payment)

    def _fold_payment(self, payment: OfflinePayment) -> None:
        device, counter = payment.payer, payment.counter
        found = list(self._accusations_by(payment))
        if found:
            self.accusations[device] = (*self.accusations.get(device, ()), *found)
        if (device, counter) in self.settled:
            self.second[digest(payment)] = False
            return
        self.settled[device, counter] = payment
        if payment.payee != ISSUER:
            day = device, self._day(payment)
            self.spent[day] = self.spent.get(day, 0) + payment.amount_minor
        known = self.contiguous.get(device, 0)
        while (device, known + 1) in self.settled:
            known += 1
        self.contiguous[device] = known

    def _accusations_by(self, payment: OfflinePayment) -> Iterator[Accusation]:
        """What the payment proves beside those that were settled."""
        device, counter = payment.payer, payment.counter
        same, before, after = (self.settled.get((device, counter + step)) for step in (0, -1, 1))
        if same is not None:
            yield Accusation(COUNTER, same, payment)
            return
        if before is not None and payment.previous != digest(before):
            yield Accusation(HISTORY, before, payment)
        if after is not None and after.previous != digest(payment):
            yield Accusation(HISTORY, payment, after)
        spent = self.spent.get((device, self._day(payment)), 0) + payment.amount_minor
        if payment.payee != ISSUER and spent > self.wallets[device].certificate.tier.day_max_minor:
            yield Accusation(DAY_LIMIT, payment, payment)

    def _day(self, payment: OfflinePayment) -> int:
        return (payment.time_ms + self.zone_ms) // DAY_MS


Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


def proves(accusation: Accusation, certificate: Certificate, issuer_key: bytes) -> bool:
    """Whether an accusation of two histories holds by signatures alone, without asking the issuer.

    DAY_LIMIT is not proved so: it needs the other payments of that day.
    """
    first, second = accusation.first, accusation.second
    both = all(one.payer == certificate.device and is_signed(one, certificate.public_key) for one in (first, second))
    if not both or not is_signed(certificate, issuer_key):
        return False
    if accusation.kind == COUNTER:
        return first.counter == second.counter and digest(first) != digest(second)
    follows = second.counter == first.counter + 1
    return accusation.kind == HISTORY and follows and second.previous != digest(first)
