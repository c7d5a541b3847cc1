"""Nets whose parts choose between two paths at a time, with architecture parameters that learn which.

Cai et al. 2019, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", section 3. Here a path
is one set of a part's own choices, with the product of their probabilities; its outputs are padded to the part's
widest, as in Wan et al. 2020, "FBNetV2". Paths take slices of one set of weights (`supernet`), where the paper gives
each its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..nets._spec import wired
from .spaces import Choice, Space
from .spaces.base import Value
from .supernet import Supernet, cut


@dataclass(frozen=True)
class Pair:
    """Two sampled nets. Where they agree on a part, it has one path. `works` are those of each part, by net."""

    one: Choice
    other: Choice
    works: tuple[Mapping[str, float], Mapping[str, float]]


class Paths:
    """The choices of `space` that belong to single parts, as probabilities; the others must be made."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.supernet = Supernet(space, seed)
        self.largest = space.largest()
        self.parts = [p.name for p in space.parts(self.largest)]
        self.logits = {k: torch.zeros(len(v), requires_grad=True) for k, v in space.options.items() if len(v) > 1}
        self._modules: dict[tuple[object, ...], tuple[nn.Module, dict[str, str], int]] = {}

    def keys(self, part: str) -> list[str]:
        """The free choices of a part."""
        return [k for k in self.logits if k.startswith(f"{part}.")]

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A net, by the probabilities as they are."""
        found: dict[str, Value] = dict(self.largest)
        for key, logits in self.logits.items():
            p = logits.detach().softmax(0).double().numpy()
            found[key] = self.space.options[key][int(rng.choice(len(p), p=p / p.sum()))]
        return found

    def probabilities(self) -> dict[str, list[float]]:
        return {k: v.detach().softmax(0).tolist() for k, v in self.logits.items()}

    def log_probability(self, choice: Choice, part: str) -> Tensor:
        """Of a part's path."""
        terms = [self.logits[k].log_softmax(0)[self.space.options[k].index(choice[k])] for k in self.keys(part)]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def gates(self, pair: Pair, part: str) -> Tensor:
        """The probabilities of a part's two paths, among themselves (section 3.2.1)."""
        return torch.stack([self.log_probability(c, part) for c in (pair.one, pair.other)]).softmax(0)

    def expected(self, pair: Pair) -> Tensor:
        """The work of the two nets, by part and weighted by the gates (section 3.3, equation 2)."""
        total = torch.zeros(())
        for part in self.parts:
            gates = self.gates(pair, part)
            total = total + gates[0] * pair.works[0].get(part, 0.0) + gates[1] * pair.works[1].get(part, 0.0)
        return total

    def single(self, choice: Choice, *inputs: Tensor) -> Tensor:
        """Logits of one net: each part has one path that is active."""
        x = inputs[0]
        for part in self.parts:
            x = self._path(choice, part, x, inputs[1:])
        return x

    def paired(self, pair: Pair, rng: np.random.Generator, *inputs: Tensor) -> Tensor:
        """Logits where the gates of each part are drawn: one path is active, and both get their gradients."""
        x = inputs[0]
        for part in self.parts:
            if all(pair.one[k] == pair.other[k] for k in self.keys(part)):
                x = self._path(pair.one, part, x, inputs[1:])
                continue
            gates = self.gates(pair, part)
            active = torch.zeros(2)
            active[int(rng.random() >= float(gates[0].detach()))] = 1.0
            binary = active + gates - gates.detach()  # the drawn gate forward, the probabilities' gradient back
            outs = [self._path(c, part, x, inputs[1:]) for c in (pair.one, pair.other)]
            x = binary[0] * outs[0] + binary[1] * outs[1]
        return x

    def _path(self, choice: Choice, part: str, x: Tensor, numbers: tuple[Tensor, ...]) -> Tensor:
        """A part's output on a path, padded to the widest."""
        module, names, widest = self._module(choice, part)
        shared = self.supernet.model.state_dict(keep_vars=True)
        shapes = module.state_dict(keep_vars=True)
        weights = {n: cut(shared[names[n]], tuple(t.shape)) for n, t in shapes.items()}
        module.train(self.supernet.model.training)
        out: Tensor = functional_call(module, weights, (x, *numbers))
        missing = widest - out.shape[1]
        return nn.functional.pad(out, (*(0, 0) * (out.ndim - 2), 0, missing)) if missing else out

    def _module(self, choice: Choice, part: str) -> tuple[nn.Module, dict[str, str], int]:
        key = (part, *(choice[k] for k in self.keys(part)))
        if key not in self._modules:
            self._modules[key] = self._make(choice, part)
        return self._modules[key]

    def _make(self, choice: Choice, part: str) -> tuple[nn.Module, dict[str, str], int]:
        """The part's blocks as a module of their own, on the widest input, without weights."""
        from ..nets._torch import BlockModule

        mixed = {k: choice[k] if k in self.keys(part) else v for k, v in self.largest.items()}
        blocks = {p.name: p.blocks for p in self.space.parts(mixed)}[part]
        starts: dict[str, int] = {}
        at = 0
        for p in self.space.parts(self.largest):
            starts[p.name] = at
            at += len(p.blocks)
            if p.name == part:
                break
        spec = self.space.spec(self.largest)
        start, shape = starts[part], spec.shapes[starts[part]]
        modules: list[_Block] = []
        names: dict[str, str] = {}
        with torch.device("meta"):
            for k, block in enumerate(blocks):
                wires = block.wires(shape)
                modules.append(_Block(BlockModule(wires, shape, spec.numbers)))
                names |= {f"{k}.block.{n}": f"b{start + k + 1:02d}.{n}" for n in modules[-1].block.state_dict()}
                shape = wired(wires, shape, spec.numbers)[wires[-1].name]
        return _Chain(*modules), names, spec.shapes[at][-1]


class _Block(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, numbers: Tensor | None) -> Tensor:
        out: Tensor = self.block(x, numbers)
        return out


class _Chain(nn.Sequential):
    """Blocks one behind the other; each is given the numbers too."""

    def forward(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        for child in self:
            x = child(x, numbers)
        return x
