"""Post-training quantization: calibrate on validation samples, fold, done. Never opens the test part."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.observer import HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from ..data import Dataset, Part
from ..train import tensors, threads
from ..types import Quant, Shape
from .quantizer import Int8Quantizer


class Observer(enum.Enum):
    """How an activation's range follows from what calibration sees."""

    MIN_MAX = "min_max"  # all of it
    MOVING_AVERAGE = "moving_average"  # the average of the batches' extremes
    HISTOGRAM = "histogram"  # the range with the least squared error over a histogram

    @property
    def constructor(self) -> Callable[..., object]:
        made: Callable[..., object] = {
            Observer.MIN_MAX: MinMaxObserver,
            Observer.MOVING_AVERAGE: MovingAverageMinMaxObserver.with_args(averaging_constant=0.05),
            Observer.HISTOGRAM: HistogramObserver,
        }[self]
        return made


@dataclass(frozen=True)
class PtqConfig:
    """Settings of post-training quantization."""

    observer: Observer = Observer.MIN_MAX
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
    return module


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
    batches = (tensors(dataset, batch) for batch in samples.batches(config.batch_size))
    with threads(config.threads):
        program = export(model, dataset.input_shape, dataset.numbers)
        return quantize_program(program, batches, config.observer, dataset.input_quant)


def calibration_samples(dataset: Dataset, config: PtqConfig) -> Part:
    """At most `config.samples` validation samples, drawn at random from the seed."""
    order = np.random.default_rng(config.seed).permutation(len(dataset.val))
    return dataset.val.take(order[: config.samples])
