"""Multilateral netting: what is asked of the operator of a cycle, and the closed list of why it is refused."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from quanheng.ledger.entries import NO_LIMIT
from quanheng.ledger.instruments.action_fold import RefusalCode

PRIORITY_MAX = 9


class NettingRefusal(RefusalCode):
    """Why an action of netting is refused, in order of precedence."""

    ID_IS_OUT_OF_RANGE = "ID_IS_OUT_OF_RANGE", "The id is out of range", "编号超出范围"
    ID_HAS_OTHER_CONTENT = "ID_HAS_OTHER_CONTENT", "The id was used with other content", "编号已用于其他内容"
    CYCLE_NOT_FOUND = "CYCLE_NOT_FOUND", "There is no such cycle", "找不到该清算场次"
    ACTOR_MAY_NOT = "ACTOR_MAY_NOT", "The actor may not do this", "该主体无权执行此操作"
    CODE_IS_OUT_OF_RANGE = "CODE_IS_OUT_OF_RANGE", "The code is out of range", "代码超出范围"
    MEMBERS_ARE_WRONG = "MEMBERS_ARE_WRONG", "The members are wrong", "参与者有误"
    CAP_IS_OUT_OF_RANGE = "CAP_IS_OUT_OF_RANGE", "A cap is out of range", "净借记上限超出范围"
    CLEARING_IS_WRONG = "CLEARING_IS_WRONG", "A clearing account is missing or wrong", "清算账户缺失或有误"
    COLLATERAL_IS_WRONG = "COLLATERAL_IS_WRONG", "A collateral is wrong", "担保品有误"
    CYCLE_IS_CLOSED = "CYCLE_IS_CLOSED", "The cycle is closed", "清算场次已关闭"
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND", "There is no such member", "找不到该参与者"
    MEMBER_HAS_FAILED = "MEMBER_HAS_FAILED", "The member has failed", "该参与者已违约"
    PARTIES_MUST_DIFFER = "PARTIES_MUST_DIFFER", "Debtor and creditor must differ", "债务人与债权人必须不同"
    AMOUNT_IS_OUT_OF_RANGE = "AMOUNT_IS_OUT_OF_RANGE", "The amount is out of range", "金额超出范围"
    PRIORITY_IS_OUT_OF_RANGE = "PRIORITY_IS_OUT_OF_RANGE", "The priority is out of range", "优先级超出范围"
    CYCLE_IS_FULL = "CYCLE_IS_FULL", "The cycle takes no more of this asset", "该场次此资产已达上限"
    OBLIGATION_NOT_FOUND = "OBLIGATION_NOT_FOUND", "There is no such obligation", "找不到该笔债务"
    OBLIGATION_IS_NOT_QUEUED = "OBLIGATION_IS_NOT_QUEUED", "The obligation is not queued", "该笔债务不在队列中"
    CAP_IS_BELOW_POSITION = "CAP_IS_BELOW_POSITION", "The position is beyond that cap", "净头寸已超过该上限"
    ASSET_IS_NOT_CLEARED = "ASSET_IS_NOT_CLEARED", "The asset is not cleared here", "该场次不清算此资产"
    NOTHING_TO_SETTLE = "NOTHING_TO_SETTLE", "Nothing is to be settled", "没有可结算的债务"
    BATCH_IS_TOO_LARGE = "BATCH_IS_TOO_LARGE", "The batch does not fit one chain", "批次超出单链上限"
    LOSS_EXCEEDS_SHARES = "LOSS_EXCEEDS_SHARES", "The loss exceeds what survivors bear", "损失超过存续方分担上限"


class FailureRule(StrEnum):
    """What becomes of a cycle when a member fails.

    UNWIND : all its obligations that are not settled, and those to it, leave the netting
    SHARE_LOSS : its net debit is paid by its collateral as far as it has some; what is left is borne by the other
        members, in proportion to the most that each one bears. What it is owed in other assets is then retained, if
        the cycle has an account for that
    """

    UNWIND = "unwind"
    SHARE_LOSS = "share_loss"


class Member(msgspec.Struct, frozen=True):
    """A participant's part in a cycle, for one asset.

    cap_minor : how far its net position may be below zero; NO_LIMIT = -1, any. What the ledger's own rule
        `net_debit_cap_minor` of the account allows is judged at settlement besides
    loss_max_minor : most that it bears of the losses of other members in this cycle, beside its cap
    collateral : ledger account of the asset that pays its net debit if it fails; 0 = none
    collateral_minor : most that is called of it. That it is there and stays there (a pledged account) is for the
        operator to see to; the ledger refuses the call if it is not
    """

    owner: int
    asset: int
    account: int
    cap_minor: int = NO_LIMIT
    loss_max_minor: int = 0
    collateral: int = 0
    collateral_minor: int = 0


class ClearingAccount(msgspec.Struct, frozen=True):
    """The ledger account through which an asset is settled; zero after each settlement.

    retained : account that has what a member is owed whose loss others bear; 0 = it is paid to the member
    """

    asset: int
    account: int
    retained: int = 0


class OpenCycle(msgspec.Struct, frozen=True):
    """The operator opens a cycle. Its id is that of the action.

    code : why value moves, 1 .. 65535
    bypasses : whether resolution may pass over an obligation for which its debtor has no room
    """

    id: int
    by: int
    members: tuple[Member, ...]
    clearing: tuple[ClearingAccount, ...]
    code: int
    failure: FailureRule = FailureRule.UNWIND
    bypasses: bool = False


class SetCap(msgspec.Struct, frozen=True):
    """The operator sets a member's cap; not below its net debit of the moment."""

    id: int
    by: int
    cycle: int
    owner: int
    asset: int
    cap_minor: int


class Submit(msgspec.Struct, frozen=True):
    """A debtor submits an obligation; its id is that of the action. It is netted at once if nothing of the debtor's
    that goes before it is queued and the cap allows it, else queued.

    priority : 0 .. 9, 0 first
    """

    id: int
    by: int
    cycle: int
    creditor: int
    asset: int
    amount_minor: int
    priority: int = 5


class Withdraw(msgspec.Struct, frozen=True):
    """The debtor withdraws an obligation that is queued."""

    id: int
    by: int
    cycle: int
    obligation: int


class Resolve(msgspec.Struct, frozen=True):
    """The operator nets the largest set of queued obligations that the caps allow together."""

    id: int
    by: int
    cycle: int


class CloseCycle(msgspec.Struct, frozen=True):
    """The operator takes no more obligations; those that are queued are returned."""

    id: int
    by: int
    cycle: int


class SettleNet(msgspec.Struct, frozen=True):
    """The operator settles the net positions of some assets (none named: all) in one chain, debits first."""

    id: int
    by: int
    cycle: int
    assets: tuple[int, ...] = ()


class DeclareFailure(msgspec.Struct, frozen=True):
    """The operator declares that a participant has failed; the rule of the cycle is applied in all assets.

    collateral : whether its collateral is called; false where the ledger has refused the call
    """

    id: int
    by: int
    cycle: int
    owner: int
    collateral: bool = True
