"""Why an action of a receivable is refused: judgements in the order of the closed list."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple

from quanheng.kernel.money import EXPONENTS
from quanheng.ledger.entries import AMOUNT_MAX
from quanheng.ledger.instruments.action_fold import Party, first_refusal, is_amount, is_id
from quanheng.ledger.instruments.discount import (
    DAY_NUMBER_MAX,
    day_of,
    interest_minor,
    payers,
    wrong_rate,
    wrong_shares,
)
from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.pieces import ASSET_MAX
from quanheng.ledger.instruments.receivable import actions as a
from quanheng.ledger.instruments.receivable.actions import ReceivableRefusal as R

Judgement = tuple[bool, R, str, object, str]
_CIRCULATE = (a.Split, a.Assign, a.Discount, a.Pledge)
_PARTIES = "taker", "buyer", "pledgee", "payer"
_NEED_NO_PLEDGE = (*_CIRCULATE, a.Claim, a.PayClaim)
TEXT_MAX = 64


class Book(NamedTuple):
    """What judgements read."""

    rules: a.Rules
    receivables: Mapping[int, a.Receivable]
    pieces: Mapping[int, a.Piece]
    invoices: Mapping[str, int]
    assets: Mapping[int, int]
    obligations: Mapping[int, int]
    live: Mapping[int, Set[int]]


def invoice_key(invoice: a.Invoice) -> str:
    """What identifies an invoice: its seller's tax number and its number, in capitals, letters and digits only (NFKC).

    Its amount is no part of it, or the same invoice could be financed again with another amount.
    """
    return f"{_normal(invoice.seller)}/{_normal(invoice.number)}"


def liable(piece: a.Piece) -> dict[int, int]:
    """Owners who must pay for a piece if the debtor does not -> their place among its transferors.

    Those who gave it on with recourse, before the holder itself had it for the first time.
    """
    found: dict[int, int] = {}
    for place, one in enumerate(piece.transferors):
        if one.owner == piece.holder.owner:
            break
        if one.with_recourse and one.owner not in found:
            found[one.owner] = place
    return found


def why_not(book: Book, action: Any, now_ms: int) -> Refusal | None:
    """The first reason why an action is refused, or None."""
    day = day_of(now_ms, book.rules.utc_offset_ms)
    if isinstance(action, a.Issue):
        return first_refusal(_issue(book, action, day))
    if isinstance(action, (a.Accept, a.Decline, a.Repay)):
        one = book.receivables.get(action.receivable)
        if one is None:
            return Refusal(R.RECEIVABLE_NOT_FOUND, "receivable", str(action.receivable))
        if isinstance(action, a.Repay):
            return first_refusal(_repay(book, action, one, day))
        return first_refusal(_offered(action, one))
    piece = book.pieces.get(action.piece)
    if piece is None:
        return Refusal(R.PIECE_NOT_FOUND, "piece", str(action.piece))
    return first_refusal(_piece(book, action, piece, day)) or first_refusal(_special(book, action, piece, day))


def _issue(book: Book, action: a.Issue, day: int) -> Iterator[Judgement]:
    yield _party("supplier", action.supplier)
    yield not is_id(action.debtor), R.PARTY_IS_OUT_OF_RANGE, "debtor", action.debtor, "1 .. 2**128 - 2"
    yield _no_cash(book, "supplier", action.supplier.account)
    yield _unsigned(action, {action.supplier.owner})
    yield not _within(action.asset, 1, ASSET_MAX), R.ASSET_IS_OUT_OF_RANGE, "asset", action.asset, "1 .. 2**32 - 1"
    yield action.asset in book.assets, R.ASSET_IS_TAKEN, "asset", action.asset, "a number of its own"
    yield _amount(action.amount_minor)
    yield action.currency not in EXPONENTS, R.CURRENCY_IS_UNKNOWN, "currency", action.currency, "a code of ISO 4217"
    most = min(day + book.rules.term_days_max, DAY_NUMBER_MAX)
    late = not _within(action.due_day, day + 1, most)
    yield late, R.DUE_DAY_IS_OUT_OF_RANGE, "due_day", action.due_day, f"{day + 1} .. {most}"
    keys, count = [invoice_key(one) for one in action.invoices], len(action.invoices)
    odd = [place for place, one in enumerate(action.invoices) if not _formed(one) or keys[place] in keys[:place]]
    yield not 1 <= count <= a.INVOICES_MAX, R.INVOICES_ARE_WRONG, "invoices", count, f"1 .. {a.INVOICES_MAX}"
    yield bool(odd), R.INVOICES_ARE_WRONG, "invoices", f"number {odd}", "letters or digits, an amount, each once"
    known = [place for place, key in enumerate(keys) if key in book.invoices]
    yield bool(known), R.INVOICE_IS_FINANCED, "invoices", f"number {known}", "invoices that no receivable has"
    sum_minor = sum(one.amount_minor for one in action.invoices)
    above = action.amount_minor > sum_minor
    yield above, R.AMOUNT_EXCEEDS_INVOICES, "amount_minor", action.amount_minor, f"at most {sum_minor}"
    yield action.debtor == action.supplier.owner, R.PARTIES_MUST_DIFFER, "debtor", action.debtor, "not the supplier"


def _offered(action: a.Accept | a.Decline, one: a.Receivable) -> Iterator[Judgement]:
    if isinstance(action, a.Accept):
        yield _unsigned(action, {one.debtor})
    else:
        yield _unsigned_by_any(action, {one.debtor, one.supplier.owner})
    yield one.stage != a.OFFERED, R.RECEIVABLE_IS_NOT_OFFERED, "receivable", one.stage, a.OFFERED


def _repay(book: Book, action: a.Repay, one: a.Receivable, day: int) -> Iterator[Judgement]:
    yield not is_id(action.cash), R.PARTY_IS_OUT_OF_RANGE, "cash", action.cash, "1 .. 2**128 - 2"
    yield _no_cash(book, "cash", action.cash)
    yield _unsigned(action, {one.debtor})
    yield _not_outstanding(one)
    yield day < one.due_day, R.RECEIVABLE_IS_NOT_DUE, "receivable", day, f"from day {one.due_day} on"
    owed = sum(book.pieces[piece].owed_minor for piece in book.live[action.receivable])
    right = _within(action.amount_minor, 0, owed)
    yield not right, R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", action.amount_minor, f"1 .. {owed}, or 0 for all"
    named, live = action.deposited, book.live[action.receivable]
    nowhere = bool(named) and not book.rules.deposit_account
    yield nowhere, R.DEPOSIT_IS_WRONG, "deposited", len(named), "nothing: the book has no deposit account"
    odd = [piece for piece in named if piece not in live]
    yield (
        bool(odd) or len(set(named)) < len(named),
        R.DEPOSIT_IS_WRONG,
        "deposited",
        odd,
        "live pieces of the receivable, each once",
    )


def _piece(book: Book, action: Any, piece: a.Piece, day: int) -> Iterator[Judgement]:
    """What is judged of every action that names a piece."""
    one, kind = book.receivables[piece.receivable], type(action)
    parties = [(name, getattr(action, name)) for name in _PARTIES if hasattr(action, name)]
    if kind is a.Discount:
        parties += [("terms.shares", share.payer) for share in action.terms.shares]
    for name, who in parties:
        yield _party(name, who)
    if kind is a.Claim:
        yield not is_id(action.against), R.PARTY_IS_OUT_OF_RANGE, "against", action.against, "1 .. 2**128 - 2"
    for name, who in parties:
        yield _no_cash(book, name, who.account)
    yield _signed(action, piece)
    yield _not_outstanding(one)
    yield piece.spent_by != 0, R.PIECE_IS_SPENT, "piece", f"spent by {piece.spent_by}", "a live piece"
    pledged = piece.pledge is not None
    yield pledged and kind in _NEED_NO_PLEDGE, R.PIECE_IS_PLEDGED, "piece", action.piece, "release or enforce it first"
    loose = not pledged and kind in (a.Release, a.Enforce)
    yield loose, R.PIECE_IS_NOT_PLEDGED, "piece", action.piece, "a pledged piece"
    due = kind in _CIRCULATE and day >= one.due_day
    yield due, R.RECEIVABLE_IS_DUE, "piece", day, f"before day {one.due_day}"
    if kind is a.Default:
        yield day <= one.due_day, R.RECEIVABLE_IS_NOT_DUE, "piece", day, f"after day {one.due_day}"
        ends = one.due_day + book.rules.grace_days
        yield day <= ends, R.GRACE_HAS_NOT_ENDED, "piece", day, f"after day {ends}"
        yield one.stage == a.DEFAULTED, R.RECEIVABLE_HAS_DEFAULTED, "piece", one.stage, a.OUTSTANDING
    quiet = kind in (a.Claim, a.PayClaim) and one.stage != a.DEFAULTED
    yield quiet, R.RECEIVABLE_HAS_NOT_DEFAULTED, "piece", one.stage, a.DEFAULTED


def _special(book: Book, action: Any, piece: a.Piece, day: int) -> Iterator[Judgement]:
    """What is judged of one kind of action."""
    if isinstance(action, a.Enforce) and piece.pledge is not None:
        first = piece.pledge.enforce_day
        yield day < first, R.PLEDGE_CANNOT_BE_ENFORCED_YET, "piece", day, f"from day {first} on"
    elif isinstance(action, a.Split):
        yield from _split(book, action, piece)
    elif isinstance(action, a.Assign):
        yield _same("taker", action.taker, piece, cash_too=False)
    elif isinstance(action, a.Pledge):
        yield _same("pledgee", action.pledgee, piece, cash_too=False)
    elif isinstance(action, a.Discount):
        yield from _discount(book, action, piece, day)
    elif isinstance(action, (a.Claim, a.PayClaim)):
        yield from _claim(action, piece)


def _split(book: Book, action: a.Split, piece: a.Piece) -> Iterator[Judgement]:
    parts, sum_minor = action.amounts_minor, 0
    for part in parts:
        yield _amount(part, "amounts_minor")
        sum_minor += part
    few = not 2 <= len(parts) <= a.PARTS_MAX
    yield few, R.PARTS_ARE_WRONG, "amounts_minor", f"{len(parts)} parts", f"2 .. {a.PARTS_MAX} parts"
    other = sum_minor != piece.amount_minor
    yield other, R.PARTS_ARE_WRONG, "amounts_minor", sum_minor, f"a sum of {piece.amount_minor}"
    count = len(book.live[piece.receivable]) - 1 + len(parts)
    yield count > a.PIECES_MAX, R.PIECES_ARE_USED_UP, "amounts_minor", count, f"at most {a.PIECES_MAX} live pieces"


def _discount(book: Book, action: a.Discount, piece: a.Piece, day: int) -> Iterator[Judgement]:
    terms, one = action.terms, book.receivables[piece.receivable]
    yield _same("buyer", action.buyer, piece, cash_too=True)
    yield wrong_rate(terms), R.RATE_IS_OUT_OF_RANGE, "terms", f"{terms.rate} {terms.basis}", "0 < rate < 1"
    yield wrong_shares(terms.shares), R.SHARES_ARE_WRONG, "terms.shares", len(terms.shares), "weights, each owner once"
    interest = interest_minor(piece.amount_minor, terms, day, one.due_day)
    above = interest >= piece.amount_minor
    yield above, R.INTEREST_EXCEEDS_FACE, "terms", interest, f"less than {piece.amount_minor}"


def _claim(action: a.Claim | a.PayClaim, piece: a.Piece) -> Iterator[Judgement]:
    costs, claims = action.costs_minor, dict(piece.claims)
    odd = not _within(costs, 0, AMOUNT_MAX - piece.owed_minor)
    yield odd, R.AMOUNT_IS_OUT_OF_RANGE, "costs_minor", costs, "0 .. 2**63 - 2 less what is owed"
    owner = action.against if isinstance(action, a.Claim) else action.payer.owner
    yield owner not in liable(piece), R.PARTY_IS_NOT_LIABLE, "piece", owner, "who gave it on with recourse"
    if isinstance(action, a.PayClaim):
        yield owner not in claims, R.PARTY_HAS_NO_CLAIM, "piece", owner, "who was asked to pay"
        yield claims.get(owner) != costs, R.CLAIM_HAS_OTHER_AMOUNT, "costs_minor", costs, str(claims.get(owner))


def _signed(action: Any, piece: a.Piece) -> Judgement:
    holder, pledge = piece.holder.owner, piece.pledge
    pledgee = {pledge.pledgee.owner} if pledge else set()
    match action:
        case a.Default():
            return _unsigned_by_any(action, {holder} | pledgee)
        case a.Release() | a.Enforce():
            # Without a pledge there is nobody to ask; then PIECE_IS_NOT_PLEDGED follows.
            return _unsigned(action, pledgee)
        case a.PayClaim():
            return _unsigned(action, {action.payer.owner})
        case a.Assign():
            return _unsigned(action, {holder, action.taker.owner})
        case a.Pledge():
            return _unsigned(action, {holder, action.pledgee.owner})
        case a.Discount():
            return _unsigned(action, {holder, action.buyer.owner, *payers(action.terms, holder)})
    return _unsigned(action, {holder})


def _unsigned(action: Any, needed: set[int]) -> Judgement:
    missing = sorted(needed - set(action.signers))
    return bool(missing), R.SIGNATURE_IS_MISSING, "signers", f"without {missing}", f"all of {sorted(needed)}"


def _unsigned_by_any(action: Any, needed: set[int]) -> Judgement:
    missing = not needed & set(action.signers)
    return missing, R.SIGNATURE_IS_MISSING, "signers", sorted(action.signers), f"one of {sorted(needed)}"


def _not_outstanding(one: a.Receivable) -> Judgement:
    over = one.stage not in (a.OUTSTANDING, a.DEFAULTED)
    return over, R.RECEIVABLE_IS_NOT_OUTSTANDING, "receivable", one.stage, f"{a.OUTSTANDING} or {a.DEFAULTED}"


def _same(name: str, who: Party, piece: a.Piece, cash_too: bool) -> Judgement:
    same = who.owner == piece.holder.owner or (cash_too and who.account == piece.holder.account)
    return same, R.PARTIES_MUST_DIFFER, name, who.owner, "not the holder, nor its account"


def _party(name: str, who: Party) -> Judgement:
    good = is_id(who.owner) and is_id(who.account)
    return not good, R.PARTY_IS_OUT_OF_RANGE, name, f"{who.owner}, {who.account}", "1 .. 2**128 - 2"


def _no_cash(book: Book, name: str, account: int) -> Judgement:
    taken = account in book.pieces or account in book.obligations
    return taken, R.CASH_ACCOUNT_IS_A_PIECE, name, account, "an account of cash"


def _amount(amount_minor: object, where: str = "amount_minor") -> Judgement:
    return not is_amount(amount_minor), R.AMOUNT_IS_OUT_OF_RANGE, where, amount_minor, "1 .. 2**63 - 2"


def _within(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _formed(one: a.Invoice) -> bool:
    short = max(len(one.seller), len(one.number)) <= TEXT_MAX
    return short and bool(_normal(one.seller)) and bool(_normal(one.number)) and is_amount(one.amount_minor)


def _normal(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text).upper() if one.isalnum())
