"""TensorFlow Lite Micro's reference kernels, on the host: the outside oracle for int8 graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import MissingDependencyError
from ..formats import tflite
from ..graph.ir import Graph
from ..types import Array

PACKAGE = "tflite-micro"


class Session:
    """One model loaded into TFLite Micro's interpreter."""

    def __init__(self, model: bytes | Graph) -> None:
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError:
            raise MissingDependencyError(PACKAGE, "oracle", "comparing with TFLite Micro") from None
        data = tflite.serialize(model) if isinstance(model, Graph) else model
        graph = tflite.parse(data)
        self._inputs, self._outputs = len(graph.inputs), len(graph.outputs)
        # Generous: every activation at once, and TFLM's own structures.
        arena = sum(math.prod(v.type.shape) * 4 for v in graph.values.values()) + 65536
        self._interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for one sample."""
        for k, x in enumerate(inputs):
            self._interpreter.set_input(x, k)
        self._interpreter.invoke()
        return [self._interpreter.get_output(k).copy() for k in range(self._outputs)]
