"""Float nets that verbs go on from: ours, with their spec, and models of other tools, from their files."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import models, nets
from ..errors import InputError
from ..formats import tflite
from ..graph.ir import Graph
from ..models import BUNDLE_FLOAT, BUNDLE_NET, BUNDLE_WEIGHTS
from ..types import Shape

if TYPE_CHECKING:
    from torch import nn

    from ..data import Dataset, Normalization, Options, Score
    from ..train import Goal, TrainConfig, Trained

Say = Callable[[str], None]
# How other tools feed pixels to their nets: mean and standard deviation of what becomes (value - mean) / deviation.
PIXELS = {
    "signed": ((128.0,), (128.0,)),
    "unit": ((0.0,), (255.0,)),
    "bytes": ((0.0,), (1.0,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
FURTHER_RATE = 10  # a net that is trained already goes on at this part of the rate from scratch


@dataclass(frozen=True, eq=False)
class FloatNet:
    """A float net in eval mode with its validation score; `spec` is None where it came from a file."""

    name: str
    model: nn.Module
    val: Score
    spec: nets.NetSpec | None
    seconds: float = 0.0

    @classmethod
    def of(cls, trained: Trained) -> FloatNet:
        return cls(trained.spec.name, trained.model, trained.val, trained.spec, trained.seconds)

    @property
    def parameters(self) -> int:
        return self.spec.parameters if self.spec else sum(p.numel() for p in self.model.parameters())

    def write(self, folder: Path, dataset: Dataset) -> None:
        """The trainable form: `net.yaml` and `weights.safetensors`, or `float.tflite` where there is no spec."""
        from ..train import save_weights

        if self.spec is None:
            tflite.write(self.graph(dataset), folder / BUNDLE_FLOAT)
            return
        (folder / BUNDLE_NET).write_text(nets.to_yaml(self.spec), encoding="utf-8")
        save_weights(self.model, folder / BUNDLE_WEIGHTS)

    def graph(self, dataset: Dataset) -> Graph:
        """The float graph, weights as they are now."""
        from ..compress import export
        from ..formats.torch_export import import_program

        return import_program(export(copy.deepcopy(self.model), dataset.input_shape, dataset.numbers), self.name)

    def taught(self, dataset: Dataset, settings: TrainConfig, goal: Goal, run_dir: Path, progress: bool) -> FloatNet:
        """The net trained with another goal: from the start where it is ours, further where it came from a file."""
        from ..train import digest, fit, train

        if self.spec is not None:
            return FloatNet.of(train(self.spec, dataset, settings, run_dir=run_dir, goal=goal, progress=progress))
        module = copy.deepcopy(self.model)
        gentle = dataclasses.replace(settings, learning_rate=settings.learning_rate / FURTHER_RATE)
        fitted = fit(module, dataset, gentle, identity={"net": digest(module.state_dict())}, run_dir=run_dir, goal=goal,
                     progress=progress)
        return FloatNet(self.name, module, fitted.val, None, self.seconds + fitted.seconds)


def is_file(model: str | Path) -> bool:
    """Whether `model` is a file of another tool."""
    return Path(model).suffix in models.READERS and Path(model).is_file()


def read(path: str | Path, data: str, options: Options | None, pixels: str | None,
         say: Say) -> tuple[FloatNet, Dataset]:
    """A float model from a file, and the data as it takes them.

    `pixels` names how it was fed when it was trained; None tries all on validation and takes the best.

    Raises:
        InputError: an int8 model; inputs or outputs that the data do not have; UnsupportedError: an op without a torch
            form, by name.
    """
    from ..data import Kind, Options, load
    from ..formats.torch_export import to_module
    from ..train import evaluate

    graph = models.load(path)
    if not graph.is_float:
        raise InputError(f"'{path}' holds integers already: compress takes the float model that it was made from")
    module = to_module(graph, logits=True)
    shape, options = graph.type(graph.inputs[0]).shape, options or Options()
    if len(shape) == 4:
        options = dataclasses.replace(options, size=shape[1:3], channels=shape[3])
    dataset = load(data, options)
    module = _fitted(module, graph, dataset, str(path))
    ways = _ways(pixels, dataset) if dataset.kind is Kind.IMAGE else {}
    if pixels is not None and not ways:
        raise InputError(f"--pixels {pixels}: '{data}' holds no pictures")
    if ways:
        found = {way: evaluate(module, dataset.normalized(n), dataset.val).accuracy for way, n in ways.items()}
        best = max(found, key=found.__getitem__)
        dataset = dataset.normalized(ways[best])
        tried = ", ".join(f"{way} {share:.1%}" for way, share in found.items())
        say(f"pixels: {best} ({tried} of validation)")
    val = evaluate(module, dataset, dataset.val)
    if val.accuracy * dataset.classes < 1.5:
        say(f"'{path}' is right for {val.accuracy:.1%} of validation, about what chance gives: are its classes in this "
            f"order: {', '.join(dataset.class_names[:6])}{', …' if dataset.classes > 6 else ''}; and was it fed so?")
    return FloatNet(Path(path).stem, module, val, None), dataset


def name_of(normalization: Normalization) -> str:
    """The name in `PIXELS`."""
    return next(n for n, values in PIXELS.items() if (normalization.mean, normalization.std) == values)


def as_fed(dataset: Dataset, graph: Graph) -> Dataset:
    """Pictures as the model of `graph` takes them, where it came from another tool."""
    from ..data import Normalization

    named = graph.metadata.get("pixels")
    return dataset.normalized(Normalization(*PIXELS[named])) if named in PIXELS else dataset


def _ways(pixels: str | None, dataset: Dataset) -> dict[str, Normalization]:
    from ..data import Normalization

    if pixels is not None and pixels not in PIXELS:
        raise InputError(f"--pixels '{pixels}' is unknown; known: {', '.join(PIXELS)}")
    chosen = PIXELS if pixels is None else {pixels: PIXELS[pixels]}
    return {way: Normalization(*values) for way, values in chosen.items()
            if pixels is not None or len(values[0]) in (1, dataset.input_shape[2])}


def _fitted(module: nn.Module, graph: Graph, dataset: Dataset, path: str) -> nn.Module:
    """The module for inputs (N, C, H, W) and outputs (N, classes); InputError where it is for other data."""
    from ..compress import flattened

    shapes = [graph.type(n).shape for n in graph.inputs]
    wanted: list[Shape] = [(1, *dataset.input_shape), *([(1, dataset.numbers)] if dataset.numbers else [])]
    h, w, c = dataset.input_shape
    alike = c == 1 or h * w == 1  # in any order of axes
    flat = len(shapes) == 1 and shapes[0] == (1, h * w * c) and alike
    if len(graph.outputs) != 1 or [*([wanted[0]] if flat else shapes[:1]), *shapes[1:]] != wanted:
        raise InputError(f"'{path}' takes {_words(shapes)} and has {len(graph.outputs)} outputs; '{dataset.name}' has "
                         f"{_words(wanted)}, for one output")
    answer = graph.type(graph.outputs[0])
    if answer.elements != dataset.classes or (len(shapes) > 1 and len(answer.shape) != 2):
        raise InputError(f"'{path}' answers with {answer.elements} numbers; '{dataset.name}' has {dataset.classes} "
                         f"classes")
    return flattened(module, flat, len(answer.shape) != 2)


def _words(shapes: list[Shape]) -> str:
    return " and ".join("x".join(map(str, s[1:])) for s in shapes)
