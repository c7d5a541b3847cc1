"""Post-training quantization: fold, improve, calibrate on validation samples, convert. Never opens the test part."""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.node import map_arg
from torchao.quantization.pt2e.observer import HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from ..data import Dataset, Part
from ..formats.torch_export.program import attribute
from ..train import tensors, threads
from ..types import Quant, Shape
from ._folded import Batches, Layer, fold
from .bias import correct_biases
from .constant_channels import settle
from .equalize import equalize
from .quantizer import Int8Quantizer
from .rounding import learn_rounding

PERCENTILE = 0.99995  # of an activation's values are inside its range, at either end


class PercentileObserver(HistogramObserver):  # type: ignore[misc]
    """The range that leaves the outermost values at either end outside (Krishnamoorthi 2018; McKinstry et al. 2018)."""

    def _non_linear_param_search(self) -> tuple[Tensor, Tensor]:
        step = (self.max_val - self.min_val) / self.bins
        seen = torch.cumsum(self.histogram, 0) / self.histogram.sum()
        first = int(torch.searchsorted(seen, 1 - PERCENTILE))
        last = int(torch.searchsorted(seen, PERCENTILE))
        return self.min_val + step * first, self.min_val + step * (min(last, self.bins - 1) + 1)


class Observer(enum.Enum):
    """How an activation's range follows from what calibration sees."""

    MIN_MAX = "min_max"  # all of it
    MOVING_AVERAGE = "moving_average"  # the average of the batches' extremes
    HISTOGRAM = "histogram"  # the range with the least squared error over a histogram
    PERCENTILE = "percentile"  # all but the outermost values

    @property
    def constructor(self) -> Callable[..., object]:
        made: Callable[..., object] = {
            Observer.MIN_MAX: MinMaxObserver,
            Observer.MOVING_AVERAGE: MovingAverageMinMaxObserver.with_args(averaging_constant=0.05),
            Observer.HISTOGRAM: HistogramObserver,
            Observer.PERCENTILE: PercentileObserver,
        }[self]
        return made


@dataclass(frozen=True)
class PtqConfig:
    """Settings of post-training quantization. The three methods change weights before ranges are calibrated."""

    observer: Observer = Observer.MIN_MAX
    equalize: bool = False  # cross-layer equalization
    learn_rounding: bool = False
    correct_biases: bool = False
    samples: int = 512  # at most so many validation samples
    batch_size: int = 32
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("samples", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


def export(model: nn.Module, shape: Shape, numbers: int = 0) -> GraphModule:
    """The float program of `model` in eval mode, for inputs (N, C, H, W) of `shape` (H, W, C) and any N.

    `numbers` above 0 adds a second input, (N, numbers).
    """
    height, width, channels = shape
    example: tuple[Tensor, ...] = (torch.zeros(2, channels, height, width),)
    if numbers:
        example = (*example, torch.zeros(2, numbers))
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    program = torch.export.export(model.eval(), example, dynamic_shapes=tuple({0: batch} for _ in example))
    module: GraphModule = program.module(check_guards=False)
    _fold_constants(module)
    settle(module)
    return module


def flattened(module: nn.Module, before: bool, after: bool) -> nn.Module:
    """`module` with its input or its output flattened to (N, elements)."""
    return nn.Sequential(*[nn.Flatten()] * before, module, *[nn.Flatten()] * after).eval()


def _fold_constants(module: GraphModule) -> None:
    """Computes what takes constants alone: only activations and what ops take beside them are quantized."""
    for node in [n for n in module.graph.nodes if n.op == "call_function"]:
        if not node.all_input_nodes or any(n.op != "get_attr" for n in node.all_input_nodes):
            continue
        with torch.no_grad():
            value = node.target(*map_arg(node.args, lambda n: attribute(module, n.target)), **node.kwargs)
        label = f"folded_{node.name}"
        module.register_parameter(label, nn.Parameter(value.detach().clone(), value.is_floating_point()))
        with module.graph.inserting_before(node):
            constant = module.graph.get_attr(label)
        constant.meta["val"] = node.meta["val"]
        node.replace_all_uses_with(constant)
        module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()


def improve(program: GraphModule, layers: tuple[Layer, ...], batches: Batches, config: PtqConfig) -> None:
    """The methods that `config` names, in place: ranges first, then rounding, then what rounding left in the means."""
    if config.equalize:
        equalize(program, layers)
    if config.learn_rounding:
        learn_rounding(program, layers, batches, config.seed)
    if config.correct_biases:
        correct_biases(program, layers, batches)


def quantize_program(program: GraphModule, calibration: Iterable[tuple[Tensor, ...]],
                     observer: Observer = Observer.MIN_MAX, input_quant: Quant | None = None) -> GraphModule:
    """A program with quantize and dequantize ops around int8 weights and activations, batch norm folded.

    Args:
        program: as `export` gives it; it is changed on the way, do not use it afterwards.
        calibration: batches of what the program takes, real values: (N, C, H, W), and maybe (N, numbers).
        input_quant: the fixed quantization of the first input, None to observe it too.

    Raises:
        UnsupportedError: an op that has no int8 form here; it is named, with its place.
    """
    prepared = prepare_pt2e(program, Int8Quantizer(observer.constructor, input_quant))
    with torch.inference_mode():
        for batch in calibration:
            prepared(*batch)
    converted: GraphModule = convert_pt2e(prepared)
    return converted


def quantize(model: nn.Module, dataset: Dataset, config: PtqConfig | None = None) -> GraphModule:
    """Post-training quantization of a net trained on `dataset`, calibrated on its validation part.

    Returns the folded PT2E program: (N, C, H, W) real values in, logits out, as `predict` takes it and as
    `formats.torch_export.import_program` reads it.
    """
    config = config or PtqConfig()
    samples = calibration_samples(dataset, config)
    batches = [tensors(dataset, batch) for batch in samples.batches(config.batch_size)]
    with threads(config.threads):
        program = export(copy.deepcopy(model), dataset.input_shape, dataset.numbers)  # it would share the weights
        improve(program, fold(program), batches, config)
        return quantize_program(program, batches, config.observer, dataset.input_quant)


def calibration_samples(dataset: Dataset, config: PtqConfig) -> Part:
    """At most `config.samples` validation samples, drawn at random from the seed."""
    order = np.random.default_rng(config.seed).permutation(len(dataset.val))
    return dataset.val.take(order[: config.samples])
