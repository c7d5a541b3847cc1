"""Where quantization costs accuracy: one layer at a time in int8, all others in float, on validation samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node

from ..data import Dataset, Part
from ..train import LOSSES, tensors, threads
from ..types import Array
from ._folded import Batches, Layer, as_array, fold, rounded, watch
from .ptq import PtqConfig, calibration_samples, export, improve
from .quantizer import CODE_MAX, CODE_MIN


@dataclass(frozen=True)
class LayerSensitivity:
    """A layer alone in int8, weights and output: what that costs on `samples` of the validation part.

    `accuracy_drop` and `loss_rise` against float; `noise_db` is the output's power over that of its error.
    """

    layer: str
    accuracy_drop: float
    loss_rise: float
    noise_db: float


@dataclass(frozen=True)
class Sensitivity:
    """All layers of a net; the costliest is named by `worst`."""

    samples: int
    accuracy_float: float
    layers: tuple[LayerSensitivity, ...]

    @property
    def worst(self) -> LayerSensitivity:
        return max(self.layers, key=lambda y: (y.accuracy_drop, y.loss_rise))

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "layers": [vars(y) for y in self.layers]}


def sensitivity(model: nn.Module, dataset: Dataset, config: PtqConfig | None = None) -> Sensitivity:
    """The table for a net trained on `dataset`; ranges as min-max calibration finds them."""
    config = config or PtqConfig()
    part = calibration_samples(dataset, config)
    batches = [tensors(dataset, b) for b in part.batches(config.batch_size)]
    with threads(config.threads):
        program = export(copy.deepcopy(model), dataset.input_shape, dataset.numbers)
        layers = fold(program)
        improve(program, layers, batches, config)
        ranges = _ranges(program, layers, batches)
        base = _logits(program, batches)
        found = [_alone(program, layer, ranges[layer.output], batches, base, dataset, part) for layer in layers]
    return Sensitivity(len(part), dataset.score(base, part).accuracy, tuple(found))


def _ranges(program: GraphModule, layers: Sequence[Layer], batches: Batches) -> dict[Node, tuple[float, float]]:
    found: dict[Node, tuple[float, float]] = {}

    def widen(node: Node, y: Tensor) -> None:
        low, high = found.get(node, (0.0, 0.0))
        found[node] = min(low, float(y.min())), max(high, float(y.max()))

    nodes = [layer.output for layer in layers]
    watch(program, batches, {node: lambda y, node=node: widen(node, y) for node in nodes})  # type: ignore[misc]
    return found


def _logits(program: GraphModule, batches: Batches) -> Array:
    with torch.no_grad():
        return np.concatenate([as_array(program(*b)) for b in batches])


def _alone(program: GraphModule, layer: Layer, span: tuple[float, float], batches: Batches, base: Array,
           dataset: Dataset, part: Part) -> LayerSensitivity:
    low, high = span
    scale = max(high - low, 1e-9) / (CODE_MAX - CODE_MIN)
    zero = round(CODE_MIN - low / scale)
    signal, noise = [0.0], [1e-30]

    class Quantized(Interpreter):
        def run_node(self, n: Node) -> Any:
            y = super().run_node(n)
            if n is not layer.output:
                return y
            codes = torch.fake_quantize_per_tensor_affine(y, scale, zero, CODE_MIN, CODE_MAX)
            signal[0] += float(y.square().sum())
            noise[0] += float((codes - y).square().sum())
            return codes

    weight = layer.weight.clone()
    layer.weight.copy_(rounded(weight))
    try:
        with torch.no_grad():
            logits = np.concatenate([as_array(Quantized(program).run(*b)) for b in batches])
    finally:
        layer.weight.copy_(weight)
    drop = dataset.score(base, part).accuracy - dataset.score(logits, part).accuracy
    rise = _loss(logits, dataset, part) - _loss(base, dataset, part)
    return LayerSensitivity(layer.name, drop, rise, 10 * math.log10(signal[0] / noise[0]))


def _loss(outputs: Array, dataset: Dataset, part: Part) -> float:
    return float(LOSSES[dataset.goal].of(torch.from_numpy(outputs), torch.tensor(dataset.targets(part))))
