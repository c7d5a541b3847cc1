"""A float net made to fit a device: distilled, pruned, quantized, with its accuracy at every step.

Everything that selects looks at the validation part; the test part is opened once, when the firmware stands.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import nets, targets
from ..errors import InputError
from ..graph.ir import Graph
from ..recipe import ModelRecipe, Recipe, identifier
from .build import Job, ModelResult, Say, load_data, with_front_end, write_json
from .check import CheckResult, Limits, check
from .export import check_folder
from .report import report
from .train import distillation, trained_net

if TYPE_CHECKING:
    from torch.fx import GraphModule

    from ..compress import Sensitivity
    from ..data import Options, Part, Score
    from ..train import TrainConfig, Trained

SCHEMA = "ratti.compress/1"
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)  # of the instructions, that pruning tries to keep
QAT_SHARE = 6  # quantization-aware training takes a sixth of the epochs
QAT_RATE = 20  # and a twentieth of the rate


@dataclass(frozen=True)
class Rung:
    """A step of the ladder. Scores are shares between 0 and 1; figures of the device where the step is int8."""

    step: str
    val: float
    test: float
    instructions: int | None = None
    ram: int | None = None
    flash: int | None = None
    latency_ms: float | None = None
    fits: bool | None = None


@dataclass(frozen=True)
class CompressResult:
    """What `compress` made: the ladder, the bundle of its last net, and that net's figures. `before` are those of the
    whole net in int8.
    """

    model: str
    target: str
    balanced: bool  # scores are balanced accuracies
    ladder: tuple[Rung, ...]
    chosen: str
    before: CheckResult
    result: ModelResult
    notes: tuple[str, ...]
    sensitivity: Sensitivity | None
    max_drop: float | None  # points
    seconds: float

    @property
    def drop(self) -> float:
        """Points of the validation score that the chosen step lost against the best float one."""
        scores = {r.step: r.val for r in self.ladder}
        return 100 * (max(scores["float"], scores.get("distilled", 0.0)) - scores[self.chosen])

    @property
    def fits(self) -> bool:
        """Whether the device's limits and the loss that was allowed are kept."""
        return all(c.fits for c in self.result.checks) and (self.max_drop is None or self.drop <= self.max_drop)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {
            **self.result.to_json(), "schema": SCHEMA, "model": self.model, "before": self.before.to_json(),
            "target": self.target, "fits": self.fits, "drop": self.drop,
            "max_drop": self.max_drop, "balanced": self.balanced,
            "ladder": [vars(r) for r in self.ladder], "chosen": self.chosen,
            "notes": list(self.notes), "seconds": self.seconds,
            "sensitivity": None if self.sensitivity is None else self.sensitivity.to_json(),
        }

    def __str__(self) -> str:
        from ..report import ladder

        return ladder.compress(self)


def compress(model: str | Path, data: str, target: str, limits: Limits | None = None, *, out: str | Path,
             settings: TrainConfig | None = None, options: Options | None = None, teacher: str | Path | None = None,
             sensitivity: bool = False, max_drop: float | None = None, zeros: float | None = None,
             say: Say = lambda line: None, progress: bool = False) -> CompressResult:
    """Makes `model` fit `target` under `limits` with as little loss as it can, and writes a bundle into `out`.

    The way: the float net (trained first where `model` is an id), taught by `teacher` where there is one; quantized
    with the ranges that are best on validation; where that does not fit, channels are pruned until it does, and the
    smaller net learns from the larger; quantization-aware training; of PTQ and QAT the better on validation.

    Args:
        model: a folder that `train` or `build` wrote, or a net's id.
        settings: of training from scratch; what is trained further takes shares of its epochs and rate.
        sensitivity: also a table of what each layer alone costs in int8.
        max_drop: points of the validation score that may be lost; what loses more is written, and does not fit.

        zeros: also the steps of a net with this share of single weights at 0, to compare: firmware stores and
            multiplies zeros like other weights, so they are no candidates.

    Raises:
        InputError: a model, data or limits that cannot work; limits that no net with fewer channels meets either.
    """
    from ..train import TrainConfig

    start = time.monotonic()
    device = targets.load(target)
    check_folder(Path(out))
    settings = settings or TrainConfig()
    work = _Work(data, device.id, limits or Limits(), settings, Path(out) / ".work", say, progress, options)
    work.begin(model, teacher)
    work.fit()
    if zeros is not None:
        work.sparse(zeros)
    if sensitivity:
        from ..compress import sensitivity as table

        work.table = table(work.current.model, work.dataset)
    return work.report(str(model), Path(out), max_drop, start)


@dataclass(eq=False)
class _Step:
    """What a rung will be made of when the test part is open."""

    name: str
    score: Score
    predict: Callable[[Part], Any]
    checked: CheckResult | None = None
    graph: Graph | None = None


