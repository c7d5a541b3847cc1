"""The whole way: data to a bundle with int8 firmware, measured on its devices."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from .. import features, nets, targets
from ..data import goals
from ..deploy import deploy, outputs_of
from ..duty import Life
from ..emit.answers import CLASSES, GOAL, SETTINGS
from ..errors import DataError, InputError
from ..formats import tflite
from ..graph import interpreter
from ..graph.ir import Graph
from ..recipe import ModelRecipe, Recipe, data_options, ptq_config, train_config
from ..samples import FRONT_END
from ..types import Array, Quant
from ..units import microjoules, milliseconds, size
from ._built import BuildResult, DeviceAccuracy, ModelResult
from ._float import FloatNet
from .check import CheckResult, Limits, check
from .export import c_files, check_folder, write_files
from .report import report

if TYPE_CHECKING:
    from ..data import Dataset, Options, Part

LOOKED_AT = 512  # validation samples, evenly spread, that examples are chosen from
EXAMPLES, LEAST_RIGHT = 24, 6  # of them in a bundle: mistakes first, then at least so many that are right
VECTORS = 16  # validation samples that go into a bundle
DEVICE_INSTRUCTIONS = 1_000_000_000  # the test set is run on a device as far as this many instructions go
SKIPPED_SHARE = 0.2  # more damaged pictures than this are an error in any case
MADE = "Made by `ratti build`; `recipe.yaml` beside this file makes it again."
Say = Callable[[str], None]


def build(recipe: Recipe, say: Say = lambda line: None, progress: bool = False) -> BuildResult:
    """Follows `recipe`: train, quantize, emit, measure, and write one bundle per net into `recipe.out`.

    `say` gets a line for each thing that is worth telling. An interrupted build goes on where it was when it is called
    again. InputError and DataError before anything is trained, where the recipe or its data cannot work.
    """
    start = time.monotonic()
    limits = _limits(recipe)
    check_folder(Path(recipe.out))
    configs = [(train_config(m), ptq_config(m)) for m in recipe.models]
    prepared = [(m, *_dataset(recipe, m)) for m in recipe.models]
    for line in prepared[0][2].report.lines():
        say(line)
    root = Path(recipe.out)
    made = []
    for (model, spec, dataset), (train_settings, ptq_settings) in zip(prepared, configs, strict=True):
        say(f"{model.net}: {spec.parameters:,} parameters, {spec.macs:,} MACs, for {', '.join(model.targets)}")
        job = Job(recipe, model, spec, dataset, limits, say)
        made.append((job, job.make(train_settings, ptq_settings, progress)))
    # Everything that selects is done, for all nets; from here on the test set is only reported on.
    results = [job.report(root, *parts) for job, parts in made]
    return together(recipe, results, prepared[0][2], time.monotonic() - start)


def build_one(
    recipe: Recipe, model: ModelRecipe, dataset: Dataset, initial: Any = None
) -> tuple[ModelResult, float]:
    """The bundle of one net of `recipe`, whose data are open already, and its score on validation.

    `initial` is a module to begin training with.
    """
    job = Job(recipe, model, nets.read(Path(model.net)), dataset, _limits(recipe), lambda line: None, trades=False)
    made = job.make(train_config(model), ptq_config(model), False, initial)
    return job.report(Path(recipe.out), *made), made[0].val.accuracy


def together(recipe: Recipe, results: Sequence[ModelResult], first: Dataset, seconds: float) -> BuildResult:
    """What became of a recipe, with its report in `recipe.out`."""
    root = Path(recipe.out)
    data = {
        "source": recipe.data,
        "classes": list(first.class_names),
        "train": len(first.train),
        "val": len(first.val),
        "test": first.test_size,
        "bad_files": [{"path": str(b.path), "reason": b.reason} for b in first.report.bad_files],
    }
    result = BuildResult(recipe.name, str(root), data, tuple(results), round(seconds, 1))
    write_json(root / "report.json", result.to_json())
    report(root)
    return result


def _limits(recipe: Recipe) -> Limits:
    readers: dict[str, Callable[[str], float]] = {
        "ram": size, "flash": size, "latency": milliseconds, "energy": microjoules
    }
    for key in recipe.limits:
        if key not in readers:
            raise InputError(f"limits: unknown key '{key}'; known: {', '.join(readers)}")
    found: dict[str, Any] = {k: readers[k](str(v)) for k, v in recipe.limits.items()}
    return Limits(found.get("ram"), found.get("flash"), found.get("latency"), found.get("energy"))


def _folder(net: str) -> str:
    return Path(net).stem if Path(net).is_file() or net.endswith((".yaml", ".yml")) else net


def _dataset(recipe: Recipe, model: ModelRecipe) -> tuple[nets.NetSpec, Dataset]:
    bad = SKIPPED_SHARE if recipe.skip_damaged else 0.0
    if recipe.origin and ("/" in recipe.data or "." in recipe.data) and not Path(recipe.data).exists():
        raise DataError(f"the data of recipe '{recipe.name}' are not at '{recipe.data}', neither beside it nor in this "
                        f"folder: {recipe.origin}; or say where yours are with --data PATH")
    return load_data(recipe.data, model.net, dataclasses.replace(data_options(recipe), max_bad_share=bad))


def load_data(source: str, net: str, options: Options | None = None) -> tuple[nets.NetSpec, Dataset]:
    """The net (an id, or the path of a net.yaml) for the data, and the data in the net's size."""
    from ..data import Options, load

    options = options or Options()
    if not nets.is_id(net):
        spec = nets.read(Path(net))
        h, w, channels = spec.input_shape
        return spec, load(source, dataclasses.replace(options, size=(h, w), channels=channels))
    dataset = load(source, dataclasses.replace(options, resolution=nets.resolution(net)))
    spec = nets.spec(net, input_shape=dataset.input_shape, classes=dataset.classes, numbers=dataset.numbers)
    return spec, dataset


