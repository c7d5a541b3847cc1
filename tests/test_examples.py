"""Recipes and examples: short, complete, and what happens where their data are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ratti import cli, recipe

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
RECIPES = sorted(EXAMPLES.glob("*.yaml"))
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
MOST_LINES = 80


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda p: p.name)
def test_examples_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_recipe_says_what_it_is_for_and_whose_data_it_takes(path: Path) -> None:
    found = recipe.read(path)
    assert found.name == path.stem and found.out == f"runs/{path.stem}"
    if found.data != "digits":
        assert found.purpose and found.origin and len(found.cautions) >= 3


def test_the_page_of_recipes_has_each() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for path in (*RECIPES, *SCRIPTS):
        assert f"examples/{path.name}" in text


def test_data_beside_the_recipe_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = {"name": "toy", "data": "photos", "models": [{"net": "micro-1.0-8", "targets": ["rp2040"]}]}
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "toy.yaml"
    path.write_text(yaml.safe_dump(table))
    assert recipe.read(path).data == "photos"  # nowhere: as it stands there
    (tmp_path / "photos").mkdir()
    assert recipe.read(path).data == "photos"  # in the current folder
    (tmp_path / "deep" / "photos").mkdir()
    found = recipe.read(path)
    assert found.data == "deep/photos"
    again = tmp_path / "again.yaml"  # what a bundle keeps is read the same in the same folder
    again.write_text(found.to_yaml())
    assert recipe.read(again) == found


@pytest.mark.torch
def test_data_that_are_not_there_say_where_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["build", str(EXAMPLES / "leaf_disease.yaml"), "--data", str(tmp_path / "none"), "--out",
             str(tmp_path / "out")]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "PlantVillage" in error and "--data PATH" in error
    assert not (tmp_path / "out").exists()
    assert cli.main(["build", "digits", "--data", "x", "--target", "rp2040"]) == 2
    assert "--data goes with a recipe" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.toolchain
@pytest.mark.parametrize("path", [p for p in RECIPES if recipe.read(p).data != "digits"], ids=lambda p: p.stem)
def test_a_recipe_with_one_epoch(path: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To firmware on every device of it, and a card that states its limits."""
    found = recipe.read(path)
    data = str(shared / "data" / found.data.split("shared/data/")[1])
    monkeypatch.chdir(tmp_path)
    assert cli.main(["build", str(path), "--data", data, "--epochs", "1", "--out", "out", "--quiet"]) == 0
    card = (tmp_path / "out" / found.models[0].net / "model_card.md").read_text()
    assert found.purpose in card and all(c in card for c in found.cautions) and found.origin in card
    assert "balanced: the mean of the recalls" in card


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.toolchain
@pytest.mark.parametrize(("script", "words"), [("handwriting_phone.py", ["--epochs", "2"]),
                                               ("hindi_gateway.py", ["--steps", "2"])])
def test_a_script_makes_its_package(script: str, words: list[str], shared: Path, tmp_path: Path) -> None:
    if script == "hindi_gateway.py":
        pytest.importorskip("llama_cpp", reason="llama-cpp-python is missing (pip install 'ratti[llama]')")
        words = [*words, "--text", str(shared / "data" / "text" / "hindi_stories")]
    clean = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / script), "--out", str(tmp_path / "out"), *words]
    result = subprocess.run(command, env=clean, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-800:]
    card = (tmp_path / "out" / "model_card.md").read_text()
    assert "## Limits" in card and "DIFFER" not in card
    made = "*.so" if script == "handwriting_phone.py" else "*-q4_k_m.gguf"
    assert list((tmp_path / "out").rglob(made))
