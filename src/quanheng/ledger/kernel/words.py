"""Where each number stands in the ledger's arrays of 64-bit words.

Tables, all int64; those of facts have room for more rows than there are:

F  facts, 16 words a row, as in `quanheng.ledger.wire`
L  beside each fact what the fold knows of it, 8 words
A  accounts, 34 words
I  slots of the index of transfer ids, burnt ones too: row + 1 below, 16 bits of the hash above; 0 = free; then keys
J  the same for account ids
H  heap of holds that end: expires_ms, row
B  marks: balances of accounts after some of their changes (with HISTORY after each), 14 words
U  undo journal of a chain, 40 words a transfer
S  counts and clocks
"""

from typing import NamedTuple

import numpy as np

from quanheng.ledger.entries import AccountFlag, TransferFlag


class Tables(NamedTuple):
    """The arrays above, as the kernel takes them."""

    F: np.ndarray
    L: np.ndarray
    A: np.ndarray
    I: np.ndarray  # noqa: E741
    J: np.ndarray
    H: np.ndarray
    B: np.ndarray
    U: np.ndarray
    S: np.ndarray


# A request, 14 words.
Q_ID, Q_DEBIT, Q_CREDIT, Q_REFERENCE, Q_USER = 0, 2, 4, 6, 8
Q_AMOUNT, Q_TIMEOUT, Q_VALUE, Q_MARKS, Q_WORDS = 10, 11, 12, 13, 14

# An answer, 19 words.
N_OUTCOME, N_AMOUNT, N_APPLIED, N_DEBIT, N_CREDIT, N_WORDS = 0, 1, 2, 3, 11, 19

# A fact, 16 words: of a transfer; of an account, where it differs.
F_ID, F_DEBIT, F_CREDIT, F_REFERENCE, F_USER = 0, 2, 4, 6, 8
F_ASKED, F_AMOUNT, F_TIME, F_APPLIED, F_MARKS, F_KIND, F_WORDS = 10, 11, 12, 13, 14, 15, 16
G_OWNER, G_USER, G_ASSET, G_LIMITS, G_OPENED = 2, 4, 6, 7, 12
"""G_LIMITS: overdraft, payment, day, balance, net debit cap."""

# Beside a fact: accounts by number, the row before in each one's list, the row referred to, where a hold stands, how
# much was reversed, which row settled the hold.
L_DEBIT, L_CREDIT, L_DEBIT_BEFORE, L_CREDIT_BEFORE, L_REFERENCE, L_HOLD, L_REVERSED, L_SETTLED, L_WORDS = range(9)
NO_HOLD, HELD, POSTED, VOIDED, EXPIRED = range(5)

# An account, 34 words. From A_TOTALS on the words that transfers change.
A_ID, A_ASSET, A_FLAGS, A_LIMITS = 0, 2, 3, 4
A_OVERDRAFT, A_PAYMENT, A_DAY_MAX, A_BALANCE_MAX, A_NET_CAP = 4, 5, 6, 7, 8
A_OPENED, A_ROW, A_OWNER, A_USER, A_ENTITY, A_CODE = 9, 10, 11, 13, 15, 16
A_TOTALS = 17
A_DEBITS, A_DEBITS_HELD, A_CREDITS, A_CREDITS_HELD = 17, 19, 21, 23
A_DAY, A_DAY_DEBITS, A_DAY_CREDITS, A_NEWEST, A_MARK = 25, 26, 28, 30, 31
A_LINES, A_AMENDED, A_WORDS = 32, 33, 34
CHANGED = 16
"""Words that transfers change: A_TOTALS to A_LINES."""
STATED = 6
"""Words that an amendment changes: A_FLAGS and five limits; and A_AMENDED, the row of the newest."""

# A mark: when, the one before, one further before, how many before, row of the change, which of the account's lines
# that was (1 = the first), the totals after it.
B_TIME, B_BEFORE, B_JUMP, B_DEPTH, B_ROW, B_LINE, B_TOTALS, B_WORDS = 0, 1, 2, 3, 4, 5, 6, 14
MARKED_EVERY = 64
"""Lines of an account without HISTORY from one mark to the next: any line is that near to a balance that is known."""

# An entry of the undo journal: twice an account and its words, a row and three of its words.
U_DEBIT, U_CREDIT, U_REFERENCE, U_WORDS = 0, 17, 34, 40

# Counts and clocks.
S_FACTS, S_IDS, S_ACCOUNTS, S_HEAP, S_MARKS, S_UNDO, S_NOW, S_DAY, S_WORDS = range(9)

K_LINE, K_EXPIRY, K_BURN, K_OPENED, K_AMENDED = 1, 2, 3, 4, 5

LINKED, HOLD, POST, VOID = (int(one) for one in list(TransferFlag)[:4])
REVERSAL, BALANCING_DEBIT, BALANCING_CREDIT = 16, 32, 64
IMPORTED, BURN, UNTIL = int(TransferFlag.IMPORTED), int(TransferFlag.BURN), int(TransferFlag.UNTIL)
ALLOWED = sum(int(flag) for flag in TransferFlag)
SETTLES, REFERS, BALANCING = POST | VOID, POST | VOID | REVERSAL, BALANCING_DEBIT | BALANCING_CREDIT

DEBITS_BOUND, CREDITS_BOUND, HISTORY = (
    int(AccountFlag.DEBITS_BOUND), int(AccountFlag.CREDITS_BOUND), int(AccountFlag.HISTORY),
)  # fmt: skip
ACCOUNT_IMPORTED = int(AccountFlag.IMPORTED)
DEBITS_FROZEN, CREDITS_FROZEN, CLOSED = (
    int(AccountFlag.DEBITS_FROZEN), int(AccountFlag.CREDITS_FROZEN), int(AccountFlag.CLOSED),
)  # fmt: skip
