"""Small language models in Hugging Face folders, for tests: random weights, a real tokenizer, real text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ratti.llm import architectures, safetensors, tokenizer
from ratti.llm.shape import Rope, Shape
from ratti.types import Array

TEXT = (
    "एक छोटी चिड़िया पेड़ पर बैठी थी। उसने नीचे देखा। नीचे नदी बह रही थी।\n"
    "राजा ने कहा, “यह नदी कहाँ जाती है?” मंत्री बोले, “समुद्र तक, महाराज।”\n"
    "The bird flew over 12 rivers and 3 hills; it was a long day, and the sun was hot.\n\n"
    "वह हँस दिया। हिरण का बच्चा दौड़ रहा था। खरगोश से आगे। हाथी से भी आगे। वह नाला कूद गया।\n"
)
VOCABULARY = 512
LONGROPE = Rope(kind="longrope", original_context=256, short_factors=tuple(1 + i / 100 for i in range(16)),
                long_factors=tuple(1 + i / 3 for i in range(16)))
LLAMA3 = Rope(500000.0, "llama3", 8.0, 64, 1.0, 4.0)
SHAPES = {
    "llama": Shape("llama", VOCABULARY, 256, 2, 8, 2, 32, 512, 256),
    "llama-tied": Shape("llama", VOCABULARY, 256, 1, 8, 8, 32, 256, 256, tied=True),
    "llama-3": Shape("llama", VOCABULARY, 256, 1, 8, 4, 32, 256, 256, LLAMA3),
    "phi3": Shape("phi3", VOCABULARY, 256, 2, 8, 8, 32, 512, 256, Rope(original_context=256)),
    "phi3-gqa": Shape("phi3", VOCABULARY, 256, 1, 8, 2, 32, 256, 256, Rope(original_context=256)),
    "phi3-long": Shape("phi3", VOCABULARY, 256, 2, 8, 8, 32, 256, 512, LONGROPE),
}


def weights(shape: Shape, seed: int = 0) -> dict[str, Array]:
    """Random tensors by name, of a size that makes a model's logits lively."""
    rng = np.random.default_rng(seed)
    found = {}
    for tensor in architectures.load(shape.architecture).tensors(shape):
        random = rng.standard_normal(tensor.shape).astype(np.float32)
        found[tensor.name] = random * 0.06 if len(tensor.shape) > 1 else 1 + random * 0.1
    return found


def write(folder: Path, shape: Shape, seed: int = 0, shards: int = 1, dtype: str = "F32",
          tokenized: bool = True) -> Path:
    """A complete folder of `shape` in one file or in shards, as F32, F16 or BF16; with a tokenizer, or without."""
    folder.mkdir(parents=True, exist_ok=True)
    config = architectures.load(shape.architecture).config(shape)
    (folder / "config.json").write_text(json.dumps(config))
    if tokenized:
        tokenizer.train(TEXT * 4, shape.vocabulary, folder)
    tensors = weights(shape, seed)
    if shards == 1:
        _write(folder / "model.safetensors", tensors, dtype)
        return folder
    names = np.array_split(np.array(sorted(tensors)), shards)
    where: dict[str, str] = {}
    for i, part in enumerate(names):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        _write(folder / file, {str(n): tensors[str(n)] for n in part}, dtype)
        where |= {str(n): file for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def _write(path: Path, tensors: dict[str, Array], dtype: str) -> None:
    if dtype == "BF16":
        with path.open("wb") as file:
            safetensors.write_header(file, {k: ("BF16", v.shape) for k, v in tensors.items()})
            for value in tensors.values():
                file.write((np.ascontiguousarray(value).view(np.uint32) >> 16).astype("<u2").tobytes())
        return
    kind = {"F32": np.float32, "F16": np.float16}[dtype]
    safetensors.write(path, {k: v.astype(kind) for k, v in tensors.items()})


def edit(folder: Path, **changes: Any) -> None:
    """Changes keys of config.json; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def tiny(name: str, **changes: Any) -> Shape:
    """One of `SHAPES`, changed."""
    return dataclasses.replace(SHAPES[name], **changes)
