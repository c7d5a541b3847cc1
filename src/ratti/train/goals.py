"""What training makes small: the loss of the data's goal, or the distance to a teacher (distillation)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..types import Array
from .weights import digest

OBJECT_WEIGHT = 20.0  # of a cell with an object against one of background: there are about 50 times as many of those


class Goal(Protocol):
    """The loss of a batch."""

    @property
    def identity(self) -> str:
        """What a checkpoint remembers of it: another goal is another run."""

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        """The loss of `model` on `inputs`; `labels` are the data's targets, `index` the samples' numbers in the train
        part.
        """


class Loss(Goal, Protocol):
    """A goal that needs outputs and targets alone."""

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of outputs (N, K)."""


@dataclass(frozen=True)
class CrossEntropy:
    """The usual one, with label smoothing (Szegedy et al. 2016) and weights of classes."""

    smoothing: float = 0.0
    weights: Tensor | None = None

    identity = "cross entropy"

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        return self.of(model(*inputs), labels)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, self.weights, label_smoothing=self.smoothing)


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error of outputs and targets (N, K), which are the input before augmentation."""

    identity = "reconstruction"

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        return self.of(model(*inputs), labels)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.mse_loss(outputs, targets)


@dataclass(frozen=True)
class CellEntropy:
    """Cross entropy of each cell of a grid: outputs (N, cells * classes) against classes (N, cells), 0 the background.

    Objects weigh `object_weight` times the background, as in Edge Impulse's FOMO (see `data.goals.centroids`).
    """

    object_weight: float = OBJECT_WEIGHT

    @property
    def identity(self) -> str:
        return f"cells {self.object_weight}"

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        return self.of(model(*inputs), labels)

    def of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        cells = outputs.reshape(targets.numel(), -1)
        weights = torch.full((cells.shape[1],), self.object_weight)
        weights[0] = 1.0
        return functional.cross_entropy(cells, targets.flatten(), weights)


LOSSES: Mapping[str, Loss] = {"classify": CrossEntropy(), "reconstruct": Reconstruction(), "centroids": CellEntropy()}


class Teacher(Protocol):
    """Whoever knows logits."""

    @property
    def identity(self) -> str:
        """What a checkpoint remembers of it."""

    def __call__(self, inputs: tuple[Tensor, ...], index: Array) -> Tensor:
        """(N, classes) logits for a batch."""


@dataclass(frozen=True, eq=False)
class ModelTeacher:
    """A trained module in eval mode; it sees the same augmented samples as the student."""

    model: nn.Module

    @property
    def identity(self) -> str:
        return digest(self.model.state_dict())

    def __call__(self, inputs: tuple[Tensor, ...], index: Array) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(*inputs)
        return logits


@dataclass(frozen=True, eq=False)
class StoredTeacher:
    """Logits that some other model gave for the train part, without augmentation: (N, classes) float32."""

    logits: Array

    @classmethod
    def read(cls, path: Path, samples: int, classes: int) -> StoredTeacher:
        """From an `.npy` file; InputError where it does not go with the data."""
        try:
            logits = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: no .npy file of logits ({error})") from None
        if logits.shape != (samples, classes) or logits.dtype.kind != "f" or not np.isfinite(logits).all():
            raise InputError(f"{path}: {logits.dtype}{list(logits.shape)}; finite logits of shape "
                             f"[{samples}, {classes}] are needed, a row for each sample of the train part")
        return cls(logits.astype(np.float32))

    @property
    def identity(self) -> str:
        return hashlib.sha256(self.logits.tobytes()).hexdigest()

    def __call__(self, inputs: tuple[Tensor, ...], index: Array) -> Tensor:
        return torch.from_numpy(self.logits[index])


@dataclass(frozen=True, eq=False)
class Distillation:
    """Part labels, part teacher: (1 - share) * cross entropy + share * T^2 * KL(teacher / T, student / T).

    Source: Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network", section 2. A teacher of the
    student's own architecture makes it self-distillation (Furlanello et al. 2018, "Born Again Neural Networks").
    """

    teacher: Teacher
    temperature: float = 4.0
    share: float = 0.7

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 < self.share <= 1:
            raise ValueError(f"temperature {self.temperature} must be above 0, share {self.share} above 0 and at "
                             f"most 1")

    @property
    def identity(self) -> str:
        return f"distillation {self.temperature} {self.share} {self.teacher.identity}"

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        return self.loss(model(*inputs), self.teacher(inputs, index), labels)

    def loss(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """From logits (N, classes) of both."""
        t = self.temperature
        soft = functional.kl_div(functional.log_softmax(student / t, 1), functional.log_softmax(teacher / t, 1),
                                 reduction="batchmean", log_target=True)
        return (1 - self.share) * functional.cross_entropy(student, labels) + self.share * t * t * soft


@dataclass(frozen=True, eq=False)
class FeatureMatching:
    """Distillation that also draws features together: the student's, through a fixed 1x1 map, to the teacher's.

    `pairs` are names of modules (student's, teacher's) whose outputs have the same height and width. Source: Romero et
    al. 2015, "FitNets", section 2.2, with an orthogonal map that does not learn; both sides are normalized over
    channels (Zagoruyko & Komodakis 2017), so that `weight` does not depend on their scale.
    """

    soft: Distillation
    teacher: nn.Module
    pairs: Sequence[tuple[str, str]]
    weight: float = 1.0
    _maps: dict[str, nn.Conv2d] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        return f"features {list(self.pairs)} {self.weight} {self.soft.identity}"

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor, index: Array) -> Tensor:
        with _outputs(self.teacher, [t for _, t in self.pairs]) as wanted, torch.no_grad():
            guide = self.teacher(*inputs)
        with _outputs(model, [s for s, _ in self.pairs]) as found:
            logits = model(*inputs)
        loss = self.soft.loss(logits, guide, labels)
        for student, teacher in self.pairs:
            loss = loss + self.weight * self._distance(student, found[student], wanted[teacher])
        return loss

    def _distance(self, name: str, student: Tensor, teacher: Tensor) -> Tensor:
        if student.shape[2:] != teacher.shape[2:]:
            raise InputError(f"features of '{name}' are {tuple(student.shape[2:])}, the teacher's "
                             f"{tuple(teacher.shape[2:])}; match places of one resolution")
        if name not in self._maps:  # orthogonal and fixed: the student moves, not the map
            shape = (teacher.shape[1], student.shape[1], 1, 1)
            self._maps[name] = nn.Conv2d(shape[1], shape[0], 1, bias=False).requires_grad_(False)
            nn.init.orthogonal_(self._maps[name].weight, generator=torch.Generator().manual_seed(0))
        mapped = self._maps[name](student)
        return functional.mse_loss(functional.normalize(mapped, dim=1), functional.normalize(teacher, dim=1)) * len(
            mapped[0])


@contextmanager
def _outputs(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collects what the named modules give while the block runs."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    known = dict(model.named_modules())
    for name in names:
        if name not in known:
            raise InputError(f"the model has no layer '{name}'; it has {', '.join(n for n in known if n)}")
    handles = [known[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
