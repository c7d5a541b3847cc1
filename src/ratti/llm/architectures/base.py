"""What an architecture is: its tensors by name and shape, here and in each format.

A family's file lists its tensors once. From the list follow conversion, the check that a folder is complete, parameter
counts, memory on a device and the parts that EXL2 wants apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..shape import Shape
from . import _config


@dataclass(frozen=True)
class Part:
    """Rows of a linear layer that other formats keep as a layer of its own: `k_proj` out of `qkv_proj`."""

    name: str  # the module, as in the split layout: `self_attn.k_proj`
    start: int
    rows: int


@dataclass(frozen=True)
class Tensor:
    """One tensor: its name in a Hugging Face folder, its name in GGUF, its shape (rows, columns) or (columns,)."""

    name: str
    gguf: str
    shape: tuple[int, ...]
    rotary_heads: int = 0  # of this many heads, the two halves of each are interleaved in GGUF
    parts: tuple[Part, ...] = ()  # of a linear layer: at least itself

    @property
    def is_linear(self) -> bool:
        """A matrix that multiplies activations and is worth few bits: not an embedding, not the output matrix."""
        return bool(self.parts)


@dataclass(frozen=True)
class Architecture:
    """A family of models.

    `layer` gives the tensors of one layer with names relative to it. `metadata` gives the extra GGUF keys.
    """

    id: str  # GGUF's general.architecture
    class_name: str  # in `architectures` of config.json
    model_type: str
    layer: Callable[[Shape], tuple[Tensor, ...]]
    fused: bool  # qkv and gate_up are one matrix each
    metadata: Callable[[Shape], dict[str, Any]]
    factors: Callable[[Shape], dict[str, tuple[float, ...]]]  # rope tensors that GGUF wants

    def read(self, config: dict[str, Any], where: str) -> Shape:
        """The shape in a Hugging Face configuration, old style or new. FormatError names what is missing or wrong."""
        return _config.read(self.id, config, where)

    def config(self, shape: Shape) -> dict[str, Any]:
        """The configuration of `shape`, in the style that transformers 4 and 5 both read."""
        return _config.write(self.class_name, self.model_type, shape)

    def layer_tensors(self, shape: Shape, index: int) -> Iterator[Tensor]:
        """Tensors of layer `index` with whole names."""
        for t in self.layer(shape):
            yield Tensor(f"model.layers.{index}.{t.name}", f"blk.{index}.{t.gguf}", t.shape, t.rotary_heads, t.parts)

    def tensors(self, shape: Shape) -> Iterator[Tensor]:
        """Every tensor of the model, in the order of the file."""
        yield Tensor("model.embed_tokens.weight", "token_embd.weight", (shape.vocabulary, shape.hidden))
        for index in range(shape.layers):
            yield from self.layer_tensors(shape, index)
        yield Tensor("model.norm.weight", "output_norm.weight", (shape.hidden,))
        if not shape.tied:
            yield Tensor("lm_head.weight", "output.weight", (shape.vocabulary, shape.hidden))

    def parameters(self, shape: Shape) -> int:
        """How many weights the model has."""
        total = 0
        for tensor in self.tensors(shape):
            size = 1
            for extent in tensor.shape:
                size *= extent
            total += size
        return total


def linear(name: str, gguf: str, rows: int, columns: int, rotary_heads: int = 0,
           parts: tuple[Part, ...] = ()) -> Tensor:
    """A linear layer; `parts` where it is fused."""
    return Tensor(f"{name}.weight", f"{gguf}.weight", (rows, columns), rotary_heads, parts or (Part(name, 0, rows),))


def norm(name: str, gguf: str, width: int) -> Tensor:
    return Tensor(f"{name}.weight", f"{gguf}.weight", (width,))


__all__ = ["Architecture", "Part", "Shape", "Tensor", "linear", "norm"]
