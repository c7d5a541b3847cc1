"""A Hugging Face folder: config.json, safetensors in one file or in shards, a tokenizer. Nothing is executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import FormatError, InputError, UnsupportedError
from ..types import Array
from . import architectures, safetensors
from .architectures import Architecture, Tensor
from .shape import Shape

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


@dataclass(frozen=True)
class Folder:
    """A model as Hugging Face keeps it; opened by `open_folder`, complete and of the right shapes."""

    path: Path
    config: dict[str, Any]
    architecture: Architecture
    shape: Shape
    entries: dict[str, safetensors.Entry]

    @property
    def name(self) -> str:
        """What to call the model: the folder's name."""
        return self.path.resolve().name

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(self.architecture.tensors(self.shape))

    def weights(self, name: str) -> Array:
        """A tensor as float32."""
        return self.entries[name].float32()


def open_folder(path: Path) -> Folder:
    """The model in the folder `path`.

    Raises:
        InputError: no folder, or a shard is missing.
        FormatError: a damaged or incomplete file, named.
        UnsupportedError: another architecture, or weights that are quantized already.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no folder of a model; give one with config.json and model.safetensors")
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: no config.json in it; is it a Hugging Face folder?")
    config = read_json(path / "config.json")
    if config.get("quantization_config"):
        method = config["quantization_config"].get("quant_method", "unknown")
        raise UnsupportedError(f"{path}: its weights are quantized already ({method}); give the original folder")
    architecture = architectures.of_config(config, str(path))
    shape = architecture.read(config, str(path))
    entries = _entries(path)
    if shape.tied is False and "lm_head.weight" not in entries and "model.embed_tokens.weight" in entries:
        raise FormatError(f"{path}: tensor 'lm_head.weight' is missing and config.json does not tie the embeddings")
    folder = Folder(path, config, architecture, shape, entries)
    _check(folder)
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; FormatError where the file holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise FormatError(f"{path}: holds no JSON object")
    return found


def _entries(path: Path) -> dict[str, safetensors.Entry]:
    if not (path / INDEX).is_file():
        if (path / SINGLE).is_file():
            return safetensors.read(path / SINGLE)
        bins = any(path.glob("*.bin"))
        hint = "only pickled weights (.bin), which are not opened: save them as safetensors" if bins else "no weights"
        raise InputError(f"{path}: {hint}; expected {SINGLE} or {INDEX}")
    where = read_json(path / INDEX).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(v, str) and Path(v).name == v for v in where.values()):
        raise FormatError(f"{path / INDEX}: 'weight_map' is missing or names files outside the folder")
    shards = sorted(set(where.values()))
    missing = [s for s in shards if not (path / s).is_file()]
    if missing:
        raise InputError(f"{path}: {len(missing)} of {len(shards)} shards missing: {', '.join(missing[:3])}")
    entries: dict[str, safetensors.Entry] = {}
    for shard in shards:
        entries |= safetensors.read(path / shard)
    lost = sorted(set(where) - set(entries))
    if lost:
        raise FormatError(f"{path / where[lost[0]]}: lacks tensor '{lost[0]}', which {INDEX} promises")
    return entries


_IGNORED = (".rotary_emb.inv_freq", ".attention.masked_bias", ".attention.bias")  # computed, never learned


def _check(folder: Folder) -> None:
    expected = {t.name: t.shape for t in folder.tensors}
    for name, shape in expected.items():
        if name not in folder.entries:
            raise FormatError(f"{folder.path}: tensor '{name}' is missing")
        if folder.entries[name].shape != shape:
            raise FormatError(f"{folder.path}: tensor '{name}' has shape {list(folder.entries[name].shape)}, "
                              f"config.json asks for {list(shape)}")
    tied = {"lm_head.weight"} if folder.shape.tied else set()
    strange = sorted(n for n in set(folder.entries) - set(expected) - tied if not n.endswith(_IGNORED))
    if strange:
        raise UnsupportedError(f"{folder.path}: tensor '{strange[0]}' is not part of {folder.architecture.class_name}"
                               f" as known here ({len(strange)} such)")
