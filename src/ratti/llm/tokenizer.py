"""A tokenizer for a small model: byte-pair encoding with byte fallback, trained on a text by SentencePiece (Kudo and
Richardson 2018), written as `tokenizer.model` and as an equal `tokenizer.json`.

Devanagari takes three bytes a character. A character that is not in the vocabulary falls back to its bytes and costs
three tokens, so every character of the training text gets a place, and `Cost` says what a text takes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingDependencyError

SPACE = "▁"
UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
LEAST_VOCABULARY = 3 + 256  # the special tokens and the bytes


@dataclass(frozen=True)
class Cost:
    """What a text takes in tokens."""

    characters: int
    bytes: int
    tokens: int
    byte_tokens: int  # of the tokens, those that stand for a single byte of a character that is not in the vocabulary

    @property
    def characters_per_token(self) -> float:
        return self.characters / self.tokens


def train(text: str, vocabulary: int, folder: Path) -> None:
    """Trains a tokenizer of exactly `vocabulary` tokens on `text` and writes its files into `folder`.

    InputError where the text has more characters than the vocabulary has places, or too little to fill it.
    """
    sentencepiece = _sentencepiece()
    characters = len(set(text) - set("\n "))
    if vocabulary < LEAST_VOCABULARY + characters:
        raise InputError(f"a vocabulary of {vocabulary} is too small: the text has {characters} different characters, "
                         f"and with bytes and special tokens it takes at least {LEAST_VOCABULARY + characters + 1}")
    out = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line for line in text.split("\n") if line),
            model_writer=out,
            model_type="bpe",
            vocab_size=vocabulary,
            byte_fallback=True,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=True,
            split_digits=True,
            max_sentence_length=1 << 20,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(f"no tokenizer of {vocabulary} tokens for this text: {_short(error)}") from None
    (folder / "tokenizer.model").write_bytes(out.getvalue())
    pieces = list(read_pieces(out.getvalue()))
    (folder / "tokenizer.json").write_text(json.dumps(_json(pieces), ensure_ascii=False), encoding="utf-8")
    config = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": False,
              "add_prefix_space": True, "bos_token": BEGIN, "eos_token": END, "unk_token": UNKNOWN}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


@dataclass(frozen=True)
class Piece:
    """One entry of a vocabulary; `kind` as GGUF counts: 1 normal, 2 unknown, 3 control, 5 unused, 6 byte."""

    text: str
    score: float
    kind: int


def read_pieces(model: bytes) -> Iterator[Piece]:
    """The entries of a `tokenizer.model`. InputError where it is none."""
    processor = load(model)
    for i in range(processor.vocab_size()):
        kind = (2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 5 if processor.is_unused(i)
                else 6 if processor.is_byte(i) else 1)
        yield Piece(processor.id_to_piece(i), float(processor.get_score(i)), kind)


def load(model: bytes) -> Any:
    """A SentencePiece processor for the bytes of a `tokenizer.model`."""
    sentencepiece = _sentencepiece()
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except RuntimeError as error:
        raise InputError(f"tokenizer.model cannot be read ({_short(error)})") from None
    return processor


def cost(processor: Any, text: str) -> Cost:
    """Characters, bytes and tokens of `text`."""
    ids = processor.encode(text)
    return Cost(len(text), len(text.encode()), len(ids), sum(processor.is_byte(i) for i in ids))


def _json(pieces: list[Piece]) -> dict[str, Any]:
    """`tokenizer.json` with the same meaning.

    SentencePiece joins the neighboring pair whose result scores best, whichever pair it is, so every split of every
    piece into two pieces is a merge, ranked by the score of the result.
    """
    ids = {p.text: i for i, p in enumerate(pieces)}
    joinable = {p.text for p in pieces if p.kind == 1}
    merges: list[list[str]] = []
    for piece in sorted((p for p in pieces if p.kind == 1), key=lambda p: -p.score):
        splits = ((piece.text[:i], piece.text[i:]) for i in range(1, len(piece.text)))
        merges += [[a, b] for a, b in splits if a in joinable and b in joinable]
    special = [{"id": ids[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for name in (UNKNOWN, BEGIN, END)]
    start = [{"SpecialToken": {"id": BEGIN, "type_id": 0}}]
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        ]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*start, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [*start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {BEGIN: {"id": BEGIN, "ids": [ids[BEGIN]], "tokens": [BEGIN]}},
        },
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {"type": "BPE", "unk_token": UNKNOWN, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": ids, "merges": merges},
    }


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise MissingDependencyError("sentencepiece", "llm", "a tokenizer") from None
    return sentencepiece


def _short(error: Exception) -> str:
    """The last line of SentencePiece's report."""
    return str(error).strip().splitlines()[-1][:160] if str(error).strip() else "no reason given"
