"""Weights on disk: `weights.safetensors` beside `net.yaml` is the trainable form of a model. No pickles anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FormatError, MissingDependencyError
from ..nets import NetSpec, build

if TYPE_CHECKING:
    from torch import Tensor, nn


def save(model: nn.Module, path: Path) -> None:
    """Writes the model's weights and batch-norm statistics; the file appears whole or not at all."""
    write(path, dict(model.state_dict()), {})


def load(spec: NetSpec, path: Path) -> nn.Module:
    """The net of `spec`, in eval mode, with the weights at `path`; FormatError where they do not go together."""
    model = build(spec, seed=0)
    tensors, _ = read(path)
    expected = model.state_dict()
    strange = sorted(set(tensors) ^ set(expected))
    if strange:
        side = "lacks" if strange[0] in expected else "has"
        raise FormatError(f"{path}: not the weights of {spec.name}: it {side} {strange[0]}")
    for name, takes in expected.items():
        if tensors[name].shape != takes.shape:
            raise FormatError(f"{path}: {name} has shape {list(tensors[name].shape)}, "
                              f"{spec.name} takes {list(takes.shape)}")
    model.load_state_dict(tensors)
    return model.eval()


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """A safetensors file, written beside `path` and then renamed."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    # Clones: the format takes no two names of one memory, and concatenated maps share their fake quantization.
    part.write_bytes(save({k: v.detach().clone().contiguous() for k, v in tensors.items()}, dict(metadata)))
    part.replace(path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a safetensors file; FormatError where it is none."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise MissingDependencyError("safetensors", "train", "reading weights") from None
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{path}: cannot be read as safetensors ({error})") from None


def digest(state: dict[str, Tensor]) -> str:
    """Names weights: equal values, in order, give equal text."""
    sha = hashlib.sha256()
    for value in state.values():
        sha.update(value.detach().contiguous().numpy().tobytes())
    return sha.hexdigest()
