"""DMN models: `read_model` checks a file, `compile_decision` makes one decision callable."""

from quanheng.decisions.dmn.build import Model, read_model
from quanheng.decisions.dmn.compile import compile_decision

__all__ = ["Model", "compile_decision", "read_model"]
