"""Why an act on a bill is refused: judgements in the order of the closed list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.action_fold import Party, first_refusal, is_amount, is_id
from quanheng.ledger.instruments.bill import actions as a
from quanheng.ledger.instruments.bill.actions import BillRefusal as R
from quanheng.ledger.instruments.bill.powers import POWERS
from quanheng.ledger.instruments.discount import (
    day_of,
    interest_minor,
    months_later,
    payers,
    wrong_rate,
    wrong_shares,
)
from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.pieces import ASSET_MAX

Judgement = tuple[bool, R, str, object, str]
_PASSES_ON = (a.Endorse, a.Sale, a.Pledge)
_BEFORE_DUE = (a.Accept, a.Guarantee, a.Deliver, a.Split, *_PASSES_ON)
_ID_RANGE = "1 .. 2**128 - 2"


class Book(NamedTuple):
    """What judgements read."""

    rules: a.Rules
    bills: Mapping[int, a.Bill]
    pieces: Mapping[int, a.Piece]
    assets: Mapping[int, int]
    obligations: Mapping[int, int]


def why_not(book: Book, act: Any, now_ms: int) -> Refusal | None:
    """The first reason why an act is refused, or None."""
    day = day_of(now_ms, book.rules.utc_offset_ms)
    if isinstance(act, a.Draw):
        return first_refusal(_draw(book, act, day))
    piece = book.pieces.get(act.piece)
    if piece is None:
        return Refusal(R.PIECE_NOT_FOUND, "piece", str(act.piece))
    for judgements in (_parties(book, act), _powers(book, act, piece), _days(book, act, piece, day)):
        if (refusal := first_refusal(judgements)) is not None:
            return refusal
    return first_refusal(_special(book, act, piece, day))


def act_name(act: a.Act) -> str:
    """Its row in the table of powers."""
    return type(act).__name__.lower()


def liable_to_holder(rules: a.Rules, bill: a.Bill, piece: a.Piece) -> dict[int, int]:
    """Owners who must pay the holder after a refusal -> their place in `piece.liable`.

    Those before the holder's own place, if it has one. If the piece was presented too late, endorsers and their
    guarantors are free; acceptor, drawer and their guarantors stay liable.
    """
    late = piece.presented_day > bill.due_day + rules.presentation_days
    found: dict[int, int] = {}
    for place, one in enumerate(piece.liable):
        if one.owner == piece.holder.owner:
            break
        if one.owner not in found and not (late and one.capacity == a.Capacity.ENDORSER):
            found[one.owner] = place
    return found


def _draw(book: Book, act: a.Draw, day: int) -> Iterator[Judgement]:
    for name, who in (("drawer", act.drawer), ("payee", act.payee)):
        yield _party(name, who)
    yield not is_id(act.acceptor), R.PARTY_IS_OUT_OF_RANGE, "acceptor", act.acceptor, _ID_RANGE
    for name, who in (("drawer", act.drawer), ("payee", act.payee)):
        yield _no_cash(book, name, who.account)
    missing = act.drawer.owner not in act.signers
    yield missing, R.SIGNATURE_IS_MISSING, "signers", sorted(act.signers), f"with {act.drawer.owner}"
    yield not _within(act.asset, 1, ASSET_MAX), R.ASSET_IS_OUT_OF_RANGE, "asset", act.asset, "1 .. 2**32 - 1"
    yield act.asset in book.assets, R.ASSET_IS_TAKEN, "asset", act.asset, "a number of its own"
    yield not is_amount(act.amount_minor), R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", act.amount_minor, "1 .. 2**63 - 2"
    most = months_later(day, book.rules.term_months_max)
    late = not _within(act.due_day, day + 1, most)
    yield late, R.DUE_DAY_IS_OUT_OF_RANGE, "due_day", act.due_day, f"{day + 1} .. {most}"
    same = act.drawer.owner == act.payee.owner
    yield same, R.PARTIES_MUST_DIFFER, "payee", act.payee.owner, "not the drawer"


def _parties(book: Book, act: Any) -> Iterator[Judgement]:
    parties = [(name, getattr(act, name)) for name in ("taker", "payer") if hasattr(act, name)]
    if isinstance(act, a.Sale):
        parties += [("terms.shares", share.payer) for share in act.terms.shares]
    for name, who in parties:
        yield _party(name, who)
    for name in ("guarantor", "principal", "against", "cash"):
        if hasattr(act, name):
            yield not is_id(getattr(act, name)), R.PARTY_IS_OUT_OF_RANGE, name, getattr(act, name), _ID_RANGE
    for name, who in parties:
        yield _no_cash(book, name, who.account)
    if isinstance(act, a.Pay):
        yield _no_cash(book, "cash", act.cash)


def _powers(book: Book, act: Any, piece: a.Piece) -> Iterator[Judgement]:
    """The cell of the table: whether the act is allowed now, and who must have signed."""
    row, bill = POWERS[act_name(act)], book.bills[piece.bill]
    yield piece.stage not in row, R.ACT_IS_NOT_ALLOWED_NOW, "piece", piece.stage, " or ".join(row)
    needed = {_owner(role, act, bill, piece) for role in row[piece.stage]}
    if isinstance(act, a.Sale):
        needed |= set(payers(act.terms, piece.holder.owner))
    missing = sorted(needed - set(act.signers))
    yield bool(missing), R.SIGNATURE_IS_MISSING, "signers", f"without {missing}", f"all of {sorted(needed)}"


def _owner(role: str, act: Any, bill: a.Bill, piece: a.Piece) -> int:
    if role == "pledgee":
        assert piece.pledge is not None, "a pledged piece has a pledge"
        return piece.pledge.pledgee.owner
    owners = {
        "drawer": bill.drawer, "acceptor": bill.acceptor, "payee": bill.payee, "holder": piece.holder,
        "taker": getattr(act, "taker", None), "payer": getattr(act, "payer", None),
        "guarantor": getattr(act, "guarantor", None),
    }  # fmt: skip
    found = owners[role]
    return found.owner if isinstance(found, Party) else int(found)  # type: ignore[arg-type]


def _days(book: Book, act: Any, piece: a.Piece, day: int) -> Iterator[Judgement]:
    bill = book.bills[piece.bill]
    marked = isinstance(act, _PASSES_ON) and not piece.transferable
    yield marked, R.BILL_IS_NOT_TRANSFERABLE, "piece", act.piece, "a piece without that mark"
    whole = isinstance(act, a.Split) and not bill.divisible
    yield whole, R.BILL_IS_NOT_DIVISIBLE, "piece", act.piece, "a divisible bill"
    due = isinstance(act, _BEFORE_DUE) and day >= bill.due_day
    yield due, R.BILL_IS_DUE, "piece", day, f"before day {bill.due_day}"
    early = isinstance(act, a.Present) and day < bill.due_day
    yield early, R.BILL_IS_NOT_DUE, "piece", day, f"from day {bill.due_day} on"
    answer = piece.presented_day + book.rules.answer_days
    waits = isinstance(act, a.Protest) and day < answer
    yield waits, R.ACCEPTOR_HAS_TIME, "piece", day, f"from day {answer} on"
    if isinstance(act, a.Enforce) and piece.pledge is not None:
        first = piece.pledge.enforce_day
        yield day < first, R.PLEDGE_CANNOT_BE_ENFORCED_YET, "piece", day, f"from day {first} on"


def _special(book: Book, act: Any, piece: a.Piece, day: int) -> Iterator[Judgement]:
    match act:
        case a.Split():
            yield from _split(act, piece)
        case a.Endorse() | a.Pledge():
            yield (
                act.taker.owner == piece.holder.owner,
                R.PARTIES_MUST_DIFFER,
                "taker",
                act.taker.owner,
                "not the holder",
            )
        case a.Sale():
            yield from _sale(book, act, piece, day)
        case a.Guarantee():
            yield from _guarantee(act, piece)
        case a.Refuse():
            length = len(act.reason.strip()) if isinstance(act.reason, str) else 0
            odd = not 1 <= length <= a.REASON_LENGTH_MAX
            yield odd, R.REASON_IS_WRONG, "reason", f"{length} characters", f"1 .. {a.REASON_LENGTH_MAX}"
        case a.Claim() | a.Settle():
            yield from _claim(book, act, piece)


def _split(act: a.Split, piece: a.Piece) -> Iterator[Judgement]:
    parts, sum_minor = act.amounts_minor, 0
    for part in parts:
        yield not is_amount(part), R.AMOUNT_IS_OUT_OF_RANGE, "amounts_minor", part, "1 .. 2**63 - 2"
        sum_minor += part
    few = not 2 <= len(parts) <= a.PARTS_MAX
    yield few, R.PARTS_ARE_WRONG, "amounts_minor", f"{len(parts)} parts", f"2 .. {a.PARTS_MAX} parts"
    other = sum_minor != piece.amount_minor
    yield other, R.PARTS_ARE_WRONG, "amounts_minor", sum_minor, f"a sum of {piece.amount_minor}"


def _sale(book: Book, act: a.Sale, piece: a.Piece, day: int) -> Iterator[Judgement]:
    seller, taker, terms, bill = piece.holder, act.taker, act.terms, book.bills[piece.bill]
    same = taker.owner == seller.owner or taker.account == seller.account
    yield same, R.PARTIES_MUST_DIFFER, "taker", taker.owner, "not the holder, nor its account"
    buyers = book.rules.central_banks if isinstance(act, a.Rediscount) else book.rules.banks
    kind = "a central bank" if isinstance(act, a.Rediscount) else "a bank"
    yield taker.owner not in buyers, R.PARTY_IS_NO_BANK, "taker", taker.owner, kind
    yield wrong_rate(terms), R.RATE_IS_OUT_OF_RANGE, "terms", f"{terms.rate} {terms.basis}", "0 < rate < 1"
    yield wrong_shares(terms.shares), R.SHARES_ARE_WRONG, "terms.shares", len(terms.shares), "weights, each owner once"
    interest = interest_minor(piece.amount_minor, terms, day, bill.due_day)
    above = interest >= piece.amount_minor
    yield above, R.INTEREST_EXCEEDS_FACE, "terms", interest, f"less than {piece.amount_minor}"


def _guarantee(act: a.Guarantee, piece: a.Piece) -> Iterator[Judgement]:
    owners = {one.owner for one in piece.liable}
    principals = {one.owner for one in piece.liable if not one.is_guarantor}
    already = act.guarantor in owners or act.guarantor == act.principal
    yield already, R.PARTIES_MUST_DIFFER, "guarantor", act.guarantor, "who is not liable yet"
    yield (
        act.principal not in principals,
        R.PRINCIPAL_IS_NOT_LIABLE,
        "principal",
        act.principal,
        str(sorted(principals)),
    )
    count = sum(one.is_guarantor for one in piece.liable)
    yield count >= a.GUARANTORS_MAX, R.GUARANTORS_ARE_USED_UP, "guarantor", count, f"less than {a.GUARANTORS_MAX}"


def _claim(book: Book, act: a.Claim | a.Settle, piece: a.Piece) -> Iterator[Judgement]:
    costs, claims = act.costs_minor, dict(piece.claims)
    odd = not _within(costs, 0, AMOUNT_MAX - piece.amount_minor)
    yield odd, R.AMOUNT_IS_OUT_OF_RANGE, "costs_minor", costs, "0 .. 2**63 - 2 less the face"
    owner = act.against if isinstance(act, a.Claim) else act.payer.owner
    free = owner not in liable_to_holder(book.rules, book.bills[piece.bill], piece)
    yield free, R.PARTY_IS_NOT_LIABLE, "piece", owner, "who is liable to the holder"
    if isinstance(act, a.Settle):
        yield owner not in claims, R.PARTY_HAS_NO_CLAIM, "piece", owner, "who was asked to pay"
        yield claims.get(owner) != costs, R.CLAIM_HAS_OTHER_AMOUNT, "costs_minor", costs, str(claims.get(owner))


def _party(name: str, who: Party) -> Judgement:
    good = is_id(who.owner) and is_id(who.account)
    return not good, R.PARTY_IS_OUT_OF_RANGE, name, f"{who.owner}, {who.account}", _ID_RANGE


def _no_cash(book: Book, name: str, account: int) -> Judgement:
    taken = account in book.pieces or account in book.obligations
    return taken, R.CASH_ACCOUNT_IS_A_PIECE, name, account, "an account of cash"


def _within(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most
