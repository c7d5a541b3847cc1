"""How long an epoch of training takes, before it is begun."""

from __future__ import annotations

import copy
import time
import warnings

import numpy as np
import torch
from torch import nn

from ..data import Dataset
from ..train import LOSSES, Goal, TrainConfig, evaluate, tensors, threads
from ..train.loop import set_mode

STEPS = 3  # that are timed


def epoch_seconds(model: nn.Module, dataset: Dataset, settings: TrainConfig, goal: Goal | None) -> float:
    """One epoch by a few steps of it, on a copy of `model`; validation with it."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of torch's own copying
        probe = copy.deepcopy(model)
    goal = goal or LOSSES[dataset.goal]
    batch = np.arange(min(settings.batch_size, len(dataset.train)))
    part = dataset.train.take(batch)
    with threads(settings.threads):
        set_mode(probe, training=True)
        start = 0.0
        for step in range(STEPS + 1):  # the first is slower than all others
            start = time.monotonic() if step == 1 else start
            probe.zero_grad()
            loss = goal(probe, tensors(dataset, part), torch.tensor(dataset.targets(part)), batch)
            loss.backward()  # type: ignore[no-untyped-call]
        per_step = (time.monotonic() - start) / STEPS
        set_mode(probe, training=False)
        start = time.monotonic()
        few = dataset.val.take(slice(256))
        evaluate(probe, dataset, few)
        validation = (time.monotonic() - start) * len(dataset.val) / len(few)
    return per_step * 1.2 * len(dataset.train) / len(batch) + validation  # augmentation and the optimizer besides
