"""All bills of one book: what their acts ask of the ledger, and the fold of those that were applied.

A bill is a package of units of one minor unit each (0.01 yuan), numbered from 1; a piece is a range of them. The live
pieces of a bill always cover every unit once. Each piece has an account of its own, filled once and emptied once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.instruments import discount, pieces
from quanheng.ledger.instruments.action_fold import ActionFold, Party
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill.actions import Capacity, Liable, Stage
from quanheng.ledger.instruments.bill.judging import Book, liable_to_holder, why_not
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.pieces import PieceCode

part_id = parts_of("bill")

R = a.BillRefusal
CURRENCY = "CNY"


class Effect(NamedTuple):
    """What an act does: what it asks of the ledger, the piece it ends, those it makes and changes.

    extra : accounts beside those of the pieces that are made
    """

    transfers: Sequence[Transfer] = ()
    spent: int = 0
    made: Mapping[int, a.Piece] = {}
    changed: Mapping[int, a.Piece] = {}
    extra: Sequence[Account] = ()


class Bills(ActionFold):
    """A fold of the acts in `quanheng.ledger.instruments.bill.actions`."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, rules: a.Rules | None = None) -> None:
        super().__init__()
        self.rules = rules or a.Rules()
        self.bills: dict[int, a.Bill] = {}
        self.pieces: dict[int, a.Piece] = {}
        self.assets: dict[int, int] = {}
        self.obligations: dict[int, int] = {}

    def live(self, bill: int) -> list[int]:
        """Pieces of a bill that have not ended, in the order of their units. O(all pieces)."""
        found = [(one.first, id) for id, one in self.pieces.items() if one.bill == bill and not one.spent_by]
        return [id for _, id in sorted(found)]

    def liable(self, piece: int) -> dict[int, int]:
        """Owners who must pay the holder of a piece after a refusal -> their place among those liable on it."""
        one = self.pieces[piece]
        return liable_to_holder(self.rules, self.bills[one.bill], one)

    def is_bank_bill(self, bill: int) -> bool:
        """Whether its acceptor is a bank: a bank acceptance bill, else a commercial acceptance bill."""
        return self.bills[bill].acceptor in self.rules.banks

    def _kept(self) -> Sequence[str]:
        return "rules", "bills", "pieces", "assets", "obligations"

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        return why_not(Book(self.rules, self.bills, self.pieces, self.assets, self.obligations), action, now_ms)

    def _step(self, action: Any, now_ms: int) -> Step:
        if isinstance(action, a.Draw):
            return Step()
        effect = self._effect(action, now_ms)
        return Step(effect.transfers, [*effect.extra, *(self._account(id, one) for id, one in effect.made.items())])

    def _fold(self, action: Any, now_ms: int) -> None:
        if isinstance(action, a.Draw):
            self._drawn(action, now_ms)
            return
        effect = self._effect(action, now_ms)
        self.pieces |= effect.changed
        if effect.spent:
            self.pieces[effect.spent] = replace(
                self.pieces[effect.spent], stage=Stage.CLOSED, pledge=None, spent_by=action.id
            )
        self.pieces |= effect.made

    def _drawn(self, act: a.Draw, now_ms: int) -> None:
        obligation, piece = part_id(act.id, "obligation"), part_id(act.id, "piece")
        self.bills[act.id] = a.Bill(
            act.asset, act.drawer, act.acceptor, act.payee, act.amount_minor,
            discount.day_of(now_ms, self.rules.utc_offset_ms), act.due_day, act.transferable, act.divisible, obligation,
            piece,
        )  # fmt: skip
        liable = Liable(act.acceptor, Capacity.ACCEPTOR), Liable(act.drawer.owner, Capacity.DRAWER)
        self.pieces[piece] = a.Piece(act.id, 1, act.amount_minor, act.drawer, Stage.DRAWN, act.transferable, liable)
        self.assets[act.asset] = self.obligations[obligation] = act.id

    # --- what each act does

    def _effect(self, act: Any, now_ms: int) -> Effect:
        id, piece = act.piece, self.pieces[act.piece]
        match act:
            case a.Accept():
                return self._accept(act, piece)
            case a.Decline():
                return Effect(spent=id)
            case a.Withdraw():
                return Effect(spent=id) if piece.stage == Stage.DRAWN else self._discharge(act, piece, [])
            case a.Guarantee():
                return Effect(changed={id: _guaranteed(act, piece)})
            case a.Deliver():
                taken = replace(piece, holder=self.bills[piece.bill].payee, stage=Stage.HELD, parent=id)
                return self._move(act, piece, taken, PieceCode.TRANSFERRED)
            case a.Split():
                return self._split(act, piece)
            case a.Endorse():
                taken = replace(_given_on(id, piece, act.taker), transferable=act.transferable)
                return self._move(act, piece, taken, PieceCode.TRANSFERRED)
            case a.Sale():
                return self._sale(act, piece, now_ms)
            case a.Pledge():
                return self._pledge(act, piece)
            case a.Release() | a.Enforce():
                return self._end_pledge(act, piece)
        return self._at_maturity(act, piece, now_ms)

    def _at_maturity(self, act: Any, piece: a.Piece, now_ms: int) -> Effect:
        id = act.piece
        match act:
            case a.Present():
                today = discount.day_of(now_ms, self.rules.utc_offset_ms)
                return Effect(changed={id: replace(piece, stage=Stage.PRESENTED, presented_day=today)})
            case a.Pay():
                leg = part_id(act.id, "cash"), act.cash, piece.holder.account, piece.amount_minor, id
                same = act.cash == piece.holder.account  # An acceptor that holds its own bill pays nobody.
                return self._discharge(act, piece, [] if same else [pieces.cash(*leg)])
            case a.Claim():
                claims = {**dict(piece.claims), act.against: act.costs_minor}
                return Effect(changed={id: replace(piece, claims=tuple(sorted(claims.items())))})
            case a.Settle():
                return self._settle(act, piece)
        return Effect(changed={id: replace(piece, stage=Stage.REFUSED)})  # Refuse and Protest.

    def _accept(self, act: a.Accept, piece: a.Piece) -> Effect:
        bill, face = self.bills[piece.bill], piece.amount_minor
        owes = pieces.obligation_account(bill.obligation, bill.asset, face, bill.acceptor, self.rules.entity)
        issue = pieces.moved(
            part_id(act.id, "issue"), bill.obligation, act.piece, face, PieceCode.ISSUED, piece.bill
        )  # fmt: skip
        accepted = replace(piece, stage=Stage.ACCEPTED)
        return Effect([issue], changed={act.piece: accepted}, extra=[owes, self._account(act.piece, piece)])

    def _discharge(self, act: Any, piece: a.Piece, legs: Sequence[Transfer]) -> Effect:
        """The piece goes back to who owes it, and ends."""
        bill, code = self.bills[piece.bill], PieceCode.WITHDRAWN if isinstance(act, a.Withdraw) else PieceCode.PAID
        back = pieces.moved(
            part_id(act.id, "back"), act.piece, bill.obligation, piece.amount_minor, code, piece.bill
        )  # fmt: skip
        return Effect([back, *legs], act.piece)

    def _split(self, act: a.Split, piece: a.Piece) -> Effect:
        made, transfers, first = {}, [], piece.first
        for place, part in enumerate(act.amounts_minor):
            id = part_id(act.id, f"piece {place}")
            made[id] = replace(piece, first=first, last=first + part - 1, parent=act.piece)
            leg = part_id(act.id, place)
            transfers.append(pieces.moved(leg, act.piece, id, part, PieceCode.SPLIT, piece.bill))
            first += part
        return Effect(transfers, act.piece, made)

    def _move(self, act: Any, piece: a.Piece, taken: a.Piece, code: PieceCode, legs: Sequence[Transfer] = ()) -> Effect:
        """A piece, whole, becomes another one; with what is paid for it."""
        id = part_id(act.id, "piece")
        move = pieces.moved(part_id(act.id, "move"), act.piece, id, piece.amount_minor, code, piece.bill)
        return Effect([move, *legs], act.piece, {id: taken})

    def _sale(self, act: a.Sale, piece: a.Piece, now_ms: int) -> Effect:
        today, seller = discount.day_of(now_ms, self.rules.utc_offset_ms), piece.holder
        due_day = self.bills[piece.bill].due_day
        asked = discount.price(piece.amount_minor, CURRENCY, seller.owner, act.terms, today, due_day)
        legs = discount.cash_legs(part_id, act.id, asked, act.terms, seller, act.taker, int(PieceCode.CASH), act.piece)
        taken = replace(_given_on(act.piece, piece, act.taker), stage=Stage.DISCOUNTED, discounted=True)
        return self._move(act, piece, taken, PieceCode.DISCOUNTED, legs)

    def _pledge(self, act: a.Pledge, piece: a.Piece) -> Effect:
        hold, pledgee_piece = part_id(act.id, "pledge"), part_id(act.id, "piece")
        pledge = a.PledgeOf(hold, act.taker, pledgee_piece, act.enforce_day)
        would_be = self._account(pledgee_piece, _given_on(act.piece, piece, act.taker))
        transfer = pieces.pledged(hold, act.piece, pledgee_piece, piece.amount_minor, piece.bill)
        changed = {act.piece: replace(piece, stage=Stage.PLEDGED, pledge=pledge)}
        return Effect([transfer], changed=changed, extra=[would_be])

    def _end_pledge(self, act: a.Release | a.Enforce, piece: a.Piece) -> Effect:
        pledge = piece.pledge
        assert pledge is not None, "a pledged piece has a pledge"
        free = replace(piece, pledge=None, stage=Stage.DISCOUNTED if piece.discounted else Stage.HELD)
        if isinstance(act, a.Release):
            transfer = pieces.released(part_id(act.id, "release"), pledge.hold, piece.bill)
            return Effect([transfer], changed={act.piece: free})
        transfer = pieces.enforced(part_id(act.id, "enforce"), pledge.hold, piece.bill)
        return Effect([transfer], act.piece, {pledge.pledgee_piece: _given_on(act.piece, free, pledge.pledgee)})

    def _settle(self, act: a.Settle, piece: a.Piece) -> Effect:
        amount = piece.amount_minor + act.costs_minor
        leg = pieces.cash(part_id(act.id, "cash"), act.payer.account, piece.holder.account, amount, act.piece)
        place = self.liable(act.piece)[act.payer.owner]
        if place == 0:  # The acceptor: there is nobody before it.
            return self._discharge(act, piece, [leg])
        taken = replace(piece, holder=act.payer, parent=act.piece, liable=piece.liable[:place], claims=())
        return self._move(act, piece, taken, PieceCode.RECOURSE, [leg])

    def _account(self, id: int, piece: a.Piece) -> Account:
        asset = self.bills[piece.bill].asset
        return pieces.piece_account(id, asset, piece.amount_minor, piece.holder.owner, self.rules.entity)


def _given_on(id: int, piece: a.Piece, taker: Party) -> a.Piece:
    liable = (*piece.liable, Liable(piece.holder.owner, Capacity.ENDORSER))
    return replace(piece, holder=taker, parent=id, liable=liable)


def _guaranteed(act: a.Guarantee, piece: a.Piece) -> a.Piece:
    """The guarantor stands behind its principal and the guarantors that it has."""
    order = list(piece.liable)
    place = next(n for n, one in enumerate(order) if one.owner == act.principal and not one.is_guarantor)
    capacity = order[place].capacity
    place += 1
    while place < len(order) and order[place].is_guarantor:
        place += 1
    order.insert(place, Liable(act.guarantor, capacity, True))
    return replace(piece, liable=tuple(order))
