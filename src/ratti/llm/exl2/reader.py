"""An EXL2 folder back to a model in PyTorch on the CPU: to check files, and to measure what they lose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...errors import FormatError, InputError, UnsupportedError
from ...types import Array
from .. import architectures, safetensors
from ..folder import INDEX, SINGLE, read_json
from ..model import Model
from .layout import PARTS, unpack, weights


def load(path: Path) -> Model:
    """The model of the EXL2 folder `path` with the weights that exllamav2's kernels compute with, in float32.

    Raises:
        InputError: no such folder.
        FormatError: a damaged or incomplete one.
        UnsupportedError: another format.
    """
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: no config.json in it; is it an EXL2 folder?")
    config = read_json(path / "config.json")
    if (config.get("quantization_config") or {}).get("quant_method") != "exl2":
        raise UnsupportedError(f"{path}: no EXL2 folder (config.json has no quantization_config of it)")
    architecture = architectures.of_config(config, str(path))
    shape = architecture.read(config, str(path))
    entries = _entries(path)
    state: dict[str, torch.Tensor] = {}
    for tensor in architecture.tensors(shape):
        if tensor.is_linear:
            prefix = ".".join(tensor.name.split(".")[:3]) + "."  # model.layers.N.
            whole = [_linear(path, entries, prefix + part.name, part.rows) for part in tensor.parts]
            state[tensor.name] = torch.from_numpy(np.concatenate(whole))
        elif tensor.name == "lm_head.weight":
            state[tensor.name] = torch.from_numpy(_linear(path, entries, "lm_head", shape.vocabulary))
        else:
            state[tensor.name] = torch.from_numpy(_entry(path, entries, tensor.name).float32())
        if state[tensor.name].shape != tensor.shape:
            raise FormatError(f"{path}: '{tensor.name}' has shape {list(state[tensor.name].shape)}, "
                              f"config.json asks for {list(tensor.shape)}")
    model = Model(shape)
    model.load_state_dict(state)
    return model.eval()


def _entries(path: Path) -> dict[str, safetensors.Entry]:
    if (path / SINGLE).is_file():
        return safetensors.read(path / SINGLE)
    if not (path / INDEX).is_file():
        shards = sorted(path.glob("output*.safetensors"))  # as exllamav2 names them
    else:
        shards = [path / name for name in sorted(set(read_json(path / INDEX)["weight_map"].values()))]
    if not shards or not all(s.is_file() for s in shards):
        raise InputError(f"{path}: weights are missing")
    found: dict[str, safetensors.Entry] = {}
    for shard in shards:
        found |= safetensors.read(shard)
    return found


def _entry(path: Path, entries: dict[str, safetensors.Entry], name: str) -> safetensors.Entry:
    if name not in entries:
        raise FormatError(f"{path}: tensor '{name}' is missing")
    return entries[name]


def _linear(path: Path, entries: dict[str, safetensors.Entry], name: str, rows: int) -> Array:
    """A linear layer as PyTorch has it, (outputs, inputs) float32."""
    parts = {part: np.asarray(_entry(path, entries, f"{name}.{part}").raw()) for part in PARTS}
    return np.ascontiguousarray(weights(unpack(parts, rows)).T.astype(np.float32))
