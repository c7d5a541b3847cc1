"""The state of a run between two epochs, and its checkpoint: one safetensors file, replaced as a whole."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import FormatError, InputError
from . import weights

SCHEMA = "ratti.checkpoint/1"


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean training loss, validation loss and scores."""

    number: int  # from 1
    train_loss: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float
    seconds: float


@dataclass
class State:
    """Everything that the next epoch depends on. Data order and augmentation follow from (seed, epoch) alone."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] | None  # of the weights, where asked for
    best: dict[str, Tensor]
    best_epoch: int = 0
    history: list[Epoch] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(e.seconds for e in self.history)

    def selected(self) -> dict[str, Tensor]:
        """The weights that validation looks at: the average, where there is one."""
        return self.average if self.average is not None else self.model.state_dict()


def save(state: State, path: Path, identity: dict[str, str]) -> None:
    """Writes `state`; `identity` says which run it belongs to (net, data, settings)."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in state.best.items()}
    tensors |= {f"average.{k}": v for k, v in (state.average or {}).items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in slots.items() if isinstance(v, Tensor)}
    metadata = {
        "schema": SCHEMA,
        "identity": json.dumps(identity),
        "best_epoch": str(state.best_epoch),
        "history": json.dumps([dataclasses.asdict(e) for e in state.history]),
    }
    weights.write(path, tensors, metadata)


def restore(state: State, path: Path, identity: dict[str, str]) -> None:
    """Puts the checkpoint at `path` into `state`.

    Raises:
        FormatError: no checkpoint, or a damaged one.
        InputError: the checkpoint of another run.
    """
    tensors, metadata = weights.read(path)
    if metadata.get("schema") != SCHEMA:
        raise FormatError(f"{path}: not a checkpoint of this version; delete it to train from the start")
    try:
        saved = json.loads(metadata["identity"])
        differs = sorted(k for k in identity if saved.get(k) != identity[k])
        if differs:
            raise InputError(f"{path}: the checkpoint of another run (other {' and '.join(differs)}); "
                             f"take another folder, or delete it to train from the start")
        state.model.load_state_dict(_under(tensors, "model"))
        state.best = _under(tensors, "best")
        state.average = _under(tensors, "average") or None
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, "optimizer").items():
            index, key = name.split(".", 1)
            slots.setdefault(int(index), {})[key] = tensor
        state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": slots})
        state.best_epoch = int(metadata["best_epoch"])
        state.history = [Epoch(**e) for e in json.loads(metadata["history"])]
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise FormatError(f"{path}: a damaged checkpoint ({error}); delete it to train from the start") from None


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix + "."): v for k, v in tensors.items() if k.startswith(prefix + ".")}
