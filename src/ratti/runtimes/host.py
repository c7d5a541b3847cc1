"""The emitted code itself, compiled for this computer: no other engine, but run and compared like one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np

from ..deploy import prepare, prepare_rust
from ..graph.ir import Graph
from ..types import Array
from . import Files, Runner

VARIANTS = ("c", "cpp", "rust")
KINDS: dict[str, str] = {}  # `ratti export --to c,cpp,rust` writes them, each with a test beside it
EXACT = True
ROUNDING = "TFLite's double rounding"


def available(variant: str = "c") -> bool:
    return shutil.which("rustc") is not None if variant == "rust" else find_spec("ziglang") is not None


def supports(graph: Graph, variant: str = "c") -> str:
    return "" if graph.is_quantized else "only int8 models become firmware"


def export(graph: Graph, variant: str = "c") -> Files:
    files = prepare_rust(graph).files if variant == "rust" else prepare(graph, "portable").sources.files
    return {f".{name}": text.encode() for name, text in files.items()}


def run(graph: Graph, files: Files, variant: str = "c", threads: int = 1) -> Runner:
    infer = _MODELS[variant](graph)
    types = [graph.type(name) for name in graph.outputs]
    return lambda inputs: [
        np.asarray(raw).view(t.dtype.numpy).reshape(t.shape) for raw, t in zip(infer(inputs), types, strict=True)]


def _c(graph: Graph) -> Callable[[Sequence[Array]], list[Array]]:
    from ..device.host import HostModel

    return HostModel(prepare(graph, "portable").program).run


def _cpp(graph: Graph) -> Callable[[Sequence[Array]], list[Array]]:
    from ..device import host_cpp
    from ..device.host import HostModel

    return HostModel(host_cpp.program(prepare(graph, "portable").sources, graph.name)).run


def _rust(graph: Graph) -> Callable[[Sequence[Array]], list[Array]]:
    from ..device.host_rust import RustModel

    return RustModel(prepare_rust(graph)).run


_MODELS = {"c": _c, "cpp": _cpp, "rust": _rust}
