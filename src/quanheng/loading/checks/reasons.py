"""reasons.toml: what each reason code says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Collection

from quanheng.loading.declared import Reason
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

FILE = "reasons.toml"


def check_reasons(values: dict[str, object], notes: Notes) -> tuple[Reason, ...]:
    """Read reasons.toml: both languages must be there for every code."""
    top = Table(values, FILE, "", notes)
    reasons = []
    for code, table in top.named("reason", NAME, of="reason"):
        reasons.append(
            Reason(
                code, table.text("en", wanted="the English sentence"), table.text("zh", wanted="the Chinese sentence")
            )
        )
        table.done()
    top.done()
    return tuple(reasons)


def check_reason_use(reasons: Collection[str], returned: dict[str, tuple[str, str]], notes: Notes) -> None:
    """Every code a policy can return has its sentence.

    Parameters
    ----------
    returned : code -> (file, key) of the output that returns it, as far as table outputs tell
    """
    for code, (file, key) in returned.items():
        if code not in reasons:
            notes.add(
                file,
                key,
                "the policy returns a reason code that reasons.toml does not have",
                found=code,
                known=list(reasons),
                of="reason",
            )
