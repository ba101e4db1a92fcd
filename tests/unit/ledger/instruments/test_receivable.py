"""Receivables case by case: a row for every refusal, each action's effect, the register of invoices."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from trade_bench import FUNDS_MINOR, LEDGERS, TODAY, TradeBench, balances, party

from quanheng.kernel.errors import NotFound
from quanheng.ledger.entries import AMOUNT_MAX, BATCH_MAX, Account, AccountFlag, Amendment, Transfer, chained
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.discount import DayCount, DiscountTerms, InterestShare
from quanheng.ledger.instruments.receivable import judging
from quanheng.ledger.instruments.receivable.actions import (
    PARTS_MAX,
    PIECES_MAX,
    Accept,
    Assign,
    Claim,
    Decline,
    Default,
    Discount,
    Enforce,
    Invoice,
    Issue,
    PayClaim,
    Pledge,
    ReceivableRefusal,
    Release,
    Repay,
    Rules,
    Split,
)
from quanheng.ledger.instruments.receivable.receivables import Receivables, part_id
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome

DEBTOR, SUPPLIER, SECOND, THIRD, LENDER = 1, 2, 3, 4, 5
DUE, FACE = TODAY + 90, 100_000
DEPOSIT = 109
R = ReceivableRefusal
TERMS = DiscountTerms(Decimal("0.036"))


RULES = Rules(grace_days=2, deposit_account=DEPOSIT)


class World(TradeBench):
    """Receivables with grace of 2 days and a deposit account; each is against DEBTOR, drawn up by SUPPLIER."""

    def __init__(self, kind="law", rules=RULES):
        super().__init__(Receivables(rules), kind)

    def issue(self, asset=200, **changed):
        one = Issue(
            id=self.id(), signers=(SUPPLIER,), asset=asset, debtor=DEBTOR, supplier=party(SUPPLIER),
            amount_minor=FACE, currency="CNY", due_day=DUE, invoices=(Invoice("913100", f"INV-{asset}", FACE),),
        )  # fmt: skip
        return replace(one, **changed)

    def accepted(self, asset=200):
        receivable = self.must(self.issue(asset))
        self.must(Accept(id=self.id(), signers=(DEBTOR,), receivable=receivable))
        return receivable, self.instrument.receivables[receivable].first_piece

    def split(self, piece, *amounts):
        id = self.must(Split(id=self.id(), signers=(self.holder(piece),), piece=piece, amounts_minor=amounts))
        return [part_id(id, f"piece {n}") for n in range(len(amounts))]

    def assign(self, piece, taker, with_recourse=True):
        return part_id(self.must(self.assigning(piece, taker, with_recourse)), "piece")

    def assigning(self, piece, taker, with_recourse=True):
        signers = self.holder(piece), taker
        return Assign(id=self.id(), signers=signers, piece=piece, taker=party(taker), with_recourse=with_recourse)

    def pledging(self, piece, pledgee=LENDER, enforce_day=TODAY + 30):
        signers = self.holder(piece), pledgee
        return Pledge(id=self.id(), signers=signers, piece=piece, pledgee=party(pledgee), enforce_day=enforce_day)

    def discounting(self, piece, buyer=LENDER, terms=TERMS, signers=None, with_recourse=True):
        signers = signers or (self.holder(piece), buyer)
        buyer = party(buyer)
        return Discount(
            id=self.id(), signers=signers, piece=piece, buyer=buyer, terms=terms, with_recourse=with_recourse
        )

    def repaying(self, receivable, deposited=(), cash=100 + DEBTOR, signers=(DEBTOR,), part=0):
        return Repay(
            id=self.id(), signers=signers, receivable=receivable, cash=cash, deposited=deposited, amount_minor=part
        )  # fmt: skip

    def defaulted(self, piece):
        self.to_day(DUE + 3)
        self.must(Default(id=self.id(), signers=(self.holder(piece),), piece=piece))

    def holder(self, piece):
        return self.instrument.pieces[piece].holder.owner


@pytest.fixture(params=LEDGERS)
def world(request):
    return World(request.param)


# --- what each action does


def test_nothing_moves_before_the_debtor_accepts(world):
    receivable = world.must(world.issue())
    assert world.instrument.outstanding_minor(receivable) == 0
    assert not any(id == part_id(receivable, "obligation") for id in balances(world.ledger))
    world.must(Accept(id=world.id(), signers=(DEBTOR,), receivable=receivable))
    one = world.instrument.receivables[receivable]
    assert (world.has(one.obligation), world.has(one.first_piece)) == (-FACE, FACE)
    assert world.instrument.outstanding_minor(receivable) == FACE


def test_who_declines_frees_the_invoices(world):
    receivable = world.must(world.issue())
    assert world.refused(world.issue(201, invoices=(Invoice("９１３１００", "inv 200", 1),))) == R.INVOICE_IS_FINANCED
    world.must(Decline(id=world.id(), signers=(SUPPLIER,), receivable=receivable))
    world.must(world.issue(201, invoices=(Invoice("913100", "INV-200", FACE),)))


def test_split_assign_repay(world):
    receivable, first = world.accepted()
    a, b, c = world.split(first, 10_000, 20_000, 70_000)
    b2 = world.assign(b, SECOND)
    b3 = world.assign(b2, THIRD, with_recourse=False)
    assert [world.has(one) for one in (first, a, b, b2, b3, c)] == [0, 10_000, 0, 0, 20_000, 70_000]
    world.to_day(DUE)
    world.must(world.repaying(receivable))
    assert world.has(100 + DEBTOR) == FUNDS_MINOR - FACE
    assert world.has(100 + SUPPLIER) == FUNDS_MINOR + 80_000
    assert world.has(100 + THIRD) == FUNDS_MINOR + 20_000
    assert world.has(part_id(receivable, "obligation")) == 0
    assert world.instrument.receivables[receivable].stage == "REPAID"
    line = world.instrument.lineage(b3)
    assert (line.receivable, line.debtor, line.supplier) == (receivable, DEBTOR, SUPPLIER)
    assert line.path == (first, b, b2, b3)
    assert line.invoices == (Invoice("913100", "INV-200", FACE),)
    world.check_conserved()
    world.check_replay(Receivables(world.instrument.rules))


def test_no_lineage_of_what_is_not_there(world):
    with pytest.raises(NotFound, match=r"there is no piece with this number; was 5\. Look in `pieces`"):
        world.instrument.lineage(5)


def test_the_seller_pays_the_discount(world):
    _, first = world.accepted()
    world.must(world.discounting(first))
    interest = FACE * 36 * 90 // 360_000  # 3.6 % for 90 of 360 days: 900
    assert interest == 900
    assert world.has(100 + SUPPLIER) == FUNDS_MINOR + FACE - interest
    assert world.has(100 + LENDER) == FUNDS_MINOR - FACE + interest


def test_the_debtor_and_the_seller_share_the_discount(world):
    _, first = world.accepted()
    shares = InterestShare(party(DEBTOR), 2), InterestShare(party(SUPPLIER), 1)
    terms = DiscountTerms(Decimal("0.0365"), DayCount.ACTUAL_365_FIXED, extra_days=1, shares=shares)
    action = world.discounting(first, terms=terms)
    assert world.refused(action) == R.SIGNATURE_IS_MISSING
    world.must(replace(action, signers=(SUPPLIER, LENDER, DEBTOR)))
    assert world.has(100 + LENDER) == FUNDS_MINOR - FACE + 910
    assert world.has(100 + DEBTOR) == FUNDS_MINOR - 607  # 606 2/3 and 303 1/3: the largest remainder first.
    assert world.has(100 + SUPPLIER) == FUNDS_MINOR + FACE - 303


def test_a_pledge_holds_the_piece_and_its_money_goes_to_the_pledgee(world):
    receivable, first = world.accepted()
    world.must(world.pledging(first))
    assert balances(world.ledger)[first].debits_held_minor == FACE
    world.to_day(DUE)
    world.must(world.repaying(receivable))
    assert world.has(100 + LENDER) == FUNDS_MINOR + FACE
    assert balances(world.ledger)[first].debits_held_minor == 0


def test_a_released_piece_is_free_again(world):
    _, first = world.accepted()
    world.must(world.pledging(first))
    world.must(Release(id=world.id(), signers=(LENDER,), piece=first))
    world.must(world.pledging(first, SECOND))
    world.must(Release(id=world.id(), signers=(SECOND,), piece=first))
    assert world.has(world.assign(first, THIRD)) == FACE


def test_an_enforced_pledge_gives_the_piece_with_recourse(world):
    _, first = world.accepted()
    world.must(world.pledging(first))
    world.to_day(TODAY + 30)
    world.must(Enforce(id=world.id(), signers=(LENDER,), piece=first))
    taken = next(iter(world.instrument.live[world.instrument.pieces[first].receivable]))
    assert world.holder(taken) == LENDER
    assert judging.liable(world.instrument.pieces[taken]) == {SUPPLIER: 0}


def test_recourse_goes_back_along_those_with_recourse(world):
    receivable, first = world.accepted()
    at = first
    for taker, with_recourse in ((SECOND, True), (THIRD, False), (LENDER, True)):
        # Given on by SUPPLIER with, by SECOND without, by THIRD with recourse.
        at = world.assign(at, taker, with_recourse)
    world.defaulted(at)
    assert judging.liable(world.instrument.pieces[at]) == {SUPPLIER: 0, THIRD: 2}
    world.must(Claim(id=world.id(), signers=(LENDER,), piece=at, against=THIRD, costs_minor=50))
    paid = world.must(PayClaim(id=world.id(), signers=(THIRD,), piece=at, payer=party(THIRD), costs_minor=50))
    at = part_id(paid, "piece")
    assert (world.holder(at), world.has(at), world.has(100 + LENDER)) == (THIRD, FACE, FUNDS_MINOR + FACE + 50)
    assert judging.liable(world.instrument.pieces[at]) == {SUPPLIER: 0}
    world.must(Claim(id=world.id(), signers=(THIRD,), piece=at, against=SUPPLIER))
    paid = world.must(PayClaim(id=world.id(), signers=(SUPPLIER,), piece=at, payer=party(SUPPLIER)))
    at = part_id(paid, "piece")
    assert judging.liable(world.instrument.pieces[at]) == {}
    world.must(world.repaying(receivable))  # Late, to who paid for it in the end.
    assert world.has(100 + SUPPLIER) == FUNDS_MINOR
    assert world.has(100 + THIRD) == FUNDS_MINOR - 50
    world.check_replay(Receivables(world.instrument.rules))


def test_who_had_it_before_cannot_claim_of_those_after(world):
    _, at = world.accepted()
    for taker in (SECOND, THIRD, SECOND):
        at = world.assign(at, taker)
    assert judging.liable(world.instrument.pieces[at]) == {SUPPLIER: 0}


def test_a_debtor_that_holds_its_own_debt_pays_itself_nothing(world):
    receivable, first = world.accepted()
    world.assign(first, DEBTOR)
    world.to_day(DUE)
    world.must(world.repaying(receivable))
    assert world.has(100 + DEBTOR) == FUNDS_MINOR


def test_part_of_the_debt_is_paid_to_each_in_proportion_and_nothing_is_left_over(world):
    """100 of 100 000 on pieces of a half, a third and a sixth: 50, 33.3 and 16.7."""
    receivable, first = world.accepted()
    half, third, sixth = world.split(first, 50_000, 33_333, 16_667)
    second, last = world.assign(third, SECOND), world.assign(sixth, THIRD)
    world.to_day(DUE)
    world.must(world.repaying(receivable, part=100))
    assert [world.has(100 + n) - FUNDS_MINOR for n in (DEBTOR, SUPPLIER, SECOND, THIRD)] == [-100, 50, 33, 17]
    book = world.instrument
    assert [book.pieces[one].owed_minor for one in (half, second, last)] == [49_950, 33_300, 16_650]
    assert book.outstanding_minor(receivable) == FACE - 100
    assert book.receivables[receivable].stage == "OUTSTANDING"
    assert world.refused(world.repaying(receivable, part=FACE)) == R.AMOUNT_IS_OUT_OF_RANGE
    world.must(world.repaying(receivable, part=FACE - 100))
    assert book.receivables[receivable].stage == "REPAID"
    assert world.has(100 + THIRD) == FUNDS_MINOR + 16_667
    world.check_replay(Receivables(world.instrument.rules))


def test_a_pledge_holds_what_is_still_owed_and_its_part_goes_to_the_pledgee(world):
    receivable, first = world.accepted()
    world.must(world.pledging(first, enforce_day=DUE))
    world.to_day(DUE)
    world.must(world.repaying(receivable, part=30_000))
    assert world.has(100 + LENDER) == FUNDS_MINOR + 30_000
    assert balances(world.ledger)[first].debits_held_minor == FACE - 30_000
    enforced = world.must(Enforce(id=world.id(), signers=(LENDER,), piece=first))
    piece = world.instrument.pieces[world.instrument.pieces[first].pledge.pledgee_piece]
    assert (piece.holder.owner, piece.owed_minor, world.instrument.pieces[first].spent_by) == (LENDER, 70_000, enforced)
    world.must(world.repaying(receivable))
    assert world.has(100 + LENDER) == FUNDS_MINOR + FACE


def test_recourse_is_for_what_is_still_owed(world):
    receivable, first = world.accepted()
    at = world.assign(world.assign(first, SECOND), THIRD)
    world.to_day(DUE)
    world.must(world.repaying(receivable, part=60_000))
    world.defaulted(at)
    world.must(Claim(id=world.id(), signers=(THIRD,), piece=at, against=SECOND, costs_minor=5))
    # What the debtor pays after the claim is no longer to be paid by who was asked.
    world.must(world.repaying(receivable, part=10_000))
    paid = world.must(PayClaim(id=world.id(), signers=(SECOND,), piece=at, payer=party(SECOND), costs_minor=5))
    assert world.has(100 + THIRD) == FUNDS_MINOR + FACE + 5
    back = world.instrument.pieces[part_id(paid, "piece")]
    assert (back.holder.owner, back.amount_minor, back.owed_minor) == (SECOND, FACE, 30_000)
    world.must(world.repaying(receivable))
    assert world.has(100 + SECOND) == FUNDS_MINOR - 5
    world.check_replay(Receivables(world.instrument.rules))


def test_a_part_that_is_less_than_the_pieces_pays_some_of_them(world):
    receivable, first = world.accepted()
    parts = world.split(first, 1, 1, FACE - 2)
    world.to_day(DUE)
    world.must(world.repaying(receivable, part=FACE - 1))
    owed = [world.instrument.pieces[one].owed_minor for one in parts]
    assert sum(owed) == 1
    live = {one for one, rest in zip(parts, owed, strict=True) if rest}
    assert world.instrument.live[receivable] == live, "what is paid whole is spent"
    world.must(world.repaying(receivable, part=1))
    assert world.instrument.live[receivable] == set()


def test_one_holder_cannot_block_the_others(world):
    receivable, first = world.accepted()
    a, _ = world.split(first, 1, FACE - 1)
    blocked = world.assign(a, THIRD)
    world.ledger.amend_accounts([Amendment(100 + THIRD, int(AccountFlag.CREDITS_FROZEN))], world.now_ms, world.day)
    world.to_day(DUE)
    assert world.refused(world.repaying(receivable)) == TransferOutcome.CREDIT_ACCOUNT_IS_FROZEN
    world.must(world.repaying(receivable, (blocked,)))
    assert world.has(DEPOSIT) == FUNDS_MINOR + 1


def test_the_most_pieces_all_pledged_are_repaid_in_one_chain():
    world = World("core")
    receivable, first = world.accepted()
    twenty = world.split(first, *[5_000] * 20)
    many = [piece for one in twenty for piece in world.split(one, *[50] * PARTS_MAX)]
    assert len(many) == PIECES_MAX
    assert world.refused(replace(split_of(many[0]), id=world.id())) == R.PIECES_ARE_USED_UP
    for piece in many:
        world.must(world.pledging(piece))
    world.to_day(DUE)
    step = world.instrument.decide(world.repaying(receivable), world.now_ms)
    assert len(step.transfers) == 3 * PIECES_MAX < BATCH_MAX
    part = world.repaying(receivable, part=FACE // 2)
    assert len(world.instrument.decide(part, world.now_ms).transfers) == 4 * PIECES_MAX < BATCH_MAX
    world.must(part)
    assert world.has(100 + LENDER) == FUNDS_MINOR + FACE // 2
    world.must(world.repaying(receivable))
    assert world.has(100 + LENDER) == FUNDS_MINOR + FACE


def split_of(piece):
    return Split(id=1, signers=(SUPPLIER,), piece=piece, amounts_minor=(1, 49))


# --- what the ledger itself refuses


def test_a_piece_cannot_be_spent_twice_in_one_chain(world):
    """Two actions decided before either was applied: as one chain, and one after the other."""
    _, first = world.accepted()
    one, two = world.assigning(first, SECOND), world.assigning(first, THIRD)
    steps = [world.instrument.decide(action, world.now_ms) for action in (one, two)]
    for step in steps:
        world.ledger.open_accounts(step.accounts, world.now_ms, world.day)
    both = chained([transfer for step in steps for transfer in step.transfers])
    answers = world.ledger.transfer(both, world.now_ms, world.day)
    assert [one.outcome for one in answers] == [TransferOutcome.CHAIN_FAILED, TransferOutcome.BALANCE_IS_TOO_LOW]
    assert world.has(first) == FACE
    [applied] = world.ledger.transfer(steps[0].transfers, world.now_ms, world.day)
    [refused] = world.ledger.transfer(steps[1].transfers, world.now_ms, world.day)
    assert (applied.outcome, refused.outcome) == (TransferOutcome.APPLIED, TransferOutcome.BALANCE_IS_TOO_LOW)


def test_the_ledger_refuses_a_second_pledge_and_a_sale_of_what_is_pledged(world):
    _, first = world.accepted()
    pledges = [world.pledging(first), world.pledging(first, THIRD), world.assigning(first, SECOND)]
    steps = [world.instrument.decide(action, world.now_ms) for action in pledges]
    for step in steps:
        world.ledger.open_accounts(step.accounts, world.now_ms, world.day)
    given = [world.ledger.transfer(step.transfers, world.now_ms, world.day)[0].outcome for step in steps]
    assert given == [TransferOutcome.APPLIED, TransferOutcome.BALANCE_IS_TOO_LOW, TransferOutcome.BALANCE_IS_TOO_LOW]


def test_pieces_of_two_receivables_never_mix(world):
    _, one = world.accepted(200)
    _, two = world.accepted(201)
    [answer] = world.ledger.transfer([Transfer(5, one, two, 1, 7)], world.now_ms, world.day)
    assert answer.outcome == TransferOutcome.ACCOUNTS_HAVE_OTHER_ASSETS


def test_no_more_than_the_face_is_ever_owed(world):
    receivable, first = world.accepted()
    owes = part_id(receivable, "obligation")
    world.ledger.open_accounts([Account(7, 200, 7)], world.now_ms, world.day)
    [more] = world.ledger.transfer([Transfer(5, owes, 7, 1, 7)], world.now_ms, world.day)
    [less] = world.ledger.transfer([Transfer(6, 7, owes, FACE + 1, 7)], world.now_ms, world.day)
    [into] = world.ledger.transfer([Transfer(8, 7, first, 1, 7)], world.now_ms, world.day)
    assert more.outcome == TransferOutcome.BALANCE_IS_TOO_LOW
    assert less.outcome == TransferOutcome.BALANCE_LIMIT_EXCEEDED
    assert into.outcome == TransferOutcome.BALANCE_LIMIT_EXCEEDED


def test_a_buyer_without_cash_has_no_piece(world):
    _, first = world.accepted()
    world.ledger.transfer([Transfer(5, 100 + LENDER, 199, FUNDS_MINOR, 7)], world.now_ms, world.day)
    assert world.refused(world.discounting(first)) == TransferOutcome.BALANCE_IS_TOO_LOW
    assert world.has(first) == FACE


def test_an_account_that_stands_in_the_way(world):
    """The piece's account was opened by another with other content: refused, nothing moves."""
    _, first = world.accepted()
    action = world.assigning(first, SECOND)
    world.ledger.open_accounts([Account(part_id(action.id, "piece"), 156, 7)], world.now_ms, world.day)
    assert world.refused(action) == AccountOutcome.EXISTS_WITH_OTHER_CONTENT


