"""ONNX models that others trained, as a source of scores: signed, checked against their declaration, run alike always.

Nothing is believed that can be checked: the signature over the content hash by a signer whose key the pack names; every
operator against a list of pure ones; no external data, no subgraphs, no functions of its own; one input of as many
columns as declared, one output. ONNX Runtime runs on one thread with basic optimisation only, and each row is a run of
its own, so that a score does not depend on the rows beside it. A run does no I/O: all weights are inside the file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, MissingExtra, ProofRefused
from quanheng.kernel.signing import ED25519, verifies
from quanheng.models.trees import content_hash

if TYPE_CHECKING:
    from quanheng.features.source import Batch, SourceColumn
    from quanheng.loading.declared import ModelDeclaration

_GENERAL = """
    Abs Add ArgMax Cast Clip Concat Constant Div Elu Equal Erf Exp Flatten Gather Gemm Greater GreaterOrEqual
    HardSigmoid Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log MatMul Max Min Mul Neg Not Or And Pow ReduceMax
    ReduceMean ReduceMin ReduceSum Relu Reshape Selu Shape Sigmoid Sign Slice Softmax Softplus Sqrt Squeeze Sub Sum
    Tanh Transpose Unsqueeze Where
"""
_LEARNERS = """
    ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LinearClassifier LinearRegressor Normalizer Scaler
    SVMClassifier SVMRegressor TreeEnsembleClassifier TreeEnsembleRegressor
"""
OPERATORS: Mapping[str, frozenset[str]] = {
    "": frozenset(_GENERAL.split()),
    "ai.onnx.ml": frozenset(_LEARNERS.split()),
}
"""Operators that only compute: no control flow, no randomness, nothing of a vendor."""

OPSETS = {"": (9, 21), "ai.onnx.ml": (1, 4)}
_SIGNED = b"quanheng model 1\n"
_WIDE = 1.0e6


class Outside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[onnx]` of a declaration.

    output : name of the output that holds the probability
    column : of it, where it has several (a classifier's 1 = the event)
    missing : `nan` gives missing values to the model as NaN; `null` gives no score where an input is missing
    signer : whose signature is wanted, a name in `signers`
    signature : Ed25519 over `signed_text(hash)`, base64
    signers : name → public key, base64
    """

    output: str
    column: int = 0
    missing: str = "nan"
    signer: str = ""
    signature: str = ""
    signers: Mapping[str, str] = {}


def signed_text(hash: str) -> bytes:
    """What a signer signs: a line that says what it is for, and the content hash `sha256:…` of the model."""
    return _SIGNED + hash.encode()


