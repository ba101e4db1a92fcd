"""Receivables of a supply chain: issued, split, assigned, pledged, discounted on one day; due the next; some unpaid.

The clock starts an hour before midnight of the book's calendar and passes two midnights.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from quanheng.ledger.entries import Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.discount import DAY_MS, DiscountTerms, day_of
from quanheng.ledger.instruments.instrument import LedgerLike
from quanheng.ledger.instruments.receivable import actions as a
from quanheng.ledger.instruments.receivable.invoice_register import InvoiceRegister, Member
from quanheng.ledger.instruments.receivable.judging import liable
from quanheng.ledger.instruments.receivable.receivables import Receivables, part_id

ASSETS, CASH_ASSET, CODE = range(200, 230), 230, 1_100
DEBTORS, FIRMS, BANKS = 4, 10, 3
TRADES, HOUR_MS = 240, 3_600_000
FACE_MINOR_MAX, FUNDS_MINOR = 900_000_00, 30_000_000_00
SALT, COST_LOG2 = b"salt of the demo register", 6
"""A cheap commitment: the demo shows what is found, not what guessing costs."""


class Market:
    """Parties, their accounts, and the book; every id comes from the seed."""

    def __init__(self, ledger: LedgerLike, seed: int, start_ms: int, day: int) -> None:
        self.rng, self.seed, self.now_ms, self.number = random.Random(seed), seed, start_ms, 0
        # The book's clocks are ahead of UTC by what makes it 23:00 now.
        self.rules = a.Rules(utc_offset_ms=23 * HOUR_MS - start_ms % DAY_MS)
        self.book = Receivables(self.rules)
        self.business = Business(ledger, self.book, day)
        self.debtors = [self.member(f"debtor {n}") for n in range(DEBTORS)]
        self.firms = [self.member(f"firm {n}") for n in range(FIRMS)]
        self.banks = [self.member(f"bank {n}") for n in range(BANKS)]
        every = [one.account for one in (*self.debtors, *self.firms, *self.banks)]
        source = part_id(seed, "receivables source")
        self.business.open(every, [source], CASH_ASSET, CODE, start_ms)
        self.business.fund(source, every, FUNDS_MINOR, CODE, start_ms)
        # The last debtor has spent its money before its debts are due.
        empty = Transfer(part_id(seed, "receivables spent"), self.debtors[-1].account, source, FUNDS_MINOR, CODE)
        self.business.witness.transfer([empty], start_ms, day)

    def member(self, name: str) -> Party:
        """Somebody of the demo."""
        return Party(part_id(self.seed, f"receivables owner {name}"), part_id(self.seed, f"receivables {name}"))

    def id(self) -> int:
        """Id of the next action."""
        self.number += 1
        return part_id(self.seed, f"receivables action {self.number}")

    def do(self, action: Any) -> bool:
        """Perform an action some seconds later."""
        self.now_ms += self.rng.randrange(1, 10_000)
        return self.business.do(action, self.now_ms).applied

    def live(self) -> list[int]:
        """Live pieces, in order."""
        return sorted(piece for pieces in self.book.live.values() for piece in pieces)


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """Seeded business with receivables on a ledger; the same seed plays the same. It ends two days after it starts."""
    market = Market(ledger, seed, start_ms, day)
    _issue(market)
    for _ in range(TRADES):
        repeat = market.rng.random() < 0.05
        market.do(market.rng.choice(market.business.asked) if repeat else _trade(market))
    market.now_ms += 4 * HOUR_MS
    _repay(market)
    market.now_ms += DAY_MS
    _recourse(market)
    return market.business.played(
        "receivable", Receivables(market.rules), _laws(market), _figures(market), market.now_ms
    )


def _issue(market: Market) -> None:
    due = day_of(market.now_ms, market.rules.utc_offset_ms) + 1
    for place, asset in enumerate(ASSETS):
        debtor, supplier = market.rng.choice(market.debtors), market.rng.choice(market.firms)
        face = market.rng.randint(1_00, FACE_MINOR_MAX)
        # Every tenth brings an invoice that was financed before.
        invoice = _seen(market, face) if place % 10 == 9 else a.Invoice(f"firm {place}", f"No. {place}", face)
        id = market.id()
        market.do(a.Issue(
            id=id, signers=(supplier.owner,), asset=asset, debtor=debtor.owner, supplier=supplier, amount_minor=face,
            currency="CNY", due_day=due, invoices=(invoice,),
        ))  # fmt: skip
        market.do(a.Accept(id=market.id(), signers=(debtor.owner,), receivable=id))


def _seen(market: Market, face: int) -> a.Invoice:
    known = market.rng.choice(list(market.book.receivables.values())).invoices[0]
    return a.Invoice(known.seller.upper(), f" {known.number} ", face)


def _trade(market: Market) -> Any:
    rng, number = market.rng, market.rng.choice(market.live())
    piece = market.book.pieces[number]
    holder, kind = piece.holder.owner, rng.random()
    taker, bank = rng.choice(market.firms), rng.choice(market.banks)
    recourse = rng.random() < 0.8
    if piece.pledge is not None and kind < 0.7:
        return a.Release(id=market.id(), signers=(piece.pledge.pledgee.owner,), piece=number)
    if kind < 0.3:
        cut = rng.randint(0, piece.amount_minor)
        amounts = cut, piece.amount_minor - cut
        return a.Split(id=market.id(), signers=(holder,), piece=number, amounts_minor=amounts)
    if kind < 0.7:
        return a.Assign(
            id=market.id(), signers=(holder, taker.owner), piece=number, taker=taker, with_recourse=recourse
        )
    if kind < 0.85:
        terms = DiscountTerms(Decimal(rng.randint(20, 80)) / 1_000)
        return a.Discount(
            id=market.id(), signers=(holder, bank.owner), piece=number, buyer=bank, terms=terms, with_recourse=recourse
        )
    return a.Pledge(id=market.id(), signers=(holder, bank.owner), piece=number, pledgee=bank, enforce_day=0)


def _repay(market: Market) -> None:
    accounts = {one.owner: one.account for one in market.debtors}
    for id, one in list(market.book.receivables.items()):
        market.do(a.Repay(id=market.id(), signers=(one.debtor,), receivable=id, cash=accounts[one.debtor]))


def _recourse(market: Market) -> None:
    """Pledgees take their pieces; holders claim of the nearest who is liable, until nobody is."""
    accounts = {one.owner: one for one in (*market.debtors, *market.firms, *market.banks)}
    for number in market.live():
        piece = market.book.pieces[number]
        if piece.pledge is not None:
            market.do(a.Enforce(id=market.id(), signers=(piece.pledge.pledgee.owner,), piece=number))
    for number in market.live():
        at = number
        market.do(a.Default(id=market.id(), signers=(market.book.pieces[at].holder.owner,), piece=at))
        while against := list(liable(market.book.pieces[at])):
            holder, payer, paid = market.book.pieces[at].holder.owner, accounts[against[-1]], market.id()
            market.do(a.Claim(id=market.id(), signers=(holder,), piece=at, against=payer.owner))
            if not market.do(a.PayClaim(id=paid, signers=(payer.owner,), piece=at, payer=payer)):
                break
            at = part_id(paid, "piece")


def _laws(market: Market) -> dict[str, bool]:
    book, balances = market.book, market.business.witness.balances(market.now_ms, market.business.day)
    posted = {id: one.credits_posted_minor - one.debits_posted_minor for id, one in balances.items()}
    faces = {id: piece.amount_minor * (piece.spent_by == 0) for id, piece in book.pieces.items()}
    open_ones = {id: one for id, one in book.receivables.items() if one.stage in (a.OUTSTANDING, a.DEFAULTED)}
    lines = [book.lineage(id) for id in book.pieces]
    register, secrets = InvoiceRegister(), (b"secret of institution 1", b"secret of institution 2")
    first, second = (Member(register, SALT, secret, COST_LOG2) for secret in secrets)
    invoices = [invoice for one in open_ones.values() for invoice in one.invoices]
    return {
        "pieces sum to the original": all(
            book.outstanding_minor(id) == one.amount_minor == -posted[one.obligation] for id, one in open_ones.items()
        ),
        "a live piece has its face, a spent one nothing": all(posted[id] == face for id, face in faces.items()),
        "what is repaid owes nothing": all(
            posted[one.obligation] == 0 for one in book.receivables.values() if one.stage == a.REPAID
        ),
        "every piece leads to its debtor": all(
            line.path[0] == book.receivables[line.receivable].first_piece for line in lines
        ),
        "an invoice is financed once": len(book.invoices)
        == sum(len(one.invoices) for one in book.receivables.values()),
        "a second institution finds each invoice": (
            first.claim(invoices, market.now_ms) == [] and second.claim(invoices, market.now_ms) == invoices
        ),
    }


def _figures(market: Market) -> dict[str, int]:
    book = market.book
    kinds = [type(action).__name__ for action, _ in market.business.done]
    stages = [one.stage for one in book.receivables.values()]
    return {
        "receivables": len(stages),
        "pieces": len(book.pieces),
        "discounts": kinds.count("Discount"),
        "pledges": kinds.count("Pledge"),
        "recourse_payments": kinds.count("PayClaim"),
        "repaid": stages.count(a.REPAID),
        "defaulted": stages.count(a.DEFAULTED),
        "outstanding_minor": sum(book.outstanding_minor(id) for id in book.receivables),
    }
