"""An importance matrix: how much each column of each linear layer is used on a text.

A quantizer that weighs squared errors by the mean squares of the activations keeps the layer's output, not its weights
(the objective of GPTQ's diagonal, Frantar et al. 2022; llama.cpp's imatrix).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..types import Array
from . import calibrate
from .folder import open_folder


def measure(folder: Path, text: Path, samples: int = calibrate.SAMPLES) -> dict[str, Array]:
    """Mean squares of the inputs (columns,) float32 of every linear layer, by GGUF's tensor name.

    InputError, FormatError: see `open_folder`; DataError: a text that is too short.
    """
    model = open_folder(folder)
    names = {t.name.removesuffix(".weight"): t.gguf for t in model.tensors if t.is_linear}
    found: dict[str, Array] = {}
    for seen in calibrate.stream(model, calibrate.tokens(model, text, samples), full=False):
        for module, squares in seen.moments.items():
            name = names.get(f"model.layers.{seen.index}.{module}")
            if name is not None:
                found[name] = (squares / seen.count).numpy().astype(np.float32)
    return found
