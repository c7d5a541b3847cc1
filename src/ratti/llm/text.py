"""Text as tokens, and perplexity by one protocol wherever it is measured.

The tokens of a text are cut into windows of `context - 1`; each window is begun with the begin token, and every token
of it is predicted from those before it. Perplexity is the exponential of the mean negative log likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..types import Array

LEAST_TOKENS = 64


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text."""

    tokens: int
    characters: int
    nats: float  # summed negative log likelihood

    @property
    def perplexity(self) -> float:
        """Per token: comparable between models of one tokenizer."""
        return math.exp(self.nats / self.tokens)

    @property
    def bits_per_character(self) -> float:
        """Comparable between tokenizers."""
        return self.nats / math.log(2) / self.characters


def read(path: Path) -> str:
    """A text file in UTF-8. DataError where it is none or empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    if not text.strip():
        raise DataError(f"{path}: the text is empty")
    return text


def split(text: str, every: int = 20) -> tuple[str, str]:
    """(train, validation): documents stand apart by an empty line; each `every`-th goes to validation.

    A text of fewer documents is cut at its last twentieth, at the end of a line.
    """
    documents = [d for d in text.split("\n\n") if d.strip()]
    if len(documents) >= 2 * every:
        parts = ([d for i, d in enumerate(documents) if (i % every == every - 1) is chosen] for chosen in (False, True))
        train, validation = ("\n\n".join(p) for p in parts)
        return train, validation
    lines = text.split("\n")
    at = len(lines) - max(1, len(lines) // every)
    return "\n".join(lines[:at]), "\n".join(lines[at:])


def windows(tokens: Array, context: int, begin: int) -> Iterator[Array]:
    """Windows of at most `context` ids, each begun with `begin`; a last one of fewer than two tokens is left out."""
    step = context - 1
    for at in range(0, len(tokens), step):
        part = tokens[at : at + step]
        if len(part) >= 2:
            yield np.concatenate(([begin], part)).astype(np.int64)


def score(tokens: Array, characters: int, context: int, begin: int, logits_of: Callable[[Array], Array]) -> Score:
    """The score of a model whose `logits_of(window (T,))` gives logits (T, vocabulary) float32."""
    if len(tokens) < LEAST_TOKENS:
        raise DataError(f"a text of {len(tokens)} tokens is too short to measure perplexity: give {LEAST_TOKENS}")
    nats, count = 0.0, 0
    for window in windows(tokens, context, begin):
        logits = logits_of(window)[:-1].astype(np.float64)
        top = logits.max(-1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
        nats += float((log_sum - logits[np.arange(len(window) - 1), window[1:]]).sum())
        count += len(window) - 1
    return Score(count, characters, nats)
