"""The sizes of a decoder-only transformer, whatever file they came from."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROPE_KINDS = ("default", "linear", "llama3", "longrope")


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding (Su et al. 2021) and how it is stretched to long contexts.

    `linear` divides positions by `factor`; `llama3` is Llama 3.1's division by frequency; `longrope` (Ding et al. 2024)
    divides each frequency by a factor of its own, one list for contexts up to `original_context` and one beyond.
    """

    theta: float = 10000.0
    kind: str = "default"
    factor: float = 1.0
    original_context: int | None = None
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ROPE_KINDS:
            raise ValueError(f"rope type '{self.kind}' is not one of {', '.join(ROPE_KINDS)}")
        if not (self.theta > 0 and self.factor > 0):
            raise ValueError(f"rope theta {self.theta} and factor {self.factor} must be above 0")
        if self.kind == "longrope" and not (self.short_factors and len(self.short_factors) == len(self.long_factors)):
            raise ValueError(f"longrope with {len(self.short_factors)} short and {len(self.long_factors)} long factors")


@dataclass(frozen=True)
class Shape:
    """Sizes of a model of the architecture `architecture` (an entry of `llm.architectures`)."""

    architecture: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    context: int
    rope: Rope = Rope()
    norm_epsilon: float = 1e-5
    tied: bool = False  # the output matrix is the embedding
    sliding_window: int | None = None

    def __post_init__(self) -> None:
        sizes = ("vocabulary", "hidden", "layers", "heads", "kv_heads", "head_size", "feed_forward", "context")
        for name in sizes:
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not a whole number above 0")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} attention heads do not share {self.kv_heads} key-value heads evenly")
        if self.head_size % 2:
            raise ValueError(f"a head size of {self.head_size} is odd; rotary embedding needs pairs")
        if not self.norm_epsilon > 0:
            raise ValueError(f"norm_epsilon is {self.norm_epsilon}, not above 0")
        if self.rope.kind == "longrope" and len(self.rope.short_factors) != self.head_size // 2:
            count = len(self.rope.short_factors)
            raise ValueError(f"{count} rope factors for a head of {self.head_size}; it takes {self.head_size // 2}")

    @property
    def query_width(self) -> int:
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_size

    @property
    def attention_factor(self) -> float:
        """What longrope multiplies cosines and sines with (Ding et al. 2024; Phi-3's configuration): 1 elsewhere."""
        if self.rope.kind != "longrope" or not self.rope.original_context:
            return 1.0
        scale = self.context / self.rope.original_context
        return math.sqrt(1 + math.log(scale) / math.log(self.rope.original_context)) if scale > 1 else 1.0
