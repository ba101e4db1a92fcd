"""One tree of errors; each says where, what was found, what is allowed, and the cure.

QuanhengError
  + InputError               the caller can cure it; nothing was written
    - EventRejected          one event does not fit its schema
    - RequestConflict        same id, other content
    - NotAuthenticated       no valid token
    - NotPermitted           the actor lacks the scope
    - NotFound               no such decision, event, pack, file
    - DeclarationError       a pack, policy or feature is wrong: carries every Problem found
    - ExpressionError        a FEEL text that does not parse
    - ConfigurationError     the configuration file is wrong
    - MissingExtra           an optional package is not installed
  + Overloaded               nothing was written; try again
    - QueueFull, RateLimited
    - KeyRingBusy            another process holds the key ring
  + DataErased               the subject's key was destroyed; the content is gone for good
  + ProofRefused             a proof or a signed checkpoint does not verify: do not rely on it
  + LogError                 the log is the truth: the process stops
    - HeadMoved              another writer has appended
    - EpochFenced            a newer writer has taken over
    - AppendFailed           the store did not confirm a durable write
    - LogCorrupt             stored bytes are not what was written
    - SealBroken             a sealed payload does not verify under its key
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One finding in a declaration. All findings are reported, not the first."""

    file: str
    key: str
    message: str
    found: str = ""
    known: str = ""
    cure: str = ""

    def __str__(self) -> str:
        return _sentence(
            self.message, f"{self.file}: {self.key}" if self.key else self.file, self.found, self.known, self.cure
        )


class QuanhengError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    what : what went wrong, a clause without a full stop
    where : file, field, offset or expression
    found : the value that was found, as text
    allowed : what would have been accepted
    cure : what to do about it
    """

    def __init__(self, what: str, *, where: str = "", found: str = "", allowed: str = "", cure: str = "") -> None:
        self.what, self.where, self.found, self.allowed, self.cure = what, where, found, allowed, cure
        super().__init__(_sentence(what, where, found, allowed, cure))


def _sentence(what: str, where: str, found: str, allowed: str, cure: str) -> str:
    parts = [f"{where}: {what}" if where else what]
    if found:
        parts.append(f"was {found}")
    if allowed:
        parts.append(f"allowed: {allowed}")
    text = "; ".join(parts)
    return f"{text}. {cure}" if cure else text


class InputError(QuanhengError):
    """The caller can cure it; nothing was written."""


class EventRejected(InputError):
    """One event does not fit its schema; the rest of the batch goes on."""


class RequestConflict(InputError):
    """The request id was used before with other content."""


class NotAuthenticated(InputError):
    """The request carries no valid token."""


class NotPermitted(InputError):
    """The actor is known and lacks the scope."""


class NotFound(InputError):
    """No such decision, event, pack or file."""


class DeclarationError(InputError):
    """A declaration is wrong. `problems` holds every finding."""

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{what}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}{lines}")


class ExpressionError(InputError):
    """A FEEL text does not parse or does not type-check."""


class ConfigurationError(InputError):
    """The configuration file or a command-line option is wrong."""


class MissingExtra(InputError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            cure=f"Run: pip install 'quanheng[{extra}]'",
        )


class Overloaded(QuanhengError):
    """Nothing was written; the call may be repeated later."""


class QueueFull(Overloaded):
    """The bounded queue in front of the writer is full."""


class RateLimited(Overloaded):
    """The client sent more requests than its limit."""


class KeyRingBusy(Overloaded):
    """Another process holds the key ring."""


class DataErased(QuanhengError):
    """The subject's key was destroyed on request; the content cannot be read again."""


class ProofRefused(QuanhengError):
    """A proof or a signed checkpoint does not verify: whoever was given it must not rely on it."""


class LogError(QuanhengError):
    """The log cannot be trusted or written. The process stops: the log is the truth."""


class HeadMoved(LogError):
    """Another writer has appended since the head was read."""


class EpochFenced(LogError):
    """A newer writer has taken over; this one can never write again."""


class AppendFailed(LogError):
    """The store did not confirm a durable write."""


class LogCorrupt(LogError):
    """Stored bytes are not what was written."""


class SealBroken(LogError):
    """A sealed payload does not verify under its key."""
