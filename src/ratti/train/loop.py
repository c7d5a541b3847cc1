"""The training loop: seeded, resumable, with the best epoch by validation. It never opens the test part."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from ..data import Augment, Dataset, Part, Score, epoch_order, goals
from ..errors import InputError
from ..nets import NetSpec, build, to_yaml
from ..types import Array
from . import selection
from . import state as checkpoints
from .config import Optimizer, TrainConfig
from .goals import LOSSES, CrossEntropy, Goal
from .progress import bar
from .state import Epoch, State

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained net: the weights of its best epoch by validation, in eval mode."""

    spec: NetSpec
    model: nn.Module
    config: TrainConfig
    history: tuple[Epoch, ...]
    best_epoch: int
    val: Score
    seconds: float  # of training, over all sittings

    @property
    def stopped_early(self) -> bool:
        return len(self.history) < self.config.epochs


def train(spec: NetSpec, dataset: Dataset, config: TrainConfig | None = None, *, run_dir: Path | None = None,
          initial: nn.Module | None = None, goal: Goal | None = None, progress: bool = True,
          on_epoch: Callable[[Epoch], None] | None = None) -> Trained:
    """Trains the net of `spec` on the train part of `dataset` and keeps the best epoch on its validation part (the last
    epoch, where that part was learned from: `Dataset.joined`).

    Args:
        run_dir: where the checkpoint lives; an interrupted run goes on from there, a finished one returns at once.
        initial: weights to start from (a module of the same spec); None: random ones from the seed.
        goal: what is made small; None: the cross entropy that `config` describes.
        progress: a bar with the time left on stderr.
        on_epoch: called after each epoch.

    Raises:
        InputError: the net does not take the data, or `run_dir` holds the checkpoint of another run.
        FormatError: a damaged checkpoint.
    """
    config = config or TrainConfig()
    _check(spec, dataset)
    model = build(spec, config.seed)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as NHWC samples are: a fifth faster
    if initial is not None:
        model.load_state_dict(initial.state_dict())
    fitted = fit(model, dataset, config, identity={"net": _digest(to_yaml(spec))}, run_dir=run_dir, goal=goal,
                 progress=progress, on_epoch=on_epoch)
    return Trained(spec, model, config, fitted.history, fitted.best_epoch, fitted.val, fitted.seconds)


@dataclass(frozen=True)
class Fitted:
    """What `fit` did; the model holds the weights of the best epoch."""

    history: tuple[Epoch, ...]
    best_epoch: int
    val: Score
    seconds: float


def fit(model: nn.Module, dataset: Dataset, config: TrainConfig, *, identity: dict[str, str],
        run_dir: Path | None = None, goal: Goal | None = None, progress: bool = True,
        on_epoch: Callable[[Epoch], None] | None = None) -> Fitted:
    """Trains any module in place, an exported program with fake quantization too, and leaves its best weights in it.

    `identity` says which model this is: a checkpoint of another one is refused. The rest as `train`.
    """
    goal = goal or _goal(dataset, config)
    identity = {**identity, "data": dataset.digest(), "settings": _digest(config.to_json()), "goal": goal.identity}
    path = run_dir / CHECKPOINT if run_dir is not None else None
    with threads(config.threads):
        state = _start(model, config)
        if path is not None and path.exists():
            checkpoints.restore(state, path, identity)
        with bar(config.epochs, len(state.history), progress) as advance:
            while len(state.history) < config.epochs and not _patience_is_over(state, config):
                epoch = _epoch(state, dataset, config, goal)
                if path is not None:
                    checkpoints.save(state, path, identity)
                advance(epoch, state.best_epoch)
                if on_epoch is not None:
                    on_epoch(epoch)
        state.model.load_state_dict(state.best)
        set_mode(state.model, training=False)
        val = evaluate(state.model, dataset, dataset.val)
    return Fitted(tuple(state.history), state.best_epoch, val, state.seconds)


def set_mode(model: nn.Module, training: bool) -> None:
    """Training or evaluation; in an exported program only the observers of ranges change: they learn or stand still."""
    if not isinstance(model, GraphModule):
        model.train(training)
        return
    for module in model.modules():
        observe = getattr(module, "enable_observer", None)  # of torchao's fake quantization
        if callable(observe):
            observe(training)


def predict(model: nn.Module, dataset: Dataset, part: Part, batch_size: int = 256) -> Array:
    """Logits (N, classes) float32 of the samples of `part`.

    `model` is in eval mode, or a quantized program (`ratti.compress`).
    """
    with torch.inference_mode():
        batches = [model(*tensors(dataset, batch)).numpy() for batch in part.batches(batch_size)]
    return np.concatenate(batches)


def evaluate(model: nn.Module, dataset: Dataset, part: Part) -> Score:
    """Score of `model` on a part of `dataset`."""
    return dataset.score(predict(model, dataset, part), part)


