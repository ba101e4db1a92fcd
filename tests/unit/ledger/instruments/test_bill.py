"""Bills case by case: every cell of the table of powers, a row for every refusal, recourse, ranges of units."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from trade_bench import FUNDS_MINOR, LEDGERS, TODAY, TradeBench, balances, party

from quanheng.ledger.entries import AMOUNT_MAX, chained
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill import judging
from quanheng.ledger.instruments.bill.actions import BillRefusal as R
from quanheng.ledger.instruments.bill.actions import Capacity, Liable, Stage
from quanheng.ledger.instruments.bill.bills import Bills, part_id
from quanheng.ledger.instruments.bill.powers import POWERS, TABLE
from quanheng.ledger.instruments.discount import DiscountTerms, InterestShare, months_later
from quanheng.ledger.outcomes import TransferOutcome

DRAWER, ACCEPTOR, PAYEE, TAKER, BANK, BANK_2, CENTRAL, GUARANTOR, OTHER = range(1, 10)
RULES = a.Rules(banks=frozenset({BANK, BANK_2}), central_banks=frozenset({CENTRAL}))
DUE, FACE, SOON = TODAY + 180, 50_000, TODAY + 1
TERMS = DiscountTerms(Decimal("0.02"))


class World(TradeBench):
    """Bills of FACE, drawn by DRAWER on ACCEPTOR for PAYEE."""

    def __init__(self, kind="law", rules=RULES):
        super().__init__(Bills(rules), kind)

    def drawing(self, asset=250, **changed):
        one = a.Draw(
            id=self.id(), signers=(DRAWER,), asset=asset, drawer=party(DRAWER), acceptor=ACCEPTOR,
            payee=party(PAYEE), amount_minor=FACE, due_day=DUE,
        )  # fmt: skip
        return replace(one, **changed)

    def drawn(self, asset=250, **changed):
        return part_id(self.must(self.drawing(asset, **changed)), "piece")

    def accepted(self, asset=250, **changed):
        piece = self.drawn(asset, **changed)
        self.must(self.act(a.Accept, piece, ACCEPTOR))
        return piece

    def held(self, asset=250, **changed):
        return self.then(a.Deliver, self.accepted(asset, **changed), DRAWER, PAYEE)

    def discounted(self, asset=250):
        return self.then(a.Discount, self.held(asset), PAYEE, BANK, taker=party(BANK), terms=TERMS)

    def endorsed(self, piece, *takers, **mark):
        for taker in takers:
            piece = self.then(a.Endorse, piece, self.holder(piece), taker, taker=party(taker), **mark)
        return piece

    def pledged(self, piece, enforce_day=SOON):
        signers = self.holder(piece), TAKER
        self.must(self.act(a.Pledge, piece, *signers, taker=party(TAKER), enforce_day=enforce_day))
        return piece

    def refused_at(self, piece, day=DUE):
        self.to_day(day)
        self.must(self.act(a.Present, piece, self.holder(piece)))
        self.must(self.act(a.Refuse, piece, ACCEPTOR, reason="no funds"))
        return piece

    def settled(self, piece, payer, costs_minor=0):
        self.must(self.act(a.Claim, piece, self.holder(piece), against=payer, costs_minor=costs_minor))
        return self.then(a.Settle, piece, payer, payer=party(payer), costs_minor=costs_minor)

    def act(self, kind, piece, *signers, **fields):
        return kind(id=self.id(), signers=signers, piece=piece, **fields)

    def then(self, kind, piece, *signers, **fields):
        """The piece that an act makes."""
        return part_id(self.must(self.act(kind, piece, *signers, **fields)), "piece")

    def split(self, piece, *parts):
        id = self.must(self.act(a.Split, piece, self.holder(piece), amounts_minor=parts))
        return [part_id(id, f"piece {n}") for n in range(len(parts))]

    def holder(self, piece):
        return self.instrument.pieces[piece].holder.owner

    def stage(self, piece):
        return self.instrument.pieces[piece].stage

    def liable(self, piece):
        return list(self.instrument.liable(piece))


@pytest.fixture(params=LEDGERS)
def world(request):
    return World(request.param)


# --- the table of powers, cell by cell


def standing(world, stage):
    """A piece at a stage; whoever must act has what it takes."""
    match stage:
        case Stage.DRAWN:
            return world.drawn()
        case Stage.ACCEPTED:
            return world.accepted()
        case Stage.HELD:
            return world.held()
        case Stage.DISCOUNTED:
            return world.discounted()
        case Stage.PLEDGED:
            return world.pledged(world.held())
        case Stage.CLOSED:
            piece = world.drawn()
            world.must(world.act(a.Decline, piece, ACCEPTOR))
            return piece
    piece = world.held()
    if stage == Stage.REFUSED:
        world.refused_at(piece)
        world.must(world.act(a.Claim, piece, PAYEE, against=DRAWER))
        return piece
    world.to_day(DUE)
    world.must(world.act(a.Present, piece, PAYEE))
    return piece


ACTS = {
    # act -> its class, and its other fields
    "accept": (a.Accept, {}),
    "decline": (a.Decline, {}),
    "withdraw": (a.Withdraw, {}),
    "guarantee": (a.Guarantee, {"guarantor": GUARANTOR, "principal": DRAWER}),
    "deliver": (a.Deliver, {}),
    "split": (a.Split, {"amounts_minor": (1, FACE - 1)}),
    "endorse": (a.Endorse, {"taker": party(TAKER)}),
    "discount": (a.Discount, {"taker": party(BANK), "terms": TERMS}),
    "interbank": (a.Interbank, {"taker": party(BANK_2), "terms": TERMS}),
    "rediscount": (a.Rediscount, {"taker": party(CENTRAL), "terms": TERMS}),
    "pledge": (a.Pledge, {"taker": party(TAKER), "enforce_day": SOON}),
    "release": (a.Release, {}),
    "enforce": (a.Enforce, {}),
    "present": (a.Present, {}),
    "pay": (a.Pay, {"cash": 100 + ACCEPTOR}),
    "refuse": (a.Refuse, {"reason": "no funds"}),
    "protest": (a.Protest, {}),
    "claim": (a.Claim, {"against": DRAWER}),
    "settle": (a.Settle, {"payer": party(DRAWER)}),
}
WHEN = {"enforce": SOON, "present": DUE, "protest": DUE + 3}
CELLS = {
    # (act, stage): who must sign, stage of the pieces that live afterwards
    ("accept", "drawn"): ({ACCEPTOR}, "accepted"),
    ("decline", "drawn"): ({ACCEPTOR}, None),
    ("withdraw", "drawn"): ({DRAWER}, None),
    ("withdraw", "accepted"): ({DRAWER}, None),
    ("guarantee", "drawn"): ({GUARANTOR}, "drawn"),
    ("guarantee", "accepted"): ({GUARANTOR}, "accepted"),
    ("guarantee", "held"): ({GUARANTOR}, "held"),
    ("deliver", "accepted"): ({DRAWER, PAYEE}, "held"),
    ("split", "held"): ({PAYEE}, "held"),
    ("split", "discounted"): ({BANK}, "discounted"),
    ("endorse", "held"): ({PAYEE, TAKER}, "held"),
    ("discount", "held"): ({PAYEE, BANK}, "discounted"),
    ("interbank", "discounted"): ({BANK, BANK_2}, "discounted"),
    ("rediscount", "discounted"): ({BANK, CENTRAL}, "discounted"),
    ("pledge", "held"): ({PAYEE, TAKER}, "pledged"),
    ("pledge", "discounted"): ({BANK, TAKER}, "pledged"),
    ("release", "pledged"): ({TAKER}, "held"),
    ("enforce", "pledged"): ({TAKER}, "held"),
    ("present", "held"): ({PAYEE}, "presented"),
    ("present", "discounted"): ({BANK}, "presented"),
    ("pay", "presented"): ({ACCEPTOR}, None),
    ("refuse", "presented"): ({ACCEPTOR}, "refused"),
    ("protest", "presented"): ({PAYEE}, "refused"),
    ("claim", "refused"): ({PAYEE}, "refused"),
    ("settle", "refused"): ({DRAWER}, "refused"),
}


def test_the_table_has_the_cells_that_are_tried():
    cells = {(act, str(stage)) for act, row in POWERS.items() for stage in row}
    assert cells == set(CELLS)
    assert list(POWERS) == list(ACTS)
    assert {kind.__name__.lower() for kind in [*a.OnPiece.__subclasses__(), *a.Sale.__subclasses__()]} - {
        "sale"
    } == set(POWERS)


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", ACTS)
def test_each_cell(kind, name, stage):
    """An empty cell refuses whoever signs; another one refuses when any signature is missing, and else is applied."""
    world = World(kind)
    piece, (act, fields) = standing(world, stage), ACTS[name]
    world.to_day(WHEN.get(name, world.day))
    everybody = tuple(range(1, 10))
    if (name, stage) not in CELLS:
        assert world.refused(world.act(act, piece, *everybody, **fields)) == R.ACT_IS_NOT_ALLOWED_NOW
        return
    signers, after = CELLS[name, stage]
    for one in signers:
        rest = [other for other in everybody if other != one]
        assert world.refused(world.act(act, piece, *rest, **fields)) == R.SIGNATURE_IS_MISSING
    world.must(world.act(act, piece, *signers, **fields))
    [bill] = world.instrument.bills
    stages = {world.stage(one) for one in world.instrument.live(bill)}
    assert stages == ({after} if after else set())
    world.check_conserved()
    world.check_replay(Bills(RULES))


# --- what acts do


def test_units_are_divided_and_paid(world):
    """A package of 50,000 units of 0.01: each unit is in one live piece, and is paid once."""
    piece = world.held()
    bill = world.instrument.pieces[piece].bill
    a1, b1, c1 = world.split(piece, 1, 9_999, 40_000)
    b2 = world.endorsed(b1, TAKER)
    d1, d2 = world.split(b2, 4_999, 5_000)
    ranges = [(one.first, one.last) for one in map(world.instrument.pieces.get, world.instrument.live(bill))]
    assert ranges == [(1, 1), (2, 5_000), (5_001, 10_000), (10_001, 50_000)]
    world.to_day(DUE)
    for one in (a1, c1, d1, d2):
        world.must(world.act(a.Present, one, world.holder(one)))
        world.must(world.act(a.Pay, one, ACCEPTOR, cash=100 + ACCEPTOR))
    assert world.has(100 + ACCEPTOR) == FUNDS_MINOR - FACE
    assert world.has(100 + TAKER) == FUNDS_MINOR + 9_999
    assert world.has(part_id(bill, "obligation")) == 0
    assert world.instrument.live(bill) == []


def test_discount_interbank_rediscount(world):
    """2 % a year on Actual/360: 180 days before it is due, then 90, then 30."""
    piece = world.discounted()
    assert world.has(100 + PAYEE) == FUNDS_MINOR + FACE - 500
    world.to_day(DUE - 90)
    piece = world.then(a.Interbank, piece, BANK, BANK_2, taker=party(BANK_2), terms=TERMS)
    world.to_day(DUE - 30)
    piece = world.then(a.Rediscount, piece, BANK_2, CENTRAL, taker=party(CENTRAL), terms=TERMS)
    assert world.has(100 + BANK) == FUNDS_MINOR + 500 - 250
    assert world.has(100 + BANK_2) == FUNDS_MINOR + 250 - 83
    assert world.has(100 + CENTRAL) == FUNDS_MINOR - FACE + 83
    assert world.liable(piece) == [ACCEPTOR, DRAWER, PAYEE, BANK, BANK_2]


def test_the_drawer_pays_the_discount(world):
    terms = DiscountTerms(Decimal("0.02"), shares=(InterestShare(party(DRAWER), 1),))
    sale = {"taker": party(BANK), "terms": terms}
    piece = world.held()
    assert world.refused(world.act(a.Discount, piece, PAYEE, BANK, **sale)) == R.SIGNATURE_IS_MISSING
    world.then(a.Discount, piece, PAYEE, BANK, DRAWER, **sale)
    assert [world.has(100 + n) - FUNDS_MINOR for n in (PAYEE, BANK, DRAWER)] == [FACE, -FACE + 500, -500]


def test_the_mark_not_transferable(world):
    """The drawer's stops all transfers; an endorser's stops those after its own. It can still be presented."""
    drawers = world.held(transferable=False)
    assert world.refused(world.act(a.Endorse, drawers, PAYEE, TAKER, taker=party(TAKER))) == R.BILL_IS_NOT_TRANSFERABLE
    last = world.endorsed(world.held(251), TAKER, transferable=False)
    for kind, taker in ((a.Discount, BANK), (a.Endorse, OTHER), (a.Pledge, OTHER)):
        fields = {"taker": party(taker), **({"terms": TERMS} if kind is a.Discount else {})}
        fields |= {"enforce_day": 0} if kind is a.Pledge else {}
        assert world.refused(world.act(kind, last, TAKER, taker, **fields)) == R.BILL_IS_NOT_TRANSFERABLE
    part = world.split(last, 1, FACE - 1)[0]
    world.to_day(DUE)
    world.must(world.act(a.Present, part, TAKER))


def test_a_pledge_is_a_hold(world):
    piece = world.pledged(world.held())
    assert balances(world.ledger)[piece].debits_held_minor == FACE
    world.to_day(SOON)
    world.must(world.act(a.Enforce, piece, TAKER))
    [taken] = world.instrument.live(world.instrument.pieces[piece].bill)
    assert (world.holder(taken), world.has(taken)) == (TAKER, FACE)
    assert world.instrument.pieces[taken].liable[-1] == Liable(PAYEE, Capacity.ENDORSER)


def test_a_pledged_discounted_piece_stays_among_banks(world):
    piece = world.pledged(world.discounted())
    world.must(world.act(a.Release, piece, TAKER))
    assert world.stage(piece) == Stage.DISCOUNTED


def test_a_bank_bill_is_one_that_a_bank_accepted(world):
    commercial, bank = world.must(world.drawing(250)), world.must(world.drawing(251, acceptor=BANK))
    assert (world.instrument.is_bank_bill(commercial), world.instrument.is_bank_bill(bank)) == (False, True)


def test_a_withdrawn_bill_owes_nothing(world):
    piece = world.accepted()
    assert world.has(piece) == FACE
    world.must(world.act(a.Withdraw, piece, DRAWER))
    assert world.has(piece) == 0


def test_the_acceptor_that_holds_its_bill_pays_nobody(world):
    piece = world.endorsed(world.held(), ACCEPTOR)
    world.to_day(DUE)
    world.must(world.act(a.Present, piece, ACCEPTOR))
    world.must(world.act(a.Pay, piece, ACCEPTOR, cash=100 + ACCEPTOR))
    assert world.has(100 + ACCEPTOR) == FUNDS_MINOR


# --- recourse


def test_recourse_and_recourse_again(world):
    """The holder chooses whom it asks; who pays keeps the rights against those before it, up to the acceptor."""
    piece = world.refused_at(world.endorsed(world.held(), TAKER, OTHER))
    assert world.liable(piece) == [ACCEPTOR, DRAWER, PAYEE, TAKER]
    piece = world.settled(piece, TAKER, costs_minor=70)
    assert (world.holder(piece), world.liable(piece)) == (TAKER, [ACCEPTOR, DRAWER, PAYEE])
    assert world.has(100 + OTHER) == FUNDS_MINOR + FACE + 70
    piece = world.settled(piece, DRAWER)
    assert (world.holder(piece), world.liable(piece)) == (DRAWER, [ACCEPTOR])
    bill = world.instrument.pieces[piece].bill
    world.settled(piece, ACCEPTOR, costs_minor=5)
    assert world.instrument.live(bill) == []
    assert world.has(part_id(bill, "obligation")) == 0
    gains = [world.has(100 + n) - FUNDS_MINOR for n in (ACCEPTOR, DRAWER, PAYEE, TAKER, OTHER)]
    assert gains == [-FACE - 5, 5, 0, -70, FACE + 70]


def test_a_guarantor_stands_behind_its_principal(world):
    piece = world.endorsed(world.held(), TAKER)
    world.must(world.act(a.Guarantee, piece, GUARANTOR, guarantor=GUARANTOR, principal=PAYEE))
    world.must(world.act(a.Guarantee, piece, OTHER, guarantor=OTHER, principal=PAYEE))
    world.must(world.act(a.Guarantee, piece, BANK, guarantor=BANK, principal=ACCEPTOR))
    world.refused_at(piece)
    assert world.liable(piece) == [ACCEPTOR, BANK, DRAWER, PAYEE, GUARANTOR, OTHER]
    piece = world.settled(piece, GUARANTOR)
    assert world.liable(piece) == [ACCEPTOR, BANK, DRAWER, PAYEE]
    piece = world.settled(piece, BANK)
    assert world.liable(piece) == [ACCEPTOR]


@pytest.mark.parametrize(("late", "expected"), [(0, [1, 2, 3, 8]), (10, [1, 2, 3, 8]), (11, [1, 2, 8])])
def test_who_presents_too_late_keeps_acceptor_and_drawer(world, late, expected):
    piece = world.held()
    world.must(world.act(a.Guarantee, piece, GUARANTOR, guarantor=GUARANTOR, principal=DRAWER))
    piece = world.refused_at(world.endorsed(piece, TAKER), DUE + late)
    assert sorted(world.liable(piece)) == expected


@pytest.mark.parametrize(
    ("takers", "expected"),
    [
        ((TAKER, PAYEE), [ACCEPTOR, DRAWER]),
        ((TAKER, DRAWER), [ACCEPTOR]),
        ((TAKER, ACCEPTOR), []),
        ((TAKER, OTHER, TAKER), [ACCEPTOR, DRAWER, PAYEE]),
    ],
)
def test_who_had_it_before_claims_only_of_those_before(world, takers, expected):
    assert world.liable(world.refused_at(world.endorsed(world.held(), *takers))) == expected


# --- what the ledger itself refuses


def test_a_piece_is_spent_once(world):
    piece = world.held()
    acts = [
        world.act(a.Endorse, piece, PAYEE, TAKER, taker=party(TAKER)),
        world.act(a.Pledge, piece, PAYEE, TAKER, taker=party(TAKER), enforce_day=SOON),
        world.act(a.Discount, piece, PAYEE, BANK, taker=party(BANK), terms=TERMS),
    ]
    steps = [world.instrument.decide(act, world.now_ms) for act in acts]
    for step in steps:
        world.ledger.open_accounts(step.accounts, world.now_ms, world.day)
    for one in steps:
        for two in steps:
            if one is not two:
                answers = world.ledger.transfer(chained([*one.transfers, *two.transfers]), world.now_ms, world.day)
                assert {answer.outcome for answer in answers} == {
                    TransferOutcome.CHAIN_FAILED, TransferOutcome.BALANCE_IS_TOO_LOW,
                }  # fmt: skip
    assert world.has(piece) == FACE


def test_a_repeat_is_answered_as_before(world):
    piece = world.held()
    act = world.act(a.Discount, piece, PAYEE, BANK, taker=party(BANK), terms=TERMS)
    world.must(act)
    before = world.everything()
    world.to_day(DUE + 1)
    assert world.do(act).applied
    assert world.everything() == before


# --- a row for every refusal, in order of precedence


def prepared(kind):
    world = World(kind)
    w = SimpleNamespace(
        world=world, drawn=world.drawn(210), held=world.held(211), whole=world.held(212, divisible=False)
    )
    w.pledged, w.marked = world.pledged(world.held(213)), world.held(214, transferable=False)
    w.discounted = world.discounted(215)
    w.tiny = world.held(216, amount_minor=1)
    return w


def refused(w):
    """Another bill that was refused, with a claim of 5 on its drawer."""
    w.refused = w.world.refused_at(w.world.held(217))
    w.world.must(w.world.act(a.Claim, w.refused, PAYEE, against=DRAWER, costs_minor=5))


def endorse(w, piece, to=TAKER, **changed):
    return replace(w.world.act(a.Endorse, piece, PAYEE, to, taker=party(to)), **changed)


def sell(w, piece, kind=a.Discount, taker=BANK, **terms):
    everybody = tuple(range(1, 10))
    return w.world.act(kind, piece, *everybody, taker=party(taker), terms=replace(TERMS, **terms))


def split(w, piece, *parts):
    return w.world.act(a.Split, piece, PAYEE, amounts_minor=parts)


def present(w, then, day, **fields):
    w.world.to_day(DUE)
    w.world.must(w.world.act(a.Present, w.held, PAYEE))
    w.world.to_day(day)
    return w.world.act(then, w.held, ACCEPTOR, PAYEE, **fields)


def guarantee(w, guarantor, principal):
    return w.world.act(a.Guarantee, w.held, guarantor, guarantor=guarantor, principal=principal)


def claim(w, against, costs_minor=0):
    return w.world.act(a.Claim, w.refused, PAYEE, against=against, costs_minor=costs_minor)


def settle(w, payer, costs_minor=5):
    return w.world.act(a.Settle, w.refused, payer, payer=party(payer), costs_minor=costs_minor)


NOBODY = (InterestShare(party(DRAWER), 0),)
ROWS = [
    # code, act, day, whether a bill was refused before
    (R.ID_IS_OUT_OF_RANGE, lambda w: w.world.drawing(220, id=0), TODAY, False),
    (R.ID_HAS_OTHER_CONTENT, lambda w: w.world.drawing(220, id=w.world.applied[0][0].id), TODAY, False),
    (R.PIECE_NOT_FOUND, lambda w: w.world.act(a.Accept, 5), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: w.world.drawing(220, acceptor=0, signers=()), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: endorse(w, w.held, taker=Party(TAKER, 0)), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: sell(w, w.drawn, shares=(InterestShare(Party(0, 1), 1),)), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: guarantee(w, 2**128, DRAWER), TODAY, False),
    (R.CASH_ACCOUNT_IS_A_PIECE, lambda w: endorse(w, w.drawn, taker=Party(TAKER, w.held)), TODAY, False),
    (R.CASH_ACCOUNT_IS_A_PIECE, lambda w: w.world.drawing(220, payee=Party(PAYEE, w.held), signers=()), TODAY, False),
    (R.CASH_ACCOUNT_IS_A_PIECE, lambda w: w.world.act(a.Pay, w.drawn, cash=w.held), TODAY, False),
    (R.ACT_IS_NOT_ALLOWED_NOW, lambda w: w.world.act(a.Deliver, w.drawn), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: endorse(w, w.marked, signers=(PAYEE,)), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: w.world.drawing(0, signers=(ACCEPTOR, PAYEE)), TODAY, False),
    (R.BILL_IS_NOT_TRANSFERABLE, lambda w: endorse(w, w.marked), DUE, False),
    (R.BILL_IS_NOT_DIVISIBLE, lambda w: split(w, w.whole, 1), DUE, False),
    (R.BILL_IS_DUE, lambda w: endorse(w, w.held, PAYEE), DUE, False),
    (R.BILL_IS_DUE, lambda w: w.world.act(a.Accept, w.drawn, ACCEPTOR), DUE, False),
    (R.BILL_IS_NOT_DUE, lambda w: w.world.act(a.Present, w.held, PAYEE), DUE - 1, False),
    (R.ACCEPTOR_HAS_TIME, lambda w: present(w, a.Protest, DUE + 2), TODAY, False),
    (R.PLEDGE_CANNOT_BE_ENFORCED_YET, lambda w: w.world.act(a.Enforce, w.pledged, TAKER), TODAY, False),
    (R.ASSET_IS_OUT_OF_RANGE, lambda w: w.world.drawing(0, amount_minor=0), TODAY, False),
    (R.ASSET_IS_TAKEN, lambda w: w.world.drawing(210, amount_minor=0), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: w.world.drawing(220, amount_minor=0, due_day=0), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: split(w, w.held, -1), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: claim(w, 0 + OTHER, AMOUNT_MAX), TODAY, True),
    (R.DUE_DAY_IS_OUT_OF_RANGE, lambda w: w.world.drawing(220, due_day=TODAY, payee=party(DRAWER)), TODAY, False),
    (R.DUE_DAY_IS_OUT_OF_RANGE, lambda w: w.world.drawing(220, due_day=months_later(TODAY, 6) + 1), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: w.world.drawing(220, payee=party(DRAWER)), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: endorse(w, w.held, PAYEE), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: sell(w, w.held, taker=PAYEE), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: guarantee(w, DRAWER, OTHER), TODAY, False),
    (R.PARTY_IS_NO_BANK, lambda w: sell(w, w.held, taker=TAKER, rate=Decimal(1)), TODAY, False),
    (R.PARTY_IS_NO_BANK, lambda w: sell(w, w.discounted, a.Interbank, CENTRAL), TODAY, False),
    (R.PARTY_IS_NO_BANK, lambda w: sell(w, w.discounted, a.Rediscount, BANK_2), TODAY, False),
    (R.PARTS_ARE_WRONG, lambda w: split(w, w.held, FACE), TODAY, False),
    (R.PARTS_ARE_WRONG, lambda w: split(w, w.held, 1, FACE), TODAY, False),
    (R.RATE_IS_OUT_OF_RANGE, lambda w: sell(w, w.held, rate=Decimal(0), shares=NOBODY), TODAY, False),
    (R.SHARES_ARE_WRONG, lambda w: sell(w, w.tiny, rounding="ROUND_UP", shares=NOBODY), TODAY, False),
    (R.INTEREST_EXCEEDS_FACE, lambda w: sell(w, w.tiny, rounding="ROUND_UP"), TODAY, False),
    (R.PRINCIPAL_IS_NOT_LIABLE, lambda w: guarantee(w, GUARANTOR, OTHER), TODAY, False),
    (R.GUARANTORS_ARE_USED_UP, lambda w: guarantee(w, GUARANTOR, DRAWER), TODAY, False),
    (R.REASON_IS_WRONG, lambda w: present(w, a.Refuse, DUE, reason=" "), TODAY, False),
    (R.REASON_IS_WRONG, lambda w: present(w, a.Refuse, DUE, reason="x" * 201), TODAY, False),
    (R.PARTY_IS_NOT_LIABLE, lambda w: claim(w, OTHER), TODAY, True),
    (R.PARTY_IS_NOT_LIABLE, lambda w: settle(w, OTHER), TODAY, True),
    (R.PARTY_HAS_NO_CLAIM, lambda w: settle(w, ACCEPTOR), TODAY, True),
    (R.CLAIM_HAS_OTHER_AMOUNT, lambda w: settle(w, DRAWER, 4), TODAY, True),
]  # fmt: skip


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize(("code", "make", "day", "late"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_each_refusal(kind, code, make, day, late, monkeypatch):
    w = prepared(kind)
    if late:
        refused(w)
    if code == R.GUARANTORS_ARE_USED_UP:
        monkeypatch.setattr(judging.a, "GUARANTORS_MAX", 0)
    w.world.to_day(day)
    assert w.world.refused(make(w)) == code


def test_rows_are_all_refusals_in_order():
    assert list(dict.fromkeys(row[0] for row in ROWS)) == list(R)


def test_every_refusal_has_titles():
    assert all(one.en and one.zh and one == one.name for one in R)
    assert len({one.zh for one in R}) == len({one.en for one in R}) == len(R)


def test_the_longest_term_is_a_setting():
    world = World(rules=a.Rules(term_months_max=12))
    world.must(world.drawing(due_day=months_later(TODAY, 12)))
    assert world.refused(world.drawing(251, due_day=months_later(TODAY, 12) + 1)) == R.DUE_DAY_IS_OUT_OF_RANGE


def test_the_table_reads_as_it_is_written():
    assert len(TABLE.strip().splitlines()) == len(POWERS) + 1
    assert POWERS["deliver"] == {Stage.ACCEPTED: ("drawer", "payee")}


def test_the_page_names_every_refusal_in_order():
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "circulate-a-bill.md").read_text(encoding="utf-8")
    told = page.split("## Why an")[1].split("Titles in English")[0]
    assert re.findall(r"`([A-Z_]+)`", told) == [one.name for one in R]
    assert TABLE.strip() in page
