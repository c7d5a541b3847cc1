"""The steps of a compression, one after the other: `compress` says which."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import nets
from ..errors import InputError
from ..graph.ir import Graph
from ..recipe import ModelRecipe, Recipe, identifier
from . import _float
from ._budget import Budget
from ._built import ModelResult
from ._float import FloatNet
from .build import Job, Say, load_data, told, with_front_end
from .check import CheckResult, Limits, check
from .train import distillation, trained_net

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import GraphModule

    from ..compress import Sensitivity
    from ..data import Dataset, Options, Part, Score
    from ..train import Goal, TrainConfig

SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)  # of the instructions, that pruning tries to keep
QAT_SHARE = 6  # quantization-aware training takes a sixth of the epochs
QAT_RATE = 20  # and a twentieth of the rate
METHODS = ("equalize", "correct_biases", "learn_rounding")  # of PTQ, in the order in which they are tried


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
    how: str = ""  # ranges and methods of PTQ, epochs of QAT, what pruning kept


@dataclass(eq=False)
class Step:
    """What a rung will be made of when the test part is open."""

    name: str
    score: Score
    predict: Callable[[Part], Any]
    checked: CheckResult | None = None
    graph: Graph | None = None
    how: str = ""
    net: FloatNet | None = None  # that it was made from, where that is not the last one


@dataclass(eq=False)
class Ladder:
    """The state of one compression: the steps so far, and the float net that the next one goes on from."""

    data: str
    target: str
    limits: Limits
    settings: TrainConfig
    folder: Path
    say: Say
    progress: bool
    options: Options | None
    budget: Budget
    table: Sensitivity | None = None

    def begin(self, model: str | Path, teacher: str | Path | None, pixels: str | None) -> None:
        """The float net, and what a teacher adds to it."""
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.current, self.dataset = self._given(model, pixels)
        self.name = self.current.name
        self._float("float", self.current)
        if teacher is not None:
            goal = distillation(teacher, self.dataset, 4.0, 0.7)
            settings = self._settings("distilled", self.settings.epochs, goal)
            taught = self.current.taught(self.dataset, settings, goal, self.folder / "distilled", self.progress)
            self._float("distilled", taught)
            if self._value(taught.val) >= self._value(self.current.val):
                self.current = taught
            else:
                self.notes.append("the teacher did not help on validation: the net goes on without it")

    def _given(self, model: str | Path, pixels: str | None) -> tuple[FloatNet, Dataset]:
        """The net and its data."""
        from ..train import evaluate, train

        if _float.is_file(model):
            return _float.read(model, self.data, self.options, pixels, self.say)
        if pixels is not None:
            raise InputError(f"--pixels {pixels} is for model files; ratti's own nets take pixels as -1 to 1")
        if nets.is_id(str(model)):
            spec, self.dataset = load_data(self.data, str(model), self.options)
            settings = self._settings("float", self.settings.epochs, None, nets.build(spec, self.settings.seed))
            trained = train(spec, self.dataset, settings, run_dir=self.folder / "float", progress=self.progress)
            return FloatNet.of(trained), self.dataset
        spec, module = trained_net(model)
        _, dataset = load_data(self.data, str(Path(model) / "net.yaml"), self.options)
        if (spec.input_shape, spec.classes) != (dataset.input_shape, dataset.outputs):
            raise InputError(f"'{model}' takes {spec.input_shape} and has {spec.classes} outputs; "
                             f"'{self.data}' has {dataset.input_shape} and needs {dataset.outputs}")
        return FloatNet(spec.name, module, evaluate(module, dataset, dataset.val), spec), dataset

    def _settings(self, stage: str, epochs: int, goal: Goal | None, model: nn.Module | None = None,
                  least: int = 1) -> TrainConfig:
        """The settings of a stage, with as many epochs as the time left allows."""
        model = self.current.model if model is None else model
        allowed = self.budget.epochs(stage, epochs, least, model, self.dataset, self.settings, goal)
        return dataclasses.replace(self.settings, epochs=allowed)

    def fit(self) -> None:
        """Quantizes; prunes first where that does not fit."""
        step = self._ptq("ptq")
        assert step.checked is not None
        if not step.checked.fits:
            self.notes += [f"whole: {reason}" for reason in step.checked.reasons]
            if self.current.spec is None:
                self.notes.append("channels are not pruned: that takes the net.yaml of one of ratti's own nets, and "
                                  "this model came from a file")
            else:
                self._prune(self.current.spec, step.checked)
                self._ptq("pruned ptq")
        self._qat()

    def sparse(self, share: float) -> None:
        """Steps of a net with zeros, and what they gain on the device beside the same net without."""
        from ..compress import quantize, sparsify
        from ..compress.magnitude import ROUNDS
        from ..train import evaluate

        dense = next(s.checked for s in reversed(self.steps) if s.checked is not None and s.name.endswith("ptq"))
        least, goal = 2 * ROUNDS, self._taught()
        s = self._settings("sparse", max(least, self.settings.epochs // 2), goal, least=least)
        again = dataclasses.replace(s, learning_rate=s.learning_rate / 2)
        found = sparsify(self.current.model, self.dataset, share, again, run_dir=self.folder / "sparse", goal=goal,
                         progress=self.progress)
        net = dataclasses.replace(self.current, model=found.model, val=found.val)
        self._float("sparse", net)
        program = quantize(found.model, self.dataset)
        score = evaluate(program, self.dataset, self.dataset.val)
        step = self._int8("sparse ptq", program, score, f"{found.share:.0%} zeros")
        step.net = net
        assert step.checked is not None and step.graph is not None
        words = _gained(dense, step.checked)
        if not any(y.kernel == "conv_sparse" for y in step.checked.layers):
            words += f"; planned for size: {_gained(dense, check(step.graph, self.target, self.limits, 'size'))}"
        self.notes.append(f"sparse ptq beside the same net without zeros: {words}")

    @property
    def before(self) -> CheckResult:
        """The figures of the first int8 net: whole, where pruning comes after."""
        return next(s.checked for s in self.steps if s.checked is not None)

    def report(self, model: str, out: Path) -> tuple[tuple[Rung, ...], str, ModelResult]:
        """Chooses by validation, writes the bundle, opens the test part: (the ladder, the chosen step, the bundle)."""
        candidates = [s for s in self.steps if s.checked is not None and s.checked.fits]
        chosen = max(candidates or [s for s in self.steps if s.graph is not None][-1:],
                     key=lambda s: self._value(s.score))
        assert chosen.graph is not None and chosen.checked is not None
        made_from = chosen.net or self.current
        net, spec = Path(model), made_from.spec
        if spec is not None:
            net = self.folder / f"{self.name}.yaml"
            net.parent.mkdir(parents=True, exist_ok=True)
            net.write_text(nets.to_yaml(spec), encoding="utf-8")
        recipe_model = ModelRecipe(str(net), (self.target,))
        recipe = Recipe(identifier(self.data), self.data, (recipe_model,), str(out), optimize="speed")
        job = Job(recipe, recipe_model, spec, self.dataset, self.limits, self.say)
        scores: dict[str, float] = {}

        def score_all(test: Part) -> None:
            for s in self.steps:
                scores[s.name] = self._value(self.dataset.score(s.predict(test), test))

        made_by = f"Made by `ratti compress` from `{model}`."
        made = job.report(out, made_from, chosen.graph, [chosen.checked], score_all, made_by)
        ladder = tuple(self._rung(s, scores[s.name]) for s in self.steps)
        for d in made.device:
            ladder += (Rung(f"on {d.target}, {d.samples} samples", self._value(chosen.score), d.accuracy,
                            *_figures(chosen.checked)),)
        return ladder, chosen.name, made

    def _value(self, score: Score) -> float:
        return score.balanced_accuracy if self.settings.balanced else score.accuracy

    def _taught(self) -> Goal | None:
        """The net as it stands teaches a classifier; of another goal its own loss is all that there is."""
        from ..train import Distillation, ModelTeacher

        return Distillation(ModelTeacher(self.current.model.eval())) if self.dataset.goal == "classify" else None

    def _rung(self, step: Step, test: float) -> Rung:
        figures = () if step.checked is None else _figures(step.checked)
        made = Rung(step.name, self._value(step.score), test, *figures)
        return dataclasses.replace(made, how=step.how)

    def _float(self, name: str, net: FloatNet) -> None:
        from ..train import predict

        self.say(f"{name}: {self._value(net.val):.1%} of validation")
        self.steps.append(Step(name, net.val, lambda part: predict(net.model, self.dataset, part)))

    def _int8(self, name: str, program: GraphModule, score: Score, how: str) -> Step:
        from ..train import predict

        graph = self._graph(program)
        checked = check(graph, self.target, self.limits)
        self.say(f"{name}: {self._value(score):.1%} of validation; {'fits' if checked.fits else 'does not fit'}")
        self.steps.append(Step(name, score, lambda part: predict(program, self.dataset, part), checked, graph, how))
        return self.steps[-1]

    def _graph(self, program: GraphModule) -> Graph:
        from ..formats.torch_export import import_program

        metadata = told(self.dataset, self.current.name)
        if self.current.spec is None and self.dataset.kind.value == "image":
            metadata["pixels"] = _float.name_of(self.dataset.normalization)
        return with_front_end(import_program(program, identifier(self.data), metadata=metadata), self.dataset)

    def _ptq(self, name: str) -> Step:
        """Quantized with the ranges, and then with the methods, that are best on validation.

        A method stays where it makes the score better; the dearest is tried last, and not where time is short.
        """
        from ..compress import Observer, PtqConfig, quantize
        from ..train import evaluate

        tried: list[str] = []
        best: tuple[float, PtqConfig, GraphModule, Score] | None = None

        def attempt(config: PtqConfig, words: str) -> None:
            nonlocal best
            program = quantize(self.current.model, self.dataset, config)
            found = evaluate(program, self.dataset, self.dataset.val)
            tried.append(f"{words} {self._value(found):.1%}")
            if best is None or self._value(found) > best[0]:
                best = self._value(found), config, program, found

        for observer in (Observer.MIN_MAX, Observer.HISTOGRAM, Observer.PERCENTILE):
            attempt(PtqConfig(observer, seed=self.settings.seed), _words(observer.value))
        for method in METHODS:
            assert best is not None
            if method == METHODS[-1] and self.budget.is_short:
                self.notes.append(f"{name}: no time for {_words(method)}")
            else:
                more: dict[str, Any] = {method: True}
                attempt(dataclasses.replace(best[1], **more), f"and {_words(method)}")
        assert best is not None
        _, config, program, score = best
        how = ", ".join([_words(config.observer.value), *(_words(m) for m in METHODS if getattr(config, m))])
        self.say(f"{name}: {how}")
        self.notes.append(f"{name}, on validation: {', '.join(tried)}")
        return self._int8(name, program, score, how)

    def _qat(self) -> None:
        from ..compress import QatConfig, qat
        from ..compress.qat import prepare
        from ..train import evaluate

        s, goal = self.settings, self._taught()
        model = prepare(self.current.model, self.dataset, self.dataset.input_quant) if self.budget.minutes else None
        epochs = self._settings("qat", max(2, s.epochs // QAT_SHARE), goal, model).epochs
        config = QatConfig(epochs, s.batch_size, s.learning_rate / QAT_RATE, balanced=s.balanced,
                           class_weights=s.class_weights, seed=s.seed)
        found = qat(self.current.model, self.dataset, config, run_dir=self.folder / "qat", progress=self.progress)
        score = evaluate(found.program, self.dataset, self.dataset.val)
        self._int8("qat", found.program, score, f"{epochs} epochs")

    def _prune(self, spec: nets.NetSpec, whole: CheckResult) -> None:
        """Keeps as many of the instructions as fit, then learns from the whole net."""
        from ..compress import Importance, prune
        from ..train import train

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
                pruned = prune(spec, self.current.model, cost, share, importance=Importance.TAYLOR,
                               dataset=self.dataset, seed=self.settings.seed)
            except InputError:
                break
            smallest = measured(pruned.spec)
            self.say(f"pruned to {pruned.cost / pruned.cost_before:.0%} of the instructions: "
                     f"{'fits' if smallest.fits else smallest.reasons[0]}")
            if smallest.fits:
                goal = self._taught()
                again = self._settings("pruned", max(1, self.settings.epochs // 2), goal, pruned.model)
                again = dataclasses.replace(again, learning_rate=self.settings.learning_rate / 2)
                trained = train(pruned.spec, self.dataset, again, run_dir=self.folder / "pruned",
                                initial=pruned.model, goal=goal, progress=self.progress)
                self.current = FloatNet.of(trained)
                self._float("pruned", self.current)
                self.steps[-1].how = f"to {pruned.cost / pruned.cost_before:.0%}"
                return
        _, ram, flash, ms, _ = _figures(smallest)
        raise InputError(f"{spec.name} cannot be pruned into these limits; the nearest that was tried takes "
                         f"{ram:,} B of RAM, {flash:,} B of flash{f', {ms:.3g} ms' if ms else ''} "
                         f"({'; '.join(smallest.reasons)}): take a smaller net or wider limits")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _gained(dense: CheckResult, sparse: CheckResult) -> str:
    """What zeros gain in flash and instructions."""
    (before, _, flash_before, *_), (after, _, flash, *_) = _figures(dense), _figures(sparse)
    told = f"{flash_before:,} to {flash:,} B of flash"
    if before is not None and after is not None:
        told += f", {before:,} to {after:,} instructions"
    faster = before is not None and after is not None and after < before
    return told if flash < flash_before or faster else f"no gain on this core ({told})"


def _figures(checked: CheckResult) -> tuple[int | None, int, int, float | None, bool]:
    """With the front end, where there is one."""
    whole = checked.whole
    span = whole.latency_range_ms
    return whole.instructions, whole.ram, whole.flash, None if span is None else span[1] or span[0], checked.fits
