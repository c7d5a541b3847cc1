"""Full-size GGUF files with random blocks: sizes, memory and speed of a model whose weights are not here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..types import Array
from . import architectures, gguf, mixes, quants
from .gguf.writer import TensorPlan, row_count
from .shape import Shape

PATCH_ROWS = 16  # random rows, repeated


def write(path: Path, shape: Shape, type: str, seed: int = 0) -> None:
    """A file of `shape` in the file type `type`. Every weight is a valid number, so that llama.cpp runs it."""
    mix = mixes.load(type)
    plans = plan(shape, mix)
    rng = np.random.default_rng(seed)

    def data(wanted: TensorPlan) -> Iterator[Array]:
        rows, columns = row_count(wanted.shape), wanted.shape[-1]
        patch = wanted.type.quantize((rng.standard_normal((min(rows, PATCH_ROWS), columns)) * 0.02).astype(np.float32))
        many = np.tile(patch, (max(1, (1 << 22) // patch.nbytes), 1))
        for at in range(0, rows, len(many)):
            yield many[: min(len(many), rows - at)]

    gguf.write(path, _metadata(shape, mix.file_type), plans, data)


def plan(shape: Shape, mix: mixes.Mix) -> list[TensorPlan]:
    """The tensors of a file of `shape` in the file type `mix`."""
    architecture = architectures.load(shape.architecture)
    shapes = {t.gguf: t.shape for t in architecture.tensors(shape)}
    kinds = mix.assign(shapes)
    vector = quants.load("f32")
    plans = [TensorPlan(name, (len(v),), vector) for name, v in architecture.factors(shape).items()]
    return plans + [TensorPlan(name, s, kinds[name] or vector) for name, s in shapes.items()]


def _metadata(s: Shape, file_type: int) -> dict[str, Any]:
    from .convert import sizes

    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    tokens += [f"▁{i}" for i in range(s.vocabulary - len(tokens))]
    kinds = [2, 3, 3, *[6] * 256, *[1] * (s.vocabulary - 259)]
    return {
        "general.architecture": s.architecture,
        "general.name": "random blocks",
        "general.file_type": file_type,
        "general.quantization_version": 2,
        **sizes(s),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(i) for i in range(s.vocabulary)],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
