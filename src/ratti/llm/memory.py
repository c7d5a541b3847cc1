"""What llama.cpp keeps in memory for a model, part by part.

Weights: the file, mapped and read whole. Repack: where the processor has the kernels, a second, anonymous copy of the
matrices in an order that these like. Cache: keys and values of the context, exact. Compute: buffers of the graph; the
largest are the logits and two hidden states of each token of a batch, or a feed-forward layer's. Process: the library,
the vocabulary, the graph. Checked against measured peaks (`fit --measure`, docs/llm.md).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .gguf.writer import TensorPlan
from .llamacpp import Flags
from .shape import Shape

FLOAT = 4
CACHE_BITS = {"f16": 16.0, "q8_0": 8.5}
# What llama.cpp repacks (ggml-cpu/repack.cpp): on Arm with SDOT, on x86 with AVX2, elsewhere nothing.
REPACKED = {
    "dotprod": ("Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0"),
    "avx2": ("Q4_0", "Q4_K"),
}
REPACK_ROWS = 8  # a matrix is repacked where its rows divide by
PROCESS_BYTES = 16 << 20  # estimated: code, graph, allocator
TOKEN_BYTES = 128  # of the vocabulary, a token: text, score, and its place in a hash map (estimated)


@dataclass(frozen=True)
class Memory:
    """Bytes by part."""

    weights: int
    kv: int
    compute: int
    repack: int
    process: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.compute + self.repack + self.process


def memory(shape: Shape, tensors: Sequence[TensorPlan], flags: Flags, extensions: Collection[str]) -> Memory:
    """Memory of a file with `tensors` on a processor with `extensions` (of `REPACKED`)."""
    kinds = {kind for extension in extensions for kind in REPACKED.get(extension, ())} if flags.repack else set()
    matrices = [t for t in tensors if t.type.name in kinds and _is_multiplied(t)]
    repack = sum(t.bytes for t in matrices if t.shape[0] % REPACK_ROWS == 0)
    return Memory(
        weights=sum(t.bytes for t in tensors),
        kv=kv_bytes(shape, flags.context, flags.cache),
        compute=compute_bytes(shape, flags),
        repack=repack,
        process=PROCESS_BYTES + TOKEN_BYTES * shape.vocabulary,
    )


def kv_bytes(shape: Shape, context: int, cache: str = "f16") -> int:
    """Keys and values of `context` tokens: exact. llama.cpp takes contexts in multiples of 256."""
    rounded = -(-context // 256) * 256
    return round(2 * shape.layers * shape.kv_width * rounded * CACHE_BITS[cache] / 8)


def compute_bytes(shape: Shape, flags: Flags) -> int:
    """Buffers of the graph for a batch of `flags.batch` tokens."""
    batch = min(flags.batch, flags.context)
    output = shape.vocabulary + 2 * shape.hidden
    feed_forward = 2 * shape.hidden + 3 * shape.feed_forward
    return batch * FLOAT * max(output, feed_forward)


def read_bytes(tensors: Sequence[TensorPlan], kv: int) -> int:
    """What one token reads: every matrix once, the embedding one row (unless it is the output too), half the cache."""
    tied = all(t.name != "output.weight" for t in tensors)
    return sum(t.bytes for t in tensors if tied or t.name != "token_embd.weight") + kv // 2


def _is_multiplied(t: TensorPlan) -> bool:
    """Whether the matrix is only ever multiplied with; the embedding is looked up, too."""
    return len(t.shape) > 1 and t.name != "token_embd.weight"
