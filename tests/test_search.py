"""Searches on real digits with real costs: strategies, killed workers and searches, limits that cannot be met."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ratti import targets
from ratti.errors import InputError
from ratti.search import spaces, strategies

pytestmark = [pytest.mark.toolchain, pytest.mark.torch]
pytest.importorskip("optuna", reason="optuna is missing (pip install 'ratti[search]')")
pytest.importorskip("torch", reason="torch is missing (pip install 'ratti[train]')")

from ratti.data import Dataset, load  # noqa: E402
from ratti.meter import LayerMeter  # noqa: E402
from ratti.search.bench import Bench, Evaluate, Outcome, Task  # noqa: E402
from ratti.search.budget import Budget, broken  # noqa: E402
from ratti.search.cost import CostModel  # noqa: E402
from ratti.search.learned import extra_work, options, rank_correlation  # noqa: E402
from ratti.search.study import Infeasible, Search, least  # noqa: E402
from ratti.search.workers import Failed, LocalPool, Lost, Pool, RayPool, open_pool  # noqa: E402
from ratti.train import TrainConfig  # noqa: E402

TARGET = "stm32f446re"
BUDGET = Budget(3000, 40_000, instructions=400_000)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures") / "layers.sqlite"


@pytest.fixture
def bench(digits: Dataset, figures: Path, tmp_path: Path) -> Bench:
    device = targets.load(TARGET)
    small = replace(digits, train=digits.train.take(slice(320)))
    space = spaces.load("tiny", spaces.Task((digits.input_shape,), digits.classes))
    costs = CostModel(device, LayerMeter(device, watched=False), figures)
    return Bench(space, costs, BUDGET, {digits.input_shape: small}, TrainConfig(epochs=1), tmp_path / "run")


@pytest.fixture
def pool(bench: Bench) -> Iterator[LocalPool]:
    with LocalPool(2, bench) as found:
        yield found


def make(bench: Bench, pool: Pool, strategy: str = "random", most: int = 6, resume: bool = False,
         seconds: float = 300.0) -> Search:
    return Search(bench, pool, strategy, seconds=seconds, identity={"target": TARGET}, seed=1, resume=resume, most=most)


@pytest.mark.parametrize("strategy", [
    s if s == "random" else pytest.param(s, marks=pytest.mark.slow) for s in strategies.names()])
def test_every_strategy_keeps_the_limits_and_goes_on(strategy: str, bench: Bench, pool: LocalPool) -> None:
    search = make(bench, pool, strategy)
    assert least(bench, pool) == bench.space.smallest()
    search.run()
    first = search.trials()
    assert len(first) == 6
    assert search.front()
    again = make(bench, pool, strategy, most=9, resume=True)
    assert again.trials() == first
    again.run()
    trials = again.trials()
    assert trials[:6] == first
    assert len({json.dumps(t.choice, sort_keys=True) for t in trials}) == len(trials) == 9
    for trial in trials:
        assert (trial.outcome.accuracy is not None) == trial.outcome.fits
        if trial.fits:
            assert trial.outcome.cost is not None
            assert not broken(BUDGET.excess(trial.outcome.cost))
            assert bench.costs(bench.space.spec(trial.choice)) == trial.outcome.cost  # in another process
    found = again.front()
    assert all(a.accuracy > b.accuracy and a.work > b.work for a, b in pairwise(found))
    assert sum(o.tried for o in options(bench.space, trials) if o.choice == "width") == pytest.approx(1.0)
    assert isinstance(again.strategy.told(), dict)
    assert bench.dataset(trials[0].choice).test_opened == ()


def test_a_study_is_of_one_search(bench: Bench, pool: LocalPool) -> None:
    make(bench, pool)
    with pytest.raises(InputError, match="go on with --resume"):
        make(bench, pool)
    with pytest.raises(InputError, match=r"another search \(other seed and strategy\)"):
        Search(bench, pool, "nsga2", seconds=1.0, identity={"target": TARGET}, seed=2, resume=True)
    with pytest.raises(InputError, match="did you mean random"):
        Search(bench, pool, "randon", seconds=1.0, identity={})


@pytest.mark.slow
@pytest.mark.parametrize("strategy", strategies.names())
def test_tight_limits_still_give_a_net(strategy: str, bench: Bench) -> None:
    """A limit that the least net just keeps, and hardly any random one: the search begins with what is known to fit."""
    smallest = bench.space.smallest()
    cost = bench.costs(bench.space.spec(smallest))
    tight = replace(bench, budget=Budget(BUDGET.ram, BUDGET.flash, instructions=round(cost.instructions * 1.01)))
    with LocalPool(2, tight) as pool:
        known = least(tight, pool)
        assert known == smallest
        search = Search(tight, pool, strategy, seconds=60.0, identity={"target": TARGET}, seed=1, most=4, known=known)
        search.run()
    assert any(t.choice == smallest for t in search.front())


def test_limits_that_nothing_meets_are_recognized(bench: Bench) -> None:
    for budget, names in ((Budget(100, 1 << 18), ("ram",)), (Budget(1 << 16, 1 << 18, instructions=10),
                                                             ("instructions",))):
        tight = replace(bench, budget=budget)
        with LocalPool(1, tight) as pool:
            answer = least(tight, pool)
        assert isinstance(answer, Infeasible)
        assert answer.broken == names
        assert answer.least == min((answer.least, bench.costs(bench.space.spec(bench.space.smallest()))),
                                   key=lambda c: c.instructions if names[0] == "instructions" else c.ram_bytes)
        assert "nearest takes RAM" in str(answer)


def test_a_limit_without_a_figure_is_refused(bench: Bench, figures: Path) -> None:
    device = targets.load("esp32c3")
    costs = CostModel(device, LayerMeter(device, watched=False), figures)
    other = replace(bench, costs=costs, budget=Budget(1 << 16, 1 << 18, latency=10.0))
    with LocalPool(1, other) as pool, pytest.raises(InputError, match=r"no figure of latency.*--max-instructions"):
        least(other, pool)


@dataclass(frozen=True)
class Sleep(Task):
    """A task that can be killed."""

    seconds: float

    def run(self, bench: Bench) -> int:
        time.sleep(self.seconds)
        return os.getpid()


@dataclass(frozen=True)
class Say(Task):
    """Gives its word after some seconds."""

    word: str
    seconds: float = 0.0

    def run(self, bench: Bench) -> str:
        time.sleep(self.seconds)
        return self.word


def test_answers_of_other_tasks_are_kept(pool: LocalPool) -> None:
    """A strategy measures while candidates are under way."""
    slow, soon = pool.submit(Say("slow", 1.0)), pool.submit(Say("soon"))
    assert pool.map([Say("a", 0.3), Say("b"), Say("c", 1.0)]) == ["a", "b", "c"]
    assert sorted(pool.finished(1.0)) == [(slow, "slow"), (soon, "soon")]
    assert pool.finished(0.1) == []


@dataclass(frozen=True)
class Break(Task):
    def run(self, bench: Bench) -> None:
        raise ZeroDivisionError("on purpose")


def test_a_killed_worker_costs_its_task_alone(bench: Bench) -> None:
    with LocalPool(2, bench) as pool:
        numbers = [pool.submit(Sleep(s)) for s in (60.0, 0.2, 0.1)]
        victim = pool.process_ids[0]
        answers = dict(collect(pool, 2))
        os.kill(victim, signal.SIGKILL)
        answers |= dict(collect(pool, 1))
        assert set(answers) == set(numbers)
        assert isinstance(answers[numbers[0]], Lost)
        assert isinstance(answers[numbers[1]], int)
        assert pool.map([Sleep(0.0), Sleep(0.0), Sleep(0.0)])  # the pool is whole again
        assert victim not in pool.process_ids
        (broken_task,) = collect(pool, 1, Break())
        assert isinstance(broken_task[1], Failed)
        assert "on purpose" in broken_task[1].trace


def collect(pool: Pool, count: int, task: Task | None = None) -> list[tuple[int, object]]:
    if task is not None:
        pool.submit(task)
    found: list[tuple[int, object]] = []
    until = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found += pool.wait(0.5)
    return found


@pytest.mark.slow
def test_a_search_survives_its_workers(bench: Bench) -> None:
    """Every candidate that was not in flight is told once; what was lost is counted."""
    with LocalPool(2, bench) as pool:
        search = make(bench, pool, most=8)
        killed: list[int] = []

        def say(line: str) -> None:
            if not killed:
                killed.append(pool.process_ids[0])
                os.kill(killed[0], signal.SIGKILL)

        search.say = say
        search.run()
        assert killed
        assert len(search.trials()) == 8
        assert search.failed() <= 1


@pytest.mark.slow
def test_ray_evaluates_and_a_killed_worker_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="ray is missing (pip install 'ratti[search]')")
    paths = [str(Path(__file__).parent), *sys.path]  # workers find this file and ratti
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        with RayPool(None, bench) as pool:
            assert pool.size == 2
            victims = set(pool.map([Sleep(1.0), Sleep(1.0)]))
            assert len(victims) == 2  # two processes
            pool.submit(Sleep(60.0))
            time.sleep(2)
            for process in victims:
                os.kill(process, signal.SIGKILL)
            ((_, answer),) = collect(pool, 1)
            assert isinstance(answer, Lost)
            search = make(bench, pool, most=4)
            search.run()
            assert len(search.trials()) == 4
            assert search.front()
    finally:
        ray.shutdown()


def test_workers_are_named_or_refused(bench: Bench) -> None:
    for text in ("0", "many", "-1"):
        with pytest.raises(InputError, match="--workers"):
            open_pool(text, bench)


SCRIPT = """
import sys
from ratti.verbs.search import Request, search
from ratti.verbs.check import Limits
from pathlib import Path
request = Request(minutes=10, space="tiny", strategy="random", seed=3, resume=sys.argv[2] == "resume", epochs=1,
                  out=Path(sys.argv[1]), trials=int(sys.argv[3]), finalists=1)
