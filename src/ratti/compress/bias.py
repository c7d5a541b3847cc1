"""Bias correction: what rounding the weights adds to a channel on average is taken out of its bias.

Nagel et al. 2019, section 4.2, with the mean of each layer's input measured on calibration samples: the error of a
channel is the sum over its weights of rounding error times mean input. (Padding at borders is taken for average input.)
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.fx import GraphModule

from ._folded import Batches, Layer, rounded, watch


def correct_biases(program: GraphModule, layers: tuple[Layer, ...], batches: Batches) -> int:
    """Corrects the biases of a folded program in place; how many layers have one."""
    means = _input_means(program, layers, batches)
    corrected = [layer for layer in layers if layer.bias is not None]
    for layer in corrected:
        assert layer.bias is not None
        error = (rounded(layer.weight) - layer.weight).flatten(2).sum(2) if layer.weight.ndim > 2 else (
            rounded(layer.weight) - layer.weight)  # (O, I / groups)
        mean = means[layer.name].reshape(layer.groups, -1)  # (groups, I / groups)
        per_output = mean.repeat_interleave(len(error) // layer.groups, 0)
        layer.bias.sub_((error * per_output).sum(1))
    return len(corrected)


def _input_means(program: GraphModule, layers: tuple[Layer, ...], batches: Batches) -> dict[str, Tensor]:
    """(I,) mean of each input channel, by layer."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def see(x: Tensor, names: list[str]) -> None:
        per_channel = x.transpose(0, 1).flatten(1)
        for name in names:
            sums[name] = sums.get(name, torch.zeros(len(per_channel))) + per_channel.sum(1)
            counts[name] = counts.get(name, 0) + per_channel.shape[1]

    takers = {layer.input: [y.name for y in layers if y.input is layer.input] for layer in layers}
    watch(program, batches, {node: functools.partial(see, names=names) for node, names in takers.items()})
    return {name: total / counts[name] for name, total in sums.items()}
