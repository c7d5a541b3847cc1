"""LiteRT (TensorFlow Lite), the engine of Android: its own kernels, or XNNPACK's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from ..errors import MissingDependencyError
from ..formats import tflite
from ..graph.builder import unique
from ..graph.ir import Graph, Node, Value
from ..graph.passes._rewrite import rewrite
from ..ops._accumulate import LinearOp
from ..ops.prelu import Prelu
from ..types import Array, DType, Quant, TensorType
from . import Files, Runner

VARIANTS = ("", "xnnpack")
KINDS = {"tflite": ""}
EXACT = False
ROUNDING = "TFLite's double rounding in most kernels; XNNPACK: a float32 scale, halves to even"
PACKAGE = "ai-edge-litert"


def available(variant: str = "") -> bool:
    return find_spec("ai_edge_litert") is not None


def supports(graph: Graph, variant: str = "") -> str:
    for node in graph.nodes:  # its kernel wants the output in the input's shape
        if isinstance(node.op, Prelu) and graph.type(node.inputs[0]).shape != graph.type(node.outputs[0]).shape:
            return f"prelu '{node.name}' repeats its input to the shape of the slopes"
        # Its 16x8 kernels take int32 biases without a complaint and compute something else.
        types = [t.dtype for t in graph.input_types(node)]
        if isinstance(node.op, LinearOp) and (types[0], types[-1]) == (DType.INT16, DType.INT32):
            return f"{node.op.name} '{node.name}' has int16 activations and an int32 bias; LiteRT wants int64"
    return ""


def export(graph: Graph, variant: str = "") -> Files:
    return {".tflite": tflite.serialize(_with_biases(graph))}


def run(graph: Graph, files: Files, variant: str = "", threads: int = 1) -> Runner:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise MissingDependencyError(PACKAGE, "litert", "running LiteRT") from None
    # Without delegates: TFLite's optimized kernels. AUTO applies XNNPACK.
    kind = OpResolverType.AUTO if variant == "xnnpack" else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    model = next(iter(files.values()))
    interpreter = Interpreter(model_content=model, num_threads=threads, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    inputs = [d["index"] for d in interpreter.get_input_details()]
    outputs = [d["index"] for d in interpreter.get_output_details()]

    def infer(values: Sequence[Array]) -> list[Array]:
        for index, value in zip(inputs, values, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return infer


def _with_biases(graph: Graph) -> Graph:
    """LiteRT refuses int8 convolutions without a bias, and crashes on depthwise ones: they get one of zeros."""
    nodes, values = [], []
    for node in graph.nodes:
        if isinstance(node.op, LinearOp) and len(node.inputs) == 2 and graph.type(node.outputs[0]).quant:
            bias = _zero_bias(graph, node)
            values.append(bias)
            node = replace(node, inputs=(*node.inputs, bias.name))
        nodes.append(node)
    return rewrite(graph, nodes, values) if values else graph


def _zero_bias(graph: Graph, node: Node) -> Value:
    source, weight = graph.input_types(node)
    assert weight.quant is not None
    dtype = DType.INT64 if source.dtype is DType.INT16 else DType.INT32
    zeros = np.zeros(graph.type(node.outputs[0]).shape[-1], dtype.numpy)
    scales = np.asarray(weight.quant.scale, np.float32) * np.float32(source.scale)
    quant = Quant.per_tensor(scales[0], 0) if weight.quant.axis is None else Quant.per_channel(scales, 0)
    name = unique(f"{node.name}_zero_bias", graph.values)
    return Value(name, TensorType(zeros.shape, dtype, quant), zeros)
