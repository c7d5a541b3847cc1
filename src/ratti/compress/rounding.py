"""Learned rounding: each weight goes up or down so that the layer's output stays, not the weight itself.

Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (AdaRound), section 3: layer by layer,
a sigmoid stretched beyond 0 and 1 says how far up a weight is rounded, and a term that grows sharper makes it decide.
The weights are left on their grid, so that the quantizer rounds them to where they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx import GraphModule

from ._folded import Batches, Layer, watch, weight_scale
from .quantizer import WEIGHT_MAX

STEPS = 300
ROWS = 64  # samples in a step
KEPT = 256  # samples of a layer's input that are remembered
RATE = 1e-2
PENALTY = 0.01
WARMUP = 0.2  # of the steps, without the penalty
LOW, HIGH = -0.1, 1.1  # where the sigmoid is stretched to
SHARPNESS = (20.0, 2.0)  # of the penalty, at the start and at the end


def learn_rounding(program: GraphModule, layers: tuple[Layer, ...], batches: Batches, seed: int = 0,
                   done: Callable[[str], None] = lambda layer: None) -> None:
    """Puts the weights of a folded program on their int8 grids, in place; `done` is told each layer's name.

    Inputs are those of the float program, so that layers can be learned one by one.
    """
    kept = list(batches)
    for layer in layers:
        seen: list[Tensor] = []
        watch(program, kept, {layer.input: seen.append})
        _learn(layer, torch.cat(seen)[:KEPT], torch.Generator().manual_seed(seed))
        done(layer.name)


def _learn(layer: Layer, inputs: Tensor, generator: torch.Generator) -> None:
    weight, scale = layer.weight, weight_scale(layer.weight)
    exact = weight / scale
    floor = exact.floor()
    fixed = exact.abs() > WEIGHT_MAX - 0.5  # the largest of a channel gives it its scale: it stays
    start = ((exact - floor - LOW) / (HIGH - LOW)).clamp(1e-4, 1 - 1e-4)
    choice = torch.logit(start).requires_grad_(True)
    optimizer = torch.optim.Adam([choice], lr=RATE)
    with torch.no_grad():
        wanted = layer.compute(inputs, weight)
    for step in range(STEPS):
        rows = torch.randint(len(inputs), (min(ROWS, len(inputs)),), generator=generator)
        up = _stretched(choice)
        got = layer.compute(inputs[rows], torch.where(fixed, exact.round(), floor + up) * scale)
        loss = (got - wanted[rows]).square().mean() / wanted.var().clamp_min(1e-12)
        share = (step / STEPS - WARMUP) / (1 - WARMUP)
        if share > 0:
            sharpness = SHARPNESS[0] + (SHARPNESS[1] - SHARPNESS[0]) * share
            loss = loss + PENALTY * (1 - (2 * up - 1).abs().pow(sharpness)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        codes = torch.where(fixed, exact.round(), floor + (_stretched(choice) > 0.5))
        nearest = exact.round()
        better = _error(layer, inputs, codes * scale, wanted) < _error(layer, inputs, nearest * scale, wanted)
        weight.copy_((codes if better else nearest).clamp(-WEIGHT_MAX, WEIGHT_MAX) * scale)


def _stretched(choice: Tensor) -> Tensor:
    return (torch.sigmoid(choice) * (HIGH - LOW) + LOW).clamp(0, 1)


def _error(layer: Layer, inputs: Tensor, weight: Tensor, wanted: Tensor) -> Tensor:
    return (layer.compute(inputs, weight) - wanted).square().mean()
