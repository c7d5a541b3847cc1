"""The tokenizer of a Hugging Face folder as GGUF wants it: tokens, scores, kinds, merges, special ids."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..errors import FormatError, InputError, MissingDependencyError, UnsupportedError
from . import tokenizer
from .folder import read_json

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
UNUSED_SCORE, ADDED_SCORE = -10000.0, -1000.0
# How llama.cpp names the split of text before byte-level merges, by the pattern in tokenizer.json.
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
                r"\s*[\r\n]+|\s+(?!\S)|\s+")
SPLITS = {LLAMA3_SPLIT: "llama-bpe"}


def metadata(folder: Path, size: int) -> dict[str, Any]:
    """GGUF's `tokenizer.ggml.*` values for a model of `size` tokens, from `tokenizer.model` or `tokenizer.json`.

    Raises:
        InputError: neither is there.
        FormatError: a damaged one.
        UnsupportedError: a kind of tokenizer that llama.cpp would not reproduce.
    """
    if (folder / "tokenizer.model").is_file():
        found = _sentencepiece(folder, size)
    elif (folder / "tokenizer.json").is_file():
        found = _json(folder, size)
    else:
        raise InputError(f"{folder}: neither tokenizer.model nor tokenizer.json in it")
    return found | _special(folder, size, merges="tokenizer.ggml.scores" not in found)


def _sentencepiece(folder: Path, size: int) -> dict[str, Any]:
    pieces = list(tokenizer.read_pieces((folder / "tokenizer.model").read_bytes()))[:size]
    tokens = [p.text for p in pieces] + [f"[PAD{i}]" for i in range(len(pieces), size)]
    scores = [p.score for p in pieces] + [UNUSED_SCORE] * (size - len(pieces))
    kinds = [p.kind for p in pieces] + [UNUSED] * (size - len(pieces))
    return _llama(folder, tokens, scores, kinds)


def _json(folder: Path, size: int) -> dict[str, Any]:
    found = read_json(folder / "tokenizer.json")
    try:
        model = found["model"]
        if model.get("type", "BPE") != "BPE":
            raise UnsupportedError(f"{folder / 'tokenizer.json'}: a {model['type']} tokenizer; supported: BPE")
        vocabulary: dict[str, int] = model["vocab"]
        tokens = [f"[PAD{i}]" for i in range(size)]
        kinds, scores = [UNUSED] * size, [UNUSED_SCORE] * size
        for token, i in vocabulary.items():
            if i < size:
                tokens[i], kinds[i], scores[i] = token, NORMAL, -float(i)  # ids are in the order of merging
        if not model.get("byte_fallback"):
            return _byte_level(folder, found, tokens, kinds)
        for i, token in enumerate(tokens):
            if kinds[i] == NORMAL and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                kinds[i] = BYTE
        unknown = vocabulary.get(model.get("unk_token") or "")
        result = _llama(folder, tokens, scores, kinds)
        if unknown is not None:
            result["tokenizer.ggml.token_type"][unknown] = UNKNOWN
        return result
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise FormatError(f"{folder / 'tokenizer.json'}: damaged: {type(error).__name__} {error}") from None


def _llama(folder: Path, tokens: list[str], scores: list[float], kinds: list[int]) -> dict[str, Any]:
    for i, token, special in _added(folder):
        if i >= len(tokens) or kinds[i] in (UNKNOWN, BYTE):
            continue
        tokens[i], scores[i] = token, ADDED_SCORE
        kinds[i] = CONTROL if special or _looks_special(token) else USER
        if kinds[i] == USER:
            tokens[i] = token.replace(tokenizer.SPACE, " ")
    found: dict[str, Any] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": kinds,
    }
    prefix = _config(folder).get("add_prefix_space")
    if isinstance(prefix, bool):
        found["tokenizer.ggml.add_space_prefix"] = prefix
    return found


def _byte_level(folder: Path, found: dict[str, Any], tokens: list[str], kinds: list[int]) -> dict[str, Any]:
    """Llama 3's kind: bytes as printable characters, merges by rank, text split by a pattern first."""
    before = found.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    pattern = next((s["pattern"].get("Regex") for s in steps if s.get("type") == "Split"), None)
    if not any(s.get("type") == "ByteLevel" for s in steps):
        raise UnsupportedError(f"{folder / 'tokenizer.json'}: BPE without byte fallback or byte level")
    name = SPLITS.get(pattern) if pattern else "gpt-2"
    if name is None:
        raise UnsupportedError(f"{folder / 'tokenizer.json'}: splits text by a pattern that is not known; known: "
                               f"{', '.join(SPLITS.values())}, gpt-2")
    for i, token, special in _added(folder):
        if i < len(tokens):
            tokens[i], kinds[i] = token, CONTROL if special or _looks_special(token) else USER
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": name, "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": kinds}


def _added(folder: Path) -> list[tuple[int, str, bool]]:
    """(id, token, special) of tokens added after training, from the three files that may hold them."""
    found: dict[int, tuple[str, bool]] = {}
    if (folder / "added_tokens.json").is_file():
        for token, i in read_json(folder / "added_tokens.json").items():
            found[int(i)] = (token, False)
    for i, about in (_config(folder).get("added_tokens_decoder") or {}).items():
        found[int(i)] = (about["content"], bool(about.get("special")))
    if (folder / "tokenizer.json").is_file():
        for about in read_json(folder / "tokenizer.json").get("added_tokens") or []:
            found[int(about["id"])] = (about["content"], bool(about.get("special")))
    return [(i, token, special) for i, (token, special) in sorted(found.items())]


def _looks_special(token: str) -> bool:
    """Control tokens that some folders forget to mark."""
    return token in ("<pad>", "<mask>") or (token.startswith("<|") and token.endswith("|>"))


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path) if path.is_file() else {}


def _special(folder: Path, size: int, merges: bool) -> dict[str, Any]:
    """Ids of begin, end, padding; whether to add them; the chat template; merges of a byte-level tokenizer."""
    try:
        import gguf
    except ImportError:
        raise MissingDependencyError("gguf", "llm", "converting a tokenizer") from None
    logging.getLogger("gguf.vocab").setLevel(logging.ERROR)
    try:
        special = gguf.SpecialVocab(folder, load_merges=merges, n_vocab=size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{folder}: the tokenizer's files are damaged ({error})") from None
    found: dict[str, Any] = {}
    names = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # GGUF's own spelling
    for kind, i in special.special_token_ids.items():
        found[f"tokenizer.ggml.{names.get(kind, kind)}_token_id"] = i
    for kind, add in special.add_special_token.items():
        found[f"tokenizer.ggml.add_{kind}_token"] = add
    if special.merges:
        found["tokenizer.ggml.merges"] = special.merges
    if isinstance(special.chat_template, str):
        found["tokenizer.chat_template"] = special.chat_template
    return found
