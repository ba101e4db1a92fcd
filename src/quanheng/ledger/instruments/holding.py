"""A hold as an instrument knows it: used in parts, prolonged, let go. Value lies in the ledger; here is only where.

A hold can be posted once. To use it in parts, one chain posts the part and holds the rest anew until the same time:
nothing can come between. The new hold is a new transfer to the ledger, so day and payment limits of its payer count it
on its own day, and it is refused where the payer's debits were frozen meanwhile.
"""

from __future__ import annotations

import msgspec

from quanheng.ledger.entries import Transfer, TransferFlag


class Holding(msgspec.Struct, frozen=True):
    """A hold that was applied.

    id : of the ledger's hold
    expires_ms : when it lets go by itself; 0 = never
    about : id of what it is for, kept as the user data of each transfer
    """

    id: int
    debit: int
    credit: int
    amount_minor: int
    code: int
    expires_ms: int
    about: int

    def expired(self, now_ms: int) -> bool:
        """Whether its time is out, as the ledger sees it."""
        return self.expires_ms != 0 and self.expires_ms <= now_ms

    def transfer(self, now_ms: int) -> Transfer:
        """What makes this hold now, with a time-out as long as the action says: asked later, it is the same length."""
        return self._made(int(TransferFlag.HOLD), self.expires_ms - now_ms if self.expires_ms else 0)

    def again(self) -> Transfer:
        """What makes this hold anew until the moment that the first one ends: asked later, it is the same moment."""
        return self._made(int(TransferFlag.HOLD | (TransferFlag.UNTIL if self.expires_ms else 0)), self.expires_ms)

    def _made(self, flags: int, timeout_ms: int) -> Transfer:
        return Transfer(
            self.id, self.debit, self.credit, self.amount_minor, self.code, flags, timeout_ms=timeout_ms,
            user_data=self.about,
        )  # fmt: skip

    def post(self, id: int, amount_minor: int) -> Transfer:
        """Posts a part or all of it; the ledger lets the rest go."""
        return Transfer(
            id, amount_minor=amount_minor, flags=int(TransferFlag.POST), reference=self.id, user_data=self.about
        )

    def void(self, id: int) -> Transfer:
        """Lets all of it go."""
        return Transfer(
            id, amount_minor=self.amount_minor, flags=int(TransferFlag.VOID), reference=self.id, user_data=self.about
        )

    def rest(self, id: int, used_minor: int) -> Holding | None:
        """The hold of what is left after a part was posted, until the same time; None if nothing is left."""
        left = self.amount_minor - used_minor
        return msgspec.structs.replace(self, id=id, amount_minor=left) if left else None

    def until(self, id: int, expires_ms: int) -> Holding:
        """The same hold with another end."""
        return msgspec.structs.replace(self, id=id, expires_ms=expires_ms)
