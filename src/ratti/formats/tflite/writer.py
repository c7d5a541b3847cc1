"""Graph to `.tflite`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph.ir import Graph, Node
from ...graph.passes import unfold_padding, unfold_shuffles
from ...types import Array, DType, Quant, TensorType, pack_nibbles
from .flatbuffer import write
from .reader import METADATA_PREFIX
from .schema import OPTIONS, TENSOR_TYPES, VERSION

_TYPE_CODES = {name: code for code, name in TENSOR_TYPES.items()}
_OPTION_CODES = {name: code for code, name in OPTIONS.items()}


def serialize(graph: Graph) -> bytes:
    """The bytes of a `.tflite` file; explicit padding that SAME cannot express becomes PAD ops, and interleaved groups
    become shuffles.
    """
    return _Exporter(unfold_padding.run(unfold_shuffles.run(graph))).run()


class _Exporter:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors: list[dict[str, Any]] = []
        self._buffers: list[dict[str, Any]] = [{}]  # buffer 0 is empty by convention
        self._indices: dict[str, int] = {}
        self._codes: list[int] = []

    def run(self) -> bytes:
        graph = self._graph
        inputs = [self._tensor(n) for n in graph.inputs]
        operators = [self._operator(n) for n in graph.nodes]
        outputs = [self._tensor(n) for n in graph.outputs]
        metadata = [
            {"name": METADATA_PREFIX + key, "buffer": self._buffer(np.frombuffer(text.encode(), np.uint8))}
            for key, text in sorted(graph.metadata.items())
        ]
        model = {
            "version": VERSION,
            "operator_codes": [
                {"deprecated_builtin_code": min(c, 127), "builtin_code": c, "version": 1} for c in self._codes
            ],
            "subgraphs": [
                {
                    "tensors": self._tensors,
                    "inputs": inputs,
                    "outputs": outputs,
                    "operators": operators,
                    "name": graph.name,
                }
            ],
            "description": "ratti",
            "buffers": self._buffers,
            "metadata": metadata,
        }
        return write("Model", model)

    def _operator(self, node: Node) -> dict[str, Any]:
        op = node.op
        options, extra = op.to_tflite(self._graph.operands(node), self._graph.output_types(node))
        if op.tflite_code not in self._codes:
            self._codes.append(op.tflite_code)
        inputs = [self._tensor(n) for n in node.inputs]
        constants = [self._constant(f"{node.name}_{k}", data, None) for k, data in enumerate(extra)]
        out: dict[str, Any] = {
            "opcode_index": self._codes.index(op.tflite_code),
            "inputs": op.tflite_order(inputs, constants),
            "outputs": [self._tensor(n) for n in node.outputs],
        }
        if op.tflite_options:
            out["builtin_options_type"] = _OPTION_CODES[op.tflite_options]
            out["builtin_options"] = options
        return out

    def _tensor(self, name: str) -> int:
        if name not in self._indices:
            value = self._graph.values[name]
            if value.data is not None:
                self._indices[name] = self._constant(name, value.data, value.type.quant, value.type.dtype)
            else:
                self._indices[name] = self._append(name, value.type, 0)
        return self._indices[name]

    def _constant(self, name: str, data: Array, quant: Quant | None, dtype: DType | None = None) -> int:
        type = TensorType(data.shape, dtype or DType(data.dtype.name), quant)
        raw = pack_nibbles(data) if dtype is DType.INT4 else np.frombuffer(data.tobytes(), np.uint8)
        return self._append(name, type, self._buffer(raw))

    def _append(self, name: str, type: TensorType, buffer: int) -> int:
        tensor: dict[str, Any] = {
            "shape": list(type.shape),
            "type": _TYPE_CODES[type.dtype.value],
            "buffer": buffer,
            "name": name,
        }
        if type.quant is not None:
            tensor["quantization"] = {
                "scale": type.quant.scale,
                "zero_point": type.quant.zero_point,
                "quantized_dimension": type.quant.axis or 0,
            }
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _buffer(self, raw: Array) -> int:
        self._buffers.append({"data": raw})
        return len(self._buffers) - 1
