"""Actions of receivables, what is folded of them, and why one is refused.

`signers` are the owners who agreed to this very action. That their signatures are good is for the caller to verify.
"""

from __future__ import annotations

import msgspec

from quanheng.ledger.instruments.action_fold import Party, RefusalCode
from quanheng.ledger.instruments.discount import DiscountTerms

PIECES_MAX = 2_000
"""Live pieces of one receivable: repaying part of all, pledged ones too, fits one chain of 8,190 transfers."""
PARTS_MAX = 100
INVOICES_MAX = 1_000


class ReceivableRefusal(RefusalCode):
    """Why an action of a receivable is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    RECEIVABLE_NOT_FOUND = "RECEIVABLE_NOT_FOUND", "There is no such receivable", "找不到该笔应收账款"
    PIECE_NOT_FOUND = "PIECE_NOT_FOUND", "There is no such piece", "找不到该笔凭证"
    PARTY_IS_OUT_OF_RANGE = (
        "PARTY_IS_OUT_OF_RANGE",
        "The number of an owner or an account is out of range",
        "主体编号超出范围",
    )
    CASH_ACCOUNT_IS_A_PIECE = (
        "CASH_ACCOUNT_IS_A_PIECE", "A cash account is an account of a receivable", "资金账户不得为应收账款凭证账户",
    )  # fmt: skip
    SIGNATURE_IS_MISSING = "SIGNATURE_IS_MISSING", "Not all who must agree have signed", "缺少必要的签署"
    RECEIVABLE_IS_NOT_OFFERED = (
        "RECEIVABLE_IS_NOT_OFFERED", "The receivable does not wait for acceptance", "该应收账款不在待确认状态",
    )  # fmt: skip
    RECEIVABLE_IS_NOT_OUTSTANDING = (
        "RECEIVABLE_IS_NOT_OUTSTANDING", "The receivable is not outstanding", "该应收账款不在存续状态",
    )  # fmt: skip
    PIECE_IS_SPENT = "PIECE_IS_SPENT", "The piece is spent", "该凭证已被使用"
    PIECE_IS_PLEDGED = "PIECE_IS_PLEDGED", "The piece is pledged", "该凭证已质押"
    PIECE_IS_NOT_PLEDGED = "PIECE_IS_NOT_PLEDGED", "The piece is not pledged", "该凭证未质押"
    RECEIVABLE_IS_DUE = "RECEIVABLE_IS_DUE", "The receivable is due", "该应收账款已到期"
    RECEIVABLE_IS_NOT_DUE = "RECEIVABLE_IS_NOT_DUE", "The receivable is not due yet", "该应收账款尚未到期"
    GRACE_HAS_NOT_ENDED = "GRACE_HAS_NOT_ENDED", "The days of grace have not ended", "宽限期尚未届满"
    RECEIVABLE_HAS_DEFAULTED = "RECEIVABLE_HAS_DEFAULTED", "The receivable has defaulted", "该应收账款已违约"
    RECEIVABLE_HAS_NOT_DEFAULTED = (
        "RECEIVABLE_HAS_NOT_DEFAULTED", "The receivable has not defaulted", "该应收账款尚未违约",
    )  # fmt: skip
    PLEDGE_CANNOT_BE_ENFORCED_YET = (
        "PLEDGE_CANNOT_BE_ENFORCED_YET", "The pledge cannot be enforced yet", "质权尚不可行使",
    )  # fmt: skip
    ASSET_IS_OUT_OF_RANGE = "ASSET_IS_OUT_OF_RANGE", "The asset number is out of range", "资产编号超出范围"
    ASSET_IS_TAKEN = "ASSET_IS_TAKEN", "Another receivable has this asset number", "资产编号已被占用"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    CURRENCY_IS_UNKNOWN = "CURRENCY_IS_UNKNOWN", "The currency is unknown", "币种未知"
    DUE_DAY_IS_OUT_OF_RANGE = "DUE_DAY_IS_OUT_OF_RANGE", "The due day is out of range", "到期日超出范围"
    INVOICES_ARE_WRONG = "INVOICES_ARE_WRONG", "The invoices are wrong", "发票信息有误"
    INVOICE_IS_FINANCED = "INVOICE_IS_FINANCED", "An invoice is financed already", "发票已被融资"
    AMOUNT_EXCEEDS_INVOICES = (
        "AMOUNT_EXCEEDS_INVOICES", "The amount exceeds the sum of the invoices", "金额超过发票合计",
    )  # fmt: skip
    PARTIES_MUST_DIFFER = "PARTIES_MUST_DIFFER", "The parties must differ", "双方不得为同一主体"
    PARTS_ARE_WRONG = "PARTS_ARE_WRONG", "The parts do not make up the piece", "拆分金额与原凭证不符"
    PIECES_ARE_USED_UP = "PIECES_ARE_USED_UP", "The receivable has too many pieces", "凭证份数已达上限"
    RATE_IS_OUT_OF_RANGE = "RATE_IS_OUT_OF_RANGE", "The terms of discount are out of range", "贴现条件超出范围"
    SHARES_ARE_WRONG = "SHARES_ARE_WRONG", "The shares of interest are wrong", "利息分担有误"
    INTEREST_EXCEEDS_FACE = "INTEREST_EXCEEDS_FACE", "The interest exceeds the face", "利息超过面额"
    PARTY_IS_NOT_LIABLE = "PARTY_IS_NOT_LIABLE", "The owner is not liable for this piece", "该主体对此凭证不负追索义务"
    PARTY_HAS_NO_CLAIM = "PARTY_HAS_NO_CLAIM", "Nothing was claimed of this owner", "未向该主体追索"
    CLAIM_HAS_OTHER_AMOUNT = (
        "CLAIM_HAS_OTHER_AMOUNT", "The claim is about another amount", "追索金额不一致",
    )  # fmt: skip
    DEPOSIT_IS_WRONG = "DEPOSIT_IS_WRONG", "What is deposited is wrong", "提存信息有误"


class Invoice(msgspec.Struct, frozen=True):
    """An invoice. It is identified by its seller's tax number and its own number, however they are spaced."""

    seller: str
    number: str
    amount_minor: int


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What every action has: an id of 128 bits, and the owners who signed it."""

    id: int
    signers: tuple[int, ...]


class Issue(Action, frozen=True, kw_only=True):
    """A supplier draws up a receivable against a debtor. Nothing moves before it accepts. Signed by the supplier.

    asset : number of the asset, of this receivable alone
    due_day : number of the day it is due (`quanheng.ledger.instruments.discount.day_number`)
    supplier : with the cash account that repayment goes to
    """

    asset: int
    debtor: int
    supplier: Party
    amount_minor: int
    currency: str
    due_day: int
    invoices: tuple[Invoice, ...]


class Accept(Action, frozen=True, kw_only=True):
    """The debtor accepts: it owes, and the supplier has the first piece. Signed by the debtor."""

    receivable: int


class Decline(Action, frozen=True, kw_only=True):
    """An offered receivable ends, its invoices are free again. Signed by the debtor or by the supplier."""

    receivable: int


class Split(Action, frozen=True, kw_only=True):
    """A piece becomes several of the same holder. Signed by the holder."""

    piece: int
    amounts_minor: tuple[int, ...]


class Assign(Action, frozen=True, kw_only=True):
    """A piece is transferred to another holder. Signed by the holder and by who takes it.

    with_recourse : whether the holder must pay if the debtor does not
    """

    piece: int
    taker: Party
    with_recourse: bool


class Discount(Action, frozen=True, kw_only=True):
    """A piece is sold for its face less interest. Signed by the holder, the buyer, and everybody who pays interest."""

    piece: int
    buyer: Party
    terms: DiscountTerms
    with_recourse: bool


class Pledge(Action, frozen=True, kw_only=True):
    """A piece secures a debt. Signed by the holder and by the pledgee.

    pledgee : with the cash account that repayment goes to while the pledge lasts
    enforce_day : first day on which the pledgee may take the piece by itself
    """

    piece: int
    pledgee: Party
    enforce_day: int


class Release(Action, frozen=True, kw_only=True):
    """A pledge ends. Signed by the pledgee."""

    piece: int


class Enforce(Action, frozen=True, kw_only=True):
    """The pledgee takes the piece, with recourse against the pledgor. Signed by the pledgee."""

    piece: int


class Repay(Action, frozen=True, kw_only=True):
    """The debtor pays all holders at once, all that is owed or part of it. Signed by the debtor.

    cash : the debtor's cash account
    deposited : pieces whose money goes to the deposit account, because their holders' accounts take none
    amount_minor : paid in all, to each piece in proportion to what is owed on it, largest remainders first, ties to the
        lower number: nothing is left over. 0 = all that is owed
    """

    receivable: int
    cash: int
    deposited: tuple[int, ...] = ()
    amount_minor: int = 0


class Default(Action, frozen=True, kw_only=True):
    """A holder states that the debtor has not paid. Signed by the holder of `piece`, or its pledgee."""

    piece: int


class Claim(Action, frozen=True, kw_only=True):
    """A holder claims what is owed on a piece, and costs, of a transferor with recourse. Signed by the holder."""

    piece: int
    against: int
    costs_minor: int = 0


class PayClaim(Action, frozen=True, kw_only=True):
    """A transferor pays what was claimed and has the piece again, with the rights against those before it.

    Signed by the payer.
    """

    piece: int
    payer: Party
    costs_minor: int = 0


class Transferor(msgspec.Struct, frozen=True):
    """Who gave a piece on, and whether with recourse."""

    owner: int
    with_recourse: bool


class PledgeOf(msgspec.Struct, frozen=True):
    """The pledge of a piece: its hold in the ledger, and the piece that the pledgee would have."""

    hold: int
    pledgee: Party
    pledgee_piece: int
    enforce_day: int


class Piece(msgspec.Struct, frozen=True):
    """A piece of a receivable. Its number is that of its ledger account; on that account is what is owed on it, or 0.

    amount_minor : its face, which never changes
    paid_minor : what the debtor has paid of it, to its holders or to those of the pieces that it comes from
    parent : the piece it came from; 0 for the first
    transferors : from the supplier on, to the one before the holder
    claims : owner -> costs in minor units, of those who were asked to pay
    spent_by : action that ended it; 0 = it is live
    """

    receivable: int
    holder: Party
    amount_minor: int
    parent: int = 0
    transferors: tuple[Transferor, ...] = ()
    pledge: PledgeOf | None = None
    claims: tuple[tuple[int, int], ...] = ()
    spent_by: int = 0
    paid_minor: int = 0

    @property
    def owed_minor(self) -> int:
        """The face less what was paid."""
        return self.amount_minor - self.paid_minor


class Receivable(msgspec.Struct, frozen=True):
    """A receivable. `stage` is one of OFFERED, OUTSTANDING, DEFAULTED, REPAID, DECLINED."""

    asset: int
    debtor: int
    supplier: Party
    amount_minor: int
    currency: str
    due_day: int
    invoices: tuple[Invoice, ...]
    stage: str
    obligation: int
    first_piece: int


OFFERED, OUTSTANDING, DEFAULTED = "OFFERED", "OUTSTANDING", "DEFAULTED"
REPAID, DECLINED = "REPAID", "DECLINED"


class Rules(msgspec.Struct, frozen=True):
    """What is the same for all receivables of one book.

    utc_offset_ms : how far the clocks of its calendar are ahead of UTC; 8 hours for China
    grace_days : days after the due day before a default can be stated
    term_days_max : longest time to the due day
    deposit_account : ledger account for money that holders' accounts do not take; 0 = none
    entity : legal entity whose books the accounts are in
    """

    utc_offset_ms: int = 28_800_000
    grace_days: int = 0
    term_days_max: int = 366
    deposit_account: int = 0
    entity: int = 0
