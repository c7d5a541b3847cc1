"""What compression costs and gains on real data: `run` trains, `measure` counts on devices, `tables` compares.

    python benchmarks/compression.py run --seeds 0
    python benchmarks/compression.py measure
    python benchmarks/compression.py tables --write docs/compression.md

`run` trains, quantizes and prunes nets on the shared data sets, one chain for each data set, net and seed; a chain
keeps its trainings in `--out` and goes on where it was stopped. Selection sees the validation part; a chain reads
the test part when all its steps are done, and leaves what it found in `--results`: a file for each chain, which is not
run again. `measure` compiles and runs each int8 model of `--out` on an emulated Cortex-M4 and RV32IMC. `tables`
compares the steps pairwise, sample by sample, with bootstrap intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import compression_beats as beats
import compression_devices as devices
import compression_results as results
import compression_tables
import kept
from compression_results import Chain, Result

from ratti.data import Augment, Flip

DATA = Path(__file__).parents[2] / "shared" / "data"
PARTS = {"leaves": "leaves", "garments": "fashion/fashion_25k.npz", "spoken": "digits_spoken",
         "heartbeats": "ecg/mitbih_beats.npz"}
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
HALF = 0.5
ZEROS = 0.8
ROUNDS = 3  # of weight pruning
SEEN = ""  # no speaker held out: the recordings' own split


@dataclass(frozen=True)
class Run:
    """A net and how long it trains: at most six minutes of one core."""

    net: str
    epochs: int


@dataclass(frozen=True)
class Settings:
    """How the nets of a data set are trained."""

    nets: tuple[Run, ...]  # a MobileNetV2 and a ShuffleNet
    teacher: Run  # the best net found within 64 KB of RAM and 256 KB of flash
    student: Run
    batch_size: int
    rate: float
    augment: Augment
    balanced: bool = False
    share: float = 0.7  # of the teacher in the student's loss
    folds: tuple[str, ...] = (SEEN,)

    def train(self, seed: int, epochs: int) -> Any:
        from ratti.train import TrainConfig

        return TrainConfig(epochs, self.batch_size, learning_rate=self.rate, weight_decay=0.02,
                           ema_decay=0.98, balanced_sampling=self.balanced, balanced=self.balanced,
                           augment=self.augment, seed=seed)


PHOTO = Augment(flip=Flip.ALL, shift_px=6, brightness=0.15, contrast=0.2)
GARMENT = Augment(flip=Flip.HORIZONTAL, shift_px=2)
VOICE = Augment(speed=0.15, time_shift=0.15, gain_db=6.0, noise=0.2)  # computed once: it goes through the front end
COPIES = 7
MASKS = Augment(mask_rows=8, mask_columns=3)
BEAT = Augment(time_shift=0.03, gain_db=3.0, noise=0.1)
SETTINGS = {
    "leaves": Settings(
        (Run("mobilenet_v2_tiny-1.0-64", 40), Run("shufflenet_v2-0.25-64", 40)), Run("mobilenet_v2_tiny-2.0-64", 32),
        Run("mobilenet_v2_tiny-0.5-64", 40), 64, 6e-3, PHOTO),
    "garments": Settings(
        (Run("mobilenet_v2_tiny-1.0-28", 16), Run("shufflenet_v2-0.25-28", 9)), Run("resnet8-1.0-28", 18),
        Run("mobilenet_v2_tiny-0.5-28", 16), 128, 6e-3, GARMENT),
    "spoken": Settings(
        (Run("mobilenet_v2_tiny-1.0-61", 10), Run("shufflenet_v2-0.25-31", 6)), Run("ds_cnn-1.0-61", 12),
        Run("mobilenet_v2_tiny-0.5-61", 30), 64, 6e-3, MASKS, share=1.0, folds=(SEEN, *SPEAKERS)),
    "heartbeats": Settings(
        (Run("mobilenet_v2_1d-1.0-128", 10), Run("shufflenet_v2_1d-1.0-128", 10)), Run("resnet_1d-1.0-128", 16),
        Run("mobilenet_v2_1d-0.5-128", 10), 128, 3e-3, BEAT, balanced=True),
}


@dataclass(frozen=True)
class Work:
    """One chain: a net on a data set (or a teacher and its student), from one seed."""

    data: str
    run: Run
    seed: int
    out: Path
    to: Path  # where what it found is kept
    fold: str = SEEN  # the speaker who is held out
    teacher: Run | None = None
    epochs: int | None = field(default=None, compare=False)  # fewer, to try the command

    @property
    def name(self) -> Path:
        kind = "taught" if self.teacher else self.run.net
        return Path("-".join(filter(None, (self.data, self.fold))), kind, str(self.seed))

    @property
    def folder(self) -> Path:
        """Of its trainings."""
        return self.out / self.name

    @property
    def found(self) -> Path:
        """What it found."""
        return (self.to / self.name).with_suffix(".json")

    @property
    def settings(self) -> Settings:
        return SETTINGS[self.data]

    def train(self, run: Run) -> Any:
        """Settings of a training."""
        return self.settings.train(self.seed, self.epochs or run.epochs)

    @cached_property
    def dataset(self) -> Any:
        """For spoken digits with changed versions of the train part, computed once."""
        return self._voiced(self._loaded)

    @cached_property
    def joined(self) -> Any:
        """The validation part in train, for the best net's last training: everything is chosen."""
        return self._voiced(self._loaded.joined())

    def _voiced(self, dataset: Any) -> Any:
        return VOICE.copies(dataset, COPIES, self.seed) if self.data == "spoken" else dataset

    @cached_property
    def _loaded(self) -> Any:
        from ratti import nets
        from ratti.data import Options, load

        side = nets.resolution(self.run.net)
        options = {"leaves": Options((side, side)), "spoken": Options(hold_out=self.fold or None, resolution=side)}
        source = DATA / PARTS[self.data]
        if self.data == "heartbeats":
            source = beats.relative(source, self.out)
        return load(str(source), options.get(self.data))

    def spec(self, net: str) -> Any:
        from ratti import nets

        return nets.spec(net, input_shape=self.dataset.input_shape, classes=self.dataset.classes,
                         numbers=self.dataset.numbers)


