"""The emitted code itself, compiled for this computer: no other engine, but run and compared like one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from ..deploy import prepare
from ..graph.ir import Graph
from ..types import Array
from . import Files, Runner

VARIANTS = ("c",)
KINDS: dict[str, str] = {}  # `ratti export --to c` writes it, with a test beside it
EXACT = True
ROUNDING = "TFLite's double rounding"


def available() -> bool:
    return find_spec("ziglang") is not None


def supports(graph: Graph, variant: str = "c") -> str:
    return "" if graph.is_quantized else "only int8 models become firmware"


def export(graph: Graph, variant: str = "c") -> Files:
    return {f".{name}": text.encode() for name, text in prepare(graph, "portable").sources.files.items()}


def run(graph: Graph, files: Files, variant: str = "c", threads: int = 1) -> Runner:
    from ..device.host import HostModel

    deployment = prepare(graph, "portable")
    host, outputs = HostModel(deployment.program), deployment.sources.outputs

    def infer(inputs: Sequence[Array]) -> list[Array]:
        return [
            raw.view(p.type.dtype.numpy).reshape(p.type.shape)
            for raw, p in zip(host.run(inputs), outputs, strict=True)
        ]

    return infer
