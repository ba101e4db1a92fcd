"""The page of `ledger.posted` names every field as the platform declares it, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from quanheng.ledger.posted import LEDGER_POSTED
from quanheng.loading.checks.platform import platform

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ledger-posted.md"


def test_the_page_says_what_the_platform_declares():
    fields = platform().events[LEDGER_POSTED].fields
    told: dict[str, tuple[str, str]] = {}
    for names, kind, optional in re.findall(r"^\| (`.*?) \| (.*?) \|(.*?)\|", PAGE.read_text("utf-8"), re.MULTILINE):
        told.update(dict.fromkeys(re.findall(r"`(\w+)`", names), (kind, optional.strip())))
    declared = {
        name: (f"key of `{field.entity}`" if field.entity else field.kind, "optional" if field.optional else "")
        for name, field in fields.items()
    }
    assert told == declared
    [kinds] = re.findall(r"^\| `kind` \|.*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", kinds)[1:]) == fields["kind"].choices
