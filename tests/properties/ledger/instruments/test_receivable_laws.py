"""Laws of receivables on random actions: repeats, wrong order, wrong party, days that pass, holders without cash."""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.ledger.instruments.discount import DayCount, DiscountTerms
from quanheng.ledger.instruments.receivable import actions as a
from quanheng.ledger.instruments.receivable.judging import invoice_key, liable
from quanheng.ledger.instruments.receivable.receivables import Receivables
from quanheng.testing.slow_receivables import SlowReceivables

sys.path.insert(0, str(Path(__file__).parents[3] / "unit" / "ledger" / "instruments"))
from trade_bench import FUNDS_MINOR, TODAY, TradeBench, balances, party, worth

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # A seed does not shrink.
RULES = a.Rules(grace_days=1)
OWNERS = range(1, 6)


def issue(rng, id, today):
    """Invoices of a small pool, so that some are financed already; some amounts exceed them or the debtor's cash."""
    invoices = tuple(
        a.Invoice("S", str(number), rng.choice([50, 7_000, 8_000_000, 30_000_000]))
        for number in rng.sample(range(120), rng.randint(1, 2))
    )
    most = sum(one.amount_minor for one in invoices)
    supplier, debtor = rng.sample(OWNERS, 2)
    return a.Issue(
        id=id, signers=(supplier,), asset=200 + rng.randrange(100), debtor=debtor, supplier=party(supplier),
        amount_minor=most + (rng.random() < 0.05), currency="CNY", due_day=today + rng.randint(3, 12),
        invoices=invoices,
    )  # fmt: skip


def of_piece(rng, id, book, pieces, today):
    number = rng.choice(pieces)
    piece, taker = book.pieces[number], rng.choice(OWNERS)
    holder, face = piece.holder.owner, piece.amount_minor
    pledgee = piece.pledge.pledgee.owner if piece.pledge else holder
    both = {"id": id, "signers": (holder, taker), "piece": number}
    one = {**both, "signers": (holder,)}
    at, recourse = rng.randint(1, face), rng.random() < 0.7
    terms = DiscountTerms(Decimal(rng.randint(1, 300_000)) / 1_000_000, rng.choice([*DayCount][:2]))
    claimed = dict(piece.claims) or {taker: 0}
    payer = rng.choice(sorted(claimed))
    kinds = [
        lambda: a.Split(**one, amounts_minor=rng.choice([(at, face - at), (at, face), (1, at, face - at - 1)])),
        lambda: a.Assign(**both, taker=party(taker), with_recourse=recourse),
        lambda: a.Discount(**both, buyer=party(taker), terms=terms, with_recourse=recourse),
        lambda: a.Pledge(**both, pledgee=party(taker), enforce_day=TODAY + rng.randrange(30)),
        lambda: a.Release(id=id, signers=(pledgee,), piece=number),
        lambda: a.Enforce(id=id, signers=(pledgee,), piece=number),
        lambda: a.Default(**one),
        lambda: a.Claim(
            **one, against=rng.choice([taker, *liable(piece), *liable(piece)]), costs_minor=rng.choice([0, 5])
        ),
        lambda: a.PayClaim(id=id, signers=(payer,), piece=number, payer=party(payer), costs_minor=claimed[payer]),
    ]
    stage, due = book.receivables[piece.receivable].stage, book.receivables[piece.receivable].due_day
    weights = [3, 5, 3, 3, 1, 1, 1, 1, 1]
    if piece.claims:
        weights = [1, 1, 0, 0, 0, 0, 0, 1, 9]
    elif stage == a.DEFAULTED:
        weights = [1, 1, 1, 0, 0, 1, 0, 9, 1]
    elif today > due:
        weights = [1, 1, 1, 0, 1, 1, 9, 1, 0]
    return rng.choices(kinds, weights)[0]()


