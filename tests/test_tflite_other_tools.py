"""Files as other tools write them: converted edges, several operators for what ratti has under one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cases import samples
from ratti.formats import tflite
from ratti.formats.tflite.flatbuffer import write
from ratti.formats.tflite.names import OPERATORS
from ratti.formats.tflite.schema import OPTIONS, TENSOR_TYPES
from ratti.graph import interpreter
from ratti.graph.passes import run_pipeline
from ratti.types import Array

TYPES = {name: code for code, name in TENSOR_TYPES.items()}


@dataclass
class File:
    """A `.tflite` file put together by hand."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    buffers: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    operators: list[dict[str, Any]] = field(default_factory=list)
    codes: list[dict[str, Any]] = field(default_factory=list)

    def tensor(
        self, shape: Sequence[int], type: str = "int8", scale: float = 0.1, zero: int = 5, name: str = ""
    ) -> int:
        quant = {"quantization": {"scale": [scale], "zero_point": [zero]}} if type in ("int8", "uint8") else {}
        self.tensors.append({"shape": list(shape), "type": TYPES[type], "buffer": 0, "name": name or "t", **quant})
        return len(self.tensors) - 1

    def constant(self, values: Any) -> int:
        data = np.asarray(values, np.int32)
        self.buffers.append({"data": np.frombuffer(data.tobytes(), np.uint8)})
        self.tensors.append(
            {"shape": list(data.shape), "type": TYPES["int32"], "buffer": len(self.buffers) - 1, "name": "c"}
        )
        return len(self.tensors) - 1

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "", **fields: Any
    ) -> None:
        code = OPERATORS.index(name)
        self.codes.append({"deprecated_builtin_code": min(code, 127), "builtin_code": code, "version": 1})
        entry: dict[str, Any] = {
            "opcode_index": len(self.codes) - 1,
            "inputs": list(inputs),
            "outputs": list(outputs),
        }
        if options:
            codes = {table: k for k, table in OPTIONS.items()}
            entry |= {"builtin_options_type": codes[options], "builtin_options": fields}
        self.operators.append(entry)

    def bytes(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        subgraph = {
            "tensors": self.tensors,
            "inputs": list(inputs),
            "outputs": list(outputs),
            "operators": self.operators,
        }
        model = {"version": 3, "operator_codes": self.codes, "subgraphs": [subgraph], "buffers": self.buffers}
        return write("Model", model)


def one(
    name: str, shape: Sequence[int], out: Sequence[int], *constants: Any, options: str = "", **fields: Any
) -> bytes:
    """A file of one operator whose constants come after its input."""
    f = File()
    x, y = f.tensor(shape), f.tensor(out)
    f.operator(name, [x, *(f.constant(c) for c in constants)], [y], options, **fields)
    return f.bytes([x], [y])


def split(axis_first: bool) -> bytes:
    f = File()
    x, parts = f.tensor((1, 2, 3, 8)), [f.tensor((1, 2, 3, 4)) for _ in range(2)]
    if axis_first:
        f.operator("SPLIT", [f.constant(-1), x], parts, "SplitOptions", num_splits=2)
    else:
        f.operator("SPLIT_V", [x, f.constant([4, 4]), f.constant(3)], parts, "SplitVOptions", num_splits=2)
    return f.bytes([x], parts)


FILES = {
    "squeeze": one("SQUEEZE", (1, 1, 1, 6), (1, 6), options="SqueezeOptions", squeeze_dims=[1, 2]),
    "expand_dims": one("EXPAND_DIMS", (1, 6), (1, 1, 6), 1),
    "slice": one("SLICE", (1, 4, 5, 3), (1, 2, 3, 3), [0, 1, 2, 0], [-1, 2, -1, 3], options="SliceOptions"),
    "strided_slice": one(
        "STRIDED_SLICE",
        (1, 6, 5, 3),
        (1, 2, 3),
        [0, -1, 0, 0],
        [0, 0, -1, 0],
        [1, 1, 2, 1],
        options="StridedSliceOptions",
        begin_mask=0b1001,
        end_mask=0b1001,
        shrink_axis_mask=0b0010,
    ),
    "strided_slice_back": one(
        "STRIDED_SLICE", (1, 6), (1, 3), [0, -1], [1, 0], [1, -2], options="StridedSliceOptions", end_mask=0b01
    ),
    "split": split(True),
    "split_v": split(False),
    "transpose": one("TRANSPOSE", (1, 3, 4, 2), (1, 2, 3, 4), [0, 3, 1, 2]),
}


@pytest.mark.oracle
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_operators_read_as_another_op_equal_tflite_micro(data: bytes) -> None:
    from ratti.runtimes.tflm import Session

    graph, session = tflite.parse(data), Session(data)
    planned = run_pipeline(graph)
    for x in samples([graph.type(n) for n in graph.inputs], 4):
        want = session.run(x)
        for g in (graph, planned):
            for got, expected in zip(interpreter.run(g, x).values(), want, strict=True):
                np.testing.assert_array_equal(got, expected)


def wrapped(outside: str) -> bytes:
    f = File()
    x, y = f.tensor((1, 6), outside, 0.1, 133, "photo"), f.tensor((1, 6), outside, 0.1, 133, "score")
    a, b = f.tensor((1, 6)), f.tensor((1, 6))
    f.operator("QUANTIZE", [x], [a])
    f.operator("RELU", [a], [b])
    f.operator("DEQUANTIZE" if outside == "float32" else "QUANTIZE", [b], [y])
    return f.bytes([x], [y])


@pytest.mark.parametrize("outside", ["float32", "uint8"])
def test_conversions_at_the_edges_are_taken_off(outside: str) -> None:
    graph = tflite.parse(wrapped(outside))
    assert (graph.inputs, graph.outputs) == (("photo",), ("relu_0_out",))
    assert [n.op.name for n in graph.nodes] == ["relu"]
    assert graph.is_quantized
    assert (graph.type("photo").scale, graph.type("photo").zero_point) == (float(np.float32(0.1)), 5)


@pytest.mark.oracle
def test_models_with_float_edges_mean_what_they_meant() -> None:
    from ratti.runtimes.tflm import Session

    data = wrapped("float32")
    graph, session = tflite.parse(data), Session(data)
    codes = np.array([[-128, -5, 5, 6, 90, 127]], np.int8)
    real: Array = (codes.astype(np.float32) - 5) * np.float32(0.1)
    (got,) = interpreter.run(graph, [codes]).values()
    (want,) = session.run([real])
    np.testing.assert_allclose((got.astype(np.float32) - 5) * np.float32(0.1), want, rtol=1e-6)


def test_an_output_that_is_read_inside_stays_converted() -> None:
    f = File()
    x, y = f.tensor((1, 6)), f.tensor((1, 6), "float32")
    z = f.tensor((1, 6), "float32")
    f.operator("DEQUANTIZE", [x], [y])
    f.operator("RELU", [y], [z])
    with pytest.raises(Exception, match="DEQUANTIZE"):
        tflite.parse(f.bytes([x], [z]))
