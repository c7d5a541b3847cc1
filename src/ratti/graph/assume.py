"""A float graph as an int8 one, for profiling: the shapes, ops and kernels of the model after quantization.

Weights get a scale for each output channel; activations the range that they take on random inputs. What firmware costs
depends on shapes alone, and is right; what the model would still recognize is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UnsupportedError
from ..fixed_point import INT32_MAX
from ..ops._accumulate import LinearOp
from ..ops.base import Operand
from ..types import Array, DType, Quant, TensorType
from . import interpreter
from .builder import GraphBuilder
from .ir import Graph, Node

NOTE = "int8 assumed, accuracy unknown: a float model, quantized with ranges from random inputs"
SAMPLES = 3
FIXED = (Quant.per_tensor(1 / 256, -128), Quant.per_tensor(1 / 128, 0))  # of ops that bring their own


def assume_int8(graph: Graph, seed: int = 0) -> Graph:
    """`graph`, which is float throughout, as an int8 graph. UnsupportedError where an op has no int8 form."""
    return _Quantizer(graph, _ranges(graph, seed)).run()


def _ranges(graph: Graph, seed: int) -> dict[str, tuple[float, float]]:
    """Smallest and largest number of each activation, over normally distributed inputs."""
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[float, float]] = {}
    for _ in range(SAMPLES):
        inputs = [rng.normal(0, 1, graph.type(n).shape).astype(np.float32) for n in graph.inputs]
        for name, x in interpreter.run(graph, inputs, keep=True).items():
            low, high = found.get(name, (0.0, 0.0))
            found[name] = (min(low, float(x.min())), max(high, float(x.max())))
    return found


class _Quantizer:
    def __init__(self, graph: Graph, ranges: dict[str, tuple[float, float]]) -> None:
        self._graph, self._ranges = graph, ranges
        self._builder = GraphBuilder(graph.name)
        self._names: dict[str, str] = {}

    def run(self) -> Graph:
        graph, b = self._graph, self._builder
        for name in graph.inputs:
            type = TensorType(graph.type(name).shape, DType.INT8, _quant(*self._ranges[name]))
            self._names[name] = b.input(name, type)
        for node in graph.nodes:
            inputs = self._inputs(node)
            operands = [Operand(b.type(n), b.data(n)) for n in inputs]
            types = [self._output(node, operands, name) for name in node.outputs]
            self._names.update(zip(node.outputs, b.node(node.op, inputs, types, node.name), strict=True))
        for name in graph.outputs:
            if name not in self._names:
                raise UnsupportedError(f"output '{name}' of model '{graph.name}' is a constant")
        metadata = {**graph.metadata, "quantization": "assumed"}
        return b.build([self._names[n] for n in graph.outputs], metadata)

    def _inputs(self, node: Node) -> list[str]:
        data = [self._graph.values[n].data for n in node.inputs]
        if isinstance(node.op, LinearOp):
            return self._linear(node, node.op, data)
        for name, x in zip(node.inputs, data, strict=True):
            if x is not None and name not in self._names:
                quant = _quant(float(x.min()), float(x.max()))
                self._names[name] = self._builder.constant(name, quant.quantize(x, DType.INT8), quant)
        return [self._names[n] for n in node.inputs]

    def _linear(self, node: Node, op: LinearOp, data: Sequence[Array | None]) -> list[str]:
        x = self._names[node.inputs[0]]
        weight, *bias = data[1:]
        assert weight is not None
        others = tuple(a for a in range(weight.ndim) if a != op.output_axis)
        scales = np.maximum(np.abs(weight).max(axis=others), 1e-6).astype(np.float32) / np.float32(127)
        along = tuple(-1 if a == op.output_axis else 1 for a in range(weight.ndim))
        codes = np.clip(np.rint(weight / scales.reshape(along)), -127, 127).astype(np.int8)
        out = [x, self._builder.constant(node.inputs[1], codes, Quant.per_channel(scales, op.output_axis))]
        grid = scales * np.float32(self._builder.type(x).scale)
        for name, values in zip(node.inputs[2:], bias, strict=True):
            assert values is not None
            steps = np.clip(np.rint(values.astype(np.float64) / grid), -INT32_MAX, INT32_MAX).astype(np.int32)
            out.append(self._builder.constant(name, steps, Quant.per_channel(grid, 0)))
        return out

    def _output(self, node: Node, operands: Sequence[Operand], name: str) -> TensorType:
        """The type with the first quantization that the op takes: its own range, its input's, a fixed one."""
        shape = self._graph.type(name).shape
        source = operands[0].type.quant
        options = [_quant(*self._ranges[name]), *([source] if source is not None else []), *FIXED]
        types = [TensorType(shape, DType.INT8, quant) for quant in options]
        return next((t for t in types if node.op.check(operands, [t] * len(node.outputs)) is None), types[0])


def _quant(low: float, high: float) -> Quant:
    """Asymmetric int8 over a range that holds 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / 255, 1e-6))
    return Quant.per_tensor(float(scale), int(np.clip(np.rint(-128 - low / scale), -128, 127)))
