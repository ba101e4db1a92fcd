"""The built-in functions of FEEL."""

from quanheng.feel.functions import (  # noqa: F401  (they register themselves)
    booleans,
    contexts,
    dates,
    lists,
    numbers,
    patterns,
    ranges,
    strings,
)
from quanheng.feel.functions.registry import (
    SIGNATURES,
    Signature,
    call_builtin,
    forms_for,
    settled,
    signature_for,
)
from quanheng.feel.temporal import temporal_literal

__all__ = ["SIGNATURES", "Signature", "call_builtin", "forms_for", "settled", "signature_for", "temporal_literal"]