class OnnxSource:
    """A source of one column, as `serving.Model`: the score of every row.

    name, inputs, output_decimals, hash : as declared
    """

    def __init__(self, declared: ModelDeclaration, outside: Outside, session: Any, kind: Any, hash: str) -> None:
        from quanheng.features.source import SourceColumn

        self.name, self.output_decimals, self.hash = declared.name, declared.output_decimals, hash
        self.inputs = self.needs = tuple(declared.inputs)
        self.version = hash
        self.columns: tuple[SourceColumn, ...] = (SourceColumn(self.name, "score", self.output_decimals),)
        self._outside, self._session, self._kind = outside, session, kind
        self._input = session.get_inputs()[0].name

    def probability(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[n] of rows f8[n, inputs]; NaN where the model gives no probability, or a missing input forbids one."""
        out = np.full(len(rows), np.nan)
        cells = rows.astype(self._kind)
        for row in range(len(rows)):
            if self._outside.missing == "null" and np.isnan(rows[row]).any():
                continue
            found = self._session.run([self._outside.output], {self._input: cells[row : row + 1]})[0]
            value = float(np.asarray(found).reshape(-1)[self._outside.column])
            if 0.0 <= value <= 1.0:  # NaN is neither.
                out[row] = value
        return out

    def read(self, batch: Batch, known: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The score of every row, as `Source.read`: f8[n, 1], NaN = null, rounded to `output_decimals`."""
        rows = np.column_stack([known[name] for name in self.inputs])
        factor = np.float64(10**self.output_decimals)
        scores: NDArray[np.float64] = (np.rint(self.probability(rows) * factor) / factor)[:, np.newaxis]
        return scores

    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Probabilities as integers scaled by 10 ** output_decimals, rounded half to even; the least integer = null."""
        found = self.probability(rows)
        whole = np.rint(np.nan_to_num(found) * np.float64(10**self.output_decimals)).astype(np.int64)
        return np.where(np.isnan(found), np.int64(-(2**63)), whole)


def load_onnx(declared: ModelDeclaration, content: bytes) -> OnnxSource:
    """The source of a declaration with `estimator = "onnx"` and its file.

    Raises
    ------
    ProofRefused : the signature is missing, is by no known signer, or does not verify
    InputError : the declaration lacks `[onnx]`, or the model is not what it declares or holds what is not allowed
    MissingExtra : onnx or onnxruntime is not installed
    """
    where, hash = f"models/{declared.name}", content_hash(content)
    outside = _outside(declared, where)
    _check_signature(outside, hash, where)
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "models", "serving an ONNX model") from None
    _check_graph(onnx, content, where)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The runtime has no class of its own for what it refuses.
        raise InputError("ONNX Runtime does not take the model", where=where, found=str(error)[:200]) from None
    source = OnnxSource(declared, outside, session, _check_shapes(declared, outside, session, where), hash)
    _try(source, where)
    return source


def _outside(declared: ModelDeclaration, where: str) -> Outside:
    try:
        outside = msgspec.convert(declared.settings.get("onnx"), Outside)
    except msgspec.ValidationError as error:
        raise InputError(
            "the declaration does not say how the ONNX model is used",
            where=f"{where}: onnx",
            found=str(error),
            allowed=", ".join(Outside.__struct_fields__),
            cure="Add the table [onnx].",
        ) from None
    if outside.missing not in {"nan", "null"}:
        raise InputError(
            "a missing input is given as one of two", where=f"{where}: onnx.missing", found=outside.missing,
            allowed="nan, null",
        )  # fmt: skip
    return outside


def _check_signature(outside: Outside, hash: str, where: str) -> None:
    cure = "Ask the signer for a signature of this file, or for the file that was signed."
    if outside.signer not in outside.signers or not outside.signature:
        raise ProofRefused(
            "the model from outside is signed by nobody whose key is known",
            where=f"{where}: onnx.signer",
            found=outside.signer or "no signer",
            allowed=", ".join(outside.signers) or "no key is declared under onnx.signers",
            cure=cure,
        )
    try:
        public, signature = (
            base64.b64decode(text, validate=True) for text in (outside.signers[outside.signer], outside.signature)
        )
    except ValueError as error:  # Also of letters beyond ASCII.
        raise InputError("not base64", where=f"{where}: onnx", found=str(error)) from None
    if not verifies(ED25519, public, signature, signed_text(hash)):
        raise ProofRefused(
            "the signature is not one of this model", where=f"{where}: onnx.signature", found=hash,
            allowed=f"what {outside.signer} signed", cure=cure,
        )  # fmt: skip


def _check_graph(onnx: Any, content: bytes, where: str) -> None:
    """Refuse what is no pure computation held whole in the file."""
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # Protobuf has errors of its own for each of its engines.
        raise InputError("not an ONNX model", where=where, found=str(error)[:200]) from None
    found: list[str] = []
    for one in model.opset_import:
        low, high = OPSETS.get(one.domain, (1, 0))
        if not low <= one.version <= high:
            found.append(f"opset {one.domain or 'ai.onnx'} {one.version}")
    domains = {"ai.onnx": ""}
    for node in model.graph.node:
        if node.op_type not in OPERATORS.get(domains.get(node.domain, node.domain), ()):
            found.append(f"operator {node.domain or 'ai.onnx'} {node.op_type}")
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            found.append(f"a graph inside {node.op_type}")
    if model.functions or model.training_info or model.graph.sparse_initializer:
        found.append("functions, training or sparse tensors of its own")
    attributes = [one for node in model.graph.node for one in node.attribute]
    held = [*model.graph.initializer, *(one.t for one in attributes if one.HasField("t"))]
    if any(one.external_data or one.data_location == onnx.TensorProto.EXTERNAL for one in held):
        found.append("data outside of the file")
    if found:
        raise InputError(
            "the ONNX model holds what is not allowed in a decision",
            where=where,
            found="; ".join(dict.fromkeys(found)),
            allowed="operators that only compute (docs/reference/models.md), opsets 9 to 21 and ai.onnx.ml 1 to 4",
            cure="Export it again: without ZipMap, control flow, and operators of a vendor.",
        )


def _check_shapes(declared: ModelDeclaration, outside: Outside, session: Any, where: str) -> Any:
    """The type of the input, if input and output are as declared."""
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    inputs, outputs = session.get_inputs(), {one.name: one for one in session.get_outputs()}
    width = len(declared.inputs)
    shape = [list(one.shape) for one in inputs]
    fits = len(inputs) == 1 and inputs[0].type in kinds and len(shape[0]) == 2 and shape[0][1] == width
    if not fits or _fixed(shape[0]):
        raise InputError(
            "the model's input is not as declared",
            where=where,
            found="; ".join(f"{one.name} {one.type} {one.shape}" for one in inputs),
            allowed=f"one tensor of float or double, [rows, {width}]",
            cure="Correct `inputs`, or export the model with one input tensor.",
        )
    output = outputs.get(outside.output)
    columns = None if output is None else (1 if len(output.shape) == 1 else output.shape[1])
    if output is None or output.type not in kinds or len(output.shape) > 2 or not isinstance(columns, int):
        raise InputError(
            "the model's output is not as declared",
            where=f"{where}: onnx.output",
            found="; ".join(f"{one.name} {one.type} {one.shape}" for one in outputs.values()),
            allowed=f"{outside.output}, a tensor of float or double, [rows] or [rows, columns]",
        )
    if not 0 <= outside.column < columns:
        raise InputError(
            "the output has no such column", where=f"{where}: onnx.column", found=str(outside.column),
            allowed=f"0 to {columns - 1}",
        )  # fmt: skip
    return kinds[inputs[0].type]


def _fixed(shape: list[Any]) -> bool:
    return isinstance(shape[0], int) and shape[0] != 1


def _try(source: OnnxSource, where: str) -> None:
    """Run it on plain and on extreme rows, twice: it must answer, the same both times, with probabilities."""
    width = len(source.inputs)
    rows = np.array([[0.0] * width, [1.0] * width, [-_WIDE] * width, [_WIDE] * width])
    try:
        once, again = source.probability(rows), source.probability(rows)
    except Exception as error:  # The runtime has no class of its own for what fails.
        raise InputError("the ONNX model fails on plain rows", where=where, found=str(error)[:200]) from None
    if not np.array_equal(once, again, equal_nan=True) or np.isnan(once[:2]).any():
        raise InputError(
            "the ONNX model gives no probability, or another one when asked again",
            where=where,
            found=f"{once.tolist()}, then {again.tolist()}",
            allowed="numbers in [0, 1], the same each time",
            cure="Name the output and column of the probability under [onnx].",
        )
