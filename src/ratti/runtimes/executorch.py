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
    """`threads` holds for all of ExecuTorch in this process: it has one pool."""
    _require()
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(threads)  # unsafe while a model runs
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
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

        config = EdgeCompileConfig(_check_ir_validity=False)
        edge = to_edge_transform_and_lower(
            exported(graph), partitioner=[XnnpackPartitioner()], compile_config=config
        )
        return edge.to_executorch()


def delegates(graph: Graph) -> dict[str, str]:
    """What ExecuTorch's backend for Qualcomm's NPUs lacks for the program of `graph`; it does not run here."""
    from ._delegates import missing_calls

    if not available() or supports(graph):
        return {}
    with quiet():
        import torch
        from executorch.exir import EdgeCompileConfig, to_edge

        whole = [torch.ops.aten.linear.default, torch.ops.aten.hardswish.default]  # which that backend takes undivided
        config = EdgeCompileConfig(_check_ir_validity=False, preserve_ops=whole)
        edge = to_edge(exported(graph), compile_config=config)
    nodes = edge.exported_program().graph_module.graph.nodes
    missing = missing_calls(_name(n.target) for n in nodes if n.op == "call_function")
    said = f"no builder for {', '.join(missing)}" if missing else "it has builders for every operator"
    return {"executorch:qnn (.pte)": f"not run here; {said}"}


def _name(target: Any) -> str:
    """`permute_copy` of `aten.permute_copy.default`."""
    parts = getattr(target, "__name__", str(target)).split(".")
    return str(parts[1] if len(parts) > 2 else parts[0])


def exported(graph: Graph, cortex_m: bool = False) -> Any:
    """The program of `graph` as torch exports it: Q/DQ where it is of int8, in the form that a backend wants."""
    _require()
    with quiet():
        import torch
        from executorch import exir  # defines the Q/DQ operators

        from ._torch_cortex_m import CortexMProgram
        from ._torch_operators import compute
        from ._torch_program import Program

        assert exir
        graph = separate_outputs.run(graph)  # a split becomes slices
        examples = tuple(torch.zeros(graph.type(n).shape, dtype=_dtype(graph, n)) for n in graph.inputs)
        with torch.no_grad():
            program = CortexMProgram(graph) if cortex_m else Program(graph, compute)
            return torch.export.export(program.eval(), examples)


def _dtype(graph: Graph, name: str) -> Any:
    import torch

    return getattr(torch, graph.type(name).dtype.value)


def _require() -> None:
    if not available():
        raise MissingDependencyError("executorch", "executorch", "ExecuTorch")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch, torchao and the partitioner speak of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)
