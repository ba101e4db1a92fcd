"""Bills of a trade: drawn, accepted, divided, endorsed, discounted, pledged; presented on the next day; some refused.

The clock starts an hour before midnight of the book's calendar and passes two midnights.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from quanheng.ledger.entries import Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill.actions import Stage
from quanheng.ledger.instruments.bill.bills import Bills, part_id
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.discount import DAY_MS, DiscountTerms, day_of
from quanheng.ledger.instruments.instrument import LedgerLike

ASSETS, CASH_ASSET, CODE = range(240, 260), 270, 1_200
ACCEPTORS, FIRMS, BANKS = 3, 10, 3
TRADES, HOUR_MS = 160, 3_600_000
FACE_MINOR_MAX, FUNDS_MINOR = 900_000_00, 50_000_000_00


class Market:
    """Parties, their accounts, and the book; every id comes from the seed. The last acceptor has no money."""

    def __init__(self, ledger: LedgerLike, seed: int, start_ms: int, day: int) -> None:
        self.rng, self.seed, self.now_ms, self.number = random.Random(seed), seed, start_ms, 0
        self.acceptors = [self.member(f"acceptor {n}") for n in range(ACCEPTORS)]
        self.firms = [self.member(f"firm {n}") for n in range(FIRMS)]
        self.banks = [self.member(f"bank {n}") for n in range(BANKS)]
        self.central = self.member("central bank")
        self.rules = a.Rules(
            banks=frozenset(one.owner for one in (*self.banks, self.acceptors[0])),
            central_banks=frozenset({self.central.owner}),
            # The book's clocks are ahead of UTC by what makes it 23:00 now.
            utc_offset_ms=23 * HOUR_MS - start_ms % DAY_MS,
            answer_days=1,
        )
        self.book = Bills(self.rules)
        self.business = Business(ledger, self.book, day)
        self.parties = {one.owner: one for one in (*self.acceptors, *self.firms, *self.banks, self.central)}
        every = [one.account for one in self.parties.values()]
        source = part_id(seed, "bills source")
        self.business.open(every, [source], CASH_ASSET, CODE, start_ms)
        self.business.fund(source, every, FUNDS_MINOR, CODE, start_ms)
        empty = Transfer(part_id(seed, "bills spent"), self.acceptors[-1].account, source, FUNDS_MINOR, CODE)
        self.business.witness.transfer([empty], start_ms, day)

    def member(self, name: str) -> Party:
        """Somebody of the demo."""
        return Party(part_id(self.seed, f"bills owner {name}"), part_id(self.seed, f"bills {name}"))

    def id(self) -> int:
        """Id of the next act."""
        self.number += 1
        return part_id(self.seed, f"bills act {self.number}")

    def do(self, act: Any) -> bool:
        """Perform an act some seconds later."""
        self.now_ms += self.rng.randrange(1, 10_000)
        return self.business.do(act, self.now_ms).applied

    def on(self, kind: Any, piece: int, *signers: int, **fields: Any) -> bool:
        """Perform an act on a piece."""
        return self.do(kind(id=self.id(), signers=signers, piece=piece, **fields))

    def at(self, *stages: Stage) -> list[int]:
        """Live pieces at one of the stages, in order."""
        return sorted(id for id, piece in self.book.pieces.items() if piece.stage in stages)

    def holder(self, piece: int) -> int:
        """Owner of a piece."""
        return self.book.pieces[piece].holder.owner


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """Seeded business with bills on a ledger; the same seed plays the same. It ends two days after it starts."""
    market = Market(ledger, seed, start_ms, day)
    _draw(market)
    for _ in range(TRADES):
        repeat = market.rng.random() < 0.05
        market.do(market.rng.choice(market.business.asked) if repeat else _trade(market))
    for piece in market.at(Stage.PLEDGED):
        market.on(a.Release, piece, _pledgee(market, piece))
    market.now_ms += 4 * HOUR_MS
    _present(market)
    market.now_ms += DAY_MS
    _recourse(market)
    return market.business.played("bill", Bills(market.rules), _laws(market), _figures(market), market.now_ms)


def _draw(market: Market) -> None:
    due = day_of(market.now_ms, market.rules.utc_offset_ms) + 1
    for asset in ASSETS:
        drawer, payee = market.rng.sample(market.firms, 2)
        acceptor, id = market.rng.choice(market.acceptors).owner, market.id()
        market.do(a.Draw(
            id=id, signers=(drawer.owner,), asset=asset, drawer=drawer, acceptor=acceptor, payee=payee,
            amount_minor=market.rng.randint(1_00, FACE_MINOR_MAX), due_day=due,
            transferable=market.rng.random() < 0.9, divisible=market.rng.random() < 0.9,
        ))  # fmt: skip
        piece = part_id(id, "piece")
        market.on(a.Accept if market.rng.random() < 0.95 else a.Decline, piece, acceptor)
        market.on(a.Deliver, piece, drawer.owner, payee.owner)


def _trade(market: Market) -> Any:
    rng, piece = market.rng, market.rng.choice(market.at(Stage.HELD, Stage.DISCOUNTED, Stage.PLEDGED))
    one, id, kind = market.book.pieces[piece], market.id(), market.rng.random()
    holder, taker, bank = one.holder.owner, rng.choice(market.firms), rng.choice(market.banks)
    terms = DiscountTerms(Decimal(rng.randint(10, 60)) / 1_000)
    if one.stage == Stage.PLEDGED:
        return a.Release(id=id, signers=(_pledgee(market, piece),), piece=piece)
    if kind < 0.25:
        cut = rng.randint(0, one.amount_minor)
        return a.Split(id=id, signers=(holder,), piece=piece, amounts_minor=(cut, one.amount_minor - cut))
    if one.stage == Stage.DISCOUNTED:
        central = rng.random() < 0.3
        kind_of, buyer = (a.Rediscount, market.central) if central else (a.Interbank, bank)
        return kind_of(id=id, signers=(holder, buyer.owner), piece=piece, taker=buyer, terms=terms)
    if kind < 0.7:
        return a.Endorse(
            id=id, signers=(holder, taker.owner), piece=piece, taker=taker, transferable=rng.random() < 0.9
        )
    if kind < 0.8:
        return a.Discount(id=id, signers=(holder, bank.owner), piece=piece, taker=bank, terms=terms)
    if kind < 0.9:
        return a.Guarantee(
            id=id, signers=(bank.owner,), piece=piece, guarantor=bank.owner, principal=one.liable[0].owner
        )
    return a.Pledge(id=id, signers=(holder, bank.owner), piece=piece, taker=bank, enforce_day=0)


def _pledgee(market: Market, piece: int) -> int:
    pledge = market.book.pieces[piece].pledge
    assert pledge is not None, "a pledged piece has a pledge"
    return pledge.pledgee.owner


def _present(market: Market) -> None:
    """Every piece is presented; who has the money pays; of the others every second answers."""
    for place, piece in enumerate(market.at(Stage.HELD, Stage.DISCOUNTED)):
        acceptor = market.book.bills[market.book.pieces[piece].bill].acceptor
        market.on(a.Present, piece, market.holder(piece))
        if not market.on(a.Pay, piece, acceptor, cash=market.parties[acceptor].account) and place % 2:
            market.on(a.Refuse, piece, acceptor, reason="no funds")


def _recourse(market: Market) -> None:
    """Holders claim of the last one who is liable, as long as it pays and somebody is before it."""
    for piece in market.at(Stage.PRESENTED):
        market.on(a.Protest, piece, market.holder(piece))
    for piece in market.at(Stage.REFUSED):
        at = piece
        while liable := list(market.book.liable(at)):
            payer, costs, paid = market.parties[liable[-1]], market.rng.randrange(50), market.id()
            market.on(a.Claim, at, market.holder(at), against=payer.owner, costs_minor=costs)
            settle = a.Settle(id=paid, signers=(payer.owner,), piece=at, payer=payer, costs_minor=costs)
            if not market.do(settle):
                break
            at = part_id(paid, "piece")


def _laws(market: Market) -> dict[str, bool]:
    book, balances = market.book, market.business.witness.balances(market.now_ms, market.business.day)
    posted = {id: one.credits_posted_minor - one.debits_posted_minor for id, one in balances.items()}
    whole, owed = [], []
    for id, bill in book.bills.items():
        live = [book.pieces[piece] for piece in book.live(id)]
        ends = [0, *(one.last for one in live)]
        whole.append(all(one.first > end for one, end in zip(live, ends, strict=False)))
        owed.append(sum(one.amount_minor for one in live) == -posted.get(bill.obligation, 0))
    return {
        "no unit is in two pieces": all(whole),
        "pieces sum to what is owed": all(owed),
        "a live piece has its face, an ended one nothing": all(
            posted.get(id, 0) == one.amount_minor * (one.spent_by == 0) for id, one in book.pieces.items()
        ),
        "discounted pieces stay among banks": all(
            one.holder.owner in market.rules.banks | market.rules.central_banks
            for one in book.pieces.values()
            if one.stage == Stage.DISCOUNTED
        ),
        "who holds a refused piece is not liable to itself": all(
            one.holder.owner not in book.liable(id) for id, one in book.pieces.items() if one.stage == Stage.REFUSED
        ),
    }


def _figures(market: Market) -> dict[str, int]:
    book = market.book
    kinds = [type(act).__name__ for act, _ in market.business.done]
    return {
        "bills": len(book.bills),
        "pieces": len(book.pieces),
        "endorsements": kinds.count("Endorse"),
        "sales": kinds.count("Discount") + kinds.count("Interbank") + kinds.count("Rediscount"),
        "paid": kinds.count("Pay"),
        "refused_or_protested": kinds.count("Refuse") + kinds.count("Protest"),
        "recourse_payments": kinds.count("Settle"),
        "outstanding_minor": sum(one.amount_minor for one in book.pieces.values() if not one.spent_by),
    }