@dataclass(eq=False)
class _Work:
    """The state of one compression."""

    data: str
    target: str
    limits: Limits
    settings: TrainConfig
    folder: Path
    say: Say
    progress: bool
    options: Options | None
    table: Sensitivity | None = None

    def begin(self, model: str | Path, teacher: str | Path | None) -> None:
        """The float net, and what a teacher adds to it."""
        from ..train import TrainConfig, evaluate, train
        from ..train.loop import Trained

        self.steps: list[_Step] = []
        self.notes: list[str] = []
        if nets.is_id(str(model)):
            self.spec, self.dataset = load_data(self.data, str(model), self.options)
            self.current = train(self.spec, self.dataset, self.settings, run_dir=self.folder / "float",
                                 progress=self.progress)
        else:
            self.spec, module = trained_net(model)
            _, self.dataset = load_data(self.data, str(Path(model) / "net.yaml"), self.options)
            if (self.spec.input_shape, self.spec.classes) != (self.dataset.input_shape, self.dataset.classes):
                raise InputError(f"'{model}' takes {self.spec.input_shape} and knows {self.spec.classes} classes; "
                                 f"'{self.data}' has {self.dataset.input_shape} and {self.dataset.classes}")
            val = evaluate(module, self.dataset, self.dataset.val)
            self.current = Trained(self.spec, module, TrainConfig(), (), 0, val, 0.0)
        self._float("float", self.current)
        if teacher is not None:
            goal = distillation(teacher, self.dataset, 4.0, 0.7)
            taught = train(self.spec, self.dataset, self.settings, run_dir=self.folder / "distilled", goal=goal,
                           progress=self.progress)
            self._float("distilled", taught)
            if self._value(taught.val) >= self._value(self.current.val):
                self.current = taught
            else:
                self.notes.append("the teacher did not help on validation: the net goes on without it")

    def fit(self) -> None:
        """Quantizes; prunes first where that does not fit."""
        step = self._ptq("ptq")
        assert step.checked is not None
        if not step.checked.fits:
            self.notes += [f"whole: {reason}" for reason in step.checked.reasons]
            self._prune(step.checked)
            self._ptq("pruned ptq")
        self._qat()

    def sparse(self, share: float) -> None:
        """Steps of a net with zeros, and what they would gain where they were stored as such."""
        from ..compress import quantize, sparsify, storage
        from ..compress.magnitude import ROUNDS
        from ..train import Distillation, ModelTeacher, evaluate, predict

        s = self.settings
        again = dataclasses.replace(s, epochs=max(2 * ROUNDS, s.epochs // 2), learning_rate=s.learning_rate / 2)
        found = sparsify(self.current.model, self.dataset, share, again, run_dir=self.folder / "sparse",
                         goal=Distillation(ModelTeacher(self.current.model)), progress=self.progress)
        program = quantize(found.model, self.dataset)
        for name, module, score in (("sparse", found.model, found.val),
                                    ("sparse ptq", program, evaluate(program, self.dataset, self.dataset.val))):
            self.say(f"{name}: {self._value(score):.1%} of validation")
            predicted = functools.partial(predict, module, self.dataset)
            self.steps.append(_Step(name, score, predicted))
        weights = [v.data for v in self._graph(program).values.values() if v.data is not None and v.data.dtype == "i1"]
        size = storage(weights)
        self.notes.append(f"sparse: {found.share:.0%} zeros; {size.dense:,} B of int8 weights would be {size.bitmap:,} "
                          f"B as a bitmap and {size.gaps:,} B as gaps, less the code that expands them; no gain on "
                          f"{self.target} today: its kernels store and multiply zeros like other weights")

    def report(self, model: str, out: Path, max_drop: float | None, start: float) -> CompressResult:
        """Chooses by validation, writes the bundle, opens the test part."""
        candidates = [s for s in self.steps if s.checked is not None and s.checked.fits]
        chosen = max(candidates or [s for s in self.steps if s.graph is not None][-1:],
                     key=lambda s: self._value(s.score))
        assert chosen.graph is not None and chosen.checked is not None
        net = self.folder / f"{self.spec.name}.yaml"
        net.parent.mkdir(parents=True, exist_ok=True)
        net.write_text(nets.to_yaml(self.current.spec), encoding="utf-8")
        recipe_model = ModelRecipe(str(net), (self.target,))
        recipe = Recipe(identifier(self.data), self.data, (recipe_model,), str(out), optimize="speed")
        job = Job(recipe, recipe_model, self.current.spec, self.dataset, self.limits, self.say)
        scores: dict[str, float] = {}

        def score_all(test: Part) -> None:
            from ..data import score

            for s in self.steps:
                scores[s.name] = self._value(score(s.predict(test), test.y))

        before = next(s.checked for s in self.steps if s.checked is not None)
        made = job.report(out, self.current, chosen.graph, [chosen.checked], score_all)
        ladder = tuple(self._rung(s, scores[s.name]) for s in self.steps)
        for d in made.device:
            ladder += (Rung(f"on {d.target}, {d.samples} samples", self._value(chosen.score), d.accuracy,
                            *_figures(chosen.checked)),)
        result = CompressResult(model, self.target, self.settings.balanced, ladder, chosen.name, before, made,
                                tuple(self.notes), self.table, max_drop, round(time.monotonic() - start, 1))
        write_json(out / "report.json", result.to_json())
        report(out)
        return result

    def _value(self, score: Score) -> float:
        return score.balanced_accuracy if self.settings.balanced else score.accuracy

    def _rung(self, step: _Step, test: float) -> Rung:
        figures = () if step.checked is None else _figures(step.checked)
        return Rung(step.name, self._value(step.score), test, *figures)

    def _float(self, name: str, trained: Trained) -> None:
        from ..train import predict

        self.say(f"{name}: {self._value(trained.val):.1%} of validation")
        self.steps.append(_Step(name, trained.val, lambda part: predict(trained.model, self.dataset, part)))

    def _int8(self, name: str, program: GraphModule, score: Score, graph: Graph) -> _Step:
        from ..train import predict

        checked = check(graph, self.target, self.limits)
        self.say(f"{name}: {self._value(score):.1%} of validation; {'fits' if checked.fits else 'does not fit'}")
        self.steps.append(_Step(name, score, lambda part: predict(program, self.dataset, part), checked, graph))
        return self.steps[-1]

    def _graph(self, program: GraphModule) -> Graph:
        from ..formats.torch_export import import_program

        metadata = {"classes": json.dumps(list(self.dataset.class_names)), "net": self.current.spec.name}
        return with_front_end(import_program(program, identifier(self.data), metadata=metadata), self.dataset)

    def _ptq(self, name: str) -> _Step:
        """Quantized with the observer that is best on validation."""
        from ..compress import Observer, PtqConfig, quantize
        from ..train import evaluate

        best: tuple[float, str, GraphModule, Score] | None = None
        for observer in (Observer.MIN_MAX, Observer.HISTOGRAM, Observer.PERCENTILE):
            program = quantize(self.current.model, self.dataset, PtqConfig(observer, seed=self.settings.seed))
            found = evaluate(program, self.dataset, self.dataset.val)
            if best is None or self._value(found) > best[0]:
                best = self._value(found), observer.value, program, found
        assert best is not None
        self.say(f"{name}: ranges by {best[1]}")
        return self._int8(name, best[2], best[3], self._graph(best[2]))

    def _qat(self) -> None:
        from ..compress import QatConfig, qat

        s = self.settings
        config = QatConfig(max(2, s.epochs // QAT_SHARE), s.batch_size, s.learning_rate / QAT_RATE, balanced=s.balanced,
                           class_weights=s.class_weights, seed=s.seed)
        found = qat(self.current.model, self.dataset, config, run_dir=self.folder / "qat", progress=self.progress)
        from ..train import evaluate

        score = evaluate(found.program, self.dataset, self.dataset.val)
        self._int8("qat", found.program, score, self._graph(found.program))

    def _prune(self, whole: CheckResult) -> None:
        """Keeps as many of the instructions as fit, then learns from the whole net."""
        from ..compress import Importance, prune
        from ..train import Distillation, ModelTeacher, train

        checks: dict[str, CheckResult] = {}

        def measured(spec: nets.NetSpec) -> CheckResult:
            key = nets.to_yaml(spec)
            if key not in checks:
                checks[key] = check(with_front_end(nets.random_graph(spec), self.dataset), self.target, self.limits)
            return checks[key]

        def cost(spec: nets.NetSpec) -> float:
            found = measured(spec)
            return float(found.macs if found.instructions is None else found.instructions)

        smallest: CheckResult = whole
        for share in SHARES:
            try:
                pruned = prune(self.current.spec, self.current.model, cost, share, importance=Importance.TAYLOR,
                               dataset=self.dataset, seed=self.settings.seed)
            except InputError:
                break
            smallest = measured(pruned.spec)
            self.say(f"pruned to {pruned.cost / pruned.cost_before:.0%} of the instructions: "
                     f"{'fits' if smallest.fits else smallest.reasons[0]}")
            if smallest.fits:
                rate, epochs = self.settings.learning_rate / 2, max(1, self.settings.epochs // 2)
                again = dataclasses.replace(self.settings, epochs=epochs, learning_rate=rate)
                goal = Distillation(ModelTeacher(self.current.model))
                self.current = train(pruned.spec, self.dataset, again, run_dir=self.folder / "pruned",
                                     initial=pruned.model, goal=goal, progress=self.progress)
                self._float("pruned", self.current)
                return
        _, ram, flash, ms, _ = _figures(smallest)
        raise InputError(f"{self.spec.name} cannot be pruned into these limits; the nearest that was tried takes "
                         f"{ram:,} B of RAM, {flash:,} B of flash{f', {ms:.3g} ms' if ms else ''} "
                         f"({'; '.join(smallest.reasons)}): take a smaller net or wider limits")


def _figures(checked: CheckResult) -> tuple[int | None, int, int, float | None, bool]:
    """With the front end, where there is one."""
    whole = checked.whole
    span = whole.latency_range_ms
    return whole.instructions, whole.ram, whole.flash, None if span is None else span[1] or span[0], checked.fits
