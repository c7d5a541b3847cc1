"""config.json, old style (`rope_theta`, `rope_scaling`, `torch_dtype`) and new (`rope_parameters`, `dtype`)."""

from __future__ import annotations

from typing import Any

from ...errors import FormatError, UnsupportedError
from ..shape import Rope, Shape

_KINDS = {"su": "longrope", "longrope": "longrope", "default": "default", "linear": "linear", "llama3": "llama3"}


def read(architecture: str, config: dict[str, Any], where: str) -> Shape:
    """The shape that `config` describes; FormatError names the key that is missing or wrong."""

    def need(key: str) -> Any:
        if config.get(key) is None:
            raise FormatError(f"{where}: config.json lacks '{key}'")
        return config[key]

    for key in ("attention_bias", "mlp_bias"):
        if config.get(key):
            raise UnsupportedError(f"{where}: {key} is on; linear layers with a bias are not supported")
    if config.get("hidden_act", "silu") not in ("silu", "swish"):
        raise UnsupportedError(f"{where}: activation '{config['hidden_act']}'; supported: silu")
    try:
        heads = need("num_attention_heads")
        head_size = config.get("head_dim") or need("hidden_size") // heads
        return Shape(
            architecture=architecture,
            vocabulary=need("vocab_size"),
            hidden=need("hidden_size"),
            layers=need("num_hidden_layers"),
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=head_size,
            feed_forward=need("intermediate_size"),
            context=need("max_position_embeddings"),
            rope=_rope(config, where),
            norm_epsilon=config.get("rms_norm_eps") or 1e-6,
            tied=bool(config.get("tie_word_embeddings", False)),
            sliding_window=config.get("sliding_window"),
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise FormatError(f"{where}: config.json: {error}") from None


def _rope(config: dict[str, Any], where: str) -> Rope:
    found = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    said = found.get("rope_type") or found.get("type") or "default"
    if said not in _KINDS:
        raise UnsupportedError(f"{where}: rope scaling '{said}'; supported: {', '.join(sorted(_KINDS))}")
    partial = found.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    if partial != 1.0:
        raise UnsupportedError(f"{where}: partial_rotary_factor is {partial}; supported: 1")
    original = found.get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
    return Rope(
        theta=float(found.get("rope_theta") or config.get("rope_theta") or 10000.0),
        kind=_KINDS[said],
        factor=float(found.get("factor") or 1.0),
        original_context=int(original) if original else None,
        low_frequency_factor=float(found.get("low_freq_factor") or 1.0),
        high_frequency_factor=float(found.get("high_freq_factor") or 4.0),
        short_factors=tuple(map(float, found.get("short_factor") or ())),
        long_factors=tuple(map(float, found.get("long_factor") or ())),
    )


def write(class_name: str, model_type: str, s: Shape) -> dict[str, Any]:
    """config.json of `s`: the old keys, which new readers take as well."""
    scaling: dict[str, Any] | None = None
    if s.rope.kind == "longrope":
        scaling = {"type": "longrope", "short_factor": list(s.rope.short_factors),
                   "long_factor": list(s.rope.long_factors)}
    elif s.rope.kind != "default":
        scaling = {"rope_type": s.rope.kind, "factor": s.rope.factor}
        if s.rope.kind == "llama3":
            scaling |= {"low_freq_factor": s.rope.low_frequency_factor,
                        "high_freq_factor": s.rope.high_frequency_factor,
                        "original_max_position_embeddings": s.rope.original_context}
    config: dict[str, Any] = {
        "architectures": [class_name],
        "model_type": model_type,
        "vocab_size": s.vocabulary,
        "hidden_size": s.hidden,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "num_key_value_heads": s.kv_heads,
        "head_dim": s.head_size,
        "intermediate_size": s.feed_forward,
        "max_position_embeddings": s.context,
        "rope_theta": s.rope.theta,
        "rope_scaling": scaling,
        "rms_norm_eps": s.norm_epsilon,
        "tie_word_embeddings": s.tied,
        "hidden_act": "silu",
        "torch_dtype": "float32",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": None,
    }
    if s.rope.original_context:
        config["original_max_position_embeddings"] = s.rope.original_context
    if s.sliding_window:
        config["sliding_window"] = s.sliding_window
    return config
