"""Alarms of models enter the log: ordinary events under a client of the platform's own, once for each finding.

What `quanheng models watch` finds goes the main path like any request, so flows, folds and processes of packs take it
as it is. Its request id is that of the finding: found again, it is a repeat. Labels that came late may have moved the
value since; the first one stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quanheng.events.intake import Request
from quanheng.kernel.errors import InputError
from quanheng.models.monitoring.alarms import MODEL_ALARM, WATCHER, Alarm
from quanheng.writer import Writer

GROUP_MAX = 200
"""Most events in one group: callers wait meanwhile."""


def record_alarms(writer: Writer, alarms: Sequence[Alarm]) -> dict[str, Any]:
    """Send them through the main path. No group may be in flight.

    Returns
    -------
    new, repeated : how many; offsets : of the new ones

    Raises
    ------
    InputError : no active pack takes the event, or the log refuses one
    """
    if alarms and MODEL_ALARM not in writer.state.program.types:
        raise InputError(
            "no active pack takes alarms of models", where=MODEL_ALARM,
            found=", ".join(sorted(writer.state.program.packs)),
            allowed="a pack whose model has a table [monitoring], or one that decides or folds the event",
            cure="Add [monitoring] to models/NAME.toml and activate the pack.",
        )  # fmt: skip
    offsets, repeated = [], 0
    for start in range(0, len(alarms), GROUP_MAX):
        part = alarms[start : start + GROUP_MAX]
        for reply in writer.submit([Request(WATCHER, one.id, MODEL_ALARM, one.data) for one in part]):
            if reply.status in ("repeated", "conflict"):  # A conflict: its value has moved since it was first told.
                repeated += 1
            elif reply.status == "rejected":
                raise InputError("the log refused an alarm", where=MODEL_ALARM, found=reply.error)
            else:
                offsets.append(reply.offset)
    return {"new": len(offsets), "repeated": repeated, "offsets": offsets}
