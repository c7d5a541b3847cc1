"""What compression costs and gains on real data: `python benchmarks/compression.py run`, then `… tables --write FILE`.

`run` trains, quantizes and prunes nets on the shared data sets, one chain for each data set, net and seed; a chain
keeps its trainings in `--out` and goes on where it was stopped. Selection sees the validation part; a chain reads
the test part when all its steps are done. `tables` compares the steps pairwise, sample by sample, with
bootstrap intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import compression_tables
import numpy as np
from compression_tables import Chain, Result

DATA = Path(__file__).parents[2] / "shared" / "data"
PARTS = {"leaves": "leaves", "garments": "fashion/fashion_25k.npz", "spoken": "digits_spoken",
         "heartbeats": "ecg/mitbih_beats.npz"}
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TARGETS = ("stm32f446re", "esp32c3")  # a Cortex-M4, an RV32IMC
HALF = 0.5
ZEROS = 0.8


@dataclass(frozen=True)
class Settings:
    """How the nets of a data set are trained: at most six minutes of one core each."""

    nets: tuple[str, ...]  # a MobileNetV2 and a ShuffleNet
    teacher: str
    student: str
    epochs: int
    batch_size: int
    rate: float
    balanced: bool = False

    def train(self, seed: int, epochs: int | None = None, rate: float | None = None) -> Any:
        from ratti.train import TrainConfig

        return TrainConfig(epochs or self.epochs, self.batch_size, learning_rate=rate or self.rate, weight_decay=0.02,
                           class_weights=self.balanced, balanced=self.balanced, seed=seed)


SETTINGS = {
    "leaves": Settings(("mobilenet_v2_tiny-1.0-64", "shufflenet_v2-0.25-64"), "mobilenet_v2_tiny-2.0-64",
                       "mobilenet_v2_tiny-0.5-64", 45, 64, 6e-3),
    "garments": Settings(("mobilenet_v2_tiny-1.0-28", "shufflenet_v2-0.25-28"), "resnet8-1.0-28",
                         "mobilenet_v2_tiny-0.5-28", 14, 128, 6e-3),
    "spoken": Settings(("mobilenet_v2_tiny-1.0-61", "shufflenet_v2-0.25-61"), "ds_cnn-1.0-61",
                       "mobilenet_v2_tiny-0.5-61", 60, 32, 6e-3),
    "heartbeats": Settings(("mobilenet_v2_1d-1.0-128", "shufflenet_v2_1d-1.0-128"), "mobilenet_v2_1d-2.0-128",
                           "mobilenet_v2_1d-0.5-128", 10, 128, 4e-3, balanced=True),
}


@dataclass(frozen=True)
class Work:
    """One chain: a net on a data set (or the student of one), from one seed."""

    data: str
    net: str
    seed: int
    out: Path
    fold: str = ""  # the speaker who is held out
    distill: bool = False
    epochs: int | None = None  # fewer, to try the command

    @property
    def folder(self) -> Path:
        kind = "student" if self.distill else self.net
        return self.out / "-".join(filter(None, (self.data, self.fold))) / kind / str(self.seed)

    @cached_property
    def settings(self) -> Settings:
        settings = SETTINGS[self.data]
        return dataclasses.replace(settings, epochs=self.epochs or settings.epochs)

    @cached_property
    def dataset(self) -> Any:
        from ratti import nets
        from ratti.data import Options, load

        side = nets.resolution(self.net)
        options = Options((side, side)) if self.data == "leaves" else Options(hold_out=self.fold or None)
        return load(str(DATA / PARTS[self.data]), options)

    def spec(self, net: str) -> Any:
        from ratti import nets

        return nets.spec(net, input_shape=self.dataset.input_shape, classes=self.dataset.classes,
                         numbers=self.dataset.numbers)


def works(sets: list[str], seeds: list[int], out: Path, epochs: int | None) -> Iterator[Work]:
    for seed in seeds:
        for data in sets:
            for fold in SPEAKERS if data == "spoken" else ("",):
                yield from (Work(data, net, seed, out, fold, False, epochs) for net in SETTINGS[data].nets)
                yield Work(data, SETTINGS[data].student, seed, out, fold, True, epochs)


def follow(work: Work) -> str:
    """Every step of one chain that has no result yet; then the test part is read, once."""
    done = work.folder / "chain.json"
    if done.exists():
        return f"{work.folder} is done"
    start = time.monotonic()
    work.folder.mkdir(parents=True, exist_ok=True)
    steps = _distilled(work) if work.distill else _compressed(work)
    test = work.dataset.open_test("compression study")
    right, results = {}, []
    for result, predict in steps:
        right[result.step] = predict(test).argmax(1) == test.y
        results.append(result)
    chain = Chain(work.data, work.fold, work.net, work.seed, work.settings.balanced, tuple(results))
    np.savez_compressed(work.folder / "test.npz", labels=test.y, **right)  # type: ignore[arg-type]
    _write(done, dataclasses.asdict(chain))
    return f"{work.folder}: {time.monotonic() - start:.0f} s"


Step = tuple[Result, Callable[[Any], Any]]


def _compressed(work: Work) -> list[Step]:
    """Float, PTQ, QAT; pruned to half of the instructions, and its QAT."""
    from ratti.compress import qat, quantize
    from ratti.compress.structured import Importance, prune
    from ratti.train import Distillation, ModelTeacher, train

    dataset, settings = work.dataset, work.settings
    trained = train(work.spec(work.net), dataset, settings.train(work.seed), run_dir=work.folder / "float",
                    progress=False)
    steps = [_float(work, "float", trained)]
    steps.append(_int8(work, "ptq", quantize(trained.model, dataset), 0.0))
    learned = qat(trained.model, dataset, _qat(work), run_dir=work.folder / "qat", progress=False)
    steps.append(_int8(work, "qat", learned.program, learned.seconds))
    smaller = prune(trained.spec, trained.model, _instructions, HALF, importance=Importance.TAYLOR, dataset=dataset,
                    seed=work.seed)
    again = train(smaller.spec, dataset, settings.train(work.seed, max(1, settings.epochs // 2), settings.rate / 2),
                  run_dir=work.folder / "pruned", initial=smaller.model, progress=False,
                  goal=Distillation(ModelTeacher(trained.model)))
    steps.append(_float(work, "pruned", again))
    learned = qat(again.model, dataset, _qat(work), run_dir=work.folder / "pruned-qat", progress=False)
    steps.append(_int8(work, "pruned qat", learned.program, learned.seconds))
    return steps


def _distilled(work: Work) -> list[Step]:
    """The student alone, and the same student with a teacher, for as many epochs."""
    from ratti.train import Distillation, ModelTeacher, train

    dataset, settings = work.dataset, work.settings
    teacher = train(work.spec(settings.teacher), dataset, settings.train(work.seed), run_dir=work.folder / "teacher",
                    progress=False)
    alone = train(work.spec(work.net), dataset, settings.train(work.seed), run_dir=work.folder / "alone",
                  progress=False)
    taught = train(work.spec(work.net), dataset, settings.train(work.seed), run_dir=work.folder / "taught",
                   goal=Distillation(ModelTeacher(teacher.model)), progress=False)
    return [_float(work, name, t) for name, t in (("teacher", teacher), ("alone", alone), ("taught", taught))]


def _qat(work: Work) -> Any:
    from ratti.compress import QatConfig

    s = work.settings
    return QatConfig(max(2, s.epochs // 6), s.batch_size, s.rate / 20, balanced=s.balanced, class_weights=s.balanced,
                     seed=work.seed)


def _float(work: Work, step: str, trained: Any) -> Step:
    from ratti.train import predict

    val = trained.val.balanced_accuracy if work.settings.balanced else trained.val.accuracy
    result = Result(step, val, trained.seconds, trained.spec.parameters, trained.spec.parameters * 4, {})
    return result, lambda part: predict(trained.model, work.dataset, part)


def _int8(work: Work, step: str, program: Any, seconds: float) -> Step:
    """An int8 program: its figures on the devices, and the interpreter's outputs, which are the firmware's."""
    from ratti.data import score
    from ratti.formats import tflite
    from ratti.formats.torch_export import import_program
    from ratti.graph import interpreter
    from ratti.verbs.check import check

    graph = import_program(program, "net")

    def predict(part: Any) -> Any:
        codes = [graph.type(n).quant.quantize(r, graph.type(n).dtype)
                 for n, r in zip(graph.inputs, work.dataset.real(part), strict=True)]
        return interpreter.run_batch(graph, codes)[0]

    got = score(predict(work.dataset.val), work.dataset.val.y)
    file = work.folder / f"{step.replace(' ', '-')}.tflite"
    tflite.write(graph, file)
    devices = {}
    for target in TARGETS:
        checked = check(graph, target)
        devices[target] = {"instructions": checked.instructions, "ram": checked.ram["total"],
                           "flash": checked.flash["total"], "ms": checked.latency_range_ms}
    val = got.balanced_accuracy if work.settings.balanced else got.accuracy
    weights = sum(v.data.size for v in graph.values.values() if v.data is not None)
    return Result(step, val, seconds, weights, file.stat().st_size, devices), predict


def _instructions(spec: Any) -> float:
    """Instructions of the int8 firmware of a net with random weights, on the first target."""
    import torch

    from ratti import nets
    from ratti.compress import export
    from ratti.compress.ptq import quantize_program
    from ratti.formats.torch_export import import_program
    from ratti.verbs.check import check

    rng = torch.Generator().manual_seed(0)
    height, width, channels = spec.input_shape
    example: tuple[Any, ...] = (torch.randn(4, channels, height, width, generator=rng),)
    if spec.numbers:
        example = (*example, torch.randn(4, spec.numbers, generator=rng))
    program = quantize_program(export(nets.build(spec, 0), spec.input_shape, spec.numbers), [example])
    return float(check(import_program(program, "net"), TARGETS[0]).instructions or np.inf)


def _write(path: Path, content: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1))
    part.replace(path)


def run(todo: list[Work], jobs: int) -> None:
    start = time.monotonic()
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
        for k, line in enumerate(pool.map(follow, todo), 1):
            spent = time.monotonic() - start
            print(f"{k}/{len(todo)} {line}; about {spent / k * (len(todo) - k) / 60:.0f} min left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("do", choices=("run", "tables"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/compression"))
    parser.add_argument("--epochs", type=int, help="fewer than the study's, to try the command")
    parser.add_argument("--write", type=Path, help="replace the tables of this document")
    chosen = parser.parse_args()
    if chosen.do == "run":
        run(list(works(chosen.sets, chosen.seeds, chosen.out, chosen.epochs)), chosen.jobs)
    else:
        compression_tables.show(chosen.out, chosen.write)


if __name__ == "__main__":
    main()
