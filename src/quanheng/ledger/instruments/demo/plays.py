"""Every seeded day there is, and all of them on one ledger, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from quanheng.ledger.instruments.demo import (
    Played,
    bills,
    carbon,
    closing,
    escrows,
    exchanges,
    foreign_exchange,
    loans,
    netting,
    payments,
    payouts,
    pool,
    receivables,
    reconciliation,
    securities,
    wallets,
)
from quanheng.ledger.instruments.instrument import LedgerLike

DAY_MS = 86_400_000
START_MS = 19_905 * DAY_MS
"""The first of the days begins on 2024-07-01: before any machine's clock, so that the log can be opened afterwards."""
APART_DAYS = 3
"""Days from the beginning of one day of business to that of the next: the longest ends two days after it began."""


class Play(NamedTuple):
    """A seeded day of one instrument. `name` is that of its module here; `en` and `zh` are its titles."""

    name: str
    en: str
    zh: str
    play: Callable[[LedgerLike, int, int, int], Played]


PLAYS = (
    Play("payments", "two-phase payments", "两阶段支付", payments.play),
    Play("escrows", "escrow", "托管", escrows.play),
    Play("payouts", "conditional payouts", "条件赔付", payouts.play),
    Play("wallets", "offline wallets", "离线钱包", wallets.play),
    Play("exchanges", "exchange, DvP and PvP", "同步交收", exchanges.play),
    Play("netting", "multilateral netting", "多边净额清算", netting.play),
    Play("foreign_exchange", "foreign exchange", "外汇兑换", foreign_exchange.play),
    Play("pool", "liquidity pool", "流动性池", pool.play),
    Play("securities", "securities", "证券", securities.play),
    Play("carbon", "carbon units", "碳单位", carbon.play),
    Play("receivables", "receivables", "应收账款", receivables.play),
    Play("bills", "digital bills", "数字票据", bills.play),
    Play("loans", "loans", "贷款", loans.play),
    Play("closing", "end of business day", "日终", closing.play),
    Play("reconciliation", "reconciliation", "对账", reconciliation.play),
)


def play_all(
    ledger: LedgerLike, seed: int, plays: Sequence[Play] = PLAYS, start_ms: int = START_MS
) -> Iterator[tuple[Play, Played]]:
    """Play days one after another on one ledger; each with what it did, as soon as it is over.

    Parameters
    ----------
    ledger : its newest batch is not after `start_ms`
    seed : the same seed plays the same days
    start_ms : when the first begins, midnight UTC, at least 500 days after 1970 (loans began before)
    """
    for number, one in enumerate(plays):
        begins_ms = start_ms + number * APART_DAYS * DAY_MS
        yield one, one.play(ledger, seed, begins_ms, begins_ms // DAY_MS)
