"""Data sets: loading, splitting by group, augmentation, scores.

`load` takes a name (`digits`), a folder of pictures, recordings or tables, an `.npz` or a `.csv` file; each kind of
source is one file in `sources/`.
"""

from __future__ import annotations

from .augment import Augment, Flip
from .dataset import BadFile, Dataset, Kind, LoadReport, Normalization, Part
from .load import Options, load
from .sampling import epoch_order
from .score import Score, score
from .split import cut_by_group

__all__ = [
    "Augment",
    "BadFile",
    "Dataset",
    "Flip",
    "Kind",
    "LoadReport",
    "Normalization",
    "Options",
    "Part",
    "Score",
    "cut_by_group",
    "epoch_order",
    "load",
    "score",
]