@dataclass(frozen=True)
class Job:
    """One net of a recipe on its data: from training to the bundle."""

    recipe: Recipe
    model: ModelRecipe
    spec: nets.NetSpec | None  # None: the net came from a file
    dataset: Dataset
    limits: Limits
    say: Say
    trades: bool = True  # what other plans would take is looked at

    @property
    def work(self) -> Path:
        """Where its training goes on, if it was interrupted."""
        return Path(self.recipe.out) / ".work" / _folder(self.model.net)

    def make(
        self, train_settings: Any, ptq_settings: Any, progress: bool, initial: Any = None
    ) -> tuple[FloatNet, Graph, list[CheckResult]]:
        """Trains, from the weights of the module `initial` if there is one, quantizes and measures."""
        from ..compress import quantize
        from ..formats.torch_export import import_program
        from ..train import train

        assert self.spec is not None
        trained = FloatNet.of(train(
            self.spec, self.dataset, train_settings, run_dir=self.work, initial=initial, progress=progress))
        metric = goals.load(self.dataset.goal).METRIC
        self.say(f"trained in {trained.seconds:.0f} s: {metric} {trained.val.accuracy:.1%} on validation")
        program = quantize(trained.model, self.dataset, ptq_settings)
        graph = import_program(program, self.recipe.name, metadata=told(self.dataset, self.spec.name))
        graph = with_front_end(graph, self.dataset)
        return trained, graph, [self.check(graph, t) for t in self.model.targets]

    def report(self, root: Path, trained: FloatNet, graph: Graph, checks: list[CheckResult],
               also: Callable[[Part], None] = lambda test: None, made_by: str = MADE) -> ModelResult:
        """Reads the test set, once, and writes the bundle; `also` is shown the test part."""
        from ..train import predict

        settled = self.dataset.settled(lambda part: self._answers(graph, part))
        if settled.settings:
            metadata = {**graph.metadata, SETTINGS: json.dumps(dict(settled.settings))}
            graph = dataclasses.replace(graph, metadata=metadata)
        test = self.dataset.open_test("final report")
        also(test)
        float_score = self.dataset.score(predict(trained.model, self.dataset, test), test)
        codes = self.codes(graph, test)
        (outputs,) = interpreter.run_batch(graph, codes)
        real, seen = _real(graph, outputs, codes[0])
        int8_score = settled.score(real, test, seen)
        goal = goals.load(self.dataset.goal)
        device = tuple(self._on_device(graph, c, codes, outputs, test) for c in checks if c.instructions is not None)
        bundle = root / _folder(self.model.net)
        result = ModelResult(
            net=self.model.net,
            bundle=str(bundle),
            parameters=trained.parameters,
            macs=graph.macs(),
            train_seconds=round(trained.seconds, 1),
            accuracy_float=float_score.accuracy,
            accuracy_int8=int8_score.accuracy,
            recall_int8=int8_score.recall,
            classes=self.dataset.class_names,
            confusion=goal.confusion(real, test, self.dataset.classes),
            device=device,
            checks=tuple(checks),
            battery=tuple(self._life(c) for c in checks) if self.recipe.duty else (),
            duty=self.recipe.duty,
            goal=self.dataset.goal,
            metric=goal.METRIC,
            details=int8_score.details,
            settings=settled.settings,
            codes={side: _quant(graph, names[0]).scalar for side, names in (("input", graph.inputs),
                                                                            ("output", graph.outputs))},
        )
        with _new_folder(bundle) as folder:
            tflite.write(graph, folder / "model.tflite")
            trained.write(folder, self.dataset)
            self._write_c(graph, folder)
            self._write_examples(graph, folder, settled)
            if FRONT_END in graph.metadata:
                content = yaml.safe_dump(json.loads(graph.metadata[FRONT_END]), sort_keys=False)
                (folder / "front_end.yaml").write_text(content, encoding="utf-8")
            if trained.spec is not None:
                own = dataclasses.replace(self.recipe, models=(self.model,))
                (folder / "recipe.yaml").write_text(own.to_yaml(), encoding="utf-8")
            write_json(folder / "report.json", result.to_json())
            from ..report import model_card

            card = model_card.text(self.recipe, self.dataset, result, made_by)
            (folder / "model_card.md").write_text(card, encoding="utf-8")
            report(folder)
        return result

    def _life(self, checked: CheckResult) -> Life:
        assert self.recipe.duty is not None
        whole = checked.whole
        front = checked.front_end.absent if checked.front_end else {}
        return self.recipe.duty.life(targets.load(checked.target), whole.energy_uj, whole.latency_range_ms,
                                     {**front, **checked.absent})

    def codes(self, graph: Graph, part: Part) -> list[Array]:
        """Codes of samples for each input of the graph: (N, H, W, C), and maybe (N, numbers)."""
        quants = [graph.type(name).quant for name in graph.inputs]
        return self.dataset.codes(part, [q for q in quants if q is not None])

    def check(self, graph: Graph, target: str) -> CheckResult:
        """The figures at the recipe's setting; `auto` takes size where speed does not fit."""
        settings = ("speed", "size") if self.recipe.optimize == "auto" else (self.recipe.optimize,)
        for setting in settings:
            result = check(graph, target, self.limits, setting, self.trades)
            if result.fits:
                break
        return result

    def _on_device(
        self, graph: Graph, checked: CheckResult, codes: list[Array], want: Array, test: Part
    ) -> DeviceAccuracy:
        assert checked.instructions is not None
        count = int(np.clip(DEVICE_INSTRUCTIONS // checked.instructions, 8, len(test)))
        # Evenly spread: test sets are often sorted by class.
        chosen = np.linspace(0, len(test) - 1, count).round().astype(np.int64)
        rows = [[c[k : k + 1] for c in codes] for k in chosen]
        measured = deploy(graph, targets.load(checked.target), rows, checked.optimize, self.limits.ram_bytes)
        got = np.concatenate([row[0] for row in outputs_of(measured)])
        real, seen = _real(graph, got, codes[0][chosen])
        accuracy = self.dataset.score(real, test.take(chosen), seen).accuracy
        return DeviceAccuracy(checked.target, count, accuracy, int(np.count_nonzero(got != want[chosen])))

    def _write_c(self, graph: Graph, folder: Path) -> None:
        """C for each instruction set of the targets, and vectors from validation samples."""
        part = self.dataset.val.take(slice(VECTORS))
        codes = self.codes(graph, part)
        (outputs,) = interpreter.run_batch(graph, codes)
        inputs = {f"input_{k}": c for k, c in enumerate(codes)}
        samples = self.dataset.samples(part)
        inputs |= {} if samples is None else {"samples": samples}
        np.savez(folder / "vectors.npz", **inputs, output_0=outputs, labels=part.y)  # type: ignore[arg-type]
        for isa in sorted({targets.load(t).isa for t in self.model.targets} | {"portable"}):
            write_files(c_files(graph, isa, None, codes, samples), folder / "c" / isa)

    def _answers(self, graph: Graph, part: Part) -> tuple[Array, Array]:
        """What the int8 model gives for `part`, and what it was given, real values."""
        codes = self.codes(graph, part)
        (outputs,) = interpreter.run_batch(graph, codes)
        return _real(graph, outputs, codes[0])

    def _write_examples(self, graph: Graph, folder: Path, data: Dataset) -> None:
        """Validation samples with the answers of the int8 model: those that it gets wrong, then some that are right."""
        val = data.val
        part = val.take(np.unique(np.linspace(0, len(val) - 1, LOOKED_AT).round().astype(np.int64)))
        outputs, inputs = self._answers(graph, part)
        looks = goals.load(data.goal).looks(outputs, part, inputs, data.class_names, data.settings)
        wrong = [k for k in range(len(part)) if not looks[k].right][: EXAMPLES - LEAST_RIGHT]
        order = [*wrong, *[k for k in range(len(part)) if looks[k].right][: EXAMPLES - len(wrong)]]
        marks = [(n, *mark) for n, k in enumerate(order) for mark in looks[k].marks]
        np.savez_compressed(
            folder / "examples.npz", x=part.x[order], words=np.array([looks[k].words for k in order], np.str_),
            right=np.array([looks[k].right for k in order]), marks=np.array(marks, np.float32).reshape(-1, 4),
            looked_at=len(part), kind=data.kind.value)


def _real(graph: Graph, outputs: Array, inputs: Array) -> tuple[Array, Array]:
    """Codes of the first output and input as real values."""
    found = []
    for name, codes in ((graph.outputs[0], outputs), (graph.inputs[0], inputs)):
        found.append(_quant(graph, name).dequantize(codes))
    return found[0].reshape(len(outputs), -1), found[1]


def _quant(graph: Graph, name: str) -> Quant:
    quant = graph.type(name).quant
    assert quant is not None
    return quant


def told(data: Dataset, net: str) -> dict[str, str]:
    """What a model file says of itself."""
    found = {CLASSES: json.dumps(list(data.class_names)), "net": net}
    return found if data.goal == "classify" else {**found, GOAL: data.goal}


def with_front_end(graph: Graph, data: Dataset) -> Graph:
    """`graph` with the front end of the data, where it has one, in its metadata."""
    quant = graph.type(graph.inputs[0]).quant
    if data.front_end is None or quant is None:
        return graph
    text = features.to_json(data.front_end, data.front_codes(quant))
    return dataclasses.replace(graph, metadata={**graph.metadata, FRONT_END: text})


class _new_folder:
    """A folder that takes the place of `final` when the block ends without an error."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self._part = final.with_name(f".{final.name}.part")

    def __enter__(self) -> Path:
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)
        return self._part

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            if self._final.exists():
                shutil.rmtree(self._final)
            self._part.replace(self._final)
        else:
            shutil.rmtree(self._part, ignore_errors=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def default_net(data: Dataset, target_ids: Sequence[str], limits: Limits, side: int) -> str:
    """The largest of the stock nets whose firmware fits all targets, measured with random weights."""
    room = min(targets.load(t).flash_bytes for t in target_ids)
    room = min(room, limits.flash_bytes or room)
    for net in _stock(data, side):
        try:
            spec = nets.spec(net, input_shape=data.input_shape, classes=data.classes, numbers=data.numbers)
        except InputError:
            continue
        if spec.parameters > room:  # at a byte each: no need to compile it
            continue
        graph = with_front_end(nets.random_graph(spec), data)
        checks = (check(graph, t, limits) for t in target_ids)
        if all(c.fits and c.instructions is not None for c in checks):
            return net
    raise InputError(f"no stock net for {side}x{side} inputs fits {', '.join(target_ids)}: give one with --net")


def _stock(data: Dataset, side: int) -> Iterator[str]:
    from ..data import Kind

    families = ["mobilenet_v2"]
    made = goals.load(data.goal).NETS
    if made:
        families = list(made)
    elif data.kind is Kind.SIGNAL:
        families = ["mlp"] if side == 1 else ["resnet_1d", "ds_cnn_1d"] if data.input_shape[1] == 1 else ["ds_cnn"]
    for family in families:
        yield from (f"{family}-{width}-{side}" for width in ("1.0", "0.5", "0.35", "0.2", "0.1"))
    if data.kind is Kind.IMAGE and not made:
        yield f"mobilenet_v2_tiny-1.0-{side}"
        yield from (f"micro-{width}-{side}" for width in ("1.0", "0.5", "0.25"))
