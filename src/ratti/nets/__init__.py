"""Architectures from shared blocks: one family a file, found by its name. Only `build` imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingDependencyError
from ._channels import Units, units, without
from ._graph import random_graph, random_weights
from ._ids import families, is_id, resolution, spec
from ._spec import NetSpec
from ._yaml import from_yaml, read, to_yaml

if TYPE_CHECKING:
    import torch

__all__ = [
    "NetSpec",
    "Units",
    "build",
    "families",
    "from_yaml",
    "is_id",
    "random_graph",
    "random_weights",
    "read",
    "resolution",
    "spec",
    "to_yaml",
    "units",
    "without",
]


def build(spec: NetSpec, seed: int | None = None) -> torch.nn.Module:
    """The net as a torch module: (N, C, H, W) float32, and (N, numbers) where it has any, to (N, classes) logits.

    `seed` fixes the initial weights without touching torch's global generator; None draws from that.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError("torch", "train", "building a net") from None
    from ._torch import Net

    return Net.seeded(spec, seed)