search("digits", "stm32f446re", Limits(3000, 40_000), request, lambda line: print(line, flush=True))
"""


@pytest.mark.slow
def test_a_killed_search_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """Kill -9 in the middle, then resume: the same study, no trial lost or doubled, a bundle at the end."""
    folder, command = tmp_path / "run", [sys.executable, "-c", SCRIPT, str(tmp_path / "run")]
    process = subprocess.Popen([*command, "new", "400"], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        told = wait_for(lambda: numbers(folder), 5)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    told = numbers(folder)
    done = subprocess.run([*command, "resume", str(len(told) + 3)], capture_output=True, text=True, check=True)
    after = numbers(folder)
    assert after[: len(told)] == told
    assert len({choice for _, choice in after}) == len(after) == len(told) + 3
    assert "training 1 finalist for" in done.stdout
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["trials"] == len(after)
    (best,) = report["front"]
    assert best["ram"] <= 3000
    assert best["flash"] <= 40_000
    assert (Path(best["path"]) / "model.tflite").is_file()


def wait_for(read: Callable[[], list[tuple[int, str]]], least: int) -> list[tuple[int, str]]:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        found = read()
        if len(found) >= least:
            return found
        time.sleep(0.5)
    raise AssertionError("no trials")


def numbers(folder: Path) -> list[tuple[int, str]]:
    """Numbers and choices of the trials that were told."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / "study.db"
    try:  # Optuna would make the tables that are missing, in the way of the search that makes them itself
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            if not file.execute("SELECT count(*) FROM studies").fetchone()[0]:
                return []
        study = optuna.load_study(study_name="search", storage=f"sqlite:///{path}")
        done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    except Exception:  # the file is being made
        return []
    return [(t.number, json.dumps(t.params, sort_keys=True)) for t in done]


