"""The built-in functions of FEEL."""

from quanheng.feel.functions import booleans, contexts, lists, numbers, strings  # noqa: F401  (they register themselves)
from quanheng.feel.functions.registry import SIGNATURES, Signature, call_builtin, forms_for, signature_for
from quanheng.feel.types import ANY, FeelType


def temporal_literal(text: str) -> tuple[object, FeelType]:
    """Value and type of `@"text"`; (None, Any) when it is no date, time or duration."""
    return None, ANY


__all__ = ["SIGNATURES", "Signature", "call_builtin", "forms_for", "signature_for", "temporal_literal"]
