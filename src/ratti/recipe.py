"""Recipes: the whole way from data to firmware as one YAML file.

    name: digits
    data: digits                       # digits, a folder of pictures, recordings or tables, or an .npz: beside the
                                       # recipe, or in the current folder
    origin: scikit-learn's scans       # whose data these are, their licence, and where to get them
    purpose: Reads digits on a form.   # for the model card, as are the cautions
    cautions: [One writer in 13.]
    front_end: {name: log_mel, mels: 20}  # between sensor and net; left out: log-mel for sound, all else as it is
    goal: classify                     # reconstruct (anomalies), centroids; left out: what the data are made for
    models:
      - net: mobilenet_v2_tiny-1.0-8   # a net's id, or the path of a net.yaml
        targets: [stm32f446re, rp2040]
        train: {epochs: 60}            # fields of TrainConfig
        quantize: {observer: min_max}  # fields of PtqConfig
    options: {window: 128, hop: 64}    # of loading: window, hop, seconds, hold_out, val_share, test_share, seed
    limits: {ram: 64KiB, latency: 50ms}
    skip_damaged: false                # leave out pictures that cannot be read, and name them
    duty: {every: 10 min, battery: 2400 mAh}  # also volts, rest (5 uA), active (24 mA): battery life in card and report
    optimize: auto                     # speed, size, or speed where it fits and size where it does not
    out: runs/digits
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from . import features, nets, registry, targets
from .data import goals
from .data.options import Options
from .duty import Duty
from .errors import InputError, MissingDependencyError

OPTIMIZE = ("auto", "speed", "size")
T = TypeVar("T")
_NAMES: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class ModelRecipe:
    """One net for some devices. `train` and `quantize` hold fields of TrainConfig and PtqConfig."""

    net: str
    targets: tuple[str, ...]
    train: Mapping[str, Any] = field(default_factory=dict)
    quantize: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.targets:
            raise InputError(f"net '{self.net}' names no target; known: {', '.join(targets.ids())}")
        for name in self.targets:
            targets.load(name)
        if not nets.is_id(self.net) and not Path(self.net).is_file():
            raise InputError(
                f"net '{self.net}' is neither a net's id, such as mobilenet_v2-0.35-64, nor a net.yaml "
                f"(families: {', '.join(nets.families())})"
            )


@dataclass(frozen=True)
class Recipe:
    """What `build` follows. `limits` are texts such as "64KiB" by name: ram, flash, latency, energy."""

    name: str
    data: str
    models: tuple[ModelRecipe, ...]
    out: str
    limits: Mapping[str, str] = field(default_factory=dict)
    optimize: str = "auto"
    skip_damaged: bool = False
    front_end: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    duty: Duty | None = None
    origin: str = ""
    purpose: str = ""
    cautions: tuple[str, ...] = ()
    goal: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", self.name, re.ASCII):
            raise InputError(f"the name '{self.name}' must be an identifier (it becomes the prefix of C functions)")
        if not self.models:
            raise InputError(f"recipe '{self.name}' has no models")
        if self.optimize not in OPTIMIZE:
            raise InputError(f"optimize is '{self.optimize}'; allowed: {', '.join(OPTIMIZE)}")
        if self.front_end is not None and self.front_end.get("name") not in features.front_ends():
            raise registry.unknown("front end", str(self.front_end.get("name", "")), features.front_ends())
        if self.goal is not None and self.goal not in goals.goals():
            raise registry.unknown("goal", self.goal, goals.goals())
        nets_ = [m.net for m in self.models]
        if len(set(nets_)) != len(nets_):
            raise InputError(f"recipe '{self.name}' names the same net twice")

    def to_yaml(self) -> str:
        """The recipe as YAML, with every default written out."""
        return yaml.safe_dump(_plain(dataclasses.asdict(self)), sort_keys=False)


def read(path: Path) -> Recipe:
    """The recipe in a YAML file; InputError names what is wrong and what is allowed."""
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read recipe '{path}': {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"recipe '{path}' is no YAML: {' '.join(str(error).split())}") from None
    where = f"recipe '{path}'"
    models = _mapping(table, where).get("models")
    if not isinstance(models, list):
        raise InputError(f"{where}: 'models' must be a list of nets with their targets")
    table["models"] = tuple(_struct(ModelRecipe, m, f"{where}, model {k}") for k, m in enumerate(models, 1))
    table.setdefault("out", f"runs/{table.get('name', path.stem)}")
    found = _struct(Recipe, table, where)
    beside = path.parent / found.data
    return dataclasses.replace(found, data=os.path.relpath(beside)) if beside.exists() else found


def identifier(source: str) -> str:
    """A recipe's name for data, from their path."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", Path(source).stem).strip("_") or "model"
    return f"model_{name}" if name[0].isdigit() else name


def train_config(model: ModelRecipe) -> Any:
    """The TrainConfig of a model recipe."""
    try:
        from .train import TrainConfig
    except ImportError:
        raise MissingDependencyError("torch", "train", "training") from None
    config = _struct(TrainConfig, dict(model.train), f"train of net '{model.net}'")
    if config.seed < 0:
        raise InputError(f"train of net '{model.net}': 'seed' is {config.seed}; it must be 0 or more")
    return config


def data_options(recipe: Recipe) -> Options:
    """How to load the data of a recipe; size and resolution follow from the net."""
    table = dict(recipe.options)
    for key in ("size", "channels", "resolution", "front_end", "goal", "max_bad_share"):
        if key in table:
            raise InputError(f"options of recipe '{recipe.name}': '{key}' follows from the rest of the recipe")
    found = _struct(Options, table, f"options of recipe '{recipe.name}'")
    return dataclasses.replace(found, front_end=recipe.front_end, goal=recipe.goal)


def ptq_config(model: ModelRecipe) -> Any:
    """The PtqConfig of a model recipe."""
    try:
        from .compress import PtqConfig
    except ImportError:
        raise MissingDependencyError("torchao", "train", "quantizing") from None
    return _struct(PtqConfig, dict(model.quantize), f"quantize of net '{model.net}'")


def _struct(cls: type[T], table: Any, where: str) -> T:
    """A dataclass from a mapping; every key must be a field and every value of its type."""
    table = _mapping(table, where)
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in names:
            raise InputError(f"{where}: unknown key '{key}'; known: {', '.join(names)}")
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in table:
            raise InputError(f"{where}: '{f.name}' is missing")
    values = {key: _value(hints[key], value, f"{where}: '{key}'") for key, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = [a for a in typing.get_args(hint) if a is not type(None)]
        return _value(hint, value, where)
    if origin is tuple:
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in items)
    if origin is not None:
        if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
            return dict(_mapping(value, where))
        return value
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        allowed = [member.value for member in hint]
        if value not in allowed:
            raise InputError(f"{where} is {value!r}; allowed: {', '.join(map(str, allowed))}")
        return hint(value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and not isinstance(value, hint):
        return _struct(hint, value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        try:
            return float(value)  # YAML reads 4e-3 as a string
        except ValueError:
            pass
    if (isinstance(hint, type) and not isinstance(value, hint)) or (isinstance(value, bool) and hint is int):
        raise InputError(f"{where} is {value!r}; it must be {_NAMES.get(hint, str(hint))}")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
        raise InputError(f"{where} must be a mapping of names to values")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.value if isinstance(value, enum.Enum) else value