def test_ranks_follow_order_alone() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 1000]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, 2, 4], [1, 2, 3, 4]) == pytest.approx(0.9486833)


def test_a_front_of_another_device_costs_more_work() -> None:
    """Where both put the nets in one order it costs nothing; where not, what the other's choice takes more here."""
    accuracy = [0.7, 0.8, 0.9, 0.9]
    assert extra_work(accuracy, [10, 20, 30, 40], [1, 2, 3, 4]) == [0.0, 0.0, 0.0]
    assert extra_work(accuracy, [10, 20, 30, 40], [1, 2, 4, 3]) == pytest.approx([0.0, 0.0, 1 / 3])
    assert extra_work([0.9, 0.8], [20, 10], [1, 2]) == pytest.approx([1.0, 0.0])  # there the better net is the cheaper
    assert extra_work(accuracy, [10, 20, 30, 40], [5, 5, 5, 5]) == [0.0, 0.0, 0.0]  # equal there: the lesser work here


@pytest.mark.slow
def test_slices_are_nets_of_their_own(bench: Bench, digits: Dataset, rng: np.random.Generator) -> None:
    """A slice computes what a net with its weights does, for every space that takes digits."""
    import torch

    from ratti.search.paths import Paths
    from ratti.search.supernet import Supernet

    for name in spaces.names():
        space = spaces.load(name, spaces.Task((digits.input_shape,), digits.classes)).narrowed()
        net = Supernet(space, 0)
        x = torch.randn(4, 1, 8, 8)
        for choice in (space.largest(), space.smallest(), space.sample(rng)):
            alone = net.extracted(choice, digits)
            _, weights = net.slice(choice)
            own = dict(alone.state_dict())
            for key, value in weights.items():
                if "running" not in key and "num_batches" not in key:
                    assert torch.equal(own[key], value)
            net.model.train()
            torch.testing.assert_close(net(choice, x), alone.train()(x), rtol=1e-3, atol=1e-3)
        paths = Paths(space, 0)
        paths.supernet.model.train()
        want = paths.supernet(space.largest(), x)
        torch.testing.assert_close(paths.single(space.largest(), x), want, rtol=1e-3, atol=1e-3)


def test_an_outcome_comes_back_from_a_worker(bench: Bench, pool: LocalPool) -> None:
    (outcome,) = pool.map([Evaluate(bench.space.smallest(), 0)])
    assert isinstance(outcome, Outcome)
    assert outcome.fits
    assert outcome.accuracy is not None
