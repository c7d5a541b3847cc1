"""ONNX Runtime on this computer's CPU, from a QDQ file. On x86 the uint8 form is the fast one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import MissingDependencyError
from ..formats import onnx
from ..formats.onnx.operators import supported
from ..formats.onnx.writer import UNSIGNED
from ..graph.ir import Graph
from ..graph.passes import separate_outputs
from ..types import Array
from . import Files, Runner, beyond_int8

VARIANTS = ("", "uint8")
KINDS = {"onnx": "", "onnx:uint8": "uint8"}
EXACT = False
ROUNDING = "accumulator times a float32 scale, halves to even"
PACKAGES = ("onnx", "onnxruntime")


def available(variant: str = "") -> bool:
    return all(find_spec(p) is not None for p in PACKAGES)


def supports(graph: Graph, variant: str = "") -> str:
    missing = sorted({n.op.name for n in separate_outputs.run(graph).nodes if not supported(n.op)})
    return f"no ONNX form for {', '.join(missing)}" if missing else beyond_int8(graph)


def export(graph: Graph, variant: str = "") -> Files:
    return {f"{'_' if variant else ''}{variant}.onnx": onnx.serialize(graph, unsigned=variant == "uint8")}


def run(graph: Graph, files: Files, variant: str = "", threads: int = 1) -> Runner:
    session = _session(next(iter(files.values())), threads)
    names = [i.name for i in session.get_inputs()]
    unsigned = variant == "uint8" and graph.is_quantized

    def infer(inputs: Sequence[Array]) -> list[Array]:
        given = [_to_unsigned(x) if unsigned else x for x in inputs]
        outputs = session.run(None, dict(zip(names, given, strict=True)))
        return [_to_signed(y) if unsigned and y.dtype == np.uint8 else y for y in outputs]

    return infer


def optimized(model: bytes) -> bytes:
    """The file as ONNX Runtime runs it, after its own fusions."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        _session(model, 1, str(path))
        return path.read_bytes()


def float_nodes(model: bytes) -> list[str]:
    """Nodes of an ONNX file that take or give float tensors (scales do not count): 'Kind name'."""
    import onnx as protobuf

    graph = protobuf.load_from_string(model).graph
    floating = {i.name for i in graph.input if i.type.tensor_type.elem_type == protobuf.TensorProto.FLOAT}
    found = []
    for node in graph.node:
        integers = node.op_type.startswith("Q") or not floating.intersection(node.input)
        if node.op_type == "DequantizeLinear" or not integers:
            floating.update(node.output)
        if floating.intersection([*node.input, *node.output]):
            found.append(f"{node.op_type} {node.name}")
    return found


def delegates(graph: Graph) -> dict[str, str]:
    """What the published lists of phone accelerators say to both files of `graph`; none of them runs here."""
    from ._delegates import DELEGATES

    if not available() or supports(graph):
        return {}
    said = {}
    for form, variant in (("int8", ""), ("uint8", "uint8")):
        (model,) = export(graph, variant).values()
        for d in DELEGATES:
            said[f"onnxruntime:{d.name} ({form})"] = "; ".join(d.obstacles(model)) or "its list takes every node"
    return {name: f"not run here; {text}" for name, text in said.items()}


def _session(model: bytes, threads: int, optimized_path: str = "") -> Any:
    if not available():
        raise MissingDependencyError("onnxruntime", "onnx", "running ONNX Runtime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # else int8 convolutions stay float on x86
    if optimized_path:
        options.optimized_model_filepath = optimized_path
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _to_unsigned(codes: Array) -> Array:
    return (codes.astype(np.int16) + UNSIGNED).astype(np.uint8)


def _to_signed(codes: Array) -> Array:
    return (codes.astype(np.int16) - UNSIGNED).astype(np.int8)
