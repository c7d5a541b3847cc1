"""Apache TVM, with the integer arithmetic of the interpreter: compiled for this computer, or for an aarch64 device.

TVM's own importers compute a quantized file in float32; here every op is a loop nest of integers (`_tvm`). Float
models, which only the benchmark has use for, are imported from ONNX.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..device import toolchain
from ..errors import MissingDependencyError, ToolchainError
from ..formats import onnx
from ..graph.ir import Graph
from ..graph.passes import separate_outputs
from ..types import Array
from . import Files, Runner, beyond_int8, onnxruntime

VARIANTS = ("",)
KINDS = {"tvm": "", "tvm:aarch64": "aarch64"}
EXACT = True
ROUNDING = "TFLite's double rounding, in TVM's integer loops"
TRIPLES = {"": None, "aarch64": "aarch64-linux-gnu"}  # None: this computer
FLOATS = re.compile(r"\b(?:fmul|fadd|fsub|fdiv|sitofp|uitofp|fptosi|fptoui)\b|@llvm\.fma|@llvm\.fmuladd")


def available(variant: str = "") -> bool:
    return find_spec("tvm") is not None


def supports(graph: Graph, variant: str = "") -> str:
    if not available():
        return ""  # `export` says what to install
    if graph.is_float:
        return onnxruntime.supports(graph)
    from ._tvm import supported

    missing = sorted({n.op.name for n in separate_outputs.run(graph).nodes if not supported(n.op)})
    return f"no integer loops for {', '.join(missing)}" if missing else beyond_int8(graph)


def export(graph: Graph, variant: str = "") -> Files:
    """A shared library with the model's weights in it, for TVM's virtual machine."""
    executable = compile(graph, TRIPLES[variant])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.so"
        executable.export_library(str(path), fcompile=_linker(TRIPLES[variant]))
        return {f"{'_' if variant else ''}{variant}.so": path.read_bytes()}


def run(graph: Graph, files: Files, variant: str = "", threads: int = 1) -> Runner:
    _require()
    import tvm
    from tvm import relax

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.so"
        path.write_bytes(next(iter(files.values())))
        machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())

    def infer(inputs: Sequence[Array]) -> list[Array]:
        outputs = machine["main"](*(tvm.runtime.tensor(np.ascontiguousarray(x)) for x in inputs))
        one = isinstance(outputs, tvm.runtime.Tensor)  # an imported net of one output gives no tuple
        return [y.numpy() for y in ([outputs] if one else outputs)]

    return infer


def compile(graph: Graph, triple: str | None = None) -> Any:
    """TVM's executable of `graph` for an LLVM target triple, by default for this computer's CPU."""
    _require()
    import tvm
    from tvm import relax

    target = {"kind": "llvm", "mtriple": triple} if triple else "llvm"
    return relax.build(module(graph), target=tvm.target.Target(target))


def module(graph: Graph) -> Any:
    """TVM's IRModule: `main` in Relax, one scheduled TensorIR function a node; of a float graph, what TVM imports."""
    _require()
    if graph.is_float:
        return _imported(graph)
    from tvm import relax

    from ._tvm import write

    graph = separate_outputs.run(graph)  # a split becomes slices
    builder = relax.BlockBuilder()
    values = {n: relax.Var(n, relax.TensorType(graph.type(n).shape, graph.type(n).dtype.value)) for n in graph.inputs}
    with builder.function("main", [values[n] for n in graph.inputs]):
        with builder.dataflow():
            for node in graph.nodes:
                lowered = write(node.op, graph, node)
                inputs = [_value(graph, values, n) for n in node.inputs[: node.op.activations]]
                constants = [relax.const(c) for c in lowered.constants]
                result = builder.emit_te(lowered.build, *inputs, *constants, primfunc_name_hint=node.name)
                values[node.outputs[0]] = result
            outputs = builder.emit_output(relax.Tuple([_value(graph, values, n) for n in graph.outputs]))
        builder.emit_func_output(outputs)
    return _scheduled(builder.get())


def _imported(graph: Graph) -> Any:
    from onnx import load_from_string
    from tvm.relax.frontend.onnx import from_onnx

    return from_onnx(load_from_string(onnx.serialize(graph)), keep_params_in_input=False)


def float_instructions(program: Any) -> list[str]:
    """Lines of LLVM code that compute in floating point, in a compiled module (`compile(graph).mod`)."""
    code = "".join(m.inspect_source("ll") for m in _modules(program) if m.kind == "llvm")
    return [line.strip() for line in code.splitlines() if FLOATS.search(line)]


def _modules(root: Any) -> list[Any]:
    return [root, *(inner for child in root.imports for inner in _modules(child))]


def _value(graph: Graph, values: dict[str, Any], name: str) -> Any:
    from tvm import relax

    data = graph.values[name].data
    return values[name] if data is None else relax.const(data)


def _scheduled(module: Any) -> Any:
    """Sums run over the output channels innermost, so that LLVM vectorizes them, and become codes pixel by pixel."""
    from tvm import tirx
    from tvm.s_tir import Schedule

    from ._tvm import ACCUMULATOR, RESCALED

    for variable, function in module.functions_items():
        if not isinstance(function, tirx.PrimFunc):
            continue
        schedule = Schedule(function)
        blocks = {schedule.get(b).name_hint: b for b in schedule.get_child_blocks(schedule.get_sblock("root"))}
        if ACCUMULATOR not in blocks:
            continue
        block = blocks[ACCUMULATOR]
        loops = schedule.get_loops(block)
        split = sum(v.iter_type == tirx.IterVar.DataPar for v in schedule.get(block).iter_vars)
        outer, sums = loops[:split], loops[split:]
        if len(outer) < 2:
            continue
        schedule.reorder(*outer[:-1], *sums, outer[-1])
        if RESCALED in blocks:
            schedule.reverse_compute_at(blocks[RESCALED], outer[-2])
        schedule.decompose_reduction(block, sums[0])
        module.update_func(variable, schedule.mod["main"])
    return module


def _linker(triple: str | None) -> Callable[..., None]:
    """TVM's object files to a shared library, by zig: it cross-links without a sysroot."""

    def link(output: str, objects: Sequence[str], **_: Any) -> None:
        target = ["-target", triple] if triple else []
        paths = [str(Path(o).resolve()) for o in objects]
        options = ["cc", "-shared", "-fPIC", "-nostdlib", *target]
        result = toolchain.zig([*options, *paths, "-o", output], Path(output).parent)
        if result.returncode:
            raise ToolchainError(f"zig could not link TVM's objects:\n{toolchain.short(result.stderr)}")

    return link


def _require() -> None:
    if not available():
        raise MissingDependencyError("apache-tvm", "tvm", "compiling with TVM")
