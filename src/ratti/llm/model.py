"""Llama and Phi-3 in PyTorch: to train small ones, to calibrate quantizers, to measure perplexity without llama.cpp.

Modules and parameters have the names of a Hugging Face folder. Legend: B batch, T tokens, H heads, E head size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import architectures
from .folder import Folder
from .shape import Shape

INITIAL_STD = 0.02  # GPT-2's, Llama's


class Linear(nn.Linear):
    """y = x W^T without a bias. `rounding`, where set, is applied to W first (quantization-aware training)."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows, bias=False)
        self.rounding: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight if self.rounding is None else self.rounding(self.weight))


class Norm(nn.Module):
    """Root-mean-square norm (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


class Attention(nn.Module):
    """Causal attention with rotary positions; key-value heads may be fewer than heads (Ainslie et al. 2023)."""

    def __init__(self, shape: Shape, fused: bool) -> None:
        super().__init__()
        self.shape = shape
        if fused:
            self.qkv_proj = Linear(shape.hidden, shape.query_width + 2 * shape.kv_width)
        else:
            self.q_proj = Linear(shape.hidden, shape.query_width)
            self.k_proj = Linear(shape.hidden, shape.kv_width)
            self.v_proj = Linear(shape.hidden, shape.kv_width)
        self.o_proj = Linear(shape.query_width, shape.hidden)
        self.fused = fused

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        s = self.shape
        if self.fused:
            q, k, v = self.qkv_proj(x).split([s.query_width, s.kv_width, s.kv_width], -1)
        else:
            q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        batch, tokens, _ = x.shape
        q, k, v = (part.view(batch, tokens, -1, s.head_size).transpose(1, 2) for part in (q, k, v))  # (B, H, T, E)
        q, k = rotate(q, turn), rotate(k, turn)
        mask = _window(tokens, s.sliding_window)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None,
                                                      enable_gqa=s.heads != s.kv_heads)
        joined: Tensor = self.o_proj(out.transpose(1, 2).reshape(batch, tokens, -1))
        return joined


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, shape: Shape, fused: bool) -> None:
        super().__init__()
        if fused:
            self.gate_up_proj = Linear(shape.hidden, 2 * shape.feed_forward)
        else:
            self.gate_proj = Linear(shape.hidden, shape.feed_forward)
            self.up_proj = Linear(shape.hidden, shape.feed_forward)
        self.down_proj = Linear(shape.feed_forward, shape.hidden)
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, -1) if self.fused else (self.gate_proj(x), self.up_proj(x))
        down: Tensor = self.down_proj(functional.silu(gate) * up)
        return down


class Layer(nn.Module):
    """Attention and feed-forward, each after a norm and added to what came in."""

    def __init__(self, shape: Shape, fused: bool) -> None:
        super().__init__()
        self.input_layernorm = Norm(shape.hidden, shape.norm_epsilon)
        self.self_attn = Attention(shape, fused)
        self.post_attention_layernorm = Norm(shape.hidden, shape.norm_epsilon)
        self.mlp = FeedForward(shape, fused)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Trunk(nn.Module):
    """Everything but the output matrix."""

    def __init__(self, shape: Shape, fused: bool) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape, fused) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.norm_epsilon)


class Model(nn.Module):
    """Token ids (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Trunk(shape, architectures.load(shape.architecture).fused)
        self.embedding_rounding: Callable[[Tensor], Tensor] | None = None
        if not shape.tied:
            self.lm_head = Linear(shape.hidden, shape.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        turn = rotation(self.shape, tokens.shape[1])
        table = self.model.embed_tokens.weight
        x = functional.embedding(tokens, table if self.embedding_rounding is None else self.embedding_rounding(table))
        for layer in self.model.layers:
            x = layer(x, turn)
        x = self.model.norm(x)
        return functional.linear(x, self.model.embed_tokens.weight) if self.shape.tied else self.lm_head(x)


def create(shape: Shape, seed: int = 0) -> Model:
    """A model with random weights: normal with 0.02, what writes to the residual stream scaled by its depth (GPT-2)."""
    generator = torch.Generator().manual_seed(seed)
    model = Model(shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0, INITIAL_STD / (2 * shape.layers) ** 0.5 if deep else INITIAL_STD, generator=generator)
    return model


def load(folder: Folder) -> Model:
    """The model of a Hugging Face folder, in float32."""
    model = Model(folder.shape)
    model.load_state_dict({t.name: torch.from_numpy(folder.weights(t.name)) for t in folder.tensors})
    return model.eval()


def rotation(shape: Shape, tokens: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, E) of the rotary embedding for positions 0 to `tokens`."""
    rope = shape.rope
    frequency = rope.theta ** (-torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size)
    if rope.kind == "linear":
        frequency = frequency / rope.factor
    elif rope.kind == "longrope":
        long = rope.original_context is not None and tokens > rope.original_context
        frequency = frequency / torch.tensor(rope.long_factors if long else rope.short_factors)
    elif rope.kind == "llama3":
        (divisors,) = architectures.load(shape.architecture).factors(shape).values()
        frequency = frequency / torch.tensor(divisors)
    angle = torch.outer(torch.arange(tokens, dtype=torch.float32), frequency).repeat(1, 2)
    return angle.cos() * shape.attention_factor, angle.sin() * shape.attention_factor


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x (B, H, T, E) turned: entry i is paired with entry i + E/2, as in Hugging Face's layout."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * turn[0] + turned * turn[1]


def _window(tokens: int, window: int | None) -> Tensor | None:
    """A mask (T, T) that lets each token see the last `window` tokens; None where all are within it."""
    if window is None or tokens <= window:
        return None
    distance = torch.arange(tokens)[:, None] - torch.arange(tokens)[None, :]
    return (distance >= 0) & (distance < window)
