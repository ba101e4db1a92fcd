"""One flow of a pack, compiled: its policy, where its inputs come from, its opinions, what it asks of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quanheng.asking import Postings
from quanheng.decisions.policy import Judgement, Policy
from quanheng.facts import DECIDED, FAILED, LATE, REASON_LEDGER_REFUSED, Opinion
from quanheng.known import ExactColumn, Known
from quanheng.loading.declared import Flow as DeclaredFlow
from quanheng.loading.declared import ListDeclaration
from quanheng.sending import Sends

REASON_POLICY_FAILED = "policy_failed"
REASON_DEADLINE_PASSED = "deadline_passed"
PLATFORM_REASONS = {
    REASON_POLICY_FAILED: {
        "en": "The policy could not be evaluated; the declared fall-back outcome was given.",
        "zh": "策略无法执行，已给出声明的兜底结果。",
    },
    REASON_DEADLINE_PASSED: {
        "en": "The deadline had passed before a decision could be made; the declared fall-back outcome was given.",
        "zh": "决策前已超过时限，已给出声明的兜底结果。",
    },
    REASON_LEDGER_REFUSED: {
        "en": "The ledger refused the transfers that were asked for; the outcome declared for that was given.",
        "zh": "账本拒绝了所请求的转账，已给出为此声明的结果。",
    },
}

Getter = Callable[[Known], ExactColumn]


class Flow:
    """One flow, compiled: its policy, where the policy's inputs come from, and its opinions."""

    def __init__(
        self,
        declared: DeclaredFlow,
        pack: str,
        outcomes: Sequence[str],
        policy: Policy,
        quick: Policy,
        getters: Sequence[Getter],
        lists: Sequence[ListDeclaration] = (),
        postings: Postings | None = None,
        sends: Sends | None = None,
    ) -> None:
        self.name = f"{pack}.{declared.decide}"
        self.pack, self.purpose, self.fallback = pack, declared.purpose, declared.fallback
        self.refused_as = declared.refused_as
        self.policy = policy
        self.quick = quick
        """The same policy for the values of `inputs`: what is right by construction is not looked at again."""
        self.postings = postings
        """What it asks of the ledger; None = nothing, whatever the outcome."""
        self.sends, self.sent = sends, declared.sends
        """The messages it may send, and by outcome which of them."""
        self._getters = tuple(getters)
        self._outcomes = frozenset(outcomes)
        self.lists = {one.name: (f"{pack}.{one.name}", one.entity) for one in lists if one.name in policy.lists}
        self.late = Opinion(self.name, self.fallback, LATE, [REASON_DEADLINE_PASSED], [])

    def inputs(self, known: Known) -> list[Sequence[object]]:
        """A column of exact values per input of the policy, in the policy's order."""
        return [getter(known) for getter in self._getters]

    def opinion(self, judgement: Judgement) -> Opinion:
        """The policy's result as an opinion; the fall-back where it is no declared outcome."""
        result = judgement.result
        if isinstance(result, dict):
            outcome, reasons = result.get("outcome"), result.get("reasons")
            if isinstance(outcome, str) and outcome in self._outcomes and _are_codes(reasons):
                return Opinion(self.name, outcome, DECIDED, [code for code in reasons or () if code], judgement.trace)
        why = "; ".join(map(str, judgement.diagnostics)) or "no rule gave one"
        note = f"the policy gave no declared outcome ({why})"
        return Opinion(self.name, self.fallback, FAILED, [REASON_POLICY_FAILED], judgement.trace, note)

    def failed(self, error: Exception) -> Opinion:
        """The fall-back where the policy raised. The text of the error may hold data, so only its type is kept."""
        return Opinion(self.name, self.fallback, FAILED, [REASON_POLICY_FAILED], [], type(error).__name__)


_CODES = {str, type(None)}


def _are_codes(reasons: object) -> bool:
    """Reasons are a list of texts; null, alone or among them, means none."""
    if reasons is None:
        return True
    return isinstance(reasons, list) and {code.__class__ for code in reasons} <= _CODES
