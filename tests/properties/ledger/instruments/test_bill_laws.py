"""Laws of bills on random acts: repeats, wrong order, wrong party, days that pass, acceptors without cash."""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.entries import Transfer
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill.actions import Stage
from quanheng.ledger.instruments.bill.bills import Bills
from quanheng.ledger.instruments.discount import DayCount, DiscountTerms
from quanheng.testing.slow_bills import SlowBills

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from trade_bench import BANK, FUNDS_MINOR, TODAY, TradeBench, balances, party, worth

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
RULES = a.Rules(banks=frozenset({4, 5}), central_banks=frozenset({6}), presentation_days=2, answer_days=1)
OWNERS, POOR, POOR_MINOR = range(1, 8), 7, 30


def draw(rng, id, today):
    """Small bills, so that every unit can be told."""
    drawer, payee = rng.sample(OWNERS, 2)
    return a.Draw(
        id=id, signers=(drawer,), asset=250 + rng.randrange(40), drawer=party(drawer), acceptor=rng.choice(OWNERS),
        payee=party(payee), amount_minor=rng.choice([1, 9, 40]), due_day=today + rng.randint(2, 12),
        transferable=rng.random() < 0.9, divisible=rng.random() < 0.9,
    )  # fmt: skip


def options(rng, id, book, number):
    """For each stage, acts that fit it, signed by whom they need; some with fields that do not fit."""
    piece = book.pieces[number]
    bill, holder, taker, face = book.bills[piece.bill], piece.holder.owner, rng.choice(OWNERS), piece.amount_minor
    bank, cut = rng.choice([4, 5]), rng.randint(0, face)
    terms = DiscountTerms(Decimal(rng.randint(1, 300_000)) / 1_000_000, rng.choice([*DayCount][:2]))
    claims, costs = dict(piece.claims), rng.choice([0, 2])
    against = rng.choice([taker, *book.liable(number), *book.liable(number)])
    payer = rng.choice(sorted(claims) or [taker])
    pledgee = piece.pledge.pledgee.owner if piece.pledge else taker

    def make(kind, *signers, **fields):
        return lambda: kind(id=id, signers=signers, piece=number, **fields)

    vouch = make(
        a.Guarantee, taker, guarantor=taker, principal=rng.choice([*(one.owner for one in piece.liable), taker])
    )
    pledge = make(a.Pledge, holder, taker, taker=party(taker), enforce_day=TODAY + rng.randrange(12))
    split, show = make(a.Split, holder, amounts_minor=(cut, face - cut)), make(a.Present, holder)
    endorse = make(a.Endorse, holder, taker, taker=party(taker), transferable=rng.random() < 0.9)
    withdraw = make(a.Withdraw, bill.drawer.owner)
    fits = {
        Stage.DRAWN: [make(a.Accept, bill.acceptor)] * 8 + [make(a.Decline, bill.acceptor), vouch],
        Stage.ACCEPTED: [make(a.Deliver, bill.drawer.owner, bill.payee.owner)] * 8 + [vouch, withdraw],
        Stage.HELD: [
            split, endorse, endorse, vouch, pledge, show, show,
            make(a.Discount, holder, bank, taker=party(bank), terms=terms),
        ],
        Stage.DISCOUNTED: [
            split, pledge, show, show, make(a.Interbank, holder, bank, taker=party(bank), terms=terms),
            make(a.Rediscount, holder, 6, taker=party(6), terms=terms),
        ],
        Stage.PLEDGED: [make(a.Release, pledgee), make(a.Enforce, pledgee)],
        Stage.PRESENTED: [
            make(a.Pay, bill.acceptor, cash=100 + bill.acceptor), make(a.Refuse, bill.acceptor, reason="no"),
            make(a.Protest, holder),
        ],
        Stage.REFUSED: [make(a.Claim, holder, against=against, costs_minor=costs)] * (1 if claims else 3)
        + [make(a.Settle, payer, payer=party(payer), costs_minor=claims.get(payer, 0))] * (3 if claims else 1),
        Stage.CLOSED: [],
    }  # fmt: skip
    every = [one for of in fits.values() for one in of]
    return fits[piece.stage] or every, every


