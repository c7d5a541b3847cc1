"""Models known by their shape alone, so that `fit` answers before anything is downloaded.

Shapes as in the configurations that their makers publish on Hugging Face.
"""

from __future__ import annotations

from ..registry import unknown
from .shape import Rope, Shape

SHAPES = {
    # TinyLlama/TinyLlama-1.1B-Chat-v1.0, config.json
    "tinyllama-1.1b": Shape("llama", 32000, 2048, 22, 32, 4, 64, 5632, 2048),
    # microsoft/Phi-3-mini-4k-instruct, config.json
    "phi-3-mini-4k": Shape("phi3", 32064, 3072, 32, 32, 32, 96, 8192, 4096, Rope(original_context=4096),
                           sliding_window=2047),
}


def shape(name: str) -> Shape:
    if name not in SHAPES:
        raise unknown("model", name, SHAPES)
    return SHAPES[name]


