"""What a build made: figures of nets and devices, as `build` returns them and `report.json` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..duty import Duty, Life
from ..versions import versions
from .check import CheckResult

SCHEMA = "ratti.build/1"
BUNDLE_SCHEMA = "ratti.bundle/1"


@dataclass(frozen=True)
class DeviceAccuracy:
    """Accuracy (the figure of the goal) of the firmware on the emulated device, over `samples` of the test set, evenly
    spread.
    """

    target: str
    samples: int
    accuracy: float
    differ: int  # output codes that differ from the interpreter's


@dataclass(frozen=True)
class ModelResult:
    """One net: its bundle, accuracy and figures. Accuracies are between 0 and 1, on the test set, and are what
    `metric` says: accuracy, or AUC or F1 where the goal is not to classify.
    """

    net: str
    bundle: str
    parameters: int
    macs: int
    train_seconds: float
    accuracy_float: float
    accuracy_int8: float
    recall_int8: tuple[float | None, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]  # of the int8 model on the test set: rows are classes, columns are answers
    device: tuple[DeviceAccuracy, ...]
    checks: tuple[CheckResult, ...]
    battery: tuple[Life, ...] = ()  # on each device, where the recipe names a duty cycle
    duty: Duty | None = None
    goal: str = "classify"
    metric: str = "accuracy"
    details: Mapping[str, float] = field(default_factory=dict)  # of the int8 model on the test set, shares
    settings: Mapping[str, float] = field(default_factory=dict)  # what the goal chose on validation

    @property
    def accuracy(self) -> dict[str, float | None]:
        return {
            "float": self.accuracy_float,
            "int8": self.accuracy_int8,
            "device": min((d.accuracy for d in self.device), default=None),
        }

    @property
    def balanced_int8(self) -> float:
        """The mean of the recalls of the classes that have samples."""
        return float(np.mean([r for r in self.recall_int8 if r is not None] or [0.0]))

    @property
    def unequal(self) -> bool:
        """Whether the largest class of the test set has more than half again as many samples as the smallest."""
        counts = [sum(row) for row in self.confusion]
        return max(counts, default=0) > 1.5 * min(counts, default=0)

    def to_json(self) -> dict[str, Any]:
        out = {k: v for k, v in vars(self).items() if not k.startswith("accuracy_")}
        return {
            "schema": BUNDLE_SCHEMA,
            **out,
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_int8,
            "device": [vars(d) for d in self.device],
            "checks": [c.to_json() for c in self.checks],
            "battery": [life.to_json() for life in self.battery],
            "duty": None if self.duty is None else vars(self.duty),
        }


@dataclass(frozen=True)
class BuildResult:
    """What `build` made. `bundle` is the folder that holds one bundle per net."""

    name: str
    bundle: str
    data: dict[str, Any]
    models: tuple[ModelResult, ...]
    seconds: float

    @property
    def fits(self) -> bool:
        return all(c.fits for m in self.models for c in m.checks)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`; `accuracy` is that of the first net, `checks` are those of all."""
        return {
            "schema": SCHEMA,
            "versions": versions(),
            "name": self.name,
            "bundle": self.bundle,
            "data": self.data,
            "accuracy": self.models[0].accuracy,
            "checks": [c.to_json() for m in self.models for c in m.checks],
            "models": [m.to_json() for m in self.models],
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        from ..report import tables

        return tables.build(self)
