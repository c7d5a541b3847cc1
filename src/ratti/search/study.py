"""The search: an Optuna study in SQLite, from which everything can be taken up again.

What is told to the study is all that counts: a killed search loses the candidates that were being evaluated, and no
other. The process of the search alone writes the study; workers only answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, MissingDependencyError, RattiError
from . import strategies
from .bench import Bench, Measure, Outcome, hopeless
from .budget import broken
from .cost import Cost, LayerCost
from .spaces import Choice
from .workers import Failed, Lost, Pool

if TYPE_CHECKING:
    import optuna

STUDY = "search"
PREPARED = "prepared"
FILE = "study.db"
FAILURES = 5  # of tasks in a row, that end a search
PATIENCE = 0.7  # of all the time, in which a first net must be found that is within the limits
REPEATS = 200  # in a row: the sampler has nothing new
OVER = 1e15  # the work of a net that was not measured, since it is too large
SMALL_NETS = 24  # near the smallest, that are looked at where the smallest breaks a limit
SHOWN = 4  # nets of the front, in a line of progress
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A candidate that was evaluated."""

    number: int
    choice: Choice
    outcome: Outcome

    @property
    def accuracy(self) -> float:
        """Of the validation part; 0 for a net that was not trained."""
        return self.outcome.accuracy or 0.0

    @property
    def work(self) -> float:
        return OVER if self.outcome.cost is None else self.outcome.cost.work

    @property
    def fits(self) -> bool:
        return self.outcome.fits and self.outcome.accuracy is not None


@dataclass(frozen=True)
class Infeasible:
    """A budget that no net of the space meets: which limits even the least nets break, and what they need."""

    broken: tuple[str, ...]
    least: Cost  # of the net that comes nearest

    def __str__(self) -> str:
        figures = [f"RAM {self.least.ram_bytes:,} B", f"flash {self.least.flash_bytes:,} B",
                   f"{self.least.instructions:,} instructions"]
        if self.least.latency_ms is not None:
            figures.append(f"{self.least.latency_ms:.3g} ms")
        if self.least.energy_uj is not None:
            figures.append(f"{self.least.energy_uj:.3g} µJ")
        return (f"no net of the space meets the limit on {' and '.join(self.broken)}; "
                f"the nearest takes {', '.join(figures)}")


