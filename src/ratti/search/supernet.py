"""One set of weights for all nets of a space: those of its largest net, of which every other takes a slice.

Cai et al. 2020, "Once-for-All: Train One Network and Specialize it for Efficient Deployment": fewer channels are the
first ones, a smaller kernel is the middle of the larger, a shallower stage its first blocks (section 3.3; without the
matrices that the paper puts between kernels). Training by the sandwich rule of Yu et al. 2020, "BigNAS": the largest,
the smallest and random nets in each step, the others taught by the largest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..data import Augment, Dataset, score
from ..nets import NetSpec, build
from ..train import tensors, threads
from ..train.weights import read, write
from .spaces import Choice, Space

BATCH = 32
LEARNING_RATE = 2e-3
RANDOM_NETS = 1  # in a step, beside the largest and the smallest
CALIBRATION = 8  # batches, to find the batch norm's statistics of a slice


class Supernet:
    """The shared weights of `space`."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        self.space = space
        self.model = build(space.spec(space.largest()), seed)
        self.rounds = 0  # passes over the data, so far
        self.seconds = 0.0

    def slice(self, choice: Choice) -> tuple[nn.Module, dict[str, Tensor]]:
        """The net's module without weights, and its weights as views of the shared ones."""
        shell = _shell(self.space.spec(choice))
        places = self.space.places(choice)
        shared = self.model.state_dict(keep_vars=True)
        return shell, {name: cut(shared[moved(name, places)], tuple(t.shape)) for name, t in
                       shell.state_dict(keep_vars=True).items()}

    def __call__(self, choice: Choice, *inputs: Tensor) -> Tensor:
        """Logits of the net on (N, C, H, W), and (N, numbers)."""
        shell, weights = self.slice(choice)
        shell.train(self.model.training)
        out: Tensor = functional_call(shell, weights, inputs)
        return out

    def train(self, dataset: Dataset, rounds: int, seconds: float, seed: int, path: Path) -> None:
        """Trains until `rounds` passes are done or `seconds` are over (of all sittings); `path` is the checkpoint."""
        self.restore(path)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        augment = Augment.light(dataset)
        with threads(1):
            while self.rounds < rounds and self.seconds < seconds:
                start = time.monotonic()
                rng = np.random.default_rng([seed, self.rounds])
                self.model.train()
                for batch, x in _batches(dataset, rng, augment):
                    done = max(self.rounds / rounds, min(self.seconds / seconds, 1.0))
                    for group in optimizer.param_groups:  # a cosine over the rounds or the time, whichever ends first
                        group["lr"] = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * min(done, 0.99)))
                    optimizer.zero_grad(set_to_none=True)
                    self._sandwich(x, torch.tensor(batch.y), rng)
                    optimizer.step()
                    if self.seconds + time.monotonic() - start > seconds:
                        break
                self.rounds += 1
                self.seconds += time.monotonic() - start
                self.save(path)
        self.model.eval()

    def _sandwich(self, x: tuple[Tensor, ...], y: Tensor, rng: np.random.Generator) -> None:
        """Gradients of one step."""
        logits = self(self.space.largest(), *x)
        loss = nn.functional.cross_entropy(logits, y, label_smoothing=0.05)
        loss.backward()  # type: ignore[no-untyped-call]
        teacher = logits.detach().softmax(1)
        others = [self.space.smallest(), *(self.space.sample(rng) for _ in range(RANDOM_NETS))]
        for choice in others:
            nn.functional.cross_entropy(self(choice, *x), teacher).backward()  # type: ignore[no-untyped-call]

    def accuracy(self, choice: Choice, dataset: Dataset) -> float:
        """Accuracy of a slice on the validation part, with batch norm statistics of its own from the train part."""
        with threads(1):
            net = self.extracted(choice, dataset)
            with torch.inference_mode():
                logits = [net(*tensors(dataset, batch)).numpy() for batch in dataset.val.batches(256)]
        return score(np.concatenate(logits), dataset.val.y).accuracy

    def extracted(self, choice: Choice, dataset: Dataset) -> nn.Module:
        """A slice as a net of its own, in eval mode."""
        net = build(self.space.spec(choice), 0)
        _, weights = self.slice(choice)
        net.load_state_dict({k: v.detach().clone() for k, v in weights.items()})
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # type: ignore[assignment]  # the mean over all batches
        net.train()
        rng = np.random.default_rng(0)
        with torch.no_grad():
            for k, (_, x) in enumerate(_batches(dataset, rng, lambda x, rng: x)):
                net(*x)
                if k + 1 == CALIBRATION:
                    break
        for norm in norms:
            norm.momentum = 0.1
        return net.eval()

    def save(self, path: Path) -> None:
        write(path, self.model.state_dict(), {"rounds": str(self.rounds), "seconds": str(self.seconds)})

    def restore(self, path: Path) -> None:
        """Takes up the checkpoint, where there is one."""
        if path.exists():
            weights, metadata = read(path)
            self.model.load_state_dict(weights)
            self.rounds, self.seconds = int(metadata["rounds"]), float(metadata["seconds"])


_kept: dict[tuple[Path, int], Supernet] = {}  # the shared weights that this process read last


def loaded(space: Space, path: Path) -> Supernet:
    """The shared weights of `space` in the file `path`; read once in a process."""
    key = path, path.stat().st_mtime_ns
    if key not in _kept:
        net = Supernet(space)
        net.restore(path)
        _kept.clear()
        _kept[key] = net
    return _kept[key]


def _batches(dataset: Dataset, rng: np.random.Generator,
             augment: Callable[..., Any]) -> Iterator[tuple[Any, tuple[Tensor, ...]]]:
    order = rng.permutation(len(dataset.train))
    for index in np.array_split(order, max(1, round(len(order) / BATCH))):
        batch = dataset.train.take(index)
        yield batch, tensors(dataset, replace(batch, x=augment(batch.x, rng)))


@lru_cache(maxsize=256)
def _shell(spec: NetSpec) -> nn.Module:
    with torch.device("meta"):
        return build(spec)


def moved(name: str, places: Sequence[int]) -> str:
    """The name of a tensor in the largest net: `b<block from 1>.…`, its block moved to its place."""
    block, rest = name.split(".", 1)
    return f"b{places[int(block[1:]) - 1] + 1:02d}.{rest}"


def cut(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The first channels, and the middle of a kernel."""
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            start = (tensor.shape[axis] - size) // 2 if axis >= 2 else 0
            tensor = tensor.narrow(axis, start, size)
    return tensor
