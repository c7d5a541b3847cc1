"""Structured pruning: whole channels leave, and a physically smaller net remains, which is a `NetSpec` again.

What belongs together is followed channel by channel through additions, concatenations, groups and shuffles
(`nets.units`; after DepGraph, Fang et al. 2023). Importance of a unit: the norm of the filters that make it (Li et al.
2017), or how much the loss would change without it, to first order (Molchanov et al. 2019). Divided by what the unit
costs on the device, it becomes loss per cycle saved. That says nothing of what a layer's channels are worth together:
among 512 that resemble each other none is missed, yet four cannot stand for them. So each family keeps a part.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Dataset
from ..errors import InputError
from ..nets import NetSpec, Units, build, units, without
from ..train import LOSSES, tensors
from ..types import Array

Cost = Callable[[NetSpec], float]  # of one inference, in any unit: emulated instructions, for instance
PROBE = 0.25  # share of a family that is taken away to see what it costs
FLOOR = 0.5  # of the share of the cost: what each family keeps of its channels, where that reaches the share


class Importance(enum.Enum):
    """What makes a channel worth keeping."""

    MAGNITUDE = "magnitude"
    TAYLOR = "taylor"


@dataclass(frozen=True, eq=False)
class Pruned:
    """A smaller net with the weights that stayed, in eval mode. Costs as `cost` gave them."""

    spec: NetSpec
    model: nn.Module
    cost: float
    cost_before: float


def prune(spec: NetSpec, model: nn.Module, cost: Cost, share: float, *, importance: Importance = Importance.MAGNITUDE,
          dataset: Dataset | None = None, multiple: int = 4, seed: int = 0) -> Pruned:
    """Takes channels away until a net costs at most `share` of what `spec` costs.

    Args:
        model: the trained module of `spec`.
        cost: measures a net; called once for each family of channels and a few times more.
        dataset: for `Importance.TAYLOR`, which looks at samples of the train part.
        multiple: widths stay multiples of it where they can: kernels work on four channels at a time.

    Raises:
        InputError: the share cannot be reached, or is none; Taylor without data.
    """
    if not 0 < share < 1:
        raise InputError(f"the share to keep is {share}; it must be between 0 and 1")
    found = units(spec)
    worth = _worth(importance, spec, model, found, dataset, seed)
    before = cost(spec)
    families = found.families()
    price = {names: _price(spec, members, cost, before, multiple) for names, members in families.items()}
    for floor in (FLOOR * share, 0.0):
        order = _order(families, worth, price, multiple, floor)
        if cost(without(spec, _joined(order))) <= share * before:
            break
    else:
        raise InputError(f"{spec.name}: even without all that can go it costs more than {share:g} of what it does")
    low, high = 0, len(order)  # the fewest chunks that reach the share
    while low < high:
        middle = (low + high) // 2
        if cost(without(spec, _joined(order[:middle]))) <= share * before:
            high = middle
        else:
            low = middle + 1
    removed = _joined(order[:low])
    smaller = without(spec, removed, f"{spec.name}-pruned")
    return Pruned(smaller, sliced(spec, model, removed), cost(smaller), before)


def sliced(spec: NetSpec, model: nn.Module, removed: Array) -> nn.Module:
    """The module without the units `removed`: the same function where those channels were 0."""
    found, gone = units(spec), set(removed.tolist())
    smaller = build(without(spec, removed), seed=0)
    old, new = model.state_dict(), smaller.state_dict()
    for name in new:
        layer, _, part = name.partition(".") if "." not in name else _layer_of(name)
        value = old[name]
        if value.ndim and layer in found.outputs:
            value = value[_kept(found.outputs[layer], gone)]
            if part == "weight" and value.ndim > 1:
                value = value[:, _kept(_own_inputs(found.inputs[layer], value.shape[1]), gone)]
        new[name] = value.clone()
    smaller.load_state_dict(new)
    return smaller.eval()


def _layer_of(name: str) -> tuple[str, str, str]:
    block, layer, part = name.split(".", 2)
    return f"{block}.{layer}", "", part


def _own_inputs(inputs: Array, per_group: int) -> Array:
    """The units that one row of weights reads: those of the first group; the others are tied to them."""
    return inputs[:per_group] if per_group > 1 else np.full(1, -1)  # depthwise: always its own


def _kept(channels: Array, gone: set[int]) -> Tensor:
    return torch.tensor([k for k, u in enumerate(channels.tolist()) if u not in gone])


def _joined(chunks: list[Array]) -> Array:
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int64)


def _price(spec: NetSpec, members: Array, cost: Cost, before: float, multiple: int) -> float:
    """What one unit of a family saves."""
    count = min(len(members) - 1, max(multiple, int(PROBE * len(members)) // multiple * multiple))
    if count < 1:
        return 0.0
    return max(0.0, before - cost(without(spec, members[:count]))) / count


def _order(families: Mapping[tuple[str, ...], Array], worth: Mapping[int, float],
           price: Mapping[tuple[str, ...], float], multiple: int, floor: float) -> list[Array]:
    """Chunks of units in the order in which they go.

    A family keeps at least the share `floor`, and `multiple`, or one if it is smaller.
    """
    chunks: list[tuple[float, Array]] = []
    for names, members in families.items():
        if price[names] <= 0:
            continue
        ranked = sorted(members.tolist(), key=lambda u: worth[u])
        stay = multiple * math.ceil(max(1.0, floor * len(ranked)) / multiple) if len(ranked) > multiple else 1
        first = (len(ranked) - stay) % multiple or multiple
        start = 0
        for end in range(first, len(ranked) - stay + 1, multiple):
            part = ranked[start:end]
            chunks.append((sum(worth[u] for u in part) / (price[names] * len(part)), np.array(part, np.int64)))
            start = end
    # Within a family worth rises from chunk to chunk, so no chunk goes before a lesser one.
    return [part for _, part in sorted(chunks, key=lambda c: c[0])]


def _worth(importance: Importance, spec: NetSpec, model: nn.Module, found: Units, dataset: Dataset | None,
           seed: int) -> dict[int, float]:
    per_channel = _taylor(model, found, dataset, seed) if importance is Importance.TAYLOR else _magnitude(model, found)
    worth: dict[int, float] = {}
    for name, values in per_channel.items():
        for unit, value in zip(found.outputs[name].tolist(), values.tolist(), strict=True):
            worth[unit] = worth.get(unit, 0.0) + value
    return worth


def _magnitude(model: nn.Module, found: Units) -> dict[str, Array]:
    """L2 norm of each filter with its batch normalization folded in, as a share of its layer's mean."""
    values = {}
    for name in found.outputs:
        layer = model.get_submodule(name)
        assert isinstance(layer.weight, Tensor)
        weight = layer.weight.detach()
        norm = weight.flatten(1).norm(dim=1)
        batch_norm = getattr(layer, "norm", None)
        if isinstance(batch_norm, nn.BatchNorm2d):
            assert batch_norm.running_var is not None
            spread = torch.sqrt(batch_norm.running_var + batch_norm.eps)
            norm = norm * batch_norm.weight.detach().abs() / spread
        values[name] = np.asarray((norm / norm.mean().clamp_min(1e-12)).numpy(), np.float64)
    return values


def _taylor(model: nn.Module, found: Units, dataset: Dataset | None, seed: int, batches: int = 8) -> dict[str, Array]:
    """(sum of gradient times weight) squared, summed over batches."""
    if dataset is None:
        raise InputError("the importance 'taylor' needs data: give the data set that the net was trained on")
    order = np.random.default_rng(seed).permutation(len(dataset.train))
    total = {name: np.zeros(len(channels)) for name, channels in found.outputs.items()}
    for part in list(dataset.train.take(order).batches(32))[:batches]:
        model.zero_grad()
        wanted = torch.tensor(dataset.targets(part))
        loss = LOSSES[dataset.goal].of(model(*tensors(dataset, part)), wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        for name in found.outputs:
            layer = model.get_submodule(name)
            assert isinstance(layer.weight, Tensor) and layer.weight.grad is not None
            total[name] += (layer.weight * layer.weight.grad).flatten(1).sum(1).detach().numpy() ** 2
    model.zero_grad()
    return total