def random_action(rng, bench, asked):
    if asked and rng.random() < 0.08:
        return rng.choice(asked)
    book, id = bench.instrument, bench.id()
    known = list(book.receivables)
    if not known or rng.random() < 0.07:
        return issue(rng, id, bench.day)
    receivable = rng.choice(known)
    one, kind = book.receivables[receivable], rng.random()
    signer = (one.debtor,)
    offered = [id for id, waits in book.receivables.items() if waits.stage == a.OFFERED]
    if offered and rng.random() < 0.5:
        receivable = rng.choice(offered)
        signer = (book.receivables[receivable].debtor,)
        kind = 0.0
    if kind < 0.08 or not book.pieces:
        many = a.Accept if rng.random() < 0.9 else a.Decline
        return many(id=id, signers=signer, receivable=receivable)
    if kind < 0.23:
        owed = book.outstanding_minor(receivable)
        part = rng.choice([0, 0, 1, 7, owed // 3, owed // 2, max(0, owed - 1), owed, owed + 1])
        return a.Repay(id=id, signers=signer, receivable=receivable, cash=100 + one.debtor, amount_minor=part)
    live = [piece for pieces in book.live.values() for piece in pieces]
    action = of_piece(rng, id, book, sorted(live) if live and rng.random() < 0.93 else list(book.pieces), bench.day)
    return replace(action, signers=(rng.choice(OWNERS),)) if rng.random() < 0.05 else action


def check(bench, slow):
    """After every action: what lies where."""
    book, all_of = bench.instrument, balances(bench.ledger)
    for id, piece in book.pieces.items():
        live = piece.spent_by == 0
        assert worth(all_of[id]) == (piece.owed_minor if live else 0)
        assert all_of[id].debits_held_minor == (piece.owed_minor if live and piece.pledge else 0)
        assert 0 <= piece.owed_minor <= piece.amount_minor
        assert (id in book.live[piece.receivable]) == live
    for id, one in book.receivables.items():
        outstanding = one.amount_minor - slow.repaid[id] if one.stage in (a.OUTSTANDING, a.DEFAULTED) else 0
        assert one.stage != a.REPAID or slow.repaid[id] == one.amount_minor
        assert one.stage not in (a.OUTSTANDING, a.DEFAULTED) or outstanding > 0
        assert book.outstanding_minor(id) == outstanding
        assert sum(face for (about, _), face in slow.owned.items() if about == id) == outstanding
        if one.obligation in all_of:
            assert worth(all_of[one.obligation]) == -outstanding
    for owner in OWNERS:
        assert worth(all_of[100 + owner]) == FUNDS_MINOR + slow.cash[100 + owner]
    assert {id: place[1:3] for id, place in slow.where.items()} == {
        id: (piece.holder.owner, piece.owed_minor) for id, piece in book.pieces.items() if not piece.spent_by
    }
    for id, piece in book.pieces.items():
        assert tuple((one.owner, one.with_recourse) for one in piece.transferors) == slow.givers[id]


def check_lineage(book):
    """Every piece leads to the first of its receivable; the invoices of two receivables have nothing in common."""
    for id in book.pieces:
        line = book.lineage(id)
        one = book.receivables[line.receivable]
        assert line.path[0] == one.first_piece
        assert line.path[-1] == id
        assert (line.debtor, line.invoices) == (one.debtor, one.invoices)
    financed = [invoice_key(one) for of in book.receivables.values() if of.stage != a.DECLINED for one in of.invoices]
    assert len(financed) == len(set(financed)) == len(book.invoices)


def play(seed, kind, actions):
    rng, bench, slow, asked = random.Random(seed), TradeBench(Receivables(RULES), kind), SlowReceivables(), []
    for _ in range(actions):
        bench.to_day(bench.day + (rng.random() < 0.12))
        action = random_action(rng, bench, asked)
        known, before = action.id in bench.instrument.done, bench.everything()
        asked.append(action)
        if bench.do(action).applied and not known:
            slow.apply(action, bench.day)
            check(bench, slow)
        else:
            assert bench.everything() == before
    bench.check_conserved()
    check_lineage(bench.instrument)
    bench.check_replay(Receivables(RULES))
    return bench


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.integers(0, 2**32))
def test_the_laws_hold(seed):
    play(seed, "law", 120)


def test_law_and_core_end_alike():
    """Each seed on both ledgers; and every kind of action was applied in one of them."""
    kinds, parts = set(), 0
    for seed in range(2):
        law, core = (play(seed, kind, 250) for kind in ("law", "core"))
        assert law.everything() == core.everything()
        kinds |= {type(action) for action, _ in law.applied}
        parts += sum(isinstance(action, a.Repay) and action.amount_minor > 0 for action, _ in law.applied)
    assert parts > 0
    assert kinds == set(a.Action.__subclasses__())
