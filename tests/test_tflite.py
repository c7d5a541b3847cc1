"""`.tflite` files: whole models there and back, what is refused and in which words."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratti import ops
from ratti.errors import FormatError, UnsupportedError
from ratti.formats import tflite
from ratti.formats.tflite import names
from ratti.formats.tflite.flatbuffer import write
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.text import to_text
from ratti.ops.base import int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.max_pool2d import MaxPool2D
from ratti.ops.relu import Relu
from ratti.types import DType, Quant, TensorType
from tflite_files import changed, decode, small_graph, small_model


def operators(model: dict) -> list[dict]:
    return model["subgraphs"][0]["operators"]


def tensors(model: dict) -> list[dict]:
    return model["subgraphs"][0]["tensors"]


def test_files_come_back_the_same() -> None:
    graph = small_graph()
    data = tflite.serialize(graph)
    again = tflite.parse(data, graph.name)
    assert again.metadata == graph.metadata
    assert tflite.serialize(tflite.parse(tflite.serialize(again), "x")) == tflite.serialize(tflite.parse(data, "x"))
    assert to_text(tflite.parse(tflite.serialize(again), "small")) == to_text(again)
    x = np.random.default_rng(0).integers(-128, 128, (20, 6, 5, 3)).astype(np.int8)
    for a, b in zip(interpreter.run_batch(graph, [x]), interpreter.run_batch(again, [x]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", ["kws", "ic"])
def test_real_models_come_back_the_same(model: str, shared: Path) -> None:
    graph = tflite.read(shared / "models" / f"{model}.tflite")
    again = tflite.parse(tflite.serialize(graph), graph.name)
    assert again.macs() == graph.macs() and again.constant_elements() == graph.constant_elements()
    x = np.random.default_rng(0).integers(-128, 128, (20, *graph.type(graph.inputs[0]).shape[1:])).astype(np.int8)
    results = interpreter.run_batch(graph, [x])
    np.testing.assert_array_equal(results, interpreter.run_batch(again, [x]))
    assert len(np.unique(results[0], axis=0)) > 3


@pytest.mark.oracle
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_tflite_micro_reads_what_is_written(model: str, shared: Path) -> None:
    from ratti.runtimes.tflm import Session

    path = shared / "models" / f"{model}.tflite"
    graph = tflite.read(path)
    first, second = Session(path.read_bytes()), Session(graph)
    rng = np.random.default_rng(1)
    for _ in range(5):
        x = rng.integers(-128, 128, graph.type(graph.inputs[0]).shape).astype(np.int8)
        want = list(interpreter.run(graph, [x]).values())
        np.testing.assert_array_equal(first.run([x]), want)
        np.testing.assert_array_equal(second.run([x]), want)


def test_float_models_come_back_the_same() -> None:
    builder = GraphBuilder("real")
    x = builder.input("x", TensorType((1, 5, 5, 2), DType.FLOAT32))
    w = builder.constant("w", np.random.default_rng(0).normal(size=(3, 3, 3, 2)).astype(np.float32))
    graph = builder.build([builder.float(Conv2D(padding=(1, 1, 1, 1)), [x, w])])
    again = tflite.parse(tflite.serialize(graph), "real")
    assert to_text(again) == to_text(tflite.parse(tflite.serialize(again), "real"))
    real = np.random.default_rng(1).normal(size=(1, 5, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(*(list(interpreter.run(g, [real]).values()) for g in (graph, again)))


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    tflite.write(small_graph(), path)
    before = path.read_bytes()
    builder = GraphBuilder("pool")
    x = builder.input("x", int8((1, 8, 8, 2), 0.1, 0))
    odd = builder.build([builder.quantized(MaxPool2D((3, 3), (2, 2), (1, 1, 1, 1)), [x], 0.1, 0)])
    with pytest.raises(UnsupportedError, match=r"max_pool2d.*SAME and VALID"):
        tflite.write(odd, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


OTHER_NAMES = {  # of ops that TFLite calls otherwise
    "concat": "concatenation",
    "requantize": "quantize",
    "resize_nearest": "resizenearestneighbor",
    "slice": "stridedslice",
    "split": "splitv",
    "transpose_conv2d": "transposeconv",
}


def test_names_of_operators_and_types() -> None:
    for name in ops.names():
        squeezed = names.operator(ops.get(name).tflite_code).replace("_", "").lower()
        assert squeezed == OTHER_NAMES.get(name, name.replace("_", ""))
    assert names.operator(1000) == "operator code 1000" and names.tensor_type(-3) == "element type -3"


@pytest.mark.oracle
def test_names_are_those_of_the_published_schema() -> None:
    schema = importlib.import_module("tflite_micro.tensorflow.lite.micro.python.schema_py_generated")
    for enum, ours in ((schema.BuiltinOperator, names.OPERATORS), (schema.TensorType, names.TENSOR_TYPES)):
        published = {code: name for name, code in vars(enum).items() if isinstance(code, int)}
        assert ours == tuple(published[k] for k in range(len(ours)))


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, content, text in (
        ("empty", b"", "the file is empty"),
        ("short", b"TFL3", "identifier"),
        ("text", b"this is a text, no model", "identifier"),
        ("zip", b"PK\3\4" + bytes(100), "identifier"),
        ("zeros", bytes(8) + bytes(100), "identifier"),
        ("header", b"\x10\0\0\0TFL3" + bytes(100), "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=text) as caught:
            tflite.read(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(FormatError, match=r"cannot read model .*No such file"):
        tflite.read(tmp_path / "missing.tflite")
    with pytest.raises(FormatError, match=r"cannot read model .*directory"):
        tflite.read(tmp_path)


# What is changed in a good model, the error, and words that its one line must hold.
Change = Callable[[dict[str, Any]], Any]


def code(model: dict, position: int, value: int, **more: Any) -> None:
    """Makes the operator at `position` one of its own code."""
    model["operator_codes"].append({"deprecated_builtin_code": min(value, 127), "builtin_code": value, **more})
    operators(model)[position]["opcode_index"] = len(model["operator_codes"]) - 1


def both(*changes: Change) -> Change:
    return lambda model: [change(model) for change in changes]


REFUSALS: dict[str, tuple[Change, type[Exception], str]] = {
    "version": (lambda m: m.update(version=4), UnsupportedError, "version 4"),
    "no subgraph": (lambda m: m.update(subgraphs=[]), UnsupportedError, "0 subgraphs"),
    "two subgraphs": (lambda m: m.update(subgraphs=m["subgraphs"] * 2), UnsupportedError, "2 subgraphs"),
    "unknown op": (lambda m: code(m, 1, 16), UnsupportedError, r"LSTM \(operator 1\)\. Supported: ABS, ADD, ARG_MAX"),
    "unknown ops": (
        both(lambda m: code(m, 0, 16), lambda m: code(m, 1, 8), lambda m: code(m, 2, 16)),
        UnsupportedError,
        r"LSTM \(operator 0, 2\), FLOOR \(operator 1\)\.",
    ),
    "future op": (lambda m: code(m, 0, 5000), UnsupportedError, "operator code 5000"),
    "custom op": (lambda m: code(m, 0, 32, custom_code="Magic"), UnsupportedError, "custom op 'Magic'"),
    "ugly names": (
        both(lambda m: tensors(m)[1].update(type=1), lambda m: tensors(m)[1].update(name="a/\n\x1b[31mred" + "x" * 90)),
        UnsupportedError,
        "FLOAT16",
    ),
    "code index": (lambda m: operators(m)[0].update(opcode_index=9), FormatError, "code 9 of"),
    "variable": (lambda m: tensors(m)[1].update(is_variable=True), UnsupportedError, "tensor 1 .* variable"),
    "float16": (
        lambda m: tensors(m)[1].update(type=1),
        UnsupportedError,
        "tensor 1 .* FLOAT16; supported: FLOAT32, INT32",
    ),
    "uint8": (
        both(lambda m: tensors(m)[0].update(type=3), lambda m: tensors(m)[0]["quantization"].update(zero_point=[128])),
        UnsupportedError,
        "int8 with one scale",
    ),
    "int16": (lambda m: tensors(m)[0].update(type=7), UnsupportedError, "int8 with one scale"),
    "dynamic": (lambda m: tensors(m)[0].update(shape=[-1, 6, 5, 3]), UnsupportedError, r"tensor 0 .*-1.*fixed when"),
    "zero size": (lambda m: tensors(m)[0].update(shape=[1, 0, 5, 3]), UnsupportedError, r"tensor 0 .*fixed when"),
    "huge": (lambda m: tensors(m)[0].update(shape=[2**31 - 1] * 4), UnsupportedError, "tensor 0 .*at most 268,435,456"),
    "large": (lambda m: tensors(m)[0].update(shape=[1, 2**14, 2**13, 3]), UnsupportedError, "at most 268,435,456"),
    "many dimensions": (lambda m: tensors(m)[0].update(shape=[1] * 40), UnsupportedError, "40 dimensions; at most 8"),
    "wrong shape": (lambda m: tensors(m)[0].update(shape=[1, 7, 5, 3]), UnsupportedError, "conv2d.*output should be"),
    "wrong rank": (lambda m: tensors(m)[0].update(shape=[1, 90]), UnsupportedError, r"conv2d.*\(N, H, W, C\)"),
    "weights size": (lambda m: tensors(m)[1].update(shape=[4, 3, 3, 4]), FormatError, r"tensor 1 .*108 bytes.*144"),
    "no scale": (lambda m: tensors(m)[0].pop("quantization"), UnsupportedError, "int8 with one scale"),
    "scale 0": (lambda m: tensors(m)[0]["quantization"].update(scale=[0.0]), FormatError, "tensor 0 .*scale"),
    "scale nan": (lambda m: tensors(m)[0]["quantization"].update(scale=[np.nan]), FormatError, "tensor 0 .*scale"),
    "zero point": (
        lambda m: tensors(m)[0]["quantization"].update(zero_point=[128]),
        FormatError,
        "tensor 0.*-128 to 127",
    ),
    "zero points": (
        lambda m: tensors(m)[0]["quantization"].update(zero_point=[1, 2]),
        FormatError,
        "1 scales and 2 zero",
    ),
    "scales": (lambda m: tensors(m)[1]["quantization"].update(scale=[1.0] * 5), FormatError, "tensor 1 .*5 scales"),
    "axis": (lambda m: tensors(m)[1]["quantization"].update(quantized_dimension=7), FormatError, "tensor 1 .*axis 7"),
    "channel axis": (
        lambda m: tensors(m)[1]["quantization"].update(quantized_dimension=3, scale=[1.0] * 3, zero_point=[0] * 3),
        UnsupportedError,
        "one scale, or one for each output channel",
    ),
    "asymmetric": (lambda m: tensors(m)[1]["quantization"].update(zero_point=[1] * 4), UnsupportedError, "symmetric"),
    "buffer": (lambda m: tensors(m)[1].update(buffer=99), FormatError, "buffer 99 of"),
    "no data": (lambda m: tensors(m)[1].update(buffer=0), FormatError, "tensor 1 .*read before it is computed"),
    "outside": (lambda m: m["buffers"][1].update(offset=4096, size=10), UnsupportedError, "behind the model"),
    "sparse": (lambda m: tensors(m)[1].update(sparsity={}), UnsupportedError, "tensor 1 .*sparse"),
    "tensor": (lambda m: operators(m)[0].update(inputs=[0, 99]), FormatError, "tensor 99 of"),
    "negative tensor": (lambda m: operators(m)[0].update(inputs=[-7, 1]), FormatError, "tensor -7 of"),
    "missing operand": (lambda m: operators(m)[0].update(inputs=[0, -1, 2]), FormatError, "tensor -1 of"),
    "too few": (lambda m: operators(m)[0].update(inputs=[0]), FormatError, "conv2d at operator 0 has only 1 inputs"),
    "none": (lambda m: operators(m)[0].update(inputs=[]), FormatError, "conv2d at operator 0 has no inputs"),
    "no output": (lambda m: operators(m)[0].update(outputs=[]), FormatError, "conv2d at operator 0 has no outputs"),
    "too many": (lambda m: operators(m)[0].update(inputs=[0] * 65), UnsupportedError, "65 inputs; at most 64"),
    "four": (
        lambda m: operators(m)[0].update(inputs=[0, 1, 2, 2]),
        FormatError,
        "has 4 inputs; it takes input, weight",
    ),
    "two outputs": (
        both(
            lambda m: tensors(m).append(dict(tensors(m)[0])),
            lambda m: operators(m)[0].update(outputs=[*operators(m)[0]["outputs"], len(tensors(m)) - 1]),
        ),
        UnsupportedError,
        "conv2d.*output should be",
    ),
    "cycle": (
        lambda m: operators(m)[1].update(inputs=list(operators(m)[2]["outputs"])),
        FormatError,
        "before it is computed",
    ),
    "own output": (
        lambda m: operators(m)[1].update(inputs=list(operators(m)[1]["outputs"])),
        FormatError,
        "before it is computed",
    ),
    "written twice": (
        lambda m: operators(m)[1].update(outputs=list(operators(m)[0]["outputs"])),
        FormatError,
        "already has a value",
    ),
    "writes input": (lambda m: operators(m)[1].update(outputs=[0]), FormatError, "tensor 0 .*already has a value"),
    "writes weights": (lambda m: operators(m)[1].update(outputs=[1]), FormatError, "tensor 1 .*already has a value"),
    "input twice": (lambda m: m["subgraphs"][0].update(inputs=[0, 0]), FormatError, "tensor 0 .*listed twice"),
    "no inputs": (lambda m: m["subgraphs"][0].update(inputs=[]), FormatError, "no inputs or no outputs"),
    "no outputs": (lambda m: m["subgraphs"][0].update(outputs=[]), FormatError, "no inputs or no outputs"),
    "stride": (
        lambda m: operators(m)[0]["builtin_options"].update(stride_h=0),
        UnsupportedError,
        "stride .* at least 1",
    ),
    "dilation": (
        lambda m: operators(m)[0]["builtin_options"].update(dilation_w_factor=-1),
        UnsupportedError,
        "dilation .* at least 1",
    ),
    "wide window": (
        lambda m: operators(m)[0]["builtin_options"].update(dilation_w_factor=2**30),
        UnsupportedError,
        "conv2d.*1048576",
    ),
    "padding": (lambda m: operators(m)[0]["builtin_options"].update(padding=7), UnsupportedError, "padding code 7"),
    "activation": (
        lambda m: operators(m)[0]["builtin_options"].update(fused_activation_function=4),
        UnsupportedError,
        "activation 4",
    ),
    "other options": (
        lambda m: operators(m)[0].update(builtin_options_type=9, builtin_options={"beta": 1.0}),
        FormatError,
        "conv2d at operator 0 carries the options of another op",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_one_clear_line(name: str) -> None:
    change, error, text = REFUSALS[name]
    with pytest.raises(error, match=text) as caught:
        tflite.parse(changed(change))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_what_other_tools_leave_out_is_read() -> None:
    """An optional operand given as -1, no options, no description, a signature with a dynamic batch: all are common."""
    graph = tflite.parse(changed(lambda m: operators(m)[0].update(inputs=[0, 1, -1])))
    assert len(graph.nodes[0].inputs) == 2
    assert tflite.parse(changed(lambda m: [m.pop("description"), m.pop("metadata")])).metadata == {}
    old = changed(lambda m: [c.pop("builtin_code", None) for c in m["operator_codes"]])
    assert to_text(tflite.parse(old, "m")) == to_text(tflite.parse(small_model(), "m"))


def test_references_to_the_same_bytes_cost_nothing() -> None:
    """A small file whose tensors share one vector of scales, or one buffer, must not fill the memory."""
    model = decode(small_model())
    relu = operators(model)[1]
    assert model["operator_codes"][relu["opcode_index"]]["builtin_code"] == Relu.tflite_code
    data = np.zeros(1 << 20, np.uint8)
    model["buffers"].append({"data": data})
    for k in range(3000):
        tensors(model).append({**tensors(model)[0], "shape": [1 << 20], "buffer": len(model["buffers"]) - 1})
        tensors(model).append({**tensors(model)[0], "shape": [1 << 20]})
        operators(model).append({**relu, "inputs": [len(tensors(model)) - 2], "outputs": [len(tensors(model)) - 1]})
        assert k >= 0
    start = time.monotonic()
    with pytest.raises(FormatError, match="the same bytes over and over"):
        tflite.parse(write("Model", model))
    assert time.monotonic() - start < 20


def test_many_tensors_of_one_name_are_read_in_linear_time() -> None:
    model = decode(small_model())
    last = operators(model)[-1]["outputs"][0]
    template = {**tensors(model)[last], "name": "same"}
    relu = {**operators(model)[1]}
    for _ in range(3000):
        tensors(model).append(template)
        operators(model).append({**relu, "inputs": [last], "outputs": [len(tensors(model)) - 1]})
        last = len(tensors(model)) - 1
    model["subgraphs"][0]["outputs"] = [last]
    data = write("Model", model)
    start = time.monotonic()
    graph = tflite.parse(data)
    assert len(graph.nodes) > 3000 and time.monotonic() - start < 10


def test_quantization_of_floats_is_ignored_and_absent_scales_are_none() -> None:
    builder = GraphBuilder("real")
    x = builder.input("x", TensorType((1, 4), DType.FLOAT32, Quant.per_tensor(0.5, 3)))
    graph = builder.build([builder.node(Relu(), [x], [TensorType((1, 4), DType.FLOAT32)])[0]])
    assert tflite.parse(tflite.serialize(graph)).type("x").quant is None
