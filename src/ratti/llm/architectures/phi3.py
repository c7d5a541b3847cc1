"""Phi-3 (Abdin et al. 2024): Llama's layer with fused qkv and gate_up, and longrope for long contexts."""

from __future__ import annotations

from typing import Any

from .base import Architecture, Part, Shape, Tensor, linear, norm


def _layer(s: Shape) -> tuple[Tensor, ...]:
    qkv = (
        Part("self_attn.q_proj", 0, s.query_width),
        Part("self_attn.k_proj", s.query_width, s.kv_width),
        Part("self_attn.v_proj", s.query_width + s.kv_width, s.kv_width),
    )
    gate_up = (Part("mlp.gate_proj", 0, s.feed_forward), Part("mlp.up_proj", s.feed_forward, s.feed_forward))
    return (
        norm("input_layernorm", "attn_norm", s.hidden),
        linear("self_attn.qkv_proj", "attn_qkv", s.query_width + 2 * s.kv_width, s.hidden, parts=qkv),
        linear("self_attn.o_proj", "attn_output", s.hidden, s.query_width),
        norm("post_attention_layernorm", "ffn_norm", s.hidden),
        linear("mlp.gate_up_proj", "ffn_up", 2 * s.feed_forward, s.hidden, parts=gate_up),
        linear("mlp.down_proj", "ffn_down", s.hidden, s.feed_forward),
    )


def _metadata(s: Shape) -> dict[str, Any]:
    # A window of 0 switches the sliding window off; without the key llama.cpp assumes one.
    found: dict[str, Any] = {"attention.sliding_window": s.sliding_window or 0,
                             "rope.scaling.original_context_length": s.rope.original_context or s.context}
    if s.rope.kind == "longrope":
        found["rope.scaling.attn_factor"] = s.attention_factor  # llama.cpp knows longrope by its two factor tensors
    return found


def _factors(s: Shape) -> dict[str, tuple[float, ...]]:
    if s.rope.kind != "longrope":
        return {}
    return {"rope_factors_long.weight": s.rope.long_factors, "rope_factors_short.weight": s.rope.short_factors}


ARCHITECTURE = Architecture("phi3", "Phi3ForCausalLM", "phi3", _layer, True, _metadata, _factors)
