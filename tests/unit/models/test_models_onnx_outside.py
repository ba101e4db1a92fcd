"""ONNX models from outside: signed by somebody known, what they declare, nothing but computation, a row alone."""

from __future__ import annotations

import base64
from decimal import Decimal

import numpy as np
import pytest

from quanheng.kernel.errors import InputError, ProofRefused
from quanheng.kernel.signing import ed25519_key
from quanheng.loading.declared import ModelDeclaration
from quanheng.models.onnx_outside import load_onnx, signed_text
from quanheng.models.serving import load_model
from quanheng.models.trees import content_hash

onnx = pytest.importorskip("onnx", reason="the extra `models` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `models` is not installed")

KEY = ed25519_key(b"k" * 32)
OTHER = ed25519_key(b"o" * 32)


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def made(nodes=None, *, width=3, opset=15, output=(None, 1), initializers=()):
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = helper.make_tensor("weights", kinds.FLOAT, [3, 1], [0.5, -1.0, 0.25])
    nodes = nodes or [
        helper.make_node("MatMul", ["rows", "weights"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "outside",
        [helper.make_tensor_value_info("rows", kinds.FLOAT, [None, width])],
        [helper.make_tensor_value_info("probability", kinds.FLOAT, list(output))],
        initializer=[weights, *initializers],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString(
        deterministic=True
    )


def declared(content: bytes, *, key=KEY, inputs=("a", "b", "c"), **changes):
    settings = {
        "output": "probability",
        "signer": "vendor",
        "signature": text(key.sign(signed_text(content_hash(content)))),
        "signers": {"vendor": text(KEY.public)},
        **changes,
    }
    return ModelDeclaration(
        name="bought", estimator="onnx", inputs=tuple(inputs), output_decimals=4, weights="bought.onnx",
        hash=content_hash(content), settings={"onnx": settings},
    )  # fmt: skip


def logistic(rows):
    return 1 / (1 + np.exp(-(rows @ np.array([0.5, -1.0, 0.25]))))


def test_a_signed_model_is_served_beside_ours():
    content = made()
    rows = np.random.default_rng(1).normal(size=(40, 3))
    model = load_model(declared(content), content)
    assert model.scores(rows).tolist() == np.rint(logistic(rows) * 10_000).astype(int).tolist()
    known = dict(zip("abc", rows.T, strict=True))
    assert np.array_equal(model.read(None, known)[:, 0], model.scores(rows) / 10_000)
    assert model.columns[0].name == "bought"
    assert (model.version, model.needs) == (content_hash(content), ("a", "b", "c"))


def test_a_row_does_not_depend_on_the_rows_beside_it():
    content, rows = made(), np.random.default_rng(2).normal(size=(300, 3))
    source = load_onnx(declared(content), content)
    whole = source.probability(rows)
    assert all(source.probability(rows[at : at + 1])[0] == whole[at] for at in range(300))


def test_what_is_no_probability_is_null():
    content = made()
    rows = np.array([[np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for missing in ("nan", "null"):
        source = load_onnx(declared(content, missing=missing), content)
        assert source.scores(rows).tolist() == [-(2**63), 5000]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signature": ""}, "signed by nobody whose key is known; was vendor; allowed: vendor"),
        ({"signer": "stranger"}, "signed by nobody whose key is known; was stranger"),
        ({"signers": {}}, "allowed: no key is declared under onnx.signers"),
        ({"key": OTHER}, "the signature is not one of this model; was sha256:.*allowed: what vendor signed"),
    ],
)
def test_a_missing_or_wrong_signature_is_refused(changes, message):
    content = made()
    with pytest.raises(ProofRefused, match=message):
        load_onnx(declared(content, **changes), content)


def test_a_signature_of_other_bytes_is_refused():
    content, other = made(), made(opset=14)
    with pytest.raises(ProofRefused, match="the signature is not one of this model"):
        load_onnx(declared(content), other)
    with pytest.raises(InputError, match="the weights are not those that were trained"):
        load_model(declared(content), other)


def node(*given, **named):
    return onnx.helper.make_node(*given, **named)


def averaging():
    return made([node("ReduceMean", ["rows"], ["probability"], axes=[1])], width=4)


def negative():
    steps = ("sum", "Exp", "more", "Neg", "probability")
    first = node("MatMul", ["rows", "weights"], ["sum"])
    return made([first, node(steps[1], [steps[0]], [steps[2]]), node(steps[3], [steps[2]], [steps[4]])])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: made([node("RandomUniformLike", ["rows"], ["probability"])]), "operator ai.onnx RandomUniformLike"),
        (lambda: made([node("Any", ["rows"], ["probability"], domain="com.vendor")]), "operator com.vendor Any"),
        (lambda: made(opset=8), "opset ai.onnx 8"),
        (lambda: b"no model", "not an ONNX model"),
        (lambda: made([node("Sigmoid", ["nothing"], ["probability"])]), "ONNX Runtime does not take the model"),
        (averaging, r"the model's input is not as declared; was rows tensor\(float\) .*\[rows, 3\]"),
        (negative, "gives no probability, or another one when asked again"),
    ],
)
def test_a_model_that_does_more_than_compute_a_probability_is_refused(content, message):
    given = content()
    with pytest.raises(InputError, match=message):
        load_onnx(declared(given), given)


def test_weights_outside_of_the_file_are_refused():
    tensor = onnx.helper.make_tensor("far", onnx.TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="elsewhere.bin")
    content = made(initializers=[tensor])
    with pytest.raises(InputError, match="data outside of the file"):
        load_onnx(declared(content), content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "score"}, "the model's output is not as declared; was probability"),
        ({"column": 3}, "the output has no such column; was 3; allowed: 0 to 0"),
        ({"missing": "zero"}, "a missing input is given as one of two; was zero; allowed: nan, null"),
        ({"typo": 1}, "does not say how the ONNX model is used; was .*typo"),
        ({"signature": "§"}, "onnx: not base64"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(changes, message):
    content = made()
    with pytest.raises(InputError, match=message):
        load_onnx(declared(content, **changes), content)


def test_a_wider_output_is_read_in_the_declared_column():
    both = [
        node("MatMul", ["rows", "weights"], ["sum"]),
        node("Neg", ["sum"], ["less"]),
        node("Concat", ["less", "sum"], ["two"], axis=1),
        node("Softmax", ["two"], ["probability"], axis=1),
    ]
    content, rows = made(both, output=(None, 2)), np.array([[1.0, 0.0, 0.0]])
    first, second = (load_onnx(declared(content, column=at), content).probability(rows)[0] for at in (0, 1))
    assert first + second == pytest.approx(1.0, abs=1e-6)
    assert Decimal(str(round(second, 3))) == Decimal("0.731")


def test_a_model_that_fails_while_it_runs_is_refused():
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [-1, 7])
    content = made([node("Reshape", ["rows", "shape"], ["probability"])], initializers=[shape], output=(None, 7))
    with pytest.raises(InputError, match="the ONNX model fails on plain rows"):
        load_onnx(declared(content), content)


def test_what_is_refused_is_told_with_what_is_allowed():
    content = made(opset=8)
    with pytest.raises(InputError, match="the ONNX model holds what is not allowed in a decision; was opset"):
        load_onnx(declared(content), content)
