"""Weight pruning by magnitude: the smallest weights become 0, more of them from round to round.

Each layer gives the share that costs it least (LAMP: Lee et al. 2021, equation 2). The share of zeros of all follows
the cubic schedule of Zhu and Gupta (2018, section 3); between two rounds the net learns on with the zeros held.
Depthwise and first layers stay dense (the same, section 4.2): they are small, and lose most.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Dataset, Score
from ..errors import InputError
from ..train import Goal, TrainConfig, digest, fit
from ..types import Array

ROUNDS = 5
GAP_MAX = 15  # zeros that four bits can skip


@dataclass(frozen=True, eq=False)
class Sparse:
    """A net with zeros in it, in eval mode, and its validation score."""

    model: nn.Module
    share: float  # of zeros among the weights of all convolutions and fully connected layers
    val: Score


def sparsify(model: nn.Module, dataset: Dataset, share: float, config: TrainConfig, *, rounds: int = ROUNDS,
             run_dir: Path | None = None, goal: Goal | None = None, progress: bool = True) -> Sparse:
    """A copy of `model` with `share` of the weights of the layers that are pruned at 0; the module stays as it is.

    Args:
        model: a trained module of `nets.build`.
        config: its epochs are all that is trained: half of them between the rounds, half after the last.
        run_dir: an interrupted run goes on there.

    Raises:
        InputError: a share that is none; fewer epochs than twice the rounds; a net without a layer to prune.
    """
    if not 0 < share < 1:
        raise InputError(f"the share of zeros is {share}; it must be between 0 and 1")
    if rounds < 1 or config.epochs < 2 * rounds:
        raise InputError(f"{rounds} rounds of pruning take at least {2 * rounds} epochs, not {config.epochs}")
    thinned = copy.deepcopy(model)
    layers = prunable(thinned)
    if not layers:
        raise InputError("this net has no layer to prune: all of its weights are in its first and depthwise layers")
    between = config.epochs // (2 * rounds)
    net, val = digest(model.state_dict()), None
    for k in range(1, rounds + 1):
        now = share * (1 - (1 - k / rounds) ** 3)
        _drop([layer.weight for layer in layers], now)
        hooks = hold_zeros([layer.weight for layer in layers])
        last = k == rounds
        epochs = config.epochs - between * (rounds - 1) if last else between
        fitted = fit(thinned, dataset, dataclasses.replace(config, epochs=epochs),
                     identity={"net": net, "pruning": f"round {k} of {rounds} to {share}"}, goal=goal,
                     progress=progress, run_dir=None if run_dir is None else run_dir / f"round-{k}")
        for hook in hooks:
            hook.remove()
        val = fitted.val
    assert val is not None
    return Sparse(thinned.eval(), zeros(thinned), val)


def prunable(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """The layers that are pruned: all but the first and the depthwise ones."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [m for m in layers[1:] if isinstance(m, nn.Linear) or m.groups < m.out_channels]


def hold_zeros(weights: Iterable[Tensor]) -> list[torch.utils.hooks.RemovableHandle]:
    """Keeps weights that are 0 at 0 while an optimizer that starts now works on them; until the handles are removed.

    A gradient of 0 from the first step on leaves momenta at 0, and decay of 0 is 0.
    """
    return [w.register_hook(functools.partial(torch.mul, w.detach() != 0))  # type: ignore[no-untyped-call]
            for w in weights]


def zeros(model: nn.Module) -> float:
    """The share of zeros among the weights of convolutions and fully connected layers."""
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def _drop(weights: list[Tensor], share: float) -> None:
    """Sets the `share` of all weights with the lowest scores to 0; a layer keeps one weight at least."""
    scores = [_scores(w.detach()) for w in weights]
    count = round(share * sum(len(s) for s in scores))
    threshold = torch.cat(scores).kthvalue(count).values if count else torch.tensor(-1.0)
    with torch.no_grad():
        for w, score in zip(weights, scores, strict=True):
            w.view(-1)[score <= threshold] = 0.0


def _scores(weight: Tensor) -> Tensor:
    """The square of each weight over the sum of those of its layer that are not smaller; the largest scores 1."""
    squares, order = weight.double().square().flatten().sort()
    left = squares.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(squares)
    scores[order] = squares / left.clamp_min(torch.finfo(torch.float64).tiny)
    return scores


@dataclass(frozen=True)
class Storage:
    """Bytes of int8 weights in flash: as they are; a bit for each and the others' bytes; gaps of four bits.

    Without the code that reads them. The kernel `conv_sparse` stores gaps, by pairs, where that is smaller than dense.
    """

    dense: int
    bitmap: int
    gaps: int

    @property
    def saved(self) -> int:
        """Bytes that the better scheme saves; 0 where it saves none."""
        return max(0, self.dense - min(self.bitmap, self.gaps))


def storage(weights: Iterable[Array]) -> Storage:
    """Of arrays (O, ...) int8, each output channel starting on a byte.

    Gaps: four bits for the zeros before each weight that is stored, a stored 0 where more than 15 follow each other
    (Han, Mao and Dally 2016, section 2).
    """
    dense = bitmap = gaps = 0
    for array in weights:
        for row in np.asarray(array).reshape(len(array), -1):
            places = np.flatnonzero(row)
            runs = np.diff(places, prepend=-1) - 1
            stored = len(places) + int((runs // (GAP_MAX + 1)).sum())
            dense += row.size
            bitmap += -(-row.size // 8) + len(places)
            gaps += stored + -(-stored // 2)
    return Storage(dense, bitmap, gaps)
