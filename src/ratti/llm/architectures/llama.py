"""Llama (Touvron et al. 2023) and what has its shape: TinyLlama, Llama 2 and 3, Mistral's first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import Architecture, Shape, Tensor, linear, norm


def _layer(s: Shape) -> tuple[Tensor, ...]:
    return (
        norm("input_layernorm", "attn_norm", s.hidden),
        linear("self_attn.q_proj", "attn_q", s.query_width, s.hidden, s.heads),
        linear("self_attn.k_proj", "attn_k", s.kv_width, s.hidden, s.kv_heads),
        linear("self_attn.v_proj", "attn_v", s.kv_width, s.hidden),
        linear("self_attn.o_proj", "attn_output", s.hidden, s.query_width),
        norm("post_attention_layernorm", "ffn_norm", s.hidden),
        linear("mlp.gate_proj", "ffn_gate", s.feed_forward, s.hidden),
        linear("mlp.up_proj", "ffn_up", s.feed_forward, s.hidden),
        linear("mlp.down_proj", "ffn_down", s.hidden, s.feed_forward),
    )


def _metadata(s: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {"vocab_size": s.vocabulary, "attention.key_length": s.head_size,
                             "attention.value_length": s.head_size}
    if s.rope.kind == "linear":
        found |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(s.rope.factor)}
    return found


def _factors(s: Shape) -> dict[str, tuple[float, ...]]:
    """Llama 3.1's divisor of each frequency: 1 for short wavelengths, `factor` for long ones, blended between."""
    if s.rope.kind != "llama3":
        return {}
    old = s.rope.original_context or 8192
    low, high = s.rope.low_frequency_factor, s.rope.high_frequency_factor
    steps = np.arange(0, s.head_size, 2, dtype=np.float32) / np.float32(s.head_size)
    wavelengths = np.float32(2 * math.pi) * np.float32(s.rope.theta) ** steps
    divisors = []
    for wavelength in wavelengths:
        if wavelength < old / high:
            divisors.append(1.0)
        elif wavelength > old / low:
            divisors.append(s.rope.factor)
        else:
            smooth = (old / wavelength - low) / (high - low)
            divisors.append(float(1 / ((1 - smooth) / s.rope.factor + smooth)))
    return {"rope_freqs.weight": tuple(divisors)}


ARCHITECTURE = Architecture("llama", "LlamaForCausalLM", "llama", _layer, False, _metadata, _factors)
