"""Packs among packs: what is required is there in its version, and packs loaded together do not collide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quanheng.kernel.errors import Problem
from quanheng.loading.checks.chart import FILE as ACCOUNTS_FILE
from quanheng.loading.checks.manifest import FILE, OF_OTHER_PACKS, meets
from quanheng.loading.checks.processes import FILE as PROCESSES_FILE
from quanheng.loading.declared import Declared, Requirement
from quanheng.loading.declared_accounts import AssetDeclaration
from quanheng.loading.files import PackFiles
from quanheng.loading.notes import Notes, Words


def check_required(
    requires: Sequence[Requirement], available: Mapping[str, PackFiles], path: tuple[str, ...], notes: Notes
) -> list[Requirement]:
    """The requirements that can be followed: available, and not going round in a circle."""
    good = []
    for requirement in requires:
        if requirement.pack in path:
            circle = " → ".join([*path[path.index(requirement.pack) :], requirement.pack])
            notes.add(
                FILE,
                "pack.requires",
                "the packs require one another in a circle",
                found=circle,
                cure="Move what they share into a third pack.",
            )
            notes.doubt(*OF_OTHER_PACKS)
        elif requirement.pack not in available:
            notes.add(
                FILE,
                "pack.requires",
                "the required pack is not available",
                found=requirement.pack,
                known=list(available),
            )
            notes.doubt(*OF_OTHER_PACKS)
        else:
            good.append(requirement)
    return good


def check_required_version(
    requirement: Requirement, found: Declared, problems: Sequence[Problem], notes: Notes
) -> None:
    """The required pack is sound and its version is within bounds."""
    if problems:
        notes.add(
            FILE,
            "pack.requires",
            f"the required pack has problems of its own, the first: {problems[0]}",
            found=requirement.pack,
            cure=f"Run: quanheng pack check on the pack {requirement.pack!r}.",
        )
        notes.doubt(*OF_OTHER_PACKS)
    elif not meets(found.version, requirement.bounds):
        notes.add(
            FILE,
            "pack.requires",
            "the required pack has another version",
            found=Words(f"{found.name} {found.version}"),
            known=str(requirement),
            cure="Install a version within the bounds, or change the bounds.",
        )


def check_conflicts(packs: Mapping[str, Declared], notes: Notes) -> None:
    """Packs that are loaded together: no event twice, and requirements that can hold together."""
    owners: dict[str, str] = {}
    for name, pack in packs.items():
        for event in pack.events:
            if event.client:  # The platform's own: every pack that uses it has it.
                continue
            if event.name in owners:
                notes.add(
                    f"{name}/events.toml",
                    f'event."{event.name}"',
                    f"the event is declared by the pack {owners[event.name]!r} too",
                    found=event.name,
                    cure="An event has one name everywhere: rename one, or require the other pack and use its event.",
                )
            owners.setdefault(event.name, name)
    _check_assets(packs, notes)
    _check_processes(packs, notes)
    for wanted in {requirement.pack for pack in packs.values() for requirement in pack.requires}:
        bounds = {
            name: requirement
            for name, pack in packs.items()
            for requirement in pack.requires
            if requirement.pack == wanted
        }
        if wanted in packs and packs[wanted].version:
            failing = [
                name for name, requirement in bounds.items() if not meets(packs[wanted].version, requirement.bounds)
            ]
            if failing and len(bounds) > 1:
                texts = "; ".join(f"{name} requires {requirement}" for name, requirement in bounds.items())
                notes.add(
                    f"{failing[0]}/{FILE}",
                    "pack.requires",
                    f"packs want different versions of {wanted!r}: {texts}",
                    found=Words(f"{wanted} {packs[wanted].version}"),
                    cure="Find versions whose bounds overlap.",
                )


def _check_processes(packs: Mapping[str, Declared], notes: Notes) -> None:
    """A process has one name everywhere: its timers are told by it."""
    owners: dict[str, str] = {}
    for name, pack in packs.items():
        for process in pack.processes.processes:
            owner = owners.setdefault(process.name, name)
            if owner != name:
                message = f"the process is declared by the pack {owner!r} too"
                cure = "A process has one name everywhere: rename one."
                file = f"{name}/{PROCESSES_FILE}"
                notes.add(file, f"process.{process.name}", message, found=process.name, cure=cure)


def _check_assets(packs: Mapping[str, Declared], notes: Notes) -> None:
    """All packs share one ledger: an asset has one number and one exponent, and a number is one asset."""
    by_name: dict[str, tuple[str, AssetDeclaration]] = {}
    by_number: dict[int, tuple[str, AssetDeclaration]] = {}
    for name, pack in packs.items():
        for asset in pack.accounts.assets:
            file, key = f"{name}/{ACCOUNTS_FILE}", f"asset.{asset.name}"
            owner, same = by_name.setdefault(asset.name, (name, asset))
            if (asset.number, asset.exponent) != (same.number, same.exponent):
                message = f"the pack {owner!r} declares the asset otherwise, and all packs share one ledger"
                found, known = (Words(f"number {one.number}, exponent {one.exponent}") for one in (asset, same))
                notes.add(file, key, message, found=found, known=known, cure="Say the same in both.")
            owner, same = by_number.setdefault(asset.number, (name, asset))
            if asset.name != same.name:
                message = f"the number is taken by the asset {same.name} of the pack {owner!r}"
                cure = "The ledger could not tell them apart: change one."
                notes.add(file, f"{key}.number", message, found=asset.number, cure=cure)
