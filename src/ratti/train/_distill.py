"""Distillation as one call: a net that learns from another's answers (Hinton, Vinyals and Dean 2015)."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..data import Dataset
from ..nets import NetSpec
from .config import TrainConfig
from .goals import Distillation, ModelTeacher
from .loop import Trained, train


def distill(spec: NetSpec, dataset: Dataset, teacher: nn.Module, config: TrainConfig | None = None, *,
            temperature: float = 4.0, share: float = 0.7, run_dir: Path | None = None,
            initial: nn.Module | None = None, progress: bool = True) -> Trained:
    """Trains the net of `spec` on the labels of `dataset` and, with `share` of the loss, on what `teacher` answers.

    `teacher` takes what the net takes. All else, errors too, as `train`.
    """
    goal = Distillation(ModelTeacher(teacher.eval()), temperature, share)
    return train(spec, dataset, config, run_dir=run_dir, initial=initial, goal=goal, progress=progress)
