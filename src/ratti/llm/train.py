"""Trains a small Llama- or Phi-3-shaped model on a text, with a tokenizer of its own: seeded, resumable.

What comes out is a Hugging Face folder that `convert` reads. A teacher (Hinton et al. 2015) and 4-bit rounding in the
loop (`rounding.py`) are options.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..train import state as checkpoints
from ..train import weights
from ..train.loop import threads
from ..train.progress import bar
from ..train.state import Epoch, State
from ..types import Array
from . import architectures, text, tokenizer
from . import model as models
from .folder import SINGLE, open_folder
from .rounding import q4_0
from .shape import Rope, Shape

CHECKPOINT = "checkpoint.safetensors"
TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json")
BEGIN = 1  # the id of <s> in tokenizers trained here
LEAST, MOST = 1_000_000, 30_000_000
SUPER_BLOCK = 256  # weights in a block of the K-quants
EVALUATED_WINDOWS = 64


@dataclass(frozen=True)
class LanguageConfig:
    """What to train and how. An epoch is `steps_per_epoch` steps; the learning rate is a cosine after a warm-up."""

    architecture: str = "llama"
    vocabulary: int = 2048
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 768
    context: int = 256
    tied: bool = False
    epochs: int = 10
    steps_per_epoch: int = 50
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup_share: float = 0.05
    quantization_aware: bool = False  # round to Q4_0 in the forward pass
    distillation: float = 0.8  # share of the teacher's loss, where there is a teacher
    temperature: float = 1.0  # of the teacher's and the student's distributions; 2 slowed small students down
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("hidden", "feed_forward"):
            if getattr(self, name) % SUPER_BLOCK:
                raise InputError(f"{name} is {getattr(self, name)}: rows must be a multiple of {SUPER_BLOCK} weights, "
                                 f"or llama.cpp's K-quants fall back to larger types")
        for name in ("epochs", "steps_per_epoch", "batch", "threads", "heads", "kv_heads", "layers", "vocabulary"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise InputError(f"{self.heads} heads must divide {self.hidden} evenly, and {self.kv_heads} key-value "
                             f"heads must divide the heads")
        if self.context < 16:
            raise InputError(f"a context of {self.context} is too short: at least 16")
        if not self.learning_rate > 0 or not 0 <= self.distillation <= 1 or not self.temperature > 0:
            raise InputError("learning_rate and temperature must be above 0, distillation from 0 to 1")
        count = architectures.load(self.architecture).parameters(self.shape)
        if not LEAST <= count <= MOST:
            raise InputError(f"these sizes make {count / 1e6:.1f} M parameters; `train` makes models of "
                             f"{LEAST // 1_000_000} to {MOST // 1_000_000} M")

    @property
    def shape(self) -> Shape:
        return Shape(self.architecture, self.vocabulary, self.hidden, self.layers, self.heads, self.kv_heads,
                     self.hidden // self.heads, self.feed_forward, self.context,
                     Rope(original_context=self.context if self.architecture == "phi3" else None), tied=self.tied)

    def rate(self, step: int) -> float:
        """Learning rate of `step` (from 0)."""
        total = self.epochs * self.steps_per_epoch
        warmup = max(1, round(self.warmup_share * total))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, total - warmup))))


@dataclass(frozen=True)
class LanguageResult:
    """A model trained here."""

    folder: Path
    parameters: int
    validation_perplexity: float
    train_tokens: int
    cost: tokenizer.Cost  # of the training text in this tokenizer
    epochs: int
    best_epoch: int
    seconds: float

    def to_json(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "folder": str(self.folder), "schema": "ratti.llm.train/1"}


def train(path: Path, config: LanguageConfig, out: Path, *, teacher: Path | None = None, initial: Path | None = None,
          progress: bool = True, on_epoch: Callable[[Epoch], None] | None = None) -> LanguageResult:
    """Trains on the text at `path`; the folder `out` holds the model at the end, and goes on where it was interrupted.

    Args:
        teacher: a folder of a larger model; its tokenizer is used.
        initial: a folder of the same shape to start from; its tokenizer is used.

    Raises:
        InputError: sizes that do not go together, or `out` holds the checkpoint of another run.
        DataError: a text that cannot be read or is too short.
    """
    content = text.read(path)
    given = [f for f in (teacher, initial) if f is not None]
    sources = [open_folder(f) for f in given]
    out.mkdir(parents=True, exist_ok=True)
    if sources:
        for name in TOKENIZER_FILES:
            if not (given[0] / name).is_file():
                raise InputError(f"{given[0]}: has no {name}; a student needs its teacher's tokenizer")
            shutil.copyfile(given[0] / name, out / name)
        config = dataclasses.replace(config, vocabulary=sources[0].shape.vocabulary)
    elif not (out / "tokenizer.model").is_file():
        try:
            tokenizer.train(content, config.vocabulary, out)
        except InputError:
            if not any(out.iterdir()):
                out.rmdir()
            raise
    shape = config.shape
    if initial is not None and sources[-1].shape != shape:
        raise InputError(f"{initial}: its shape is not the one asked for; give the same sizes, or leave it out")
    processor = tokenizer.load((out / "tokenizer.model").read_bytes())
    parts = [np.array(processor.encode(part), np.int64) for part in text.split(content)]
    if len(parts[0]) < 2 * config.context or len(parts[1]) < text.LEAST_TOKENS:
        raise InputError(f"{path}: {len(parts[0])} tokens to train on are too few for a context of {config.context}")
    identity = {"text": _digest(content.encode()), "settings": _digest(json.dumps(dataclasses.asdict(config)).encode()),
                "tokenizer": _digest((out / "tokenizer.model").read_bytes()), "start": str(initial or teacher or "")}
    (out / "config.json").write_text(
        json.dumps(architectures.load(config.architecture).config(shape), indent=2), encoding="utf-8")
    with threads(config.threads):
        state = _start(models.load(sources[-1]) if initial is not None else models.create(shape, config.seed), config)
        teach = models.load(sources[0]) if teacher is not None else None
        checkpoint = out / CHECKPOINT
        if checkpoint.exists():
            checkpoints.restore(state, checkpoint, identity)
        with bar(config.epochs, len(state.history), progress) as advance:
            while len(state.history) < config.epochs:
                epoch = _epoch(state, config, parts, teach)
                checkpoints.save(state, checkpoint, identity)
                advance(epoch, state.best_epoch)
                if on_epoch is not None:
                    on_epoch(epoch)
        state.model.load_state_dict(state.best)
    weights.write(out / SINGLE, dict(state.model.state_dict().items()), {"format": "pt"})
    best = state.history[state.best_epoch - 1]
    return LanguageResult(out, architectures.load(config.architecture).parameters(shape), float(np.exp(best.val_loss)),
                          len(parts[0]), tokenizer.cost(processor, content), len(state.history), state.best_epoch,
                          state.seconds)


def perplexity(model: nn.Module, tokens: Array, characters: int, context: int, begin: int = BEGIN) -> text.Score:
    """The score of a PyTorch model by the protocol of `text.py`."""

    def logits_of(window: Array) -> Array:
        with torch.inference_mode():
            found: Array = model(torch.from_numpy(window)[None])[0].numpy()
        return found

    return text.score(tokens, characters, context, begin, logits_of)


def _start(model: models.Model, config: LanguageConfig) -> State:
    if config.quantization_aware:
        for module in model.model.modules():
            if isinstance(module, models.Linear):
                module.rounding = q4_0
        model.embedding_rounding = None if config.tied else q4_0
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95), fused=True)
    return State(model, optimizer, None, {k: v.clone() for k, v in model.state_dict().items()})


def _epoch(state: State, config: LanguageConfig, parts: list[Array], teacher: nn.Module | None) -> Epoch:
    started = time.monotonic()
    number = len(state.history) + 1
    rng = np.random.default_rng([config.seed, number])
    total = 0.0
    state.model.train()
    for i in range(config.steps_per_epoch):
        for group in state.optimizer.param_groups:
            group["lr"] = config.rate((number - 1) * config.steps_per_epoch + i)
        starts = rng.integers(0, len(parts[0]) - config.context, config.batch)
        samples = [np.concatenate(([BEGIN], parts[0][s : s + config.context])) for s in starts]
        batch = torch.from_numpy(np.stack(samples))
        inputs, targets = batch[:, :-1], batch[:, 1:]
        loss, own = _loss(state.model, inputs, targets, teacher, config)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        state.optimizer.step()
        total += float(own)
    if not np.isfinite(total):
        raise InputError(f"training diverged in epoch {number} (the loss is not finite): lower the learning rate")
    state.model.eval()
    val_loss, accuracy = _validate(state.model, parts[1], config)
    epoch = Epoch(number, total / config.steps_per_epoch, val_loss, accuracy, accuracy, time.monotonic() - started)
    if not state.history or val_loss < min(e.val_loss for e in state.history):
        state.best, state.best_epoch = {k: v.clone() for k, v in state.model.state_dict().items()}, number
    state.history.append(epoch)
    return epoch


def _loss(model: nn.Module, inputs: Tensor, targets: Tensor, teacher: nn.Module | None,
          config: LanguageConfig) -> tuple[Tensor, Tensor]:
    """(what is minimized, the model's own cross-entropy)."""
    logits = model(inputs)
    own = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    if teacher is None:
        return own, own.detach()
    with torch.inference_mode():
        wanted = teacher(inputs)
    t = config.temperature
    said, hoped = ((x / t).log_softmax(-1).flatten(0, 1) for x in (logits, wanted.clone()))
    theirs = functional.kl_div(said, hoped, log_target=True, reduction="batchmean") * t * t
    return (1 - config.distillation) * own + config.distillation * theirs, own.detach()


def _validate(model: nn.Module, tokens: Array, config: LanguageConfig) -> tuple[float, float]:
    """(mean loss, share of next tokens guessed) over the first windows of the validation part."""
    loss, right, count = 0.0, 0, 0
    with torch.inference_mode():
        for index, window in enumerate(text.windows(tokens, config.context, BEGIN)):
            if index == EVALUATED_WINDOWS:
                break
            logits = model(torch.from_numpy(window[:-1])[None])[0]
            target = torch.from_numpy(window[1:])
            loss += float(functional.cross_entropy(logits, target, reduction="sum"))
            right += int((logits.argmax(-1) == target).sum())
            count += len(target)
    return loss / count, right / count


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
