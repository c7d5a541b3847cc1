"""The input again, from few numbers: what the net cannot draw again it has not seen in training, and is an anomaly.

The score of a sample is the mean squared error of its elements (Koizumi et al. 2020, "Description and Discussion on
DCASE2020 Challenge Task2", section 4); the figure is the area under the ROC curve (Fawcett 2006, "An introduction to
ROC analysis", section 7). Training sees the first class alone, which is the one named "normal" where there is one. The
threshold is the one with the highest balanced accuracy on validation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...emit.answers.reconstruct import THRESHOLD
from ...types import Array, Shape
from ..score import Score, recalls
from . import Answers, Look, Settings

if TYPE_CHECKING:
    from ..dataset import Part

METRIC = "AUC"
WHAT = "An int8 autoencoder that finds anomalies, trained on the normal one of {classes} classes alone"
USE = ("the input again; the mean squared difference of both, in real values ((code - zero point) * scale, see below), "
       "is the anomaly score, and above the threshold it is an anomaly")
LIMIT = ("It knows one kind of normal: another machine, mounting, speed or load than in training looks like a fault, "
         "and a fault that leaves the features as they are is not seen. Record your own normal data and train again.")
NETS = ("autoencoder",)


def outputs(classes: int, shape: Shape) -> int:
    return math.prod(shape)


def learned(part: Part) -> Array:
    normal: Array = part.y == 0
    return normal


def targets(part: Part, real: Array, classes: int) -> Array:
    return real.reshape(len(real), -1)


def errors(outputs: Array, inputs: Array) -> Array:
    """(N,) mean squared error of each sample."""
    gap = outputs.astype(np.float64) - inputs.reshape(len(inputs), -1).astype(np.float64)
    mean: Array = np.square(gap).mean(axis=1)
    return mean


def auc(values: Array, positive: Array) -> float:
    """The chance that a positive sample has a higher value than another one; ties count half. 0.5 where one side has
    no samples.
    """
    high, low = values[positive], np.sort(values[~positive])
    if not len(high) or not len(low):
        return 0.5
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.sum() / (2 * len(high) * len(low)))


def settle(answers: Answers, part: Part) -> Settings:
    values, faulty = errors(*answers()), ~learned(part)
    if faulty.all() or not faulty.any():
        return {THRESHOLD: float(values.max())}
    steps = np.unique(values)
    cuts = (steps[1:] + steps[:-1]) / 2 if len(steps) > 1 else steps
    caught = 1 - np.searchsorted(np.sort(values[faulty]), cuts, "right") / faulty.sum()
    passed = np.searchsorted(np.sort(values[~faulty]), cuts, "right") / (~faulty).sum()
    return {THRESHOLD: float(cuts[np.argmax(caught + passed)])}


def score(outputs: Array, part: Part, inputs: Array, classes: int, settings: Settings) -> Score:
    values, faulty = errors(outputs, inputs), ~learned(part)
    area = auc(values, faulty)
    if THRESHOLD not in settings:
        return Score(len(part), area, area, (None,) * classes)
    alarm = values > settings[THRESHOLD]
    details = {"anomalies found": float(alarm[faulty].mean()) if faulty.any() else 0.0,
               "false alarms": float(alarm[~faulty].mean()) if not faulty.all() else 0.0}
    return Score(len(part), area, area, recalls(alarm == faulty, part.y, classes), details)


def confusion(outputs: Array, part: Part, classes: int) -> tuple[tuple[int, ...], ...]:
    return ()


def looks(outputs: Array, part: Part, inputs: Array, names: Sequence[str], settings: Settings) -> list[Look]:
    limit = settings[THRESHOLD]
    return [Look(f"{names[y]}: {e:.2f}, {'over' if e > limit else 'under'} {limit:.2f}", (e > limit) == (y != 0))
            for e, y in zip(errors(outputs, inputs).tolist(), part.y.tolist(), strict=True)]
