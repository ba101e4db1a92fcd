"""The TOML files of a pack, parsed; which names are in doubt where one cannot be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from quanheng.loading.checks.calls import FILE as CALLS_FILE
from quanheng.loading.checks.chart import FILE as ACCOUNTS_FILE
from quanheng.loading.checks.experiments import FILE as EXPERIMENTS_FILE
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.names import is_declaration
from quanheng.loading.checks.processes import FILE as PROCESSES_FILE
from quanheng.loading.files import PackFiles
from quanheng.loading.notes import Notes
from quanheng.loading.toml import read_toml

_DECLARES = {
    MANIFEST_FILE: ("entity", "event", "outcome", "decided", "feature", "source", "act"),
    "events.toml": ("entity", "event", "decided", "feature", "source"),
    "features.toml": ("feature", "source"),
    "parameters": ("source",),
    "models": ("model", "source"),
    "reasons.toml": ("reason",),
    "lists.toml": ("list",),
    EXPERIMENTS_FILE: ("experiment", "source"),
    CALLS_FILE: ("call", "event", "decided", "feature", "source"),
    ACCOUNTS_FILE: ("asset", "account", "posting", "transfer", "feature", "source", "product", "servicing"),
    PROCESSES_FILE: ("process", "event", "decided", "feature", "source", "act"),
    "mappings": ("mapping",),
    "calendars": ("calendar", "feature", "source"),
}
"""Which kinds of names are in doubt when a file, or a file of a folder, cannot be read."""


class Folder(msgspec.Struct, frozen=True):
    """The TOML files of a pack, parsed, by name."""

    parsed: Mapping[str, dict[str, object]]

    @classmethod
    def read(cls, files: PackFiles, notes: Notes) -> Folder:
        """Parse them; what cannot be read is noted, and the names that it may declare are in doubt."""
        parsed = {}
        for name, content in files.files.items():
            if not name.endswith(".toml"):
                continue
            values = read_toml(content, name, notes)
            if values is None:
                notes.doubt(*_DECLARES.get(name.partition("/")[0], ()))
            else:
                parsed[name] = values
        if MANIFEST_FILE not in files.files:
            notes.doubt(*_DECLARES[MANIFEST_FILE])
        return cls(parsed)

    def one(self, name: str) -> dict[str, object]:
        """One file; empty when it is not there or could not be read."""
        return self.parsed.get(name, {})

    def within(self, folder: str) -> dict[str, dict[str, object]]:
        """The declarations of a folder."""
        return {
            name: values
            for name, values in self.parsed.items()
            if name.startswith(f"{folder}/") and is_declaration(name)
        }
