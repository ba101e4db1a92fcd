"""The policies of a checked pack as models. A policy may import any other DMN file of its pack or of a required one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quanheng.decisions.dmn import Model, read_model
from quanheng.loading.declared import Declared

FOLDER, ENDING = "policies/", ".dmn"


def policy_file(name: str) -> str:
    """ "authorise" → "policies/authorise.dmn"."""
    return f"{FOLDER}{name}{ENDING}"


def policy_name(file: str) -> str:
    """ "policies/authorise.dmn" → "authorise"."""
    return file.removeprefix(FOLDER).removesuffix(ENDING)


def library_of(required: Mapping[str, Declared]) -> dict[str, bytes]:
    """What policies of a pack may import of the packs it requires, by "PACK/policies/NAME.dmn"; theirs in turn too."""
    found: dict[str, bytes] = {}
    for pack in required.values():
        found |= pack.library
        found |= {f"{pack.name}/{policy_file(name)}": xml for name, xml in pack.policies.items()}
    return found


def read_policy(
    file: str, policies: Mapping[str, bytes], library: Mapping[str, bytes], lists: Collection[str]
) -> Model:
    """Read one policy with what it imports.

    Parameters
    ----------
    file, policies : "policies/authorise.dmn", and all policies of the pack by such names
    library : what may be imported besides
    lists : names of lists that it may ask

    Raises
    ------
    DeclarationError : with every problem of the file and of those it imports
    """
    others = {**{name: xml for name, xml in policies.items() if name != file}, **library}
    model = read_model(policies[file], file, files=others, lists=lists)
    # What an event brings has one name in a pack: inputs of one name are one, whichever files declare them.
    model.input_names.update((one.id, one.name) for one in model.inputs())
    return model


def model_of(declared: Declared, policy: str) -> Model:
    """The model of one policy ("authorise") of a checked pack."""
    files = {policy_file(name): xml for name, xml in declared.policies.items()}
    return read_policy(policy_file(policy), files, declared.library, [one.name for one in declared.lists])
