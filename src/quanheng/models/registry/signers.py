"""Signatures of models from outside: the pack names the makers it trusts, a declaration carries a maker's signature.

`models/signers.toml` holds the public keys, under four eyes as every file of a pack: `[signer.NAME]` with `kind`
(ed25519, ml-dsa-65, sm2), `key` in base64 and `source`, where the key was published. `[signed]` of a declaration has
`by` and `signature`. What is signed is the bytes of the weights file, nothing before or after.
"""

from __future__ import annotations

import base64
import binascii
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from quanheng.kernel import signing
from quanheng.kernel.errors import InputError, Problem

SIGNERS = "models/signers.toml"


def signature_problems(
    file: str, settings: Mapping[str, Any], weights: bytes | None, contents: Mapping[str, bytes]
) -> Iterator[Problem]:
    """What is wrong with the signature of a declaration; nothing where it carries none.

    Raises
    ------
    MissingExtra, ConfigurationError : this machine cannot check signatures of this kind
    """
    signed = settings.get("signed")
    if signed is None or weights is None:
        return
    if not isinstance(signed, Mapping) or not all(isinstance(signed.get(one), str) for one in ("by", "signature")):
        yield Problem(file, "signed", "a signature has a maker and a text in base64", "", "by, signature")
        return
    signers = _signers(contents)
    signer = signers.get(signed["by"])
    if not isinstance(signer, Mapping) or signer.get("kind") not in signing.TYPES:
        known = ", ".join(name for name, one in signers.items() if isinstance(one, Mapping)) or "none is declared"
        yield Problem(
            file, "signed.by", "no such maker is declared", repr(signed["by"]), known,
            f'Declare it in {SIGNERS}: [signer.NAME] with kind = "ed25519", key and source.',
        )  # fmt: skip
        return
    try:
        key, signature = (base64.b64decode(one, validate=True) for one in (signer.get("key", ""), signed["signature"]))
        good = signing.verifies(signing.TYPES[signer["kind"]], key, signature, weights)
    except (binascii.Error, TypeError, ValueError, InputError) as error:
        yield Problem(file, "signed", "the signature or the key cannot be read", str(error)[:100], "base64")
        return
    if not good:
        yield Problem(
            file, "signed.signature", "the weights are not what the maker signed", f"signed by {signed['by']}",
            "a signature of exactly these bytes", "Ask the maker for the file again, on another way than before.",
        )  # fmt: skip


def _signers(contents: Mapping[str, bytes]) -> Mapping[str, Any]:
    try:
        found = tomllib.loads(contents.get(SIGNERS, b"").decode()).get("signer", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}
