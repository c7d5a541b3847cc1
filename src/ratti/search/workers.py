"""Where tasks run: processes of this computer, or Ray. A worker that dies takes its task with it and is replaced."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import signal
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ..errors import InputError, MissingDependencyError, RattiError
from .bench import Bench, Task

LOCAL = "2"  # workers, where nothing is said


@dataclass(frozen=True)
class Lost:
    """The answer of a worker that died."""

    why: str


@dataclass(frozen=True)
class Failed:
    """The answer of a task that raised an error: `error` where the user can do something about it."""

    trace: str
    error: RattiError | None = None


class Pool(ABC):
    """Workers that share a bench. Tasks are numbered by `submit`; `wait` gives answers as they come."""

    size: int
    _early: Sequence[tuple[int, Any]] = ()

    @abstractmethod
    def submit(self, task: Task) -> int:
        """Begins a task, or queues it."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """(number, answer) of tasks that are done; none where `seconds` pass. An answer may be `Lost` or `Failed`."""

    @abstractmethod
    def close(self) -> None:
        """Ends the workers."""

    def finished(self, seconds: float) -> list[tuple[int, Any]]:
        """As `wait`, with what came while `map` waited for other tasks."""
        early, self._early = list(self._early), ()
        return early or self.wait(seconds)

    def map(self, tasks: Sequence[Task]) -> list[Any]:
        """The answers of tasks, in order; a lost one is tried once more. Others are kept for `finished`."""
        numbers = {self.submit(t): k for k, t in enumerate(tasks)}
        again: set[int] = set()
        answers: list[Any] = [None] * len(tasks)
        while numbers:
            for number, answer in self.wait(1.0):
                if number not in numbers:
                    self._early = [*self._early, (number, answer)]
                    continue
                k = numbers.pop(number)
                if isinstance(answer, Lost) and k not in again:
                    again.add(k)
                    numbers[self.submit(tasks[k])] = k
                else:
                    answers[k] = checked(answer)
        return answers

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last of these tasks is done, each begun in order by whoever is free first."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def checked(answer: Any) -> Any:
    """The answer, or the error that it stands for."""
    if isinstance(answer, Failed):
        raise answer.error or RattiError(f"a worker failed:\n{answer.trace}")
    if isinstance(answer, Lost):
        raise RattiError(f"a worker died twice over the same task: {answer.why}")
    return answer


def attempt(task: Task, bench: Bench) -> Any:
    """The task's result, or how it failed."""
    try:
        return task.run(bench)
    except RattiError as error:
        return Failed(traceback.format_exc(), error)
    except Exception:
        return Failed(traceback.format_exc())


def open_pool(text: str, bench: Bench) -> Pool:
    """The pool that `--workers` names: a number of local processes, `ray`, or the address of a Ray cluster."""
    if text.isdigit():
        if not 1 <= int(text) <= 256:
            raise InputError(f"--workers {text}: 1 to 256 local processes are allowed")
        return LocalPool(int(text), bench)
    if text == "ray" or ":" in text:
        return RayPool(None if text == "ray" else text, bench)
    raise InputError(f"--workers {text}: give a number of local processes, ray, or the address of a Ray cluster "
                     f"(ray://host:10001)")


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: int | None = None


class LocalPool(Pool):
    """Processes of this computer."""

    def __init__(self, size: int, bench: Bench) -> None:
        self.size = size
        self._bench = bench
        # Forked, where that is possible: the data are shared and torch is loaded already.
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        self._queue: deque[tuple[int, Task]] = deque()
        self._count = 0
        self._workers = [self._start() for _ in range(size)]

    @property
    def process_ids(self) -> list[int]:
        return [w.process.pid for w in self._workers]

    def submit(self, task: Task) -> int:
        self._count += 1
        self._queue.append((self._count, task))
        self._feed()
        return self._count

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        busy = {w.pipe: w for w in self._workers if w.task is not None}
        answers: list[tuple[int, Any]] = []
        for pipe in wait(list(busy), seconds) if busy else []:
            worker = busy[pipe]  # type: ignore[index]
            number = worker.task
            assert number is not None
            try:
                answers.append((number, worker.pipe.recv()))
                worker.task = None
            except (EOFError, OSError):
                worker.process.join(5)
                answers.append((number, Lost(f"worker {worker.process.pid} ended ({worker.process.exitcode})")))
                worker.pipe.close()
                self._workers[self._workers.index(worker)] = self._start()
        self._feed()
        return answers

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _feed(self) -> None:
        for k, worker in enumerate(self._workers):
            if worker.task is None and self._queue:
                number, task = self._queue.popleft()
                try:
                    worker.pipe.send(task)
                except OSError:  # it died idle
                    worker.pipe.close()
                    worker = self._workers[k] = self._start()
                    worker.pipe.send(task)
                worker.task = number

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        others = [w.pipe for w in getattr(self, "_workers", [])]
        process = self._context.Process(target=_serve, args=(theirs, [ours, *others], self._bench), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _serve(pipe: Connection, inherited: Sequence[Connection], bench: Bench) -> None:
    """A worker's life: tasks in, answers out, until the search is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search itself decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:  # or a worker would keep the pipes of others open
        other.close()
    os.environ["OMP_NUM_THREADS"] = "1"
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(attempt(task, bench))


class RayPool(Pool):
    """Tasks of a Ray cluster: one on this computer, or the one at an address. The bench lies in its object store."""

    def __init__(self, address: str | None, bench: Bench) -> None:
        try:
            import ray
        except ImportError:
            raise MissingDependencyError("ray", "search", "workers on Ray") from None
        self._ray: Any = ray
        self._own = not ray.is_initialized()
        if self._own:
            quiet: dict[str, Any] = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
            try:
                ray.init(**({"address": address, "log_to_driver": False} if address else quiet))
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise InputError(f"no Ray cluster at {address}: {error}") from None
        self.size = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._bench = ray.put(bench)
        # A task that loses its worker is answered as lost, not repeated unseen.
        self._run: Any = ray.remote(num_cpus=1, max_retries=0)(attempt)
        self._pending: dict[Any, int] = {}
        self._count = 0

    def submit(self, task: Task) -> int:
        self._count += 1
        self._pending[self._run.remote(task, self._bench)] = self._count
        return self._count

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        if not self._pending:
            return []
        done, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        answers: list[tuple[int, Any]] = []
        for reference in done:
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:  # not in the task, but on its way there or back
                answer = Failed(str(error))
            except self._ray.exceptions.RayError as error:
                answer = Lost(str(error).splitlines()[0])
            answers.append((self._pending.pop(reference), answer))
        return answers

    def close(self) -> None:
        for reference in self._pending:
            self._ray.cancel(reference, force=True)
        if self._own:
            self._ray.shutdown()