class Search:
    """One search. `seconds` is what there is from `started` (of `time.monotonic`; now) on, over all sittings; `reserve`
    gives what of it must be left for what comes afterwards, by the trials so far; `known` is a net within the limits
    (`least`), the first candidate: under tight limits no random one may keep them.
    """

    def __init__(
        self,
        bench: Bench,
        pool: Pool,
        strategy: str,
        *,
        seconds: float,
        identity: Mapping[str, str],
        started: float | None = None,
        seed: int = 0,
        resume: bool = False,
        reserve: Callable[[Sequence[Trial]], float] = lambda trials: 0.0,
        most: int | None = None,
        known: Choice | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.bench, self.pool, self.seed, self.say = bench, pool, seed, say
        self.known = self._unbegun = known
        self.space, self.budget = bench.space, bench.budget
        self._seconds, self._reserve, self._most = seconds, reserve, most
        self._started = time.monotonic() if started is None else started
        kind = strategies.load(strategy)
        self._study = _open(bench, {**identity, "strategy": strategy, "seed": str(seed)}, resume)
        self._before = float(self._study.user_attrs.get("seconds", 0.0))
        self._trials = [_read(t) for t in self._finished()]  # by number
        self._flying: dict[int, tuple[optuna.Trial, Choice]] = {}
        self._tried = {_key(t.choice) for t in self._trials}
        self._failures = 0
        self.strategy = kind(self)
        sampler = self.strategy.sampler()
        if sampler is not None:
            self._study.sampler = sampler

    @property
    def spent(self) -> float:
        """Seconds, over all sittings."""
        return self._before + time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds that candidates can still be tried."""
        return self._seconds - self.spent - self._reserve(self._trials)

    @property
    def prepared(self) -> float:
        """Seconds that were spent when the first candidate was begun."""
        return float(self.noted(PREPARED) or self.spent)

    def trials(self) -> tuple[Trial, ...]:
        """All that were told, by number."""
        return tuple(self._trials)

    def front(self) -> tuple[Trial, ...]:
        """Nets within all limits that no other beats in accuracy and work both; most accurate first."""
        return front(self._trials)

    def rng(self) -> np.random.Generator:
        """Fixed by the seed and the number of trials that were begun: a resumed search goes on and does not repeat."""
        return np.random.default_rng([self.seed, len(self._study.get_trials(deepcopy=False))])

    def tried(self, choice: Choice) -> bool:
        """Whether a candidate was evaluated, or is being evaluated."""
        return _key(choice) in self._tried

    def hopeless(self, choice: Choice) -> bool:
        """Whether a candidate is over the limits whatever is planned; it need not become a trial."""
        return hopeless(self.space, choice, self.budget)

    def run(self) -> None:
        """Tries candidates until the time is over, or nothing is left to try."""
        self._settle()
        self.strategy.prepare()
        if self.noted(PREPARED) is None:
            self.note(PREPARED, self.spent)
        exhausted = False
        while True:
            while not exhausted and len(self._flying) < self.pool.size and not self._over():
                exhausted = not self._begin()
            if not self._flying:
                break
            for number, answer in self.pool.finished(1.0):
                self._tell(*self._flying.pop(number), answer)
        self._study.set_user_attr("seconds", self.spent)

    def measure(self, choices: Sequence[Choice], each: int = 4) -> list[Outcome]:
        """Costs of candidates, held against the limits, by all workers."""
        tasks = [Measure(tuple(choices[k : k + each])) for k in range(0, len(choices), each)]
        return [outcome for answers in self.pool.map(tasks) for outcome in answers]

    def note(self, key: str, value: Any) -> None:
        """Keeps something in the study: plain data."""
        self._study.set_user_attr(f"note.{key}", json.dumps(value))

    def noted(self, key: str) -> Any:
        """What `note` kept; None where there is nothing."""
        text = self._study.user_attrs.get(f"note.{key}")
        return None if text is None else json.loads(text)

    def failed(self) -> int:
        """Candidates that were lost: with a worker, or with a search that was killed."""
        import optuna

        return len(self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.FAIL,)))

    def costs_per_second(self) -> float:
        """Nets costed a second and worker, new layers included."""
        seconds = sum(t.outcome.cost_seconds for t in self._trials)
        return len(self._trials) / seconds if seconds else 0.0

    def _over(self) -> bool:
        # What is being evaluated counts: so a limit on trials is exact.
        if self._most is not None and len(self._trials) + len(self._flying) >= self._most:
            return True
        taken = sorted(t.outcome.seconds for t in self._trials if t.fits)
        if not taken:
            return len(self._trials) + len(self._flying) >= self.pool.size and self.spent > PATIENCE * self._seconds
        return self.left < taken[len(taken) // 2]  # a candidate that would be late is not begun

    def _begin(self) -> bool:
        """Asks for a candidate and sends it to a worker; False where there is none left."""
        import optuna

        distributions: dict[str, Any] = {
            k: optuna.distributions.CategoricalDistribution(v) for k, v in self.space.options.items()
        }
        for _ in range(REPEATS):
            known, self._unbegun = self._unbegun, None
            if known is not None and self.strategy.takes(known) and not self.tried(known):
                self._study.enqueue_trial(dict(known))
            elif self.strategy.sampler() is None:
                choice = self.strategy.propose()
                if choice is None:
                    return False
                self._study.enqueue_trial(dict(choice))
            trial = self._study.ask(distributions)
            choice = dict(trial.params)
            if not self.tried(choice):
                break
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            return False
        self._tried.add(_key(choice))
        self._flying[self.pool.submit(self.strategy.task(choice, trial.number))] = trial, choice
        return True

    def _tell(self, trial: optuna.Trial, choice: Choice, answer: Any) -> None:
        import optuna

        if isinstance(answer, (Lost, Failed)):
            self._failures += 1
            why = answer.why if isinstance(answer, Lost) else answer.trace.strip().splitlines()[-1]
            trial.set_user_attr("why", why)
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self.say(f"trial {trial.number} was lost: {why}")
            self._tried.discard(_key(choice))
            if self._failures >= FAILURES:
                raise RattiError(f"{FAILURES} candidates in a row could not be evaluated; the last: {why}")
            return
        self._failures = 0
        outcome: Outcome = answer
        found = Trial(trial.number, choice, outcome)
        trial.set_user_attr("excess", dict(outcome.excess))
        trial.set_user_attr("outcome", json.dumps(asdict(outcome)))
        self._study.tell(trial, [found.accuracy, found.work])
        self._study.set_user_attr("seconds", self.spent)
        before = self.front()
        self._trials.append(found)
        self._trials.sort(key=lambda t: t.number)
        if self.front() != before:
            self.say(self._progress(found))

    def _progress(self, new: Trial) -> str:
        done = sum(t.fits for t in self._trials)
        unit = "cycles" if new.outcome.cost is not None and new.outcome.cost.cycles is not None else "instructions"
        rows = [f"{t.accuracy:.1%} at {t.work / 1e6:.3g} M {unit}" for t in self.front()]
        rows = [*rows[:SHOWN], f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else rows
        return f"{len(self._trials)} tried, {done} within the limits; front: {'; '.join(rows)}"

    def _settle(self) -> None:
        """Closes trials that were being evaluated when a search was killed: they are its only loss."""
        import optuna

        for old in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(old.number, state=optuna.trial.TrialState.FAIL)

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        import optuna

        return self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


@dataclass(frozen=True)
class _Cost(Measure):
    """Costs of candidates, whatever the limits."""

    def run(self, bench: Bench) -> list[Cost]:  # type: ignore[override]
        return bench.costs.many([bench.space.spec(c) for c in self.choices])


def least(bench: Bench, pool: Pool, seed: int = 0) -> Choice | Infeasible:
    """A net within the limits, one of the smallest; where there is none, what the nearest of them takes.

    InputError where the target has no figure to hold against a limit.
    """
    smallest = bench.space.smallest()
    rng = np.random.default_rng(seed)
    near: list[Choice] = [bench.space.mutate(smallest, rng, 0.05) for _ in range(SMALL_NETS)]
    best: tuple[float, Cost] | None = None
    for some in ([smallest], near):  # the others only where the smallest does not do
        for choice, cost in zip(some, pool.map([_Cost(tuple(some))])[0], strict=True):
            over = sum(max(e, 0.0) for e in bench.budget.excess(cost).values())
            if not over:
                return choice
            if best is None or over < best[0]:
                best = over, cost
    assert best is not None
    return Infeasible(tuple(broken(bench.budget.excess(best[1]))), best[1])


def front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Trials within all limits that no other beats in accuracy and work both; most accurate first."""
    found: list[Trial] = []
    for trial in sorted((t for t in trials if t.fits), key=lambda t: (t.work, -t.accuracy)):
        if not found or trial.accuracy > found[-1].accuracy:
            found.append(trial)
    return tuple(reversed(found))


def _key(choice: Choice) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((k, float(v)) for k, v in choice.items()))


