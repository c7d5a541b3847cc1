"""TensorFlow Lite Micro's reference kernels, on the host: the outside oracle for int8 graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ..errors import MissingDependencyError
from ..formats import tflite
from ..graph.ir import Graph
from ..types import Array
from . import Files, Runner

VARIANTS = ("",)
KINDS: dict[str, str] = {}
EXACT = True
ROUNDING = "TFLite's double rounding"
PACKAGE = "tflite-micro"
MARGIN_BYTES = 65536  # beside the activations: TFLM's own structures


def available(variant: str = "") -> bool:
    return find_spec("tflite_micro") is not None


def supports(graph: Graph, variant: str = "") -> str:
    return "" if graph.is_quantized else "it takes int8 models here, not float ones"


def export(graph: Graph, variant: str = "") -> Files:
    return {".tflite": tflite.serialize(graph)}


def run(graph: Graph, files: Files, variant: str = "", threads: int = 1) -> Runner:
    return Session(next(iter(files.values()))).run


class Session:
    """One model loaded into TFLite Micro's interpreter, with an arena of `arena_bytes`, generous by default."""

    def __init__(self, model: bytes | Graph, arena_bytes: int | None = None) -> None:
        data = tflite.serialize(model) if isinstance(model, Graph) else model
        graph = tflite.parse(data)
        self._outputs = len(graph.outputs)
        self._interpreter = _interpreter(data, arena_bytes or _generous(graph))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for one sample."""
        for k, x in enumerate(inputs):
            self._interpreter.set_input(x, k)
        self._interpreter.invoke()
        return [self._interpreter.get_output(k).copy() for k in range(self._outputs)]


def smallest_arena(model: bytes | Graph, step: int = 16) -> int:
    """Bytes of the smallest arena, a multiple of `step`, in which TFLM on this computer takes the model: by bisection.

    Pointers have 8 bytes here, so its own structures are larger than on a 32-bit device.
    """
    data = tflite.serialize(model) if isinstance(model, Graph) else model
    low, high = 0, -(-_generous(tflite.parse(data)) // step)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _interpreter(data, middle * step)
            high = middle
        except RuntimeError:  # "failed to allocate"
            low = middle
    return high * step


def _generous(graph: Graph) -> int:
    return sum(math.prod(v.type.shape) * 4 for v in graph.values.values()) + MARGIN_BYTES


def _interpreter(data: bytes, arena_bytes: int) -> Any:
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        raise MissingDependencyError(PACKAGE, "oracle", "comparing with TFLite Micro") from None
    return runtime.Interpreter.from_bytes(data, arena_size=arena_bytes)