def random_act(rng, bench, asked):
    if asked and rng.random() < 0.08:
        return rng.choice(asked)
    book, id = bench.instrument, bench.id()
    if not book.pieces or rng.random() < 0.06:
        return draw(rng, id, bench.day)
    live = [number for number, piece in book.pieces.items() if not piece.spent_by]
    fits, every = options(rng, id, book, rng.choice(live if live and rng.random() < 0.95 else list(book.pieces)))
    act = rng.choice(fits if rng.random() < 0.9 else every)()
    return replace(act, signers=(rng.choice(OWNERS),)) if rng.random() < 0.05 else act


def check(bench, slow):
    """After every act: what lies where, and each unit as the plain twin tells it."""
    book, all_of = bench.instrument, balances(bench.ledger)
    for id, piece in book.pieces.items():
        lies = piece.spent_by == 0 and piece.stage != Stage.DRAWN
        if lies or id in all_of:
            assert worth(all_of[id]) == (piece.amount_minor if lies else 0)
            assert all_of[id].debits_held_minor == (piece.amount_minor if piece.stage == Stage.PLEDGED else 0)
        if piece.spent_by == 0:
            told = [(one.owner, one.is_guarantor) for one in piece.liable]
            for unit in slow.of(id):
                assert (unit.holder, unit.behind, unit.paid) == (piece.holder, told, False)
                assert (unit.pledgee is not None) == (piece.stage == Stage.PLEDGED)
    for id, bill in book.bills.items():
        live = [book.pieces[one] for one in book.live(id)]
        covered = [unit for one in live for unit in range(one.first, one.last + 1)]
        assert covered == [place + 1 for place, unit in enumerate(slow.units[id]) if not unit.paid]
        owed = sum(unit.owed for unit in slow.units[id])
        assert -worth(all_of[bill.obligation]) == owed if bill.obligation in all_of else owed == 0
    for owner in OWNERS:
        funds = POOR_MINOR if owner == POOR else FUNDS_MINOR
        assert worth(all_of[100 + owner]) == funds + slow.cash[100 + owner]


def play(seed, kind, acts):
    rng, bench, slow, asked = random.Random(seed), TradeBench(Bills(RULES), kind), SlowBills(), []
    poorer = Transfer(5, 100 + POOR, BANK, FUNDS_MINOR - POOR_MINOR, 7)
    bench.ledger.transfer([poorer], bench.now_ms, bench.day)
    for _ in range(acts):
        bench.to_day(bench.day + (rng.random() < 0.1))
        act = random_act(rng, bench, asked)
        known, before = act.id in bench.instrument.done, bench.everything()
        asked.append(act)
        if bench.do(act).applied and not known:
            slow.apply(act, bench.day)
            check(bench, slow)
        else:
            assert bench.everything() == before
    bench.check_conserved()
    return bench


def check_replay(bench):
    """The applied acts alone, performed with a fresh instrument on a fresh ledger, give the same."""
    fresh = TradeBench(Bills(RULES), "law")
    poorer = Transfer(5, 100 + POOR, BANK, FUNDS_MINOR - POOR_MINOR, 7)
    fresh.ledger.transfer([poorer], fresh.now_ms, fresh.day)
    for act, now_ms in bench.applied:
        fresh.now_ms = now_ms
        fresh.must(act)
    assert fresh.instrument.state() == bench.instrument.state()
    assert fresh.everything() == bench.everything()


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_the_laws_hold(seed):
    check_replay(play(seed, "law", 150))


def test_law_and_core_end_alike():
    """Each seed on both ledgers; and every kind of act was applied in one of them."""
    kinds = set()
    for seed in range(3):
        law, core = (play(seed, kind, 300) for kind in ("law", "core"))
        assert law.everything() == core.everything()
        kinds |= {type(act) for act, _ in law.applied}
    assert kinds == {a.Draw, *a.OnPiece.__subclasses__(), *a.Sale.__subclasses__()} - {a.Sale}
