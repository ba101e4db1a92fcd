"""Activation: packs are checked and rehearsed beside the engine, then put in force in an instant between two groups.

`propose` is everything that takes long or can fail: reading, checking, golden cases, keeping the content, folding the
windows anew where folds change. It changes nothing that is in force and may run in another thread than the writer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from quanheng import __version__, recovery
from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.loading.account_changes import account_changes
from quanheng.loading.cases import run_cases
from quanheng.loading.files import PackFiles
from quanheng.loading.pack import load_packs
from quanheng.loans import loan_changes
from quanheng.machines import log_names
from quanheng.migrating import process_changes
from quanheng.program import Program
from quanheng.reading import Reader
from quanheng.rehearsal import rehearse
from quanheng.state import FIRST_PACK_CODE, Activated, State, Trial


class Proposal(NamedTuple):
    """A set of packs that was checked and rehearsed.

    base : offset of the activation that was in force when it was checked
    changes : False if the set is in force already
    folded : the log up to its `head`, folded by `program`; None where windows and sources stay as they are
    """

    base: int
    activated: Activated
    program: Program
    changes: bool
    folded: State | None


def propose(
    state: State,
    reader: Reader,
    packs: Iterable[PackFiles],
    trials: Sequence[Trial] | None = None,
    *,
    fold: bool = True,
) -> Proposal:
    """Check packs and run their golden cases. Packs in force that are not among `packs` stay.

    Parameters
    ----------
    trials : versions to try beside them; default those that are tried now
    fold : False to check only: what is proposed cannot be put in force

    Raises
    ------
    DeclarationError : problems of the packs, or golden cases that fail
    """
    in_force, content, log = state.program, reader.content, reader.log
    now = in_force_of(reader, in_force)
    active = {name: PackFiles(name, content.get_folder(hash)) for name, hash in now.packs.items()}
    files = {**active, **{name_of(pack): pack for pack in packs}}
    unchanged = [name for name, one in active.items() if files[name].files == one.files]
    declared = load_packs(sorted(files), files, unchanged)
    codes = _assign_codes(in_force.codes, log_names(declared.values()))
    program = Program(declared, codes, engine=__version__)
    check_layouts(state, program)
    for name, one in declared.items():
        problems = run_cases(one, lambda case: rehearse(program, case))
        if problems:
            raise DeclarationError(f"pack {name!r} is not activated: golden cases fail", problems)
    hashes = {name: content.put_folder(dict(pack.files)) for name, pack in files.items()}
    versions = {name: one.version for name, one in declared.items()}
    tried = tuple(one for one in (now.trials if trials is None else trials) if hashes.get(one.pack) != one.hash)
    activated = Activated(hashes, versions, codes, __version__, program.source_versions(), tried)
    program = recovery.challenged(content, program, activated)
    was = (now.packs, in_force.codes, now.sources, now.trials)
    changes = (hashes, codes, activated.sources, tried) != was
    folded = None
    if fold and changes and program.digest() != in_force.digest():
        folded = State(program, state.make_windows)
        recovery.fold_windows(folded, log, log.head)
    return Proposal(in_force.activation, activated, program, changes, folded)


def in_force_of(reader: Reader, program: Program) -> Activated:
    """The activation that put a program in force; an empty one before the first."""
    return reader.activated(program.activation) if program.activation >= 0 else Activated({}, {}, {}, __version__)


def check_layouts(state: State, program: Program) -> None:
    """Refuse a program that would read events, lists, accounts or instances of the log otherwise.

    Events of the log are read again by position, so key, number and choice fields may only be appended, and choices to
    their lists. Entries of lists are known as pseudonyms of one entity. Amounts are minor units of an asset, and an
    account is found by its keys. Instances of processes that live go on, or are led on by `migrate`.
    """
    problems = []
    for name, old in state.program.types.items():
        new = program.types.get(name)
        if new is None or not state.events[old.code]:
            continue
        for was, now in old.moved(new):
            problems.append(
                Problem(
                    "events.toml",
                    f'event."{name}".fields',
                    "the log holds events of this type, to which keys, numbers and choices may only be appended",
                    ", ".join(now),
                    ", ".join(was) + ", then new ones",
                    "Keep fields, entities, scales and choices as they were, in order, and give a number or choice"
                    " field that comes later `appended = true`; or declare another event.",
                )
            )
    problems += _lists_of_something_else(state, program)
    if state.ledger.facts_n:
        problems += account_changes(state.program.packs, program.packs)
    problems += [
        Problem(
            f"{pack}/accounts.toml", f"loan.{name}", "the book holds loans of this product, so its terms stay", changed,
            cure="Declare a product of another name; reference rates from days to come may be added.",
        )
        for pack, name, changed in loan_changes(state.loans, program.packs)
    ]  # fmt: skip
    problems += process_changes(state.program, program, state.book)
    if problems:
        raise DeclarationError("the packs are not activated", problems)


def _lists_of_something_else(state: State, program: Program) -> list[Problem]:
    """Lists that hold something, or wait for it, and would be of another entity: those entries would say nothing."""
    problems = []
    for pack in program.packs.values():
        for one in pack.lists:
            was = state.lists.kept_of(f"{pack.name}.{one.name}", state.received_ms) - {one.of}
            if was:
                problems.append(
                    Problem(
                        f"{pack.name}/lists.toml",
                        f"list.{one.name}.of",
                        "the list holds entries, or changes of it wait, so what it is of stays as it is",
                        one.of,
                        ", ".join(sorted(was)),
                        "Declare a list of another name; or remove its entries and judge the changes that wait first.",
                    )
                )
    return problems


def name_of(pack: PackFiles) -> str:
    """Name of a pack; its label where pack.toml cannot be read, which checking then reports."""
    try:
        manifest = tomllib.loads(pack.files.get("pack.toml", b"").decode()).get("pack", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return pack.label
    name = manifest.get("name") if isinstance(manifest, dict) else None
    return name if isinstance(name, str) and name else pack.label


def _assign_codes(codes: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    """Codes of event types, append-only over the life of a log."""
    made = dict(codes)
    following = max([*made.values(), FIRST_PACK_CODE - 1]) + 1
    for name in names:
        if name not in made:
            made[name] = following
            following += 1
    return made
