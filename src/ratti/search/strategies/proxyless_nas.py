"""ProxylessNAS: architecture parameters learned by gradient, with measured work in the loss.

Cai et al. 2019, section 3: weights learn on the train part with one path active, architecture parameters on the
validation part with two paths sampled (`paths`); the loss holds the expected work, from the table of measured layers.
The input and width are chosen as TinyNAS does. The weight of the work follows the target: it grows while the sampled
nets take more than that. Candidates are then drawn by the probabilities, those near the target first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bench import Bench, Evaluate, Start, Task
from ..budget import USES
from ..cost import Cost
from ..spaces import Choice
from ..spaces.base import Value
from . import _fill, _subspace
from .base import Strategy

NOTE = "paths"
SHARE = 0.5  # of the time that is left, for the gradient
ROUNDS = 60  # over the data, at most
WARM_UP = 0.2  # of the rounds, in which the weights learn alone
PAIRS = 2  # sampled in a round
RATE, WEIGHT_RATE = 0.05, 2e-3  # of learning: architecture, weights
BATCH = 64
DRAWN = 200  # candidates by the probabilities
MEASURED = 0.3  # of the time that is left then, to measure them
ENOUGH = 12  # of them that use their time
WEIGHTS = "paths.safetensors"


class ProxylessNas(Strategy):
    id = "proxyless_nas"
    title = "ProxylessNAS"

    def prepare(self) -> None:
        search = self.search
        self.fixed = _subspace.chosen(search)
        self.space = search.space.narrowed(**self.fixed)
        found = search.noted(NOTE)
        if found is None:
            seconds = max(search.left * SHARE, 5.0)
            search.say(f"learning the paths of {self.space.size:.3g} nets for at most {seconds:.0f} s")
            found = search.pool.map([LearnPaths(self.fixed, seconds, search.seed)])[0]
            search.note(NOTE, found)
            search.say(f"{found['rounds']} rounds; sampled nets take {found['share']:.2f} of the target at the end")
        self.learned = found
        self._waiting: list[Choice] | None = None

    def propose(self) -> Choice | None:
        if self._waiting is None:
            self._waiting = self._drawn()
        while self._waiting:
            choice = self._waiting.pop(0)
            if not self.search.tried(choice):
                return choice
        return None

    def task(self, choice: Choice, number: int) -> Task:
        return Evaluate(choice, self.search.seed, self.start(choice))

    def start(self, choice: Choice) -> Start:
        return Start(self.fixed, WEIGHTS)

    def _drawn(self) -> list[Choice]:
        """Candidates by their probability: the likeliest of those that use their time, grown where it must be, then
        others that are within the limits, near ones first. Where none is, the least net is grown.
        """
        search = self.search
        rows: list[tuple[bool, float, float, Choice]] = []
        until = search.left * (1 - MEASURED)
        waiting = self._by_probability()
        while waiting and (search.left > until or not rows) and sum(near for near, *_ in rows) < ENOUGH:
            some, waiting = waiting[: 4 * search.pool.size], waiting[4 * search.pool.size :]
            for (likely, choice), outcome in zip(some, search.measure([c for _, c in some]), strict=True):
                if outcome.fits and outcome.cost is not None:
                    used = search.budget.used(outcome.cost)
                    rows.append((used is None or used >= USES, likely, used or 0.0, choice))
        if not rows and search.known is not None and self.takes(search.known):
            (outcome,) = search.measure([search.known])
            share = None if outcome.cost is None else search.budget.used(outcome.cost)
            rows.append((share is None, 0.0, share or 0.0, search.known))
        rows.sort(key=lambda r: r[:2], reverse=True)
        choices = [choice for *_, choice in rows]
        if rows and not rows[0][0]:
            *_, used, choice = max(rows, key=lambda r: r[2])
            choices.insert(0, _fill.grown(search, self.space, choice, used))
        return choices

    def _by_probability(self) -> list[tuple[float, Choice]]:
        """(log of the probability, net): first the likeliest, then as drawn."""
        rng = np.random.default_rng([self.search.seed, 1])
        p = {k: np.asarray(v) / np.sum(v) for k, v in self.learned["probabilities"].items()}
        drawn: dict[tuple[Value, ...], tuple[float, Choice]] = {}
        for k in range(DRAWN):
            choice = self.space.largest()
            likely = 0.0
            for key, share in p.items():
                at = int(np.argmax(share)) if k == 0 else int(rng.choice(len(share), p=share))
                choice[key] = self.space.options[key][at]
                likely += float(np.log(share[at] + 1e-9))
            if not self.search.hopeless(choice):
                drawn.setdefault(tuple(choice.values()), (likely, choice))
        return list(drawn.values())

    def told(self) -> dict[str, Any]:
        return {"subspace": self.search.noted(_subspace.NOTE), **(self.search.noted(NOTE) or {})}


@dataclass(frozen=True)
class LearnPaths(Task):
    """Learns weights and architecture parameters by turns; gives the probabilities of all options."""

    fixed: Mapping[str, Value]
    seconds: float
    seed: int

    def run(self, bench: Bench) -> dict[str, Any]:
        import torch

        from ...data import Augment
        from ...train import tensors, threads
        from ..paths import Pair, Paths

        paths = Paths(bench.space.narrowed(**self.fixed), self.seed)
        dataset = bench.dataset(paths.largest)
        weights = torch.optim.AdamW(paths.supernet.model.parameters(), lr=WEIGHT_RATE, weight_decay=0.01)
        choices = torch.optim.Adam(list(paths.logits.values()), lr=RATE, betas=(0.0, 0.999))
        augment, start = Augment.light(dataset), time.monotonic()
        penalty, share, rounds = 0.2, float("nan"), 0
        loads: list[float] = []
        longest = 0.0  # of the rounds
        with threads(1):
            while rounds < ROUNDS and time.monotonic() - start + longest / 2 < self.seconds:
                begun = time.monotonic()
                rng = np.random.default_rng([self.seed, rounds])
                done = max(rounds / ROUNDS, (time.monotonic() - start) / self.seconds)
                paths.supernet.model.train()
                for index in np.array_split(rng.permutation(len(dataset.train)),
                                            max(1, len(dataset.train) // BATCH)):
                    batch = dataset.train.take(index)
                    x = tensors(dataset, replace(batch, x=augment(batch.x, rng)))
                    weights.zero_grad(set_to_none=True)
                    logits = paths.single(paths.sample(rng), *x)
                    torch.nn.functional.cross_entropy(logits, torch.tensor(batch.y)).backward()  # type: ignore[no-untyped-call]
                    weights.step()
                    if time.monotonic() - start > self.seconds:
                        break
                rounds += 1
                if done < WARM_UP or time.monotonic() - start > self.seconds:
                    continue
                pairs, share = self._pairs(bench, paths, rng)
                loads.append(share)
                penalty = float(np.clip(penalty * np.exp(share - 1), 1e-3, 20.0))
                order = rng.permutation(len(dataset.val))
                for k, index in enumerate(np.array_split(order, max(1, len(order) // BATCH))):
                    batch = dataset.val.take(index)
                    pair: Pair = pairs[k % len(pairs)]
                    choices.zero_grad(set_to_none=True)
                    loss = torch.nn.functional.cross_entropy(
                        paths.paired(pair, rng, *tensors(dataset, batch)), torch.tensor(batch.y))
                    (loss + penalty * paths.expected(pair)).backward()  # type: ignore[no-untyped-call]
                    choices.step()
                    if time.monotonic() - start > self.seconds:
                        break
                longest = max(longest, time.monotonic() - begun)
        paths.supernet.rounds = rounds
        paths.supernet.save(bench.folder / WEIGHTS)
        return {"rounds": rounds, "share": share, "loads": loads, "probabilities": paths.probabilities(),
                "penalty": penalty}

    def _pairs(self, bench: Bench, paths: Any, rng: np.random.Generator) -> tuple[list[Any], float]:
        """Pairs of sampled nets with the work of their parts as shares of the target; and the nets' mean share."""
        from ..paths import Pair

        drawn = [paths.sample(rng) for _ in range(2 * PAIRS)]
        costs = bench.costs.many([paths.space.spec(c) for c in drawn])
        loads = [bench.budget.used(c) for c in costs]
        # Without a target of its own the work that there is at first is: then the accuracy alone decides, nearly.
        shares = [1.0 if load is None else load for load in loads]
        works = [_by_part(paths, choice, cost, share)
                 for choice, cost, share in zip(drawn, costs, shares, strict=True)]
        pairs = [Pair(drawn[k], drawn[k + 1], (works[k], works[k + 1])) for k in range(0, len(drawn), 2)]
        return pairs, float(np.mean(shares))


def _by_part(paths: Any, choice: Choice, cost: Cost, share: float) -> dict[str, float]:
    """The net's share of the target, cut by the parts that its layers belong to."""
    names = [p.name for p in paths.space.parts(choice) for _ in p.blocks]
    found: dict[str, float] = {}
    for layer in cost.layers:
        part = names[int(layer.name[1:3]) - 1] if layer.name[:1] == "b" and layer.name[1:3].isdigit() else names[-1]
        work = layer.instructions if layer.cycles is None else layer.cycles
        found[part] = found.get(part, 0.0) + share * work / cost.work
    return found