def tensors(dataset: Dataset, part: Part) -> tuple[Tensor, ...]:
    """What a net takes for the samples of `part`, real values: (N, C, H, W), and (N, numbers) where there are any."""
    x, *numbers = (torch.from_numpy(a) for a in dataset.real(part))
    return x.permute(0, 3, 1, 2), *numbers


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """At most `count` threads inside torch, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(count, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(spec: NetSpec, dataset: Dataset) -> None:
    if spec.input_shape != dataset.input_shape:
        raise InputError(f"{spec.name} takes inputs of {spec.input_shape}, {dataset.name} has {dataset.input_shape}")
    if spec.numbers != dataset.numbers:
        raise InputError(f"{spec.name} takes {spec.numbers} numbers beside its input, {dataset.name} has "
                         f"{dataset.numbers}")
    if spec.classes != dataset.outputs:
        made = goals.load(dataset.goal).NETS
        hint = f"; families made for it: {', '.join(made)}" if made else ""
        raise InputError(f"{spec.name} has {spec.classes} outputs, {dataset.name} needs {dataset.outputs} to "
                         f"{dataset.goal}{hint}")


def _goal(dataset: Dataset, config: TrainConfig) -> Goal:
    """The loss that the data are made for."""
    if dataset.goal != "classify":
        return LOSSES[dataset.goal]
    weights = _class_weights(dataset.train, dataset.classes) if config.class_weights else None
    return CrossEntropy(config.label_smoothing, weights)


def _start(model: nn.Module, config: TrainConfig) -> State:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if config.optimizer is Optimizer.ADAMW:
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    else:
        optimizer = torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
    average = _copy(model.state_dict()) if config.ema_decay is not None else None
    return State(model, optimizer, average, _copy(model.state_dict()))


def _epoch(state: State, dataset: Dataset, config: TrainConfig, goal: Goal) -> Epoch:
    """One pass over the train part, then validation; updates `state`."""
    started = time.monotonic()
    number = len(state.history) + 1
    rng = np.random.default_rng([config.seed, number])
    augment = config.augment or Augment.light(dataset)
    batches = _batches(epoch_order(dataset.train.y, rng, config.balanced_sampling), config.batch_size)
    total = 0.0
    set_mode(state.model, training=True)
    for i, index in enumerate(batches):
        step = (number - 1) * len(batches) + i
        for group in state.optimizer.param_groups:
            group["lr"] = config.rate(step, config.epochs * len(batches))
        samples = dataset.train.take(index)
        inputs = tensors(dataset, augment.part(dataset, samples, rng))
        loss = goal(state.model, inputs, torch.tensor(dataset.targets(samples)), index)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        total += float(loss.detach()) * len(index)
        _update_average(state, config, step)
    if not np.isfinite(total):
        raise InputError(f"training diverged in epoch {number} (the loss is not finite): lower the learning rate")
    val_loss, found = _validate(state, dataset, config)
    epoch = Epoch(number, total / len(dataset.train), val_loss, found.accuracy, found.balanced_accuracy,
                  time.monotonic() - started)
    count = selection.weight(dataset.val.y) if config.balanced else len(dataset.val)
    if dataset.val_learned or selection.improves(epoch, state.history, state.best_epoch, config.balanced, count):
        state.best, state.best_epoch = _copy(state.selected()), number
    state.history.append(epoch)
    return epoch


def _validate(state: State, dataset: Dataset, config: TrainConfig) -> tuple[float, Score]:
    trained = _copy(state.model.state_dict()) if state.average is not None else None
    if state.average is not None:
        state.model.load_state_dict(state.average)
    set_mode(state.model, training=False)
    logits = predict(state.model, dataset, dataset.val)
    if trained is not None:
        state.model.load_state_dict(trained)
    kept = np.flatnonzero(goals.load(dataset.goal).learned(dataset.val))  # of anomalies no loss is wanted
    wanted = torch.tensor(dataset.targets(dataset.val.take(kept)))
    measure = LOSSES[dataset.goal]
    if config.balanced and dataset.goal == "classify":  # the loss, too, of classes that count alike
        measure = CrossEntropy(weights=_class_weights(dataset.val, dataset.classes))
    loss = measure.of(torch.from_numpy(logits[kept]), wanted) if len(kept) else torch.zeros(())
    return float(loss), dataset.score(logits, dataset.val)


def _batches(order: Array, size: int) -> list[Array]:
    """Samples in an order, in batches; a last batch below half the size joins its neighbor (batch norm)."""
    count = max(1, round(len(order) / size))
    return list(np.array_split(order, count))


def _class_weights(part: Part, classes: int) -> Tensor:
    """The inverse of each class's share; of a class without samples 0."""
    counts = np.bincount(part.y, minlength=classes)
    weights = counts.sum() / (classes * np.maximum(counts, 1)) * (counts > 0)
    return torch.from_numpy(weights.astype(np.float32))


def _update_average(state: State, config: TrainConfig, step: int) -> None:
    if state.average is None or config.ema_decay is None:
        return
    decay = min(config.ema_decay, (1 + step) / (10 + step))  # follows the weights closely at first
    for name, value in state.model.state_dict().items():
        if value.dtype.is_floating_point:
            state.average[name].lerp_(value, 1 - decay)
        else:
            state.average[name].copy_(value)


def _patience_is_over(state: State, config: TrainConfig) -> bool:
    return config.patience_epochs is not None and len(state.history) - state.best_epoch >= config.patience_epochs


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
