"""Training: one loop, seeded, resumable; weights on disk as safetensors."""

from __future__ import annotations

from ..errors import MissingDependencyError

try:
    import torch  # noqa: F401
except ImportError:
    raise MissingDependencyError("torch", "train", "training") from None

from ._distill import distill
from .config import Optimizer, TrainConfig
from .goals import (
    LOSSES,
    CellEntropy,
    CrossEntropy,
    Distillation,
    FeatureMatching,
    Goal,
    ModelTeacher,
    Reconstruction,
    StoredTeacher,
)
from .loop import Fitted, Trained, evaluate, fit, predict, tensors, threads, train
from .state import Epoch
from .weights import digest
from .weights import load as load_weights
from .weights import save as save_weights

__all__ = [
    "LOSSES",
    "CellEntropy",
    "CrossEntropy",
    "Distillation",
    "Epoch",
    "FeatureMatching",
    "Fitted",
    "Goal",
    "ModelTeacher",
    "Optimizer",
    "Reconstruction",
    "StoredTeacher",
    "TrainConfig",
    "Trained",
    "digest",
    "distill",
    "evaluate",
    "fit",
    "load_weights",
    "predict",
    "save_weights",
    "tensors",
    "threads",
    "train",
]
