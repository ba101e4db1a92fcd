"""Acts of a bill, what is folded of them, and why one is refused.

`signers` are the owners who agreed to this very act. That their signatures are good is for the caller to verify.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from quanheng.ledger.instruments.action_fold import Party, RefusalCode
from quanheng.ledger.instruments.discount import DiscountTerms

PARTS_MAX = 100
GUARANTORS_MAX = 100
REASON_LENGTH_MAX = 200


class BillRefusal(RefusalCode):
    """Why an act is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    PIECE_NOT_FOUND = "PIECE_NOT_FOUND", "There is no such piece", "找不到该票据（包）"
    PARTY_IS_OUT_OF_RANGE = (
        "PARTY_IS_OUT_OF_RANGE",
        "The number of an owner or an account is out of range",
        "主体编号超出范围",
    )
    CASH_ACCOUNT_IS_A_PIECE = (
        "CASH_ACCOUNT_IS_A_PIECE", "A cash account is an account of a bill", "资金账户不得为票据账户",
    )  # fmt: skip
    ACT_IS_NOT_ALLOWED_NOW = (
        "ACT_IS_NOT_ALLOWED_NOW", "The act is not allowed at this stage", "当前状态下不得作出该票据行为",
    )  # fmt: skip
    SIGNATURE_IS_MISSING = "SIGNATURE_IS_MISSING", "Not all who must agree have signed", "缺少必要的签章"
    BILL_IS_NOT_TRANSFERABLE = "BILL_IS_NOT_TRANSFERABLE", "The bill is marked as not transferable", "票据记载不得转让"
    BILL_IS_NOT_DIVISIBLE = "BILL_IS_NOT_DIVISIBLE", "The bill is not divisible", "票据不可分包流转"
    BILL_IS_DUE = "BILL_IS_DUE", "The bill is due", "票据已到期"
    BILL_IS_NOT_DUE = "BILL_IS_NOT_DUE", "The bill is not due yet", "票据尚未到期"
    ACCEPTOR_HAS_TIME = "ACCEPTOR_HAS_TIME", "The acceptor still has time to answer", "承兑人应答期限未届满"
    PLEDGE_CANNOT_BE_ENFORCED_YET = (
        "PLEDGE_CANNOT_BE_ENFORCED_YET", "The pledge cannot be enforced yet", "质权尚不可行使",
    )  # fmt: skip
    ASSET_IS_OUT_OF_RANGE = "ASSET_IS_OUT_OF_RANGE", "The asset number is out of range", "资产编号超出范围"
    ASSET_IS_TAKEN = "ASSET_IS_TAKEN", "Another bill has this asset number", "资产编号已被占用"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    DUE_DAY_IS_OUT_OF_RANGE = "DUE_DAY_IS_OUT_OF_RANGE", "The due day is out of range", "到期日超出范围"
    PARTIES_MUST_DIFFER = "PARTIES_MUST_DIFFER", "The parties must differ", "双方不得为同一主体"
    PARTY_IS_NO_BANK = (
        "PARTY_IS_NO_BANK",
        "The buyer is not a bank of the kind that is needed",
        "受让方不具备贴现机构资格",
    )
    PARTS_ARE_WRONG = "PARTS_ARE_WRONG", "The parts do not make up the piece", "拆分区间与票据包不符"
    RATE_IS_OUT_OF_RANGE = "RATE_IS_OUT_OF_RANGE", "The terms of discount are out of range", "贴现条件超出范围"
    SHARES_ARE_WRONG = "SHARES_ARE_WRONG", "The shares of interest are wrong", "利息分担有误"
    INTEREST_EXCEEDS_FACE = "INTEREST_EXCEEDS_FACE", "The interest exceeds the face", "利息超过票面金额"
    PRINCIPAL_IS_NOT_LIABLE = (
        "PRINCIPAL_IS_NOT_LIABLE", "The principal is not liable on this piece", "被保证人并非票据债务人",
    )  # fmt: skip
    GUARANTORS_ARE_USED_UP = "GUARANTORS_ARE_USED_UP", "The piece has too many guarantors", "保证人数量已达上限"
    REASON_IS_WRONG = "REASON_IS_WRONG", "The reason is empty or too long", "拒付理由有误"
    PARTY_IS_NOT_LIABLE = "PARTY_IS_NOT_LIABLE", "The owner is not liable to this holder", "该主体对持票人不负票据责任"
    PARTY_HAS_NO_CLAIM = "PARTY_HAS_NO_CLAIM", "Nothing was claimed of this owner", "未向该主体追索"
    CLAIM_HAS_OTHER_AMOUNT = "CLAIM_HAS_OTHER_AMOUNT", "The claim is about another amount", "追索金额不一致"


class Stage(StrEnum):
    """Where a piece of a bill stands."""

    DRAWN = "drawn"
    ACCEPTED = "accepted"
    HELD = "held"
    DISCOUNTED = "discounted"
    PLEDGED = "pledged"
    PRESENTED = "presented"
    REFUSED = "refused"
    CLOSED = "closed"