def test_a_repeat_is_answered_as_before(world):
    _, first = world.accepted()
    action = world.assigning(first, SECOND)
    world.must(action)
    before = world.everything()
    world.to_day(DUE + 5)
    assert world.do(action).applied
    assert world.everything() == before
    assert world.refused(replace(action, with_recourse=False)) == R.ID_HAS_OTHER_CONTENT


# --- a row for every refusal, in order of precedence


def prepared(kind):
    """One receivable in each stage, pieces in each state."""
    world = World(kind)
    w = SimpleNamespace(world=world, offered=world.must(world.issue(210)))
    w.receivable, first = world.accepted(211)
    w.spent = first
    w.free, w.pledged = world.split(first, 40_000, 60_000)
    world.must(world.pledging(w.pledged))
    w.repaid, w.old = world.accepted(212)
    w.broken, last = world.accepted(213)
    w.claimed = world.assign(world.assign(last, SECOND), THIRD)
    return w


def after_default(w):
    w.world.to_day(DUE)
    w.world.must(w.world.repaying(w.repaid))
    w.world.defaulted(w.claimed)
    w.world.must(Claim(id=9, signers=(THIRD,), piece=w.claimed, against=SECOND, costs_minor=5))


def claim(w, **changed):
    return replace(Claim(id=8, signers=(THIRD,), piece=w.claimed, against=SUPPLIER), **changed)


