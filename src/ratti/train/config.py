"""How to train: one frozen dataclass, so that a run can be repeated and resumed."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from dataclasses import dataclass

from ..data import Augment


class Optimizer(enum.Enum):
    ADAMW = "adamw"  # Loshchilov and Hutter 2019
    SGD = "sgd"  # with Nesterov momentum 0.9


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. The learning rate follows a cosine to zero after a linear warm-up."""

    epochs: int = 60
    batch_size: int = 32
    optimizer: Optimizer = Optimizer.ADAMW
    learning_rate: float = 4e-3
    weight_decay: float = 0.01  # of convolution and fully connected weights; not of biases and batch norm
    warmup_share: float = 0.05  # of all steps
    label_smoothing: float = 0.05
    class_weights: bool = False  # weigh each class by the inverse of its share: for unbalanced data
    balanced_sampling: bool = False  # draw each class as often as the others, instead of weighing it
    ema_decay: float | None = None  # keep and select an average of the weights over steps
    patience_epochs: int | None = None  # stop after so many epochs without a better validation score
    balanced: bool = False  # select by balanced accuracy instead of accuracy
    augment: Augment | None = None  # None: what is safe for the data set (`Augment.light`)
    seed: int = 0
    # One thread: torch's threads wait for each other at every layer, which costs a factor of 30 where another program
    # has one of the cores, and gains a quarter where none has. The result also depends on the number.
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.learning_rate > 0 or not math.isfinite(self.learning_rate):
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        for name in ("warmup_share", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.class_weights and self.balanced_sampling:
            raise ValueError("class_weights and balanced_sampling both make up for unbalanced classes: take one")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be 0 or more, not {self.weight_decay}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must be between 0 and 1, not {self.ema_decay}")
        if self.patience_epochs is not None and self.patience_epochs < 1:
            raise ValueError(f"patience_epochs must be at least 1, not {self.patience_epochs}")

    def to_json(self) -> str:
        """The settings as JSON text: equal settings give equal text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, default=lambda value: value.value)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of `step` (from 0) out of `steps`."""
        warmup = max(1, round(self.warmup_share * steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
