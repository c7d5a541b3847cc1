"""Text from a model, piece by piece as it comes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..types import Array
from .llamacpp import Engine


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: temperature 0 takes the likeliest; else from the `top_k` likeliest that together
    hold `top_p` of the probability (Holtzman et al. 2020).
    """

    tokens: int = 256  # at most
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.top_k < 1:
            raise InputError("tokens and top_k must be at least 1")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError("temperature must be at least 0, and top_p above 0 and at most 1")

    def draw(self, logits: Array, rng: np.random.Generator) -> int:
        """A token id from logits (vocabulary,)."""
        if self.temperature == 0:
            return int(logits.argmax())
        likeliest = np.argsort(-logits, kind="stable")[: self.top_k]
        scaled = (logits[likeliest] - logits[likeliest[0]]).astype(np.float64) / self.temperature
        share = np.exp(scaled)
        share /= share.sum()
        keep = int(np.searchsorted(np.cumsum(share), self.top_p)) + 1
        share = share[:keep] / share[:keep].sum()
        return int(rng.choice(likeliest[:keep], p=share))


class Chat:
    """A conversation, or a text that goes on. A model without a chat template continues what it is given."""

    def __init__(self, engine: Engine, sampling: Sampling) -> None:
        self.engine, self.sampling = engine, sampling
        self.rng = np.random.default_rng(sampling.seed)
        self.template = engine.template()
        self.turns: list[dict[str, str]] = []

    def say(self, message: str) -> Iterator[str]:
        """Yields the answer as it is made; characters of several bytes come whole.

        InputError where prompt and answer do not fit the context.
        """
        self.turns.append({"role": "user", "content": message})
        tokens = self.engine.tokenize(self._prompt(message), special=True)
        room = self.engine.context - len(tokens)
        if room < 1:
            raise InputError(f"the prompt takes {len(tokens)} of {self.engine.context} tokens of context; "
                             f"ask for more with --context")
        self.engine.clear()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        logits = self.engine.logits(tokens, every=False)[-1]
        answer = []
        for left in range(min(room, self.sampling.tokens), 0, -1):
            token = self.sampling.draw(logits, self.rng)
            if self.engine.ends(token):
                break
            piece = decoder.decode(self.engine.piece(token))
            if piece:
                answer.append(piece)
                yield piece
            if left > 1:
                logits = self.engine.logits([token], every=False)[-1]
        rest = decoder.decode(b"", final=True)
        if rest:
            yield rest
        self.turns.append({"role": "assistant", "content": "".join((*answer, rest))})

    def _prompt(self, message: str) -> str:
        if self.template is None:
            return message
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # llama-cpp-python brings it; the template is data

        try:
            made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(self.template)
            return made.render(messages=self.turns, add_generation_prompt=True, bos_token="", eos_token="")
        except TemplateError as error:
            raise InputError(f"{self.engine.path}: its chat template does not work ({error})") from None