class Capacity(StrEnum):
    """In what capacity somebody is liable, or a guarantor's principal is."""

    ACCEPTOR = "acceptor"
    DRAWER = "drawer"
    ENDORSER = "endorser"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What every act has: an id of 128 bits, and the owners who signed it."""

    id: int
    signers: tuple[int, ...]


class Draw(Act, frozen=True, kw_only=True):
    """A bill is drawn up, a package of `amount_minor` units numbered from 1. Nobody owes anything before acceptance.

    asset : number of the asset, of this bill alone
    transferable : False = the drawer's mark "not transferable"
    divisible : whether the package may be divided
    """

    asset: int
    drawer: Party
    acceptor: int
    payee: Party
    amount_minor: int
    due_day: int
    transferable: bool = True
    divisible: bool = True


class OnPiece(Act, frozen=True, kw_only=True):
    """An act on a piece of a bill, which is named by the number of its ledger account."""

    piece: int


class Accept(OnPiece, frozen=True, kw_only=True):
    """The acceptor owes the bill; the drawer has it."""


class Decline(OnPiece, frozen=True, kw_only=True):
    """The acceptor does not accept; the bill ends."""


class Withdraw(OnPiece, frozen=True, kw_only=True):
    """The drawer takes back a bill that was not delivered; it ends."""


class Guarantee(OnPiece, frozen=True, kw_only=True):
    """A guarantor is liable as the principal is: acceptor, drawer or an endorser of the piece."""

    guarantor: int
    principal: int


class Deliver(OnPiece, frozen=True, kw_only=True):
    """The payee takes the bill from the drawer."""


class Split(OnPiece, frozen=True, kw_only=True):
    """A piece becomes several, of so many units each, in order."""

    amounts_minor: tuple[int, ...]


class Endorse(OnPiece, frozen=True, kw_only=True):
    """The piece is endorsed on. `transferable` False = the endorser's mark: this endorsement is the last."""

    taker: Party
    transferable: bool = True


class Sale(OnPiece, frozen=True, kw_only=True):
    """The piece is sold for its face less interest."""

    taker: Party
    terms: DiscountTerms


class Discount(Sale, frozen=True, kw_only=True):
    """A holder sells to a bank."""


class Interbank(Sale, frozen=True, kw_only=True):
    """A bank sells a discounted piece to another bank."""


class Rediscount(Sale, frozen=True, kw_only=True):
    """A bank sells a discounted piece to the central bank."""


class Pledge(OnPiece, frozen=True, kw_only=True):
    """The piece secures a debt. From `enforce_day` on the pledgee may take it by itself."""

    taker: Party
    enforce_day: int


class Release(OnPiece, frozen=True, kw_only=True):
    """A pledge ends."""


class Enforce(OnPiece, frozen=True, kw_only=True):
    """The pledgee has the piece, with the pledgor liable as an endorser."""


class Present(OnPiece, frozen=True, kw_only=True):
    """The holder asks the acceptor to pay."""


class Pay(OnPiece, frozen=True, kw_only=True):
    """The acceptor pays a piece that was presented, from a cash account; the piece ends."""

    cash: int


class Refuse(OnPiece, frozen=True, kw_only=True):
    """The acceptor refuses to pay, and says why."""

    reason: str


class Protest(OnPiece, frozen=True, kw_only=True):
    """The holder states that the acceptor has not answered in time."""


class Claim(OnPiece, frozen=True, kw_only=True):
    """The holder claims face, interest and costs of somebody liable."""

    against: int
    costs_minor: int = 0


class Settle(OnPiece, frozen=True, kw_only=True):
    """Who was asked pays, and has the piece with the rights against those before; the acceptor's payment ends it."""

    payer: Party
    costs_minor: int = 0


class Liable(msgspec.Struct, frozen=True):
    """Somebody liable on a piece, in the order acceptor, drawer, endorsers, each followed by its guarantors."""

    owner: int
    capacity: Capacity
    is_guarantor: bool = False


class PledgeOf(msgspec.Struct, frozen=True):
    """The pledge of a piece: its hold in the ledger, and the piece that the pledgee would have."""

    hold: int
    pledgee: Party
    pledgee_piece: int
    enforce_day: int


class Piece(msgspec.Struct, frozen=True):
    """Units `first` .. `last` of a bill. Its number is that of its ledger account: what lies there is its face, or 0.

    discounted : whether a bank has bought it, so that it stays among banks
    liable : the order of those who are liable on it
    claims : owner -> costs in minor units, of those who were asked to pay
    presented_day : 0 = never
    spent_by : act that ended it; 0 = it has not ended
    """

    bill: int
    first: int
    last: int
    holder: Party
    stage: Stage
    transferable: bool
    liable: tuple[Liable, ...]
    discounted: bool = False
    parent: int = 0
    pledge: PledgeOf | None = None
    claims: tuple[tuple[int, int], ...] = ()
    presented_day: int = 0
    spent_by: int = 0

    @property
    def amount_minor(self) -> int:
        """Its face: one minor unit for each unit of the package."""
        return self.last - self.first + 1


class Bill(msgspec.Struct, frozen=True):
    """A bill as it was drawn."""

    asset: int
    drawer: Party
    acceptor: int
    payee: Party
    amount_minor: int
    drawn_day: int
    due_day: int
    transferable: bool
    divisible: bool
    obligation: int
    first_piece: int


class Rules(msgspec.Struct, frozen=True):
    """What is the same for all bills of one book.

    banks : owners that may discount and buy among themselves; an acceptor among them makes a bank acceptance bill
    central_banks : owners that rediscount
    utc_offset_ms : how far the clocks of its calendar are ahead of UTC; 8 hours for China
    term_months_max : longest time from drawing to the due day, in calendar months
    presentation_days : days after the due day within which presenting keeps the recourse against endorsers
    answer_days : days the acceptor has to answer
    entity : legal entity whose books the accounts are in
    """

    banks: frozenset[int] = frozenset()
    central_banks: frozenset[int] = frozenset()
    utc_offset_ms: int = 28_800_000
    term_months_max: int = 6
    presentation_days: int = 10
    answer_days: int = 3
    entity: int = 0
