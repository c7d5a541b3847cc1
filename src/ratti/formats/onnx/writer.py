"""Graph to ONNX. int8 graphs take the QDQ form: every op in float between DequantizeLinear and QuantizeLinear.

The file's inputs and outputs are the graph's, codes in NHWC. Inside, maps are NCHW as ONNX wants them: one Transpose
where a map enters or leaves that form. Operators are those of opset 17 (https://onnx.ai/onnx/operators/); scales per
channel came with 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MissingDependencyError
from ...graph.ir import Graph, Node
from ...graph.passes import separate_outputs, unfold_shuffles
from ...types import Array, DType, Shape, TensorType

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
IR_VERSION = 8  # of the years of opset 17: older engines read it too
NCHW = (0, 3, 1, 2)
NHWC = (0, 2, 3, 1)
UNSIGNED = 128  # what uint8 codes add to int8 ones
INT8 = DType.INT8.limits
Limits = tuple[int, int]


def serialize(graph: Graph, unsigned: bool = False) -> bytes:
    """The bytes of an `.onnx` file. With `unsigned`, activations are uint8 (code + 128): the fast form on x86.

    UnsupportedError for an op that has no ONNX form here; MissingDependencyError without the package onnx.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise MissingDependencyError("onnx", "onnx", "writing ONNX") from None
    data: bytes = Writer(unfold_shuffles.run(graph), unsigned).run().SerializeToString()
    return data