def pay(w, owner, costs_minor=5):
    return PayClaim(id=8, signers=(owner,), piece=w.claimed, payer=party(owner), costs_minor=costs_minor)


def terms(w, **changed):
    return w.world.discounting(w.free, terms=replace(TERMS, **changed), signers=(SUPPLIER, LENDER, DEBTOR))


def split(w, *amounts):
    return Split(id=8, signers=(SUPPLIER,), piece=w.free, amounts_minor=amounts)


def default(w, **changed):
    return replace(Default(id=8, signers=(THIRD,), piece=w.claimed), **changed)


def nobody(action):
    return replace(action, taker=Party(THIRD, 0), signers=())


def owes(w):
    return part_id(w.offered, "obligation")


TWICE = Invoice("a", "1", FACE), Invoice("A", "-1", FACE)
DEAR = DiscountTerms(Decimal(2))
ROWS = [
    # code, action, day, whether after default
    (R.ID_IS_OUT_OF_RANGE, lambda w: w.world.issue(220, id=0), TODAY, False),
    (R.ID_HAS_OTHER_CONTENT, lambda w: w.world.issue(220, id=w.offered), TODAY, False),
    (R.RECEIVABLE_NOT_FOUND, lambda w: Accept(id=8, signers=(), receivable=5), TODAY, False),
    (R.PIECE_NOT_FOUND, lambda w: Release(id=8, signers=(), piece=5), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: w.world.issue(220, debtor=0, signers=()), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: w.world.repaying(w.receivable, cash=0, signers=()), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: claim(w, against=2**128 - 1, signers=()), TODAY, False),
    (R.PARTY_IS_OUT_OF_RANGE, lambda w: nobody(w.world.assigning(w.free, THIRD)), TODAY, False),
    (R.CASH_ACCOUNT_IS_A_PIECE, lambda w: w.world.repaying(w.receivable, cash=w.free, signers=()), TODAY, False),
    (R.CASH_ACCOUNT_IS_A_PIECE, lambda w: w.world.issue(220, supplier=Party(2, owes(w)), signers=()), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: Accept(id=8, signers=(SUPPLIER,), receivable=w.repaid), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: Decline(id=8, signers=(THIRD,), receivable=w.repaid), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: default(w, signers=(SUPPLIER,)), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: Release(id=8, signers=(SUPPLIER,), piece=w.pledged), TODAY, False),
    (R.SIGNATURE_IS_MISSING, lambda w: replace(w.world.pledging(w.free), signers=(LENDER,)), TODAY, False),
    (R.RECEIVABLE_IS_NOT_OFFERED, lambda w: Accept(id=8, signers=(DEBTOR,), receivable=w.receivable), TODAY, False),
    (R.RECEIVABLE_IS_NOT_OUTSTANDING, lambda w: w.world.repaying(w.offered), TODAY, False),
    (R.RECEIVABLE_IS_NOT_OUTSTANDING, lambda w: w.world.assigning(w.old, SECOND), TODAY, True),
    (R.PIECE_IS_SPENT, lambda w: w.world.assigning(w.spent, SECOND), DUE, False),
    (R.PIECE_IS_PLEDGED, lambda w: w.world.pledging(w.pledged, THIRD), DUE, False),
    (R.PIECE_IS_PLEDGED, lambda w: Split(id=8, signers=(SUPPLIER,), piece=w.pledged, amounts_minor=()), TODAY, False),
    (R.PIECE_IS_NOT_PLEDGED, lambda w: Release(id=8, signers=(SUPPLIER,), piece=w.free), TODAY, False),
    (R.RECEIVABLE_IS_DUE, lambda w: w.world.assigning(w.free, SUPPLIER), DUE, False),
    (R.RECEIVABLE_IS_NOT_DUE, lambda w: w.world.repaying(w.receivable, (5,)), DUE - 1, False),
    (R.RECEIVABLE_IS_NOT_DUE, default, DUE, False),
    (R.GRACE_HAS_NOT_ENDED, default, DUE + 2, False),
    (R.RECEIVABLE_HAS_DEFAULTED, default, DUE + 3, True),
    (R.RECEIVABLE_HAS_NOT_DEFAULTED, lambda w: claim(w, costs_minor=-1), DUE + 3, False),
    (R.PLEDGE_CANNOT_BE_ENFORCED_YET, lambda w: Enforce(id=8, signers=(LENDER,), piece=w.pledged), TODAY + 29, False),
    (R.ASSET_IS_OUT_OF_RANGE, lambda w: w.world.issue(2**32, amount_minor=0), TODAY, False),
    (R.ASSET_IS_TAKEN, lambda w: w.world.issue(210, amount_minor=0), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: w.world.issue(220, amount_minor=0, currency="?"), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: split(w, 0), TODAY, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: w.world.repaying(w.receivable, (5,), part=FACE + 1), DUE, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: w.world.repaying(w.receivable, part=-1), DUE, False),
    (R.AMOUNT_IS_OUT_OF_RANGE, lambda w: claim(w, costs_minor=AMOUNT_MAX, against=THIRD), TODAY, True),
    (R.CURRENCY_IS_UNKNOWN, lambda w: w.world.issue(220, currency="?", due_day=0), TODAY, False),
    (R.DUE_DAY_IS_OUT_OF_RANGE, lambda w: w.world.issue(220, due_day=TODAY, invoices=()), TODAY, False),
    (R.DUE_DAY_IS_OUT_OF_RANGE, lambda w: w.world.issue(220, due_day=TODAY + 367, invoices=()), TODAY, False),
    (R.INVOICES_ARE_WRONG, lambda w: w.world.issue(220, invoices=()), TODAY, False),
    (R.INVOICES_ARE_WRONG, lambda w: w.world.issue(220, invoices=TWICE), TODAY, False),
    (R.INVOICES_ARE_WRONG, lambda w: w.world.issue(220, invoices=(Invoice("a", "-", FACE),)), TODAY, False),
    (R.INVOICE_IS_FINANCED, lambda w: w.world.issue(220, invoices=(Invoice("913100", "inv210", 1),)), TODAY, False),
    (R.AMOUNT_EXCEEDS_INVOICES, lambda w: w.world.issue(220, amount_minor=FACE + 1, debtor=SUPPLIER), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: w.world.issue(220, debtor=SUPPLIER), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: w.world.assigning(w.free, SUPPLIER), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: w.world.pledging(w.free, SUPPLIER), TODAY, False),
    (R.PARTIES_MUST_DIFFER, lambda w: w.world.discounting(w.free, SUPPLIER, DEAR), TODAY, False),
    (R.PARTS_ARE_WRONG, lambda w: split(w, 40_000), TODAY, False),
    (R.PARTS_ARE_WRONG, lambda w: split(w, 1, 39_998), TODAY, False),
    (R.PARTS_ARE_WRONG, lambda w: split(w, *[1] * PARTS_MAX, 39_900), TODAY, False),
    (R.PIECES_ARE_USED_UP, lambda w: split(w, 1, 1, 1, 39_997), TODAY, False),
    (R.RATE_IS_OUT_OF_RANGE, lambda w: terms(w, rate=Decimal(1), shares=(InterestShare(party(1), 0),)), TODAY, False),
    (R.RATE_IS_OUT_OF_RANGE, lambda w: terms(w, extra_days=-1), TODAY, False),
    (R.RATE_IS_OUT_OF_RANGE, lambda w: terms(w, rounding="ROUND_05UP"), TODAY, False),
    (R.SHARES_ARE_WRONG, lambda w: terms(w, shares=(InterestShare(party(1), 0),)), TODAY, False),
    (R.INTEREST_EXCEEDS_FACE, lambda w: terms(w, rate=Decimal("0.999"), rounding="ROUND_UP"), TODAY, False),
    (R.PARTY_IS_NOT_LIABLE, lambda w: claim(w, against=LENDER), TODAY, True),
    (R.PARTY_IS_NOT_LIABLE, lambda w: pay(w, LENDER), TODAY, True),
    (R.PARTY_HAS_NO_CLAIM, lambda w: pay(w, SUPPLIER), TODAY, True),
    (R.CLAIM_HAS_OTHER_AMOUNT, lambda w: pay(w, SECOND, 6), TODAY, True),
    (R.DEPOSIT_IS_WRONG, lambda w: w.world.repaying(w.receivable, (w.spent,)), DUE, False),
    (R.DEPOSIT_IS_WRONG, lambda w: w.world.repaying(w.receivable, (w.free, w.free)), DUE, False),
]  # fmt: skip


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize(("code", "make", "day", "late"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_each_refusal(kind, code, make, day, late, monkeypatch):
    w = prepared(kind)
    if late:
        after_default(w)
    if code == R.PIECES_ARE_USED_UP:
        monkeypatch.setattr(judging.a, "PIECES_MAX", 4)
    if code == R.INTEREST_EXCEEDS_FACE:
        # Within a year at a rate below one, only a face of a few minor units is eaten up.
        w.free = w.world.split(w.free, 1, 39_999)[0]
    w.world.to_day(day)
    assert w.world.refused(make(w)) == code


def test_rows_are_all_refusals_in_order():
    seen = list(dict.fromkeys(row[0] for row in ROWS))
    assert seen == list(R)


def test_every_refusal_has_titles():
    assert all(one.en and one.zh and one == one.name for one in R)
    assert len({one.zh for one in R}) == len({one.en for one in R}) == len(R)


def test_without_a_deposit_account_nothing_is_deposited():
    world = World(rules=Rules())
    receivable, first = world.accepted()
    world.to_day(DUE)
    assert world.refused(world.repaying(receivable, (first,))) == R.DEPOSIT_IS_WRONG


def test_the_page_names_every_refusal_in_order():
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "finance-a-receivable.md").read_text(encoding="utf-8")
    told = page.split("## Why an")[1].split("Titles in English")[0]
    assert re.findall(r"`([A-Z_]+)`", told) == [one.name for one in R]
