"""Compiled trees as an ONNX model, and ONNX Runtime to serve it: for institutions whose serving is ONNX.

The graph is written from the compiled arrays with thresholds in float64 (`ai.onnx.ml` version 3), so every row takes
the same branches as in `Trees`. ONNX returns sums as float32: answers agree to about 1e-6, and within one unit of the
last place of a score with 4 decimals. Decisions use `Trees`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import MissingExtra
from quanheng.models.trees import Trees

_OPSET = {"": 15, "ai.onnx.ml": 3}
_INPUT, _RAW, _PROBABILITY = "rows", "raw", "probability"


def export_onnx(trees: Trees) -> bytes:
    """The ensemble as an ONNX model: input `rows` f8[n, inputs]; outputs `raw` and `probability` f4[n, 1].

    Raises
    ------
    MissingExtra : the package onnx is not installed
    """
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise MissingExtra("onnx", "models", "exporting a model to ONNX") from None
    columns = len(trees.inputs)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        [_INPUT],
        [_RAW],
        domain="ai.onnx.ml",
        n_targets=1,
        **_attributes(trees, helper, TensorProto),
    )
    slope = helper.make_tensor("slope", TensorProto.FLOAT, [], [trees.sigmoid])
    graph = helper.make_graph(
        [
            node,
            helper.make_node("Mul", [_RAW, "slope"], ["scaled"]),
            helper.make_node("Sigmoid", ["scaled"], [_PROBABILITY]),
        ],
        "trees",
        [helper.make_tensor_value_info(_INPUT, TensorProto.DOUBLE, [None, columns])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in (_RAW, _PROBABILITY)],
        initializer=[slope],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSET.items()]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="quanheng", ir_version=8)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _attributes(trees: Trees, helper: Any, types: Any) -> dict[str, Any]:
    """Attributes of the operator, a node a row; node ids count from 0 within a tree."""
    nodes = len(trees.left)
    ends = np.append(trees.roots[1:], nodes)
    tree_of = np.repeat(np.arange(len(trees.roots)), ends - trees.roots)
    own_id = np.arange(nodes) - trees.roots[tree_of]
    leaf = trees.left == np.arange(nodes)
    columns = max(len(trees.inputs), 1)
    left = np.where(leaf, 0, trees.left - trees.roots[tree_of])
    thresholds = np.where(leaf, 0.0, trees.thresholds)

    def doubles(name: str, values: NDArray[np.float64]) -> Any:
        return helper.make_tensor(name, types.DOUBLE, [len(values)], values)

    return {
        "nodes_treeids": tree_of.tolist(),
        "nodes_nodeids": own_id.tolist(),
        "nodes_featureids": np.where(leaf, 0, trees.features % columns).tolist(),
        "nodes_modes": ["LEAF" if one else "BRANCH_LEQ" for one in leaf],
        "nodes_values_as_tensor": doubles("nodes_values", thresholds),
        "nodes_truenodeids": left.tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, left + 1).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, trees.features < columns).astype(int).tolist(),
        "target_treeids": tree_of[leaf].tolist(),
        "target_nodeids": own_id[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights_as_tensor": doubles("target_weights", trees.values[leaf]),
        "aggregate_function": "SUM",
        "post_transform": "NONE",
    }


class OnnxModel:
    """An ONNX model in ONNX Runtime, one thread.

    Parameters
    ----------
    content : as `export_onnx` gives

    Raises
    ------
    MissingExtra : the package onnxruntime is not installed
    """

    def __init__(self, content: bytes) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("onnxruntime", "models", "serving an ONNX model") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def raw(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """Raw sums of rows f8[n, inputs], NaN = missing."""
        return np.asarray(self._session.run([_RAW], {_INPUT: rows})[0])[:, 0]

    def probability(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """Probabilities of rows f8[n, inputs], NaN = missing."""
        return np.asarray(self._session.run([_PROBABILITY], {_INPUT: rows})[0])[:, 0]