def works(sets: list[str], seeds: list[int], out: Path, to: Path, epochs: int | None) -> Iterator[Work]:
    """Every set's MobileNetV2 first, then what is taught, then the ShuffleNets, which train slowest."""
    for seed in seeds:
        for kind in range(3):
            for data in sets:
                s = SETTINGS[data]
                run, teacher = ((s.nets[0], None), (s.student, s.teacher), (s.nets[1], None))[kind]
                folds = s.folds[len(s.folds) > 1 and not teacher :]  # known speakers judge the best net alone
                yield from (Work(data, run, seed, out, to, fold, teacher, epochs) for fold in folds)


def follow(work: Work) -> str:
    """Every step of one chain that has no result yet; then the test part is read, once."""
    if work.found.exists():
        return f"{work.found} is there"
    start = time.monotonic()
    work.folder.mkdir(parents=True, exist_ok=True)
    steps = _taught(work, work.teacher) if work.teacher else _compressed(work)
    test = work.dataset.open_test("compression study")
    right = {result.step: predict(test).argmax(1) == test.y for result, predict in steps}
    results.write(work.found, Chain(
        work.data, work.fold, work.run.net, work.seed, work.settings.balanced, kept.made(),
        tuple(result for result, _ in steps), test.y, right))
    return f"{work.found}: {time.monotonic() - start:.0f} s"


Step = tuple[Result, Callable[[Any], Any]]


def _compressed(work: Work) -> list[Step]:
    """Float, PTQ, QAT; pruned to half of the instructions, and its QAT; with four fifths of the weights at zero."""
    from ratti.compress import quantize
    from ratti.compress.magnitude import sparsify
    from ratti.compress.structured import Importance, prune
    from ratti.train import Distillation, ModelTeacher, train

    dataset, run = work.dataset, work.run
    trained = train(work.spec(run.net), dataset, work.train(run), run_dir=work.folder / "float", progress=False)
    steps = [_float(work, "float", trained)]
    steps.append(_int8(work, "ptq", quantize(trained.model, dataset), 0.0))
    steps.append(_qat(work, "qat", trained.model))
    whole = Distillation(ModelTeacher(trained.model))
    smaller = prune(trained.spec, trained.model, devices.instructions(work.out), HALF, importance=Importance.TAYLOR,
                    dataset=dataset, seed=work.seed)
    longer = dataclasses.replace(work.train(run), learning_rate=work.settings.rate / 2)
    again = train(smaller.spec, dataset, longer, run_dir=work.folder / "pruned", initial=smaller.model, progress=False,
                  goal=whole)
    steps.append(_float(work, "pruned", again))
    steps.append(_qat(work, "pruned qat", again.model))
    config = dataclasses.replace(work.train(run), epochs=max(2 * ROUNDS, work.epochs or run.epochs))
    start = time.monotonic()
    sparse = sparsify(trained.model, dataset, ZEROS, config, rounds=ROUNDS, run_dir=work.folder / "sparse",
                      progress=False, goal=whole)
    steps.append(_int8(work, "sparse ptq", quantize(sparse.model, dataset), time.monotonic() - start))
    return steps


