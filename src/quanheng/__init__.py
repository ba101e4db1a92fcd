"""Quanheng 权衡: an open decision and value platform for finance. The door: every public name is here.

A name is imported from its module when it is first used, so `import quanheng` stays fast and lean.
docs/reference/api.md describes each name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quanheng.engine import Engine
    from quanheng.events.intake import Request
    from quanheng.follower import Followed, write_snapshot
    from quanheng.kernel import errors
    from quanheng.kernel.errors import QuanhengError
    from quanheng.kernel.ids import new_id
    from quanheng.kernel.money import Money
    from quanheng.kernel.proof_file import check_proof
    from quanheng.kernel.time import format_time, parse_duration_ms, parse_time_ms
    from quanheng.loading.declared import Declared
    from quanheng.loading.files import PackFiles, read_pack
    from quanheng.loading.find import find_packs, read_packs
    from quanheng.loading.pack import check_pack, load_packs
    from quanheng.replay import ReplayReport
    from quanheng.replay import replay as replay_decision
    from quanheng.replying import Reply

__version__ = "0.1.0"

__all__ = [
    "Declared",
    "Engine",
    "Followed",
    "Money",
    "PackFiles",
    "QuanhengError",
    "ReplayReport",
    "Reply",
    "Request",
    "__version__",
    "check_pack",
    "check_proof",
    "errors",
    "find_packs",
    "format_time",
    "load_packs",
    "new_id",
    "parse_duration_ms",
    "parse_time_ms",
    "read_pack",
    "read_packs",
    "replay_decision",
    "write_snapshot",
]

_PLACES = {
    "Declared": "quanheng.loading.declared:Declared",
    "Engine": "quanheng.engine:Engine",
    "Followed": "quanheng.follower:Followed",
    "Money": "quanheng.kernel.money:Money",
    "PackFiles": "quanheng.loading.files:PackFiles",
    "QuanhengError": "quanheng.kernel.errors:QuanhengError",
    "ReplayReport": "quanheng.replay:ReplayReport",
    "Reply": "quanheng.replying:Reply",
    "Request": "quanheng.events.intake:Request",
    "check_pack": "quanheng.loading.pack:check_pack",
    "check_proof": "quanheng.kernel.proof_file:check_proof",
    "errors": "quanheng.kernel.errors:",
    "find_packs": "quanheng.loading.find:find_packs",
    "format_time": "quanheng.kernel.time:format_time",
    "load_packs": "quanheng.loading.pack:load_packs",
    "new_id": "quanheng.kernel.ids:new_id",
    "parse_duration_ms": "quanheng.kernel.time:parse_duration_ms",
    "parse_time_ms": "quanheng.kernel.time:parse_time_ms",
    "read_pack": "quanheng.loading.files:read_pack",
    "read_packs": "quanheng.loading.find:read_packs",
    # `quanheng.replay` is the module; a function of that name would hide it, or be hidden by it.
    "replay_decision": "quanheng.replay:replay",
    "write_snapshot": "quanheng.follower:write_snapshot",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'quanheng' has no attribute {name!r}; its names are: {', '.join(__all__)}")
    module, _, attribute = place.partition(":")
    found = import_module(module)
    value = globals()[name] = getattr(found, attribute) if attribute else found
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
