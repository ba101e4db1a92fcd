"""All receivables of one book: what their actions ask of the ledger, and the fold of those that were applied.

The value of a piece never changes: what splits, transfers or sells it ends it and makes new ones, each with an account
of its own. So from any piece the way back to the debtor and the invoices is a walk over parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from quanheng.kernel.errors import NotFound
from quanheng.kernel.money import Money
from quanheng.ledger.entries import Account
from quanheng.ledger.entries import Transfer as LedgerTransfer
from quanheng.ledger.instruments import discount, pieces
from quanheng.ledger.instruments.action_fold import ActionFold, Party
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.pieces import PieceCode
from quanheng.ledger.instruments.receivable import actions as a
from quanheng.ledger.instruments.receivable.judging import Book, invoice_key, liable, why_not

part_id = parts_of("receivable")

R = a.ReceivableRefusal


class Effect(NamedTuple):
    """What an action does: what it asks of the ledger, which pieces it ends, makes and changes, what it sets.

    extra : accounts beside those of the pieces that are made
    """

    transfers: Sequence[LedgerTransfer] = ()
    spent: Sequence[int] = ()
    made: Mapping[int, a.Piece] = {}
    changed: Mapping[int, a.Piece] = {}
    receivable: tuple[int, a.Receivable] | None = None
    extra: Sequence[Account] = ()


class Lineage(NamedTuple):
    """Where a piece comes from.

    path : pieces from the first one of the receivable down to this one
    """

    receivable: int
    debtor: int
    supplier: int
    invoices: tuple[a.Invoice, ...]
    path: tuple[int, ...]


class Receivables(ActionFold):
    """A fold of the actions in `quanheng.ledger.instruments.receivable.actions`."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, rules: a.Rules | None = None) -> None:
        super().__init__()
        self.rules = rules or a.Rules()
        self.receivables: dict[int, a.Receivable] = {}
        self.pieces: dict[int, a.Piece] = {}
        self.invoices: dict[str, int] = {}
        self.assets: dict[int, int] = {}
        self.obligations: dict[int, int] = {}
        self.live: dict[int, set[int]] = {}

    def lineage(self, piece: int) -> Lineage:
        """Where a piece, live or spent, comes from. O(length of its path).

        Raises
        ------
        NotFound : there is no such piece
        """
        if piece not in self.pieces:
            raise NotFound("there is no piece with this number", found=str(piece), cure="Look in `pieces`.")
        path, at = [piece], self.pieces[piece]
        while at.parent:
            path.append(at.parent)
            at = self.pieces[at.parent]
        one = self.receivables[at.receivable]
        return Lineage(at.receivable, one.debtor, one.supplier.owner, one.invoices, tuple(reversed(path)))

    def outstanding_minor(self, receivable: int) -> int:
        """Sum of what is owed on the live pieces of a receivable. O(pieces)."""
        return sum(self.pieces[one].owed_minor for one in self.live.get(receivable, ()))

    def _kept(self) -> Sequence[str]:
        return "rules", "receivables", "pieces", "invoices", "assets", "obligations", "live"

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        book = Book(self.rules, self.receivables, self.pieces, self.invoices, self.assets, self.obligations, self.live)
        return why_not(book, action, now_ms)

    def _step(self, action: Any, now_ms: int) -> Step:
        effect = self._effect(action, now_ms)
        accounts = [*effect.extra]
        for id, piece in effect.made.items():
            accounts.append(self._account(id, piece))
        return Step(effect.transfers, accounts)

    def _fold(self, action: Any, now_ms: int) -> None:
        effect = self._effect(action, now_ms)
        if isinstance(action, a.Issue):
            self.assets[action.asset] = action.id
            self.obligations[part_id(action.id, "obligation")] = action.id
            self.live[action.id] = set()
            self.invoices |= {invoice_key(one): action.id for one in action.invoices}
        if isinstance(action, a.Decline):
            for one in self.receivables[action.receivable].invoices:
                del self.invoices[invoice_key(one)]
        if effect.receivable is not None:
            self.receivables[effect.receivable[0]] = effect.receivable[1]
        self.pieces |= effect.changed
        for id in effect.spent:
            piece = self.pieces[id]
            self.pieces[id] = replace(piece, spent_by=action.id)
            self.live[piece.receivable].discard(id)
        for id, piece in effect.made.items():
            self.pieces[id] = piece
            self.live[piece.receivable].add(id)

    # --- what each action does

    def _effect(self, action: Any, now_ms: int) -> Effect:
        match action:
            case a.Issue():
                return self._issue(action)
            case a.Accept():
                return self._accept(action)
            case a.Decline():
                one = replace(self.receivables[action.receivable], stage=a.DECLINED)
                return Effect(receivable=(action.receivable, one))
            case a.Repay():
                return self._repay(action)
        piece = self.pieces[action.piece]
        match action:
            case a.Split():
                return self._split(action, piece)
            case a.Assign():
                taken = _given_on(action.piece, piece, action.taker, action.with_recourse)
                return self._move(action, piece, taken, PieceCode.TRANSFERRED)
            case a.Discount():
                return self._discount(action, piece, now_ms)
            case a.Pledge():
                return self._pledge(action, piece)
            case a.Release() | a.Enforce():
                return self._end_pledge(action, piece)
            case a.Default():
                one = replace(self.receivables[piece.receivable], stage=a.DEFAULTED)
                return Effect(receivable=(piece.receivable, one))
            case a.Claim():
                claims = {**dict(piece.claims), action.against: action.costs_minor}
                return Effect(changed={action.piece: replace(piece, claims=tuple(sorted(claims.items())))})
        return self._pay_claim(action, piece)

    def _issue(self, action: a.Issue) -> Effect:
        obligation, first = part_id(action.id, "obligation"), part_id(action.id, "piece")
        one = a.Receivable(
            action.asset, action.debtor, action.supplier, action.amount_minor, action.currency, action.due_day,
            action.invoices, a.OFFERED, obligation, first,
        )  # fmt: skip
        return Effect(receivable=(action.id, one))

    def _accept(self, action: a.Accept) -> Effect:
        one, id = self.receivables[action.receivable], action.receivable
        made = {one.first_piece: a.Piece(id, one.supplier, one.amount_minor)}
        issue = pieces.moved(
            part_id(action.id, "issue"), one.obligation, one.first_piece, one.amount_minor, PieceCode.ISSUED, id
        )
        owes = pieces.obligation_account(one.obligation, one.asset, one.amount_minor, one.debtor, self.rules.entity)
        return Effect([issue], made=made, receivable=(id, replace(one, stage=a.OUTSTANDING)), extra=[owes])

    def _split(self, action: a.Split, piece: a.Piece) -> Effect:
        made, transfers = {}, []
        for place, part in enumerate(action.amounts_minor):
            id = part_id(action.id, f"piece {place}")
            made[id] = replace(piece, amount_minor=part, parent=action.piece)
            leg = part_id(action.id, place)
            transfers.append(pieces.moved(leg, action.piece, id, part, PieceCode.SPLIT, piece.receivable))
        return Effect(transfers, [action.piece], made)

    def _move(
        self, action: Any, piece: a.Piece, taken: a.Piece, code: PieceCode, legs: Sequence[LedgerTransfer] = ()
    ) -> Effect:
        """A piece, whole, becomes another one; with what is paid for it."""
        id = part_id(action.id, "piece")
        move = pieces.moved(
            part_id(action.id, "move"), action.piece, id, piece.owed_minor, code, piece.receivable
        )  # fmt: skip
        return Effect([move, *legs], [action.piece], {id: taken})

    def _discount(self, action: a.Discount, piece: a.Piece, now_ms: int) -> Effect:
        one, today = self.receivables[piece.receivable], discount.day_of(now_ms, self.rules.utc_offset_ms)
        seller, terms = piece.holder, action.terms
        asked = discount.price(piece.amount_minor, one.currency, seller.owner, terms, today, one.due_day)
        buyer, cash = action.buyer, int(PieceCode.CASH)
        legs = discount.cash_legs(part_id, action.id, asked, terms, seller, buyer, cash, action.piece)
        taken = _given_on(action.piece, piece, action.buyer, action.with_recourse)
        return self._move(action, piece, taken, PieceCode.DISCOUNTED, legs)

    def _pledge(self, action: a.Pledge, piece: a.Piece) -> Effect:
        hold, pledgee_piece = part_id(action.id, "pledge"), part_id(action.id, "piece")
        pledge = a.PledgeOf(hold, action.pledgee, pledgee_piece, action.enforce_day)
        would_be = _given_on(action.piece, piece, action.pledgee, True)
        transfer = pieces.pledged(hold, action.piece, pledgee_piece, piece.amount_minor, piece.receivable)
        changed = {action.piece: replace(piece, pledge=pledge)}
        return Effect([transfer], changed=changed, extra=[self._account(pledgee_piece, would_be)])

    def _end_pledge(self, action: a.Release | a.Enforce, piece: a.Piece) -> Effect:
        pledge = piece.pledge
        assert pledge is not None, "refused before"
        if isinstance(action, a.Release):
            transfer = pieces.released(part_id(action.id, "release"), pledge.hold, piece.receivable)
            return Effect([transfer], changed={action.piece: replace(piece, pledge=None)})
        transfer = pieces.enforced(part_id(action.id, "enforce"), pledge.hold, piece.receivable)
        taken = _given_on(action.piece, replace(piece, pledge=None), pledge.pledgee, True)
        return Effect([transfer], [action.piece], {pledge.pledgee_piece: taken})

    def _repay(self, action: a.Repay) -> Effect:
        one, live = self.receivables[action.receivable], sorted(self.live[action.receivable])
        owed = [self.pieces[id].owed_minor for id in live]
        paid = Money(action.amount_minor or sum(owed), one.currency)
        transfers: list[LedgerTransfer] = []
        spent, changed = [], {}
        for place, (id, share) in enumerate(zip(live, paid.allocate(owed), strict=True)):
            if not share.minor:
                continue
            piece = self.pieces[id]
            after = replace(piece, paid_minor=piece.paid_minor + share.minor)
            if after.owed_minor == 0:
                spent.append(id)
            elif piece.pledge is not None:
                after = replace(after, pledge=replace(piece.pledge, hold=part_id(action.id, f"hold {place}")))
            changed[id] = after
            transfers += self._paid(action, place, id, after)
        stage = a.REPAID if paid.minor == sum(owed) else one.stage
        return Effect(transfers, spent, changed=changed, receivable=(action.receivable, replace(one, stage=stage)))

    def _paid(self, action: a.Repay, place: int, id: int, after: a.Piece) -> Iterator[LedgerTransfer]:
        """What a payment on one piece moves. A pledge is let go, and holds what is still owed again."""
        piece, about = self.pieces[id], action.receivable
        share, payee = after.paid_minor - piece.paid_minor, piece.holder.account
        if piece.pledge is not None:
            payee = piece.pledge.pledgee.account
            yield pieces.released(part_id(action.id, f"release {place}"), piece.pledge.hold, about)
        payee = self.rules.deposit_account if id in action.deposited else payee
        back, leg = part_id(action.id, f"back {place}"), part_id(action.id, f"cash {place}")
        yield pieces.moved(back, id, self.receivables[about].obligation, share, PieceCode.PAID, about)
        if payee != action.cash:  # A debtor who holds a piece of its own debt pays nobody.
            yield pieces.cash(leg, action.cash, payee, share, id)
        if after.pledge is not None and after.owed_minor:
            yield pieces.pledged(after.pledge.hold, id, after.pledge.pledgee_piece, after.owed_minor, about)

    def _pay_claim(self, action: a.PayClaim, piece: a.Piece) -> Effect:
        before = piece.transferors[: liable(piece)[action.payer.owner]]
        taken = replace(piece, holder=action.payer, parent=action.piece, transferors=before, claims=())
        amount = piece.owed_minor + action.costs_minor
        leg = pieces.cash(
            part_id(action.id, "cash"), action.payer.account, piece.holder.account, amount, action.piece
        )  # fmt: skip
        return self._move(action, piece, taken, PieceCode.RECOURSE, [leg])

    def _account(self, id: int, piece: a.Piece) -> Account:
        asset = self.receivables[piece.receivable].asset
        return pieces.piece_account(id, asset, piece.amount_minor, piece.holder.owner, self.rules.entity)


def _given_on(id: int, piece: a.Piece, taker: Party, with_recourse: bool) -> a.Piece:
    giver = a.Transferor(piece.holder.owner, with_recourse)
    return replace(piece, holder=taker, parent=id, transferors=(*piece.transferors, giver))