def _open(bench: Bench, identity: Mapping[str, str], resume: bool) -> optuna.Study:
    """The study in the search's folder: a new one, or, to resume, the one that is there."""
    try:
        import optuna
    except ImportError:
        raise MissingDependencyError("optuna", "search", "searching") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = bench.folder / FILE
    if path.exists() and not resume:
        raise InputError(f"'{bench.folder}' holds a search: go on with --resume, or take another folder (--out)")
    bench.folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name=STUDY, load_if_exists=True,
                                directions=["maximize", "minimize"])
    kept = study.user_attrs.get("identity")
    if kept is None:
        study.set_user_attr("identity", dict(identity))
        return study
    differs = sorted(k for k in identity if kept.get(k) != identity[k])
    if differs:
        raise InputError(f"'{bench.folder}' holds another search (other {' and '.join(differs)}): take another folder "
                         f"(--out), or resume with what it began with: "
                         f"{', '.join(f'{k} {kept.get(k)}' for k in differs)}")
    return study


def _read(trial: optuna.trial.FrozenTrial) -> Trial:
    raw = json.loads(trial.user_attrs["outcome"])
    cost = raw["cost"]
    if cost is not None:
        cost = Cost(**{**cost, "layers": tuple(LayerCost(**layer) for layer in cost["layers"])})
    return Trial(trial.number, dict(trial.params), Outcome(**{**raw, "cost": cost}))
