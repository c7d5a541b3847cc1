"""A Hugging Face folder to an EXL2 folder, on the CPU, one layer in memory at a time.

A first pass through the float model measures every layer and hands out bits; a second rounds layer after layer, each
fitted to what comes out of the rounded ones before it. Phi-3's fused matrices are split, as exllamav2 has them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import UnsupportedError
from ...types import Array
from .. import calibrate, safetensors
from ..architectures import Part
from ..files import replacing_folder
from ..folder import SINGLE, Folder, open_folder
from .allocate import Demand, allocate, average, demand
from .gptq import quantize as round_layer
from .layout import GROUP, Codes, pack, weights

HEAD_BITS = 6
VERSION = "0.2.4"  # of exllamav2, whose files these are like
COPIED = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "added_tokens.json",
          "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True)
class Exl2Result:
    """An EXL2 folder made. `shares`: of the rows of linear layers, at each number of bits."""

    path: Path
    bits_per_weight: float  # of the linear layers, scales included
    head_bits: int
    bytes: int
    shares: dict[int, float]

    def to_json(self) -> dict[str, Any]:
        return {"schema": "ratti.llm.exl2/1", **asdict(self), "path": str(self.path)}


def quantize(source: Path, text: Path, bits: float = 4.0, out: Path | None = None, samples: int = calibrate.SAMPLES,
             say: Callable[[str], None] = lambda line: None) -> Exl2Result:
    """Writes the model of the folder `source` as EXL2 with `bits` a weight on average, fitted to `text`.

    Raises:
        InputError, FormatError, UnsupportedError: see `open_folder`; a target that cannot be met; `out` is not empty.
        DataError: a text that is too short.
    """
    folder = open_folder(source)
    path = out or source.parent / f"{folder.name}-exl2-{bits:g}"
    if (folder.shape.hidden % GROUP) or (folder.shape.feed_forward % GROUP) or (folder.shape.query_width % GROUP):
        raise UnsupportedError(f"{source}: EXL2 takes layers of a multiple of {GROUP} inputs")
    with replacing_folder(path, safetensors.total_bytes(folder.entries.values())) as place:
        ids = calibrate.tokens(folder, text, samples)
        parts = _parts(folder)
        demands: list[Demand] = []
        for seen in calibrate.stream(folder, ids, full=False):
            if seen.index == folder.shape.layers:
                break
            say(f"measuring layer {seen.index + 1} of {folder.shape.layers}")
            for module, part in parts:
                weight = seen.linears[module].weight[part.start : part.start + part.rows]
                demands.append(demand(weight, seen.moments[module]))
        chosen = allocate(demands, bits)
        plan = iter(chosen)
        tensors: dict[str, Array] = {"model.embed_tokens.weight": _half(folder, "model.embed_tokens.weight")}
        for seen in calibrate.stream(folder, ids, full=True):
            if seen.index == folder.shape.layers:
                groups = (HEAD_BITS,) * (folder.shape.hidden // GROUP)
                made = round_layer(seen.linears["lm_head"].weight, seen.moments["lm_head"], groups)
                tensors["model.norm.weight"] = _half(folder, "model.norm.weight")
                tensors |= _named("lm_head", made)
                continue
            say(f"rounding layer {seen.index + 1} of {folder.shape.layers}")
            prefix = f"model.layers.{seen.index}."
            for module, part in parts:
                weight = seen.linears[module].weight
                rows = slice(part.start, part.start + part.rows)
                made = round_layer(weight[rows], seen.moments[module], next(plan))
                with torch.no_grad():
                    weight[rows] = torch.from_numpy(weights(made).astype(np.float32).T)
                tensors |= _named(prefix + part.name, made)
            for norm in ("input_layernorm.weight", "post_attention_layernorm.weight"):
                tensors[prefix + norm] = _half(folder, prefix + norm)
        safetensors.write(place / SINGLE, tensors, {"format": "pt"})
        _write_config(folder, place, bits, text, len(ids), ids.shape[1])
    groups_at = [b for of in chosen for b in of]
    shares = {b: groups_at.count(b) / len(groups_at) for b in sorted(set(groups_at))}
    return Exl2Result(path, average(demands, chosen), HEAD_BITS, (path / SINGLE).stat().st_size, shares)


def _parts(folder: Folder) -> list[tuple[str, Part]]:
    """(module, part) of every linear layer of one layer, in order."""
    return [(t.name.removesuffix(".weight"), p) for t in folder.architecture.layer(folder.shape) for p in t.parts]


def _half(folder: Folder, name: str) -> Array:
    return folder.weights(name).astype(np.float16)


def _named(name: str, made: Codes) -> dict[str, Array]:
    return {f"{name}.{part}": value for part, value in pack(made).items()}


def _write_config(folder: Folder, place: Path, bits: float, text: Path, rows: int, length: int) -> None:
    about = {"quant_method": "exl2", "version": VERSION, "bits": bits, "head_bits": HEAD_BITS,
             "calibration": {"rows": rows, "length": length, "dataset": text.name}}
    # The output matrix is rounded and stored for itself, also where it was the embedding.
    config: Mapping[str, Any] = {**folder.config, "tie_word_embeddings": False, "quantization_config": about}
    (place / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    for name in COPIED:
        if (folder.path / name).is_file():
            shutil.copyfile(folder.path / name, place / name)


