"""ExecuTorch with its XNNPACK delegate, the engine of PyTorch on phones: a Q/DQ program, lowered to a `.pte` file."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import MissingDependencyError
from ..graph.ir import Graph
from ..graph.passes import separate_outputs
from ..types import Array
from . import Files, Runner, beyond_int8

VARIANTS = ("",)
KINDS = {"executorch": ""}
EXACT = False
ROUNDING = "XNNPACK: a float32 scale, halves to even"
PACKAGES = ("executorch", "torch")


def available(variant: str = "") -> bool:
    return all(find_spec(p) is not None for p in PACKAGES)


def supports(graph: Graph, variant: str = "") -> str:
    if not available():
        return ""  # `export` says what to install
    from ._torch_operators import refusal

    nodes = separate_outputs.run(graph).nodes
    return next(filter(None, (refusal(node.op) for node in nodes)), "") or beyond_int8(graph)


def export(graph: Graph, variant: str = "") -> Files:
    return {".pte": lower(graph).buffer}


def run(graph: Graph, files: Files, variant: str = "", threads: int = 1) -> Runner:
    """`threads` has no effect: ExecuTorch's Python runtime has no such setting and takes a thread a core."""
    _require()
    import torch
    from executorch.runtime import Runtime

    buffer = next(iter(files.values()))
    program = Runtime.get().load_program(buffer)
    method = program.load_method("forward")

    kept = (buffer, program)  # the method reads them, and does not keep them itself

    def infer(inputs: Sequence[Array]) -> list[Array]:
        assert kept
        outputs = method.execute([torch.from_numpy(np.ascontiguousarray(x)) for x in inputs])
        return [y.numpy().copy() for y in outputs]

    return infer


def lower(graph: Graph) -> Any:
    """The ExecuTorch program of `graph`: exported by torch, what XNNPACK takes handed to it."""
    _require()
    with _quiet():
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

        from ._torch_operators import compute
        from ._torch_program import Program

        graph = separate_outputs.run(graph)  # a split becomes slices
        examples = tuple(torch.zeros(graph.type(n).shape, dtype=_dtype(graph, n)) for n in graph.inputs)
        with torch.no_grad():
            exported = torch.export.export(Program(graph, compute).eval(), examples)
            config = EdgeCompileConfig(_check_ir_validity=False)
            edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], compile_config=config)
            return edge.to_executorch()


def _dtype(graph: Graph, name: str) -> Any:
    import torch

    return getattr(torch, graph.type(name).dtype.value)


def _require() -> None:
    if not available():
        raise MissingDependencyError("executorch", "executorch", "ExecuTorch")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch, torchao and the partitioner speak of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)
