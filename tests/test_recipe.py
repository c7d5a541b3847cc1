"""Recipes: what is read is what was written; what is wrong is named, with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratti import recipe
from ratti.errors import InputError

GOOD = """
name: digits
data: digits
models:
  - net: micro-1.0-8
    targets: [ch32v003, rp2040]
    train: {epochs: 3, learning_rate: 4e-3}
    quantize: {samples: 64}
limits: {ram: 2KiB, latency: 50ms}
optimize: size
"""


def _write(folder: Path, text: str | bytes) -> Path:
    path = folder / "recipe.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_recipe_survives_writing_and_reading(tmp_path: Path) -> None:
    first = recipe.read(_write(tmp_path, GOOD))
    assert first.models[0].targets == ("ch32v003", "rp2040")
    assert (first.out, first.optimize, first.limits) == ("runs/digits", "size", {"ram": "2KiB", "latency": "50ms"})
    assert recipe.read(_write(tmp_path, first.to_yaml())) == first


def test_the_example_is_a_recipe() -> None:
    found = recipe.read(Path(__file__).parents[1] / "examples" / "digits.yaml")
    assert {t for m in found.models for t in m.targets} == {"stm32f446re", "rp2040", "esp32c3", "ch32v003"}


WRONG = {
    "empty": ("", "must be a mapping"),
    "a list": ("- a", "must be a mapping"),
    "no YAML": ("name: [", "is no YAML"),
    "no text": (b"\xff\xfe\x00", "is no YAML"),
    "an object": ("!!python/object/apply:os.system ['true']", "is no YAML"),
    "no models": (GOOD.replace("models:", "modles:"), "'models' must be a list"),
    "models empty": ("name: a\ndata: digits\nmodels: []", "has no models"),
    "a model that is text": ("name: a\ndata: digits\nmodels: [micro-1.0-8]", "model 1 must be a mapping"),
    "no data": (GOOD.replace("data: digits\n", ""), "'data' is missing"),
    "no name": (GOOD.replace("name: digits\n", ""), "'name' is missing"),
    "unknown key": (GOOD + "colour: 3", "unknown key 'colour'; known: name, data, models, out, limits, optimize"),
    "unknown model key": (GOOD.replace("quantize:", "quantise:"), "unknown key 'quantise'; known: net, targets"),
    "a name that C does not take": (GOOD.replace("name: digits", "name: my-net"), "must be an identifier"),
    "a number as a name": (GOOD.replace("name: digits", "name: 5"), "'name' is 5; it must be text"),
    "a number as data": (GOOD.replace("data: digits", "data: 5"), "'data' is 5; it must be text"),
    "unknown optimize": (GOOD.replace("optimize: size", "optimize: fast"), "allowed: auto, speed, size"),
    "unknown target": (GOOD.replace("rp2040", "rp2041"), "did you mean rp2040"),
    "no target": (GOOD.replace("[ch32v003, rp2040]", "[]"), "names no target"),
    "unknown net": (GOOD.replace("micro-1.0-8", "nowhere.yaml"), "neither a net's id"),
    "the same net twice": (
        "name: a\ndata: digits\nmodels: [{net: micro-1.0-8, targets: rp2040}, {net: micro-1.0-8, targets: rp2040}]",
        "the same net twice",
    ),
}


@pytest.mark.parametrize("text, says", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InputError) as error:
        recipe.read(_write(tmp_path, text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_recipe_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="cannot read recipe"):
        recipe.read(tmp_path / path)


@pytest.mark.torch
@pytest.mark.parametrize("part, settings, says", [
    ("train", {"epoch": 3}, "unknown key 'epoch'; known: epochs, batch_size"),
    ("train", {"epochs": "many"}, "'epochs' is 'many'; it must be a whole number"),
    ("train", {"epochs": 2.5}, "'epochs' is 2.5; it must be a whole number"),
    ("train", {"epochs": True}, "it must be a whole number"),
    ("train", {"epochs": 0}, "epochs must be at least 1"),
    ("train", {"learning_rate": "fast"}, "it must be a number"),
    ("train", {"learning_rate": -1}, "learning_rate must be above 0"),
    ("train", {"optimizer": "lion"}, "allowed: adamw, sgd"),
    ("train", {"balanced": 1}, "it must be true or false"),
    ("train", {"seed": -1}, "'seed' is -1; it must be 0 or more"),
    ("quantize", {"observer": "guess"}, "allowed: min_max"),
    ("quantize", {"bits": 4}, "unknown key 'bits'"),
])
def test_settings_of_training_and_quantizing(part: str, settings: dict[str, object], says: str) -> None:
    model = recipe.ModelRecipe("micro-1.0-8", ("rp2040",), **{part: settings})
    with pytest.raises(InputError) as error:
        (recipe.train_config if part == "train" else recipe.ptq_config)(model)
    assert says in str(error.value)


@pytest.mark.torch
def test_settings_reach_their_dataclasses(tmp_path: Path) -> None:
    (model,) = recipe.read(_write(tmp_path, GOOD)).models
    train, ptq = recipe.train_config(model), recipe.ptq_config(model)
    assert (train.epochs, train.learning_rate, ptq.samples) == (3, 4e-3, 64)  # YAML reads 4e-3 as text
