"""Data, a device and limits in; out come the best nets that were found: trained, int8, compiled and run whole."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import targets
from ..device import cache
from ..errors import InputError, MissingDependencyError
from ..meter import LayerMeter
from ..search import learned, spaces
from ..search.bench import Bench, Pulse
from ..search.budget import Budget
from ..search.cost import CostModel
from ..search.study import Infeasible, Search, Trial, least
from ..search.workers import Pool, open_pool
from ..targets import Target
from ..types import Shape
from ._finalists import Finalists, Found
from .build import write_json
from .check import Limits
from .export import check_folder

if TYPE_CHECKING:
    from ..data import Dataset

SCHEMA = "ratti.search/1"
SIDE = 64  # of pictures in a folder, where nothing is said
FRAMES = 49  # of a recording, rows of a table
SHARES = (0.5, 0.75, 1.0)  # of the largest size, that pictures are tried in
LEAST_SIDE = 24  # smaller pictures stay as they are
COMPARED = 200  # nets that are ranked on a second device
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """How to search. `minutes` is for all of it, final training included; `trials` a limit of another kind."""

    minutes: float = 20.0
    space: str | None = None
    strategy: str = "tiny_nas"
    workers: str = "2"
    seed: int = 0
    resume: bool = False
    out: Path | None = None
    size: int | None = None
    epochs: int = 6
    finalists: int = 3
    trials: int | None = None
    max_instructions: int | None = None
    compare: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.minutes) and self.minutes > 0):
            raise InputError(f"--minutes {self.minutes:g}: a search takes more than 0 minutes")


@dataclass(frozen=True)
class SearchResult:
    """The front, most accurate first, and what the search learned. `reasons` say why there is none."""

    study: str
    target: str
    space: str
    strategy: str
    limits: dict[str, Any]
    trials: int
    within_limits: int
    failed: int
    minutes: float  # that there were
    seconds: float  # of this sitting
    clock: dict[str, float]  # seconds by what they went into, over all sittings
    costs_per_second: float
    front: tuple[Found, ...]
    points: tuple[dict[str, Any], ...]  # of every net that was trained: accuracy (validation) against its work
    options: tuple[learned.Option, ...]
    ranks: dict[str, Any] | None
    told: dict[str, Any]  # what the strategy says of itself
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        rows = {"front": [vars(f) for f in self.front], "options": [vars(o) for o in self.options]}
        return {"schema": SCHEMA, **vars(self), **rows}

    def __str__(self) -> str:
        from ..report import search as tables

        return tables.search(self)


def search(data: str | Path, target: str, limits: Limits | None = None, request: Request | None = None,
           say: Say = lambda line: None) -> SearchResult:
    """Searches nets for `data` on `target` within `limits` (those of the device where none is given).

    The folder of the search holds the study, the nets (`nets/<net>` are bundles) and `report.json`; a search that was
    killed goes on with `resume`. A budget that no net meets gives an empty front and the reason.

    InputError: unknown names, limits without figures, a folder that holds another search. DataError: no usable data.
    """
    request, limits = request or Request(), limits or Limits()
    device = targets.load(target)
    name = re.sub(r"[^A-Za-z0-9]+", "_", Path(data).stem).strip("_") or "model"
    out = request.out or Path("runs") / f"search-{name}-{target}"
    check_folder(out)
    started = time.monotonic()

    def timed(line: str) -> None:
        say(f"{(time.monotonic() - started) / 60:5.1f} min  {line}")

    job = _Job(str(data), name if not name[0].isdigit() else f"model_{name}", device, limits, request, out, timed)
    with open_pool(request.workers, job.bench) as pool:
        return job.run(pool, started)


class _Job:
    """One call of `search`."""

    def __init__(self, data: str, name: str, device: Target, limits: Limits, request: Request, out: Path,
                 say: Say) -> None:
        try:
            from ..train import TrainConfig
        except ImportError:
            raise MissingDependencyError("torch", "train", "searching") from None
        self.data, self.name, self.device, self.limits = data, name, device, limits
        self.request, self.out, self.say = request, out, say
        self.budget = Budget(
            min(limits.ram_bytes or device.ram_bytes, device.ram_bytes),
            min(limits.flash_bytes or device.flash_bytes, device.flash_bytes),
            limits.latency_ms, limits.energy_uj, request.max_instructions)
        self.datasets = _datasets(data, request.size)
        first = next(iter(self.datasets.values()))
        task = spaces.Task(tuple(self.datasets), first.classes, first.numbers)
        self.space = spaces.load(request.space or spaces.suited(task, self.budget.ram), task)
        # Waiting for flash takes ten times as long to count: only where a limit is held against it.
        watched = limits.latency_ms is not None or limits.energy_uj is not None
        figures = cache.folder() / "layers.sqlite"
        costs = CostModel(device, LayerMeter(device, watched=watched), figures, self.budget.flash)
        config = TrainConfig(epochs=request.epochs, seed=request.seed)
        self.bench = Bench(self.space, costs, self.budget, self.datasets, config, out)

    def run(self, pool: Pool, started: float) -> SearchResult:
        request = self.request
        identity = {"data": next(iter(self.datasets.values())).digest(), "target": self.device.id,
                    "limits": str(self.budget), "space": self.space.id, "epochs": str(request.epochs)}
        self.say(f"{self.space.id} space ({self.space.size:.3g} sets of choices), {request.strategy}, "
                 f"{self.device.id}: {self.budget}")
        known = least(self.bench, pool, request.seed)
        if isinstance(known, Infeasible):
            return self._kept(self._result(None, (), (str(known),), time.monotonic() - started))
        slow = max(pool.map([Pulse()] * pool.size))
        final = Finalists(self.name, self.data, self.device, self.limits, self.bench, pool, request, self.say, slow)
        search = Search(
            self.bench, pool, request.strategy, seconds=request.minutes * 60, identity=identity, started=started,
            seed=request.seed, resume=request.resume, reserve=final.reserve, most=request.trials, known=known,
            say=self.say)
        search.run()
        clock = {"preparing": search.prepared, "searching": search.spent - search.prepared}
        found = final.finish(search, clock)
        reasons = () if found else ("no net was found within the limits in this time: give it more --minutes",)
        return self._kept(self._result(search, found, reasons, time.monotonic() - started, clock))

    def _kept(self, result: SearchResult) -> SearchResult:
        """The result, written to the search's folder."""
        write_json(self.out / "report.json", result.to_json())
        return result

    def _result(self, search: Search | None, found: tuple[Found, ...], reasons: tuple[str, ...], seconds: float,
                clock: Mapping[str, float] | None = None) -> SearchResult:
        trials = search.trials() if search else ()
        points = [
            {"trial": t.number, "accuracy": t.accuracy, **{k: v for k, v in asdict(t.outcome.cost).items()
                                                            if k != "layers"}, "choice": dict(t.choice)}
            for t in trials if t.fits and t.outcome.cost is not None
        ]
        return SearchResult(
            study=str(self.out), target=self.device.id, space=self.space.id, strategy=self.request.strategy,
            limits=vars(self.budget), trials=len(trials), within_limits=len(points),
            failed=search.failed() if search else 0, minutes=self.request.minutes, seconds=round(seconds, 1),
            clock={k: round(v, 1) for k, v in (clock or {}).items()},
            costs_per_second=round(search.costs_per_second(), 2) if search else 0.0, front=found, points=tuple(points),
            options=tuple(learned.options(self.space, trials)),
            ranks=self._ranks(trials) if self.request.compare else None,
            told=search.strategy.told() if search else {}, reasons=reasons)

    def _ranks(self, trials: Sequence[Trial]) -> dict[str, Any] | None:
        """The same nets on a second device: instructions on both, the correlation of their ranks, and what more work a
        net takes on each that was chosen for the other.
        """
        other = targets.load(str(self.request.compare))
        fit = [t for t in trials if t.fits and t.outcome.cost is not None][:COMPARED]
        if len(fit) < 3:
            return None
        costs = CostModel(other, LayerMeter(other, watched=False), self.bench.costs.path)
        there = [c.work for c in costs.many([self.space.spec(t.choice) for t in fit])]
        here = [t.work for t in fit]
        accuracy = [t.accuracy for t in fit]
        return {"target": other.id, "nets": len(fit), "correlation": learned.rank_correlation(here, there),
                "extra": {self.device.id: learned.extra_work(accuracy, here, there),
                          other.id: learned.extra_work(accuracy, there, here)},
                "work": [list(pair) for pair in zip(here, there, strict=True)]}


def _datasets(source: str, size: int | None) -> dict[Shape, Dataset]:
    """The data in each shape that is tried, smallest first."""
    from ..data import Kind, Options, load

    is_folder = Path(source).is_dir()
    first = load(source, Options(resolution=size or SIDE) if is_folder else Options((size, size)) if size else None)
    if is_folder and not size and first.kind is not Kind.IMAGE:
        first = load(source, Options(resolution=FRAMES))
    if first.kind is not Kind.IMAGE or min(first.input_shape[:2]) < LEAST_SIDE:
        return {first.input_shape: first}
    found: dict[Shape, Dataset] = {}
    for share in SHARES[:-1]:
        side = tuple(max(8, round(n * share / 8) * 8) for n in first.input_shape[:2])
        small = load(source, Options((side[0], side[1]), first.input_shape[2]))
        found[small.input_shape] = small
    return {**found, first.input_shape: first}
