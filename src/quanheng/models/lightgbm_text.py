"""Reads LightGBM's text form of a model into flat arrays. The text carries 17 digits, so every double is exact."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.models.trees import _MISSING_NAN, _MISSING_ZERO, Trees

_SIGMOID = re.compile(r"^binary\b.*?\bsigmoid:(\S+)")
_PLAIN = ("regression", "binary")


class _Nodes(NamedTuple):
    """Nodes of all trees, growing."""

    features: list[int]
    left: list[int]
    thresholds: list[float]
    values: list[float]
    covers: list[int]

    def add(self) -> int:
        self.features.append(0)
        self.left.append(len(self.left))
        self.thresholds.append(np.inf)
        self.values.append(0.0)
        self.covers.append(0)
        return len(self.left) - 1


def read_booster(text: str, covers: bool = False) -> Trees:
    """Compile the text that `Booster.model_to_string()` gives, with the covers of its nodes where they are wanted.

    Raises
    ------
    InputError : the booster uses what is not compiled
    """
    head, *parts = re.split(r"^Tree=\d+$", text.split("\nend of trees", maxsplit=1)[0], flags=re.MULTILINE)
    header = _pairs(head)
    objective = header.get("objective", "")
    if header.get("num_class", "1") != "1" or objective.split(" ")[0] not in _PLAIN:
        raise _refused("the objective", objective or "none", "binary or regression, one class")
    if re.search(r"^average_output$", head, flags=re.MULTILINE):
        raise _refused("averaged output", "boosting = rf", "boosting = gbdt or dart")
    inputs = tuple(header["feature_names"].split())
    nodes = _Nodes([], [], [], [], [])
    roots, depths = [], []
    for part in parts:
        roots.append(len(nodes.left))
        depths.append(_add_tree(_pairs(part), nodes, len(inputs)))
    found = _SIGMOID.match(objective)
    return Trees(
        inputs=inputs,
        sigmoid=float(found.group(1)) if found else 1.0,
        roots=np.array(roots, np.uint32),
        depths=np.array(depths, np.int32),
        features=np.array(nodes.features, np.uint32),
        left=np.array(nodes.left, np.uint32),
        thresholds=np.array(nodes.thresholds, np.float64),
        values=np.array(nodes.values, np.float64),
        covers=np.array(nodes.covers, np.uint32) if covers else None,
    )


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _refused(what: str, found: str, allowed: str) -> InputError:
    return InputError(
        f"{what} of the LightGBM model cannot be compiled",
        where="lightgbm",
        found=found,
        allowed=allowed,
        cure="Train with other settings.",
    )


def _add_tree(tree: dict[str, str], nodes: _Nodes, columns: int) -> int:
    """Add one tree breadth first, siblings side by side; returns its depth in steps."""
    if tree.get("num_cat", "0") != "0":
        raise _refused("a categorical split", f"num_cat={tree['num_cat']}", "numeric splits")
    if tree.get("is_linear", "0") != "0":
        raise _refused("a linear leaf", "linear_tree=true", "constant leaves")
    leaf_value = [float(value) for value in tree["leaf_value"].split()]
    split_feature, left, right, decision = (
        [int(value) for value in tree.get(name, "").split()]
        for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    threshold = [float(value) for value in tree.get("threshold", "").split()]
    leaf_count, internal_count = (
        [int(value) for value in tree.get(name, "").split()] for name in ("leaf_count", "internal_count")
    )
    # LightGBM numbers a leaf as the complement of its index; a tree that is one leaf has no inner node.
    waiting = deque([(nodes.add(), 0 if split_feature else ~0, 0)])
    depth = 0
    while waiting:
        node, source, steps = waiting.popleft()
        depth = max(depth, steps)
        if source < 0:
            nodes.values[node] = leaf_value[~source]
            nodes.covers[node] = leaf_count[~source] if leaf_count else 0
            continue
        nodes.covers[node] = internal_count[source] if internal_count else 0
        missing_left = _missing_goes_left(decision[source], threshold[source])
        nodes.features[node] = split_feature[source] + (0 if missing_left else columns)
        nodes.thresholds[node] = threshold[source]
        nodes.left[node] = nodes.add()
        waiting.append((nodes.left[node], left[source], steps + 1))
        waiting.append((nodes.add(), right[source], steps + 1))
    return depth


def _missing_goes_left(decision: int, threshold: float) -> bool:
    """LightGBM's decision type: bit 0 categorical, bit 1 default left, bits 2-3 what counts as missing."""
    missing = (decision >> 2) & 3
    if decision & 1 or missing == _MISSING_ZERO:
        raise _refused("a split", f"decision type {decision}", "numeric splits with zero_as_missing=false")
    if missing == _MISSING_NAN:
        return bool(decision & 2)
    return threshold >= 0.0  # No missing value was seen in training: LightGBM then reads NaN as zero.
