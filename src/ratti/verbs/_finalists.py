"""What a search ends with: its best nets trained in the time that is left, quantized, compiled and run whole."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import nets
from ..recipe import ModelRecipe, Recipe
from ..search.bench import Bench, Pace, Pulse, Start, Task
from ..search.budget import USES
from ..search.spaces import Choice
from ..search.study import Search, Trial
from ..search.workers import Pool, makespan
from ..targets import Target
from ._built import ModelResult
from .build import build_one, together, write_json
from .check import Limits, check

if TYPE_CHECKING:
    from .search import Request

FINAL_EPOCHS = 25  # of a finalist, that time is kept for
MOST_EPOCHS = 60
KEPT = 0.45  # of all the time, at most
LEAST_EPOCHS = 12  # for fewer there are fewer finalists
USEFUL = 0.85  # of the best accuracy: nets of the front below it are finished last
LARGER = 2.0
FINISH_SECONDS = 5.0  # to quantize, compile, run and bundle a finalist, on a core of its own; and for each layer
LAYER_SECONDS = 0.5
WHOLE_SECONDS = 4.0  # to compile and run one beforehand
SPARE = 0.9  # of the time that is left, which epochs are planned for
CLOSE = 0.05  # to a limit: such nets are run whole before they are trained


@dataclass(frozen=True)
class Found:
    """A net of the front, measured whole. Accuracies are shares: of the test part (int8), and of the validation part
    (float, when it was trained).
    """

    net: str
    path: str
    accuracy: float
    val_accuracy: float
    ram: int
    flash: int
    instructions: int
    latency_ms: float | None
    energy_uj: float | None
    choice: Choice


@dataclass(frozen=True)
class Finalists:
    """How the nets of a front become bundles."""

    name: str
    data: str
    device: Target
    limits: Limits
    bench: Bench
    pool: Pool
    request: Request
    say: Callable[[str], None]
    slow: float = 1.0  # times as long as on a core of its own

    def reserve(self, trials: Sequence[Trial]) -> float:
        """Seconds to keep for them while candidates are tried: what they are expected to need, `KEPT` of all at
        most.
        """
        most = KEPT * self.request.minutes * 60
        each = FINAL_EPOCHS * max((t.outcome.epoch_seconds for t in trials if t.fits), default=math.inf)
        rounds = math.ceil(self.request.finalists / self.pool.size)
        finish = rounds * (self._finishing(self.bench.space.largest()) + WHOLE_SECONDS) * self.slow
        return min(rounds * each + finish, most)

    def _finishing(self, choice: Choice) -> float:
        return FINISH_SECONDS + LAYER_SECONDS * len(self.bench.space.spec(choice).layers)

    def finish(self, search: Search, clock: dict[str, float]) -> tuple[Found, ...]:
        """The best nets that the search found, most accurate first (by validation); `clock` is told how long it took.
        Those that break a limit as they were measured are not returned.
        """
        chosen = self._chosen(search)
        if not chosen:
            return ()
        chosen, epochs = self._planned(search, chosen)
        start = search.spent
        recipe = self._recipe(chosen, epochs)
        answers = self.pool.map([Finish(t.choice, recipe, k, search.strategy.start(t.choice))
                                 for k, t in enumerate(chosen)])
        results, scores = [a[0] for a in answers], [a[1] for a in answers]
        dataset = self.bench.dataset(chosen[0].choice)
        built = together(recipe, results, dataset, search.spent - start)
        # By the shares of both in what the workers did.
        training = sum(r.train_seconds for r in results) / max(sum(a[2] for a in answers), 1e-3)
        clock["training"] = (search.spent - start) * min(training, 1.0)
        clock["finishing"] = search.spent - start - clock["training"]
        found = []
        for trial, model, score in zip(chosen, built.models, scores, strict=True):
            name = Path(model.net).stem
            self.say(f"{name}: trained in {model.train_seconds:.0f} s, accuracy {score:.1%} on validation")
            (checked,) = model.checks
            most = self.request.max_instructions
            if not checked.fits or checked.instructions is None or (most and checked.instructions > most):
                self.say(f"{name} is dropped: {'; '.join(checked.reasons) or 'too many instructions'}")
                continue
            found.append(Found(
                name, model.bundle, model.accuracy_int8, score, checked.ram["total"],
                checked.flash["total"], checked.instructions, checked.latency_ms, checked.energy_uj,
                dict(trial.choice)))
        return tuple(sorted(found, key=lambda f: -f.val_accuracy))

    def _chosen(self, search: Search) -> list[Trial]:
        """Nets that fit when they are compiled and run whole: the best that uses the time allowed; the most accurate;
        the best of those that take `LARGER` times its work, since candidates are trained for a short time, and small
        nets need less; the least of those within a standard error of the most accurate (Breiman et al. 1984,
        "Classification and Regression Trees", section 3.4.3); then evenly spread over those of the front that are not
        much worse.
        """
        front = search.front()
        good = [t for t in search.trials() if t.fits and t.accuracy >= USEFUL * front[0].accuracy]
        using, larger = [t for t in good if self._uses(t)], [t for t in good if t.work >= LARGER * front[0].work]
        first: list[Trial] = []
        leasts = [t for t in front if t.accuracy >= front[0].accuracy - self._error(front[0])][-1:]
        for some in (using, front[:1], larger, leasts):
            best = max(some, key=lambda t: t.accuracy, default=None)
            if best is not None and best not in first:
                first.append(best)
        useful = [t for t in front if t in good and t not in first]
        rest = [t for t in front if t not in useful and t not in first]
        waiting = useful if len(useful) + len(first) >= self.request.finalists else [*useful, *rest]
        chosen = self._whole(first[: self.request.finalists])
        while waiting and len(chosen) < self.request.finalists:
            wanted = self.request.finalists - len(chosen)
            spread = {round(k * (len(waiting) - 1) / max(wanted - 1, 1)) for k in range(wanted)}
            some = [waiting[k] for k in sorted(spread)]
            waiting = [t for t in waiting if t not in some]
            chosen += self._whole(some)
        return chosen

    def _error(self, trial: Trial) -> float:
        """The standard error of its accuracy; of all right, as if two more were right and two wrong (Agresti and Coull
        1998, "Approximate Is Better than Exact").
        """
        count = len(self.bench.dataset(trial.choice).val)
        share = (trial.accuracy * count + 2) / (count + 4)
        return math.sqrt(share * (1 - share) / (count + 4))

    def _uses(self, trial: Trial) -> bool:
        used = None if trial.outcome.cost is None else self.bench.budget.used(trial.outcome.cost)
        return used is not None and used >= USES

    def _whole(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those that fit; what is near no limit is only run whole when it is trained."""
        near = [t for t in trials if max(t.outcome.excess.values()) > -CLOSE]
        answers = self.pool.map([Whole(t.choice, self.device.id, self.limits) for t in near])
        broken = set()
        for trial, (fits, instructions, why) in zip(near, answers, strict=True):
            most = self.request.max_instructions
            if not fits or (most is not None and instructions > most):
                broken.add(trial.number)
                self.say(f"trial {trial.number} does not fit when it is compiled whole: {why or 'instructions'}")
        return [t for t in trials if t.number not in broken]

    def _planned(self, search: Search, chosen: list[Trial]) -> tuple[list[Trial], int]:
        """The finalists that there is time for, the first ones first, and their epochs. A resumed search keeps to the
        plan, whatever time is left.
        """
        path = self.bench.folder / "final.json"
        numbers = {t.number: t for t in chosen}
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if set(kept["nets"]) <= set(numbers):
                return [numbers[n] for n in kept["nets"]], int(kept["epochs"])
        size = min(self.pool.size, len(chosen))
        slow = max(self.pool.map([Pulse()] * size))
        paces = self.pool.map([Pace(t.choice) for t in chosen])
        left = self.request.minutes * 60 - search.spent

        def possible(count: int) -> int:
            finishing = [self._finishing(t.choice) * slow for t in chosen[:count]]
            return next((e for e in range(MOST_EPOCHS, 1, -1) if makespan(
                [e * p + f for p, f in zip(paces, finishing, strict=False)], self.pool.size) <= SPARE * left), 1)

        # Fewer finalists only where that gives more epochs.
        enough = min(LEAST_EPOCHS, possible(1))
        count = next(n for n in range(len(chosen), 0, -1) if possible(n) >= enough)
        chosen, epochs = chosen[:count], possible(count)
        self.say(f"training {len(chosen)} finalist{'s' * (len(chosen) > 1)} for {epochs} epochs, "
                 f"{(self.request.minutes * 60 - search.spent) / 60:.1f} min left")
        write_json(path, {"nets": [t.number for t in chosen], "epochs": epochs})
        return chosen, epochs

    def _recipe(self, chosen: Sequence[Trial], epochs: int) -> Recipe:
        """What `build` makes of the finalists."""
        folder = self.bench.folder / "specs"
        folder.mkdir(parents=True, exist_ok=True)
        space, models = self.bench.space, []
        for trial in chosen:
            spec = space.spec(trial.choice, f"{space.id}_{trial.number}")
            path = folder / f"{spec.name}.yaml"
            path.write_text(nets.to_yaml(spec), encoding="utf-8")
            train = {"epochs": epochs, "seed": self.request.seed}
            models.append(ModelRecipe(str(path), (self.device.id,), train))
        budget = self.bench.budget
        texts = {"ram": f"{budget.ram}B", "flash": f"{budget.flash}B"}
        if self.limits.latency_ms is not None:
            texts["latency"] = f"{self.limits.latency_ms}ms"
        if self.limits.energy_uj is not None:
            texts["energy"] = f"{self.limits.energy_uj}uJ"
        return Recipe(self.name, self.data, tuple(models), str(self.bench.folder / "nets"), texts)


@dataclass(frozen=True)
class Whole(Task):
    """Compiles a net with random weights and runs it whole: (fits, instructions, why not)."""

    choice: Choice
    target: str
    limits: Limits

    def run(self, bench: Bench) -> tuple[bool, int, str]:
        graph = nets.random_graph(bench.space.spec(self.choice))
        found = check(graph, self.target, self.limits, trades=False)
        return found.fits, found.instructions or 0, "; ".join(found.reasons)


@dataclass(frozen=True)
class Finish(Task):
    """Trains net `k` of `recipe`, quantizes and measures it and writes its bundle: (result, its accuracy on the
    validation part, seconds). Goes on where it was.
    """

    choice: Choice
    recipe: Recipe
    k: int
    begin: Start | None = None

    def run(self, bench: Bench) -> tuple[ModelResult, float, float]:
        start = time.monotonic()
        initial = None if self.begin is None else self.begin.module(bench, self.choice)
        result, score = build_one(self.recipe, self.recipe.models[self.k], bench.dataset(self.choice), initial)
        return result, score, time.monotonic() - start
