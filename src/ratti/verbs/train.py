"""A float net from data: what `compress` and `build` go on from. Never opens the test part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import nets
from ..errors import InputError
from ..models import BUNDLE_NET, BUNDLE_WEIGHTS
from .build import Say, load_data, write_json
from .export import check_folder

if TYPE_CHECKING:
    from torch import nn

    from ..data import Dataset, Options
    from ..train import Goal, TrainConfig

SCHEMA = "ratti.train/1"


@dataclass(frozen=True)
class TrainResult:
    """A trained net in the folder `bundle`. Accuracies are shares of the validation part, between 0 and 1."""

    net: str
    bundle: str
    parameters: int
    macs: int
    epochs: int
    best_epoch: int
    accuracy: float
    balanced_accuracy: float
    samples: dict[str, int]
    teacher: str | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {"schema": SCHEMA, **vars(self)}

    def __str__(self) -> str:
        taught = f", taught by {self.teacher}" if self.teacher else ""
        return (f"{self.net}: {self.accuracy:.1%} of {self.samples['val']:,} validation samples right "
                f"(balanced {self.balanced_accuracy:.1%}){taught}\n"
                f"{self.parameters:,} parameters, {self.macs:,} MACs; epoch {self.best_epoch} of {self.epochs}, "
                f"{self.seconds:.0f} s\nbundle: {self.bundle}")


def train(data: str, net: str, out: str | Path, settings: TrainConfig | None = None, *,
          options: Options | None = None, teacher: str | Path | None = None, temperature: float = 4.0,
          share: float = 0.7, say: Say = lambda line: None, progress: bool = False) -> TrainResult:
    """Trains a net on data and writes `net.yaml`, `weights.safetensors` and `report.json` into `out`.

    An interrupted run goes on at its last epoch.

    Args:
        net: a net's id, or the path of a net.yaml.
        options: how the data are loaded.
        teacher: who else is learned from (distillation): a folder of such a net, or an `.npy` of logits, one row for
            each sample of the train part.
        temperature, share: of the teacher's part (`ratti.train.Distillation`).

    Raises:
        InputError: a net, data or teacher that do not go together.
    """
    from ..train import TrainConfig, save_weights
    from ..train import train as fit

    settings, folder = settings or TrainConfig(), Path(out)
    check_folder(folder)
    spec, dataset = load_data(data, net, options)
    for line in dataset.report.lines():
        say(line)
    goal = None if teacher is None else distillation(teacher, dataset, temperature, share)
    say(f"{spec.name}: {spec.parameters:,} parameters, {spec.macs:,} MACs, {len(dataset.train):,} samples")
    trained = fit(spec, dataset, settings, run_dir=folder / ".work" / "train", goal=goal, progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BUNDLE_NET).write_text(nets.to_yaml(spec), encoding="utf-8")
    save_weights(trained.model, folder / BUNDLE_WEIGHTS)
    samples = {"train": len(dataset.train), "val": len(dataset.val), "test": dataset.test_size}
    result = TrainResult(spec.name, str(out), spec.parameters, spec.macs, len(trained.history), trained.best_epoch,
                         trained.val.accuracy, trained.val.balanced_accuracy, samples,
                         None if teacher is None else str(teacher), round(trained.seconds, 1))
    told = {**result.to_json(), "data": data, "settings": json.loads(settings.to_json())}
    write_json(folder / "report.json", told)
    return result


def trained_net(folder: str | Path) -> tuple[nets.NetSpec, nn.Module]:
    """The net in a folder that `train` or `build` wrote. InputError where it holds none."""
    from ..train import load_weights

    path = Path(folder)
    missing = [n for n in (BUNDLE_NET, BUNDLE_WEIGHTS) if not (path / n).is_file()]
    if missing:
        raise InputError(f"'{folder}' is no trained net: it has no {' and no '.join(missing)} (ratti train makes them)")
    spec = nets.read(path / BUNDLE_NET)
    return spec, load_weights(spec, path / BUNDLE_WEIGHTS)


def distillation(teacher: str | Path, dataset: Dataset, temperature: float, share: float) -> Goal:
    """The goal of a student of `teacher`."""
    from ..train import Distillation, ModelTeacher, StoredTeacher

    path = Path(teacher)
    if path.suffix == ".npy":
        return Distillation(StoredTeacher.read(path, len(dataset.train), dataset.classes), temperature, share)
    spec, module = trained_net(path)
    taken = (spec.input_shape, spec.classes, spec.numbers)
    if taken != (dataset.input_shape, dataset.classes, dataset.numbers):
        raise InputError(f"the teacher '{teacher}' takes {spec.input_shape} and {spec.numbers} numbers and knows "
                         f"{spec.classes} classes; the student's data are {dataset.input_shape}, {dataset.numbers} and "
                         f"{dataset.classes}")
    return Distillation(ModelTeacher(module), temperature, share)
