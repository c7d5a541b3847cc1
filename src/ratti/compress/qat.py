"""Quantization-aware training: the net goes on learning with the integers' rounding in its way.

Batch normalization is folded first and what remains is trained with fake quantization of weights and activations
(Jacob et al. 2018, section 3; Krishnamoorthi 2018, section 4.1, for training with frozen batch normalization). The
quantizer is that of `ptq`, so the exported integers are those that training saw.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import FakeQuantize
from torchao.quantization.pt2e.observer import MovingAverageMinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from ..data import Augment, Dataset, Score
from ..train import Distillation, Goal, ModelTeacher, TrainConfig, digest, fit, tensors, threads
from ..types import Quant
from .magnitude import hold_zeros
from .ptq import PtqConfig, calibration_samples, export
from .quantizer import SMALLEST_WEIGHT_SCALE, Int8Quantizer

AVERAGING = 0.01  # of activation ranges while training goes on


@dataclass(frozen=True)
class QatConfig:
    """Settings of quantization-aware training; the learning rate is a tenth of that from scratch."""

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 4e-4
    distill: bool = True  # the float net teaches (Mishra & Marr 2018, "Apprentice", section 4)
    balanced: bool = False
    class_weights: bool = False
    balanced_sampling: bool = False
    augment: Augment | None = None  # None: what is safe for the data set
    keep_zeros: bool = True  # weights that are 0 stay 0: those of a net that `magnitude` made sparse
    seed: int = 0
    threads: int = 1

    def to_json(self) -> str:
        """The settings as JSON text: equal settings give equal text."""
        return json.dumps(asdict(self), default=lambda value: value.value)

    @property
    def train(self) -> TrainConfig:
        return TrainConfig(self.epochs, self.batch_size, learning_rate=self.learning_rate, weight_decay=0.0,
                           label_smoothing=0.0, balanced=self.balanced, class_weights=self.class_weights,
                           balanced_sampling=self.balanced_sampling, augment=self.augment, seed=self.seed,
                           threads=self.threads)


@dataclass(frozen=True, eq=False)
class Qat:
    """A trained program: folded, as `ptq.quantize` gives it; and its validation score with fake quantization."""

    program: GraphModule
    val: Score
    seconds: float


def qat(model: nn.Module, dataset: Dataset, config: QatConfig | None = None, *, run_dir: Path | None = None,
        goal: Goal | None = None, progress: bool = True) -> Qat:
    """Trains `model` (float, in eval mode, trained on `dataset`) for int8; the module itself stays as it is.

    Ranges start from calibration on validation samples. An interrupted run goes on in `run_dir`. Errors as `train` and
    `ptq.quantize`.
    """
    config = config or QatConfig()
    with threads(config.threads):
        prepared = prepare(model, dataset, dataset.input_quant)
        with torch.no_grad():
            for batch in calibration_samples(dataset, PtqConfig(seed=config.seed)).batches(config.batch_size):
                prepared(*tensors(dataset, batch))
    if config.keep_zeros:
        hold_zeros(p for p in prepared.parameters() if p.ndim > 1)
    if goal is None and config.distill and dataset.goal == "classify":
        goal = Distillation(ModelTeacher(model.eval()))
    identity = {"net": digest(model.state_dict()), "qat": config.to_json()}
    fitted = fit(prepared, dataset, config.train, identity=identity, run_dir=run_dir, goal=goal, progress=progress)
    return Qat(convert_pt2e(prepared), fitted.val, fitted.seconds)


def prepare(model: nn.Module, dataset: Dataset, input_quant: Quant | None) -> GraphModule:
    """The program of `model` with batch normalization folded and fake quantization in it; all its weights train."""
    activations = FakeQuantize.with_args(observer=MovingAverageMinMaxObserver, averaging_constant=AVERAGING)
    weights = FakeQuantize.with_args(observer=PerChannelMinMaxObserver, ch_axis=0, eps=SMALLEST_WEIGHT_SCALE)
    program = export(copy.deepcopy(model), dataset.input_shape, dataset.numbers)  # it would share the weights
    prepared: GraphModule = prepare_pt2e(program, Int8Quantizer(activations, input_quant, weights))
    for parameter in prepared.parameters():
        parameter.requires_grad_(True)  # biases that folding made come without
    return prepared
