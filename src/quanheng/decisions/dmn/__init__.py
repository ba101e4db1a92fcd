"""DMN models: `read_model` checks a file, `compile_decision` makes one decision callable."""

from quanheng.decisions.dmn.build import Model, read_model
from quanheng.decisions.dmn.compile import compile_decision
from quanheng.decisions.dmn.float_inputs import only_compared

__all__ = ["Model", "compile_decision", "only_compared", "read_model"]
