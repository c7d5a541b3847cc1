"""File types: which tensor of a model gets which block type. The rules are llama.cpp's (src/llama-quant.cpp, MIT)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..errors import InputError
from . import quants
from .quants import BlockType

_FALLBACK = {"q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}  # where rows do not divide into blocks of 256


def _spread(i: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between."""
    return i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2


def _never(i: int, layers: int) -> bool:
    return False


@dataclass(frozen=True)
class Mix:
    """A file type: a base, and a better type for the value and down projections of some layers."""

    name: str
    file_type: int  # GGUF's general.file_type
    base: str
    better: str
    values: Callable[[int, int], bool] = _never
    down: Callable[[int, int], bool] = _never
    down_with_importance: str = ""  # Q4_0's first eighth, where an importance matrix is given

    def assign(self, tensors: Mapping[str, tuple[int, ...]], importance: bool = False) -> dict[str, BlockType | None]:
        """The block type of each tensor by name; None: as it is (vectors and norms)."""
        tied = "output.weight" not in tensors
        layers = 1 + max((_layer(name) for name in tensors), default=-1)
        found: dict[str, BlockType | None] = {}
        for name, shape in tensors.items():
            matrix = len(shape) > 1 and name.endswith("weight") and not name.endswith("_norm.weight")
            found[name] = self._type(name, shape[-1], layers, tied, importance) if matrix else None
        return found

    def _type(self, name: str, columns: int, layers: int, tied: bool, importance: bool) -> BlockType:
        i, kind = _layer(name), self.base
        if name == "output.weight" or (tied and name == "token_embd.weight"):
            kind = "q8_0" if kind == "q8_0" or columns % quants.load(kind).weights else "q6_k"
        elif name.endswith(("attn_v.weight", "attn_qkv.weight")) and self.values(i, layers):
            kind = self.better
        elif name.endswith("ffn_down.weight"):
            if self.down(i, layers):
                kind = self.better
            elif importance and self.down_with_importance and i < layers // 8:
                kind = self.down_with_importance
        if columns % quants.load(kind).weights:
            kind = _FALLBACK.get(kind, kind)
        return quants.load(kind if columns % quants.load(kind).weights == 0 else "f16")


def _first_four(i: int, layers: int) -> bool:
    return i < 4


def _first_eighth(i: int, layers: int) -> bool:
    return i < layers // 8


MIXES = {m.name: m for m in (
    Mix("q4_0", 2, "q4_0", "", down_with_importance="q4_1"),
    Mix("q8_0", 7, "q8_0", ""),
    Mix("q4_k_s", 14, "q4_k", "q5_k", _first_four, _first_eighth),
    Mix("q4_k_m", 15, "q4_k", "q6_k", _spread, _spread),
    Mix("q5_k_m", 17, "q5_k", "q6_k", _spread, _spread),
    Mix("q6_k", 18, "q6_k", ""),
)}


def load(name: str) -> Mix:
    """The file type `name`, in either case; InputError with the known ones otherwise."""
    found = MIXES.get(name.lower())
    if found is None:
        raise InputError(f"unknown file type '{name}'; known: {', '.join(names())}")
    return found


def names() -> Iterable[str]:
    """All file types."""
    return MIXES.keys()


def _layer(name: str) -> int:
    match = re.match(r"blk\.(\d+)\.", name)
    return int(match[1]) if match else -1
