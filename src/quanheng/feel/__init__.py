"""FEEL, the expression language of DMN: features, policies and page filters all use it.

`parse` gives the checked tree, `compile_expression` a callable, `compile_columns` numpy code for whole columns,
`judge` the slow plain reading that the generated code is compared with.
"""

from quanheng.feel.columns import compile_columns
from quanheng.feel.compiler import Expression, Outcome, compile_expression
from quanheng.feel.parser import parse
from quanheng.feel.scope import Scope
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    NUMBER,
    STRING,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    RangeType,
)
from quanheng.feel.values import Diagnostic, Function, Range

__all__ = [
    "ANY",
    "BOOLEAN",
    "NUMBER",
    "STRING",
    "ContextType",
    "Diagnostic",
    "Expression",
    "FeelType",
    "Function",
    "FunctionType",
    "ListType",
    "Outcome",
    "Range",
    "RangeType",
    "Scope",
    "compile_columns",
    "compile_expression",
    "parse",
]