def _taught(work: Work, teacher: Run) -> list[Step]:
    """The best net, trained again with the validation part for as many steps, float and int8; and a student, alone and
    with that net (as validation knew it) as its teacher, for as many epochs.
    """
    from ratti.compress import quantize
    from ratti.train import Distillation, ModelTeacher, train

    def learn(name: str, run: Run, goal: Any = None, dataset: Any = None) -> Any:
        data = dataset or work.dataset
        epochs = math.ceil(work.train(run).epochs * len(work.dataset.train) / len(data.train))
        config = dataclasses.replace(work.train(run), epochs=epochs)
        return train(work.spec(run.net), data, config, run_dir=work.folder / name, progress=False, goal=goal)

    best = learn("teacher", teacher)
    steps = [_float(work, "teacher", best)]
    last = learn("last", teacher, dataset=work.joined)
    steps += [_float(work, "best", last), _int8(work, "best int8", quantize(last.model, work.joined), 0.0)]
    steps.append(_float(work, "alone", learn("alone", work.run)))
    goal = Distillation(ModelTeacher(best.model), share=work.settings.share)
    steps.append(_float(work, "taught", learn("taught", work.run, goal)))
    if work.data == "heartbeats":
        steps.append(beats.trees(work.joined, work.seed))
    return steps


def _qat(work: Work, step: str, model: Any) -> Step:
    from ratti.compress import QatConfig, qat

    s, epochs = work.settings, work.epochs or work.run.epochs
    config = QatConfig(max(2, epochs // 8), s.batch_size, s.rate / 20, balanced=s.balanced,
                       balanced_sampling=s.balanced, augment=s.augment, seed=work.seed)
    learned = qat(model, work.dataset, config, run_dir=work.folder / step.replace(" ", "-"), progress=False)
    return _int8(work, step, learned.program, learned.seconds)


def _float(work: Work, step: str, trained: Any) -> Step:
    from ratti.train import predict

    val = trained.val.balanced_accuracy if work.settings.balanced else trained.val.accuracy
    result = Result(step, val, trained.seconds, trained.spec.parameters * 4)
    return result, lambda part: predict(trained.model, work.dataset, part)


def _int8(work: Work, step: str, program: Any, seconds: float) -> Step:
    """An int8 program: its file, and the interpreter's outputs, which are the firmware's."""
    from ratti.data import score
    from ratti.formats import tflite
    from ratti.formats.torch_export import import_program
    from ratti.graph import interpreter

    graph = import_program(program, "net")

    def predict(part: Any) -> Any:
        quants = [graph.type(n).quant for n in graph.inputs]
        return interpreter.run_batch(graph, work.dataset.codes(part, quants))[0]

    got = score(predict(work.dataset.val), work.dataset.val.y)
    file = work.folder / f"{step.replace(' ', '-')}.tflite"
    tflite.write(graph, file)
    val = got.balanced_accuracy if work.settings.balanced else got.accuracy
    return Result(step, val, seconds, file.stat().st_size, file.name), predict


def run(todo: list[Work], jobs: int) -> None:
    """All chains, each in a process of its own."""
    start = time.monotonic()
    with ProcessPoolExecutor(jobs, max_tasks_per_child=1) as pool:
        for k, line in enumerate(pool.map(follow, todo), 1):
            spent = time.monotonic() - start
            print(f"{k}/{len(todo)} {line}; about {spent / k * (len(todo) - k) / 60:.0f} min left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("run", "measure", "tables"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/compression"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/compression"))
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    parser.add_argument("--epochs", type=int, help="fewer than the study's, to try the command")
    parser.add_argument("--write", type=Path, help="replace the tables of this document")
    chosen = parser.parse_args()
    if chosen.do == "run":
        run(list(works(chosen.sets, chosen.seeds, chosen.out, chosen.results, chosen.epochs)), chosen.jobs)
    elif chosen.do == "measure":
        devices.measure(chosen.out, chosen.results, chosen.again)
    else:
        compression_tables.show(chosen.results, chosen.write)


if __name__ == "__main__":
    main()