class Writer:
    """The state of one file. Values are addressed by name and by `maps`: whether a 4-D value is wanted as NCHW."""

    def __init__(self, graph: Graph, unsigned: bool) -> None:
        from onnx import helper, numpy_helper

        self.graph = graph = separate_outputs.run(graph)  # a split becomes slices
        self.offset = UNSIGNED if unsigned else 0
        self.codes_type: np.dtype[Any] = np.dtype(np.uint8 if unsigned else np.int8)
        self._helper, self._from_array = helper, numpy_helper.from_array
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._forms: dict[tuple[str, bool], str] = {}  # (value, as NCHW) -> tensor of codes, or of floats
        self._reals: dict[tuple[str, bool], str] = {}  # the same, dequantized
        self._names: set[str] = set(graph.inputs) | set(graph.outputs)

    def run(self) -> ModelProto:
        from .operators import write

        graph, h = self.graph, self._helper
        self._forms = {(name, False): name for name in graph.inputs}
        for node in graph.nodes:
            write(node.op, self, node)
        self._name_outputs()
        model: ModelProto = h.make_model(
            h.make_graph(
                self._nodes,
                graph.name,
                [self._port(n) for n in graph.inputs],
                [self._port(n) for n in graph.outputs],
                list(self._constants.values()),
            ),
            opset_imports=[h.make_opsetid("", OPSET)],
            producer_name="ratti",
        )
        model.ir_version = IR_VERSION
        h.set_model_props(model, dict(graph.metadata))
        return model

    def _name_outputs(self) -> None:
        """Gives the tensors that are the graph's outputs their names; copies those that have one already."""
        names = {self.tensor(name): name for name in self.graph.outputs}
        made = {output for node in self._nodes for output in node.output}
        renamed = {tensor: name for tensor, name in names.items() if tensor in made}
        for node in self._nodes:
            for ports in (node.input, node.output):
                ports[:] = [renamed.get(tensor, tensor) for tensor in ports]
        for name in self.graph.outputs:  # an input, a constant, or another output under a second name
            tensor = self.tensor(name)
            if renamed.get(tensor, tensor) != name:
                source = [renamed.get(tensor, tensor)]
                self._nodes.append(self._helper.make_node("Identity", source, [name], name=f"{name}_copy"))

    def type(self, name: str) -> TensorType:
        return self.graph.type(name)

    def emit(self, kind: str, inputs: Sequence[str], hint: str, **attributes: Any) -> str:
        """One ONNX node; gives the name of its output."""
        output = self._fresh(hint)
        self._nodes.append(self._helper.make_node(kind, list(inputs), [output], name=f"{output}_{kind}", **attributes))
        return output

    def constant(self, hint: str, data: Array) -> str:
        """An initializer."""
        name = self._fresh(hint)
        self._constants[name] = self._from_array(np.asarray(data), name)
        return name

    def is_map(self, name: str) -> bool:
        """Whether the value exists as NCHW already."""
        return (name, True) in self._forms

    def tensor(self, name: str, maps: bool = False) -> str:
        """The value as it is stored: codes, or floats in a float graph."""
        key = (name, maps)
        if key not in self._forms:
            if self.graph.values[name].is_constant:
                self._forms[key] = self._activation_constant(name, maps)
            else:
                self._forms[key] = self._moved(name, self._forms[(name, not maps)], NCHW if maps else NHWC)
        return self._forms[key]

    def real(self, name: str, maps: bool = False, factor: float = 1.0) -> str:
        """The value as float32, times `factor`."""
        type = self.type(name)
        if type.quant is None:
            plain = self.tensor(name, maps)
            return plain if factor == 1.0 else self.emit("Mul", [plain, self.scalar(factor)], f"{name}_scaled")
        if factor != 1.0:
            return self.dequantized(self.tensor(name, maps), type, f"{name}_scaled", factor)
        if (name, maps) not in self._reals:
            self._reals[(name, maps)] = self.dequantized(self.tensor(name, maps), type, f"{name}_real")
        return self._reals[(name, maps)]

    def scalar(self, value: float, dtype: str = "float32") -> str:
        return self.constant("scalar", np.array(value, dtype))

    def store(self, node: Node, real: str, maps: bool = False, limits: Limits = INT8) -> None:
        """`real` becomes the node's output: quantized, and clipped where `limits` are narrower than int8."""
        quantized = self.type(node.outputs[0]).quant is not None
        self.keep(node, self.quantized(node, real, limits) if quantized else real, maps)

    def keep(self, node: Node, tensor: str, maps: bool = False) -> None:
        """`tensor` holds the node's output as it is stored."""
        self._forms[(node.outputs[0], maps)] = tensor

    def quantized(self, node: Node, real: str, limits: Limits = INT8) -> str:
        """Codes of `real` in the type of the node's output."""
        name = node.outputs[0]
        codes = self.emit("QuantizeLinear", [real, *self._quant(self.type(name))], f"{name}_q")
        return self.clipped(codes, limits, name)

    def dequantized(self, codes: str, type: TensorType, hint: str, factor: float = 1.0) -> str:
        """Floats of `codes`, times `factor`."""
        return self.emit("DequantizeLinear", [codes, *self._quant(type, factor)], hint)

    def clipped(self, codes: str, limits: Limits, hint: str) -> str:
        """Codes clipped as integers, as TFLite does; nothing to do where `limits` are those of int8."""
        if limits == INT8:
            return codes
        low, high = (self.constant("limit", np.array(v + self.offset, self.codes_type)) for v in limits)
        return self.emit("Clip", [codes, low, high], f"{hint}_clipped")

    def index(self, codes: str, hint: str) -> str:
        """Codes as int32, for Gather."""
        return self.cast(codes, np.dtype(np.int32), hint)

    def cast(self, tensor: str, dtype: np.dtype[Any], hint: str) -> str:
        return self.emit("Cast", [tensor], hint, to=self._helper.np_dtype_to_tensor_dtype(dtype))

    def reshaped(self, tensor: str, shape: Shape, hint: str) -> str:
        return self.emit("Reshape", [tensor, self.constant("shape", np.array(shape, np.int64))], hint)

    def weight(self, node: Node, data: Array, axis: int) -> str:
        """Weights and their DequantizeLinear; `data` has the output channels along `axis`.

        Beside uint8 activations the weights are uint8 too: x86 without VNNI multiplies uint8 by int8 in pairs that
        saturate at 16 bits, so ONNX Runtime would give wrong sums there.
        """
        quant = self.type(node.inputs[1]).quant
        if quant is None:
            return self.constant(f"{node.name}_weight", data)
        codes = self.constant(f"{node.name}_weight", (data.astype(np.int16) + self.offset).astype(self.codes_type))
        scales = np.asarray(quant.scale, np.float32)
        return self._dequantized_constant(codes, scales, self.offset, self.codes_type, axis)

    def bias(self, node: Node, channels: int) -> list[str]:
        """The int32 bias and its DequantizeLinear, with the scales of the accumulators; nothing where there is none."""
        if len(node.inputs) < 3:
            return []
        data = self.graph.values[node.inputs[2]].data
        assert data is not None
        codes = self.constant(f"{node.name}_bias", data)
        quant = self.type(node.inputs[1]).quant
        if quant is None:
            return [codes]
        scales = np.float32(self.type(node.inputs[0]).scale) * np.asarray(quant.scale, np.float32)
        return [self._dequantized_constant(codes, scales, 0, np.dtype(np.int32), 0)]

    def _dequantized_constant(self, codes: str, scales: Array, zero: int, dtype: np.dtype[Any], axis: int) -> str:
        """One scale as a true scalar, which ONNX Runtime wants; several along `axis`."""
        shape: Shape = () if len(scales) == 1 else (len(scales),)
        parts = [self.constant("scale", scales.reshape(shape)), self.constant("zero", np.full(shape, zero, dtype))]
        along = {"axis": axis} if shape else {}
        return self.emit("DequantizeLinear", [codes, *parts], f"{codes}_real", **along)

    def _moved(self, name: str, source: str, axes: tuple[int, ...]) -> str:
        return self.emit("Transpose", [source], f"{name}_{'nchw' if axes == NCHW else 'nhwc'}", perm=list(axes))

    def _activation_constant(self, name: str, maps: bool) -> str:
        value = self.graph.values[name]
        assert value.data is not None
        data = value.data.transpose(NCHW) if maps else value.data
        if value.type.dtype is DType.INT8:
            data = (data.astype(np.int16) + self.offset).astype(self.codes_type)
        return self.constant(name, np.ascontiguousarray(data))

    def _quant(self, type: TensorType, factor: float = 1.0) -> tuple[str, str]:
        zero_point = np.array(type.zero_point + self.offset, self.codes_type)
        return self.scalar(type.scale * factor), self.constant("zero_point", zero_point)

    def _port(self, name: str) -> Any:
        type = self.type(name)
        dtype = self.codes_type if type.dtype is DType.INT8 else type.dtype.numpy
        return self._helper.make_tensor_value_info(name, self._helper.np_dtype_to_tensor_dtype(dtype), list(type.shape))

    def _fresh(self, hint: str) -> str:
        name, k = hint, 1
        while name in self._names:
            k += 1
            name = f"{hint}_{k}"
        self._names.add(name)
        return name


def attributes_of_padding(padding: Sequence[int]) -> Mapping[str, list[int]]:
    """ONNX's `pads` (top, left, bottom, right) of (top, bottom, left, right)."""
    top, bottom, left, right = padding
    return {"pads": [top, left, bottom, right]}
