"""`ratti build`: from data to a bundle that checks, verifies, compiles and is made again, bit for bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ratti import data, recipe
from ratti.cli import main
from ratti.data import Dataset
from ratti.duty import Duty
from ratti.errors import InputError
from ratti.recipe import ModelRecipe, Recipe
from ratti.verbs import build as verbs_build
from ratti.verbs.build import BuildResult, build

pytestmark = [pytest.mark.torch, pytest.mark.toolchain]

NET = "micro-1.0-8"
TARGET = "ch32v003"


def _recipe(out: Path, source: str = "digits", net: str = NET, target: str = TARGET, epochs: int = 2) -> Recipe:
    train = {"epochs": epochs, "learning_rate": 1e-2, "threads": 1}
    model = ModelRecipe(net, (target,), train, {"samples": 64})
    return Recipe("tiny", source, (model,), str(out), duty=Duty("10 min", "2400 mAh", active="8 mA"))


@pytest.fixture(scope="module")
def events() -> list[str]:
    """What the build of `built` did, in order."""
    return []


@pytest.fixture(scope="module")
def datasets() -> list[Dataset]:
    """The data sets that the build of `built` loaded."""
    return []


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], datasets: list[Dataset]
) -> tuple[BuildResult, Path]:
    """One build of digits, watched."""
    import ratti.compress
    import ratti.train

    def watch(name: str, function: Callable) -> Callable:
        def watched(*arguments: object, **options: object) -> object:
            events.append(name)
            return function(*arguments, **options)

        return watched

    def load(*arguments: object) -> Dataset:
        datasets.append(real_load(*arguments))
        return datasets[-1]

    real_load = data.load
    out = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", load)
        patch.setattr(ratti.train, "train", watch("train", ratti.train.train))
        patch.setattr(ratti.compress, "quantize", watch("quantize", ratti.compress.quantize))
        patch.setattr(verbs_build, "check", watch("check", verbs_build.check))
        patch.setattr(Dataset, "open_test", watch("open test", Dataset.open_test))
        result = build(_recipe(out))
    return result, out / NET


def test_the_test_set_is_opened_once_and_last(
    built: tuple[BuildResult, Path], events: list[str], datasets: list[Dataset]
) -> None:
    assert events == ["train", "quantize", "check", "open test"]
    assert [d.test_opened for d in datasets] == [("final report",)]


def test_the_bundle_is_complete(built: tuple[BuildResult, Path]) -> None:
    _, bundle = built
    assert {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()} == {
        "model.tflite", "net.yaml", "weights.safetensors", "vectors.npz", "report.json", "model_card.md", "recipe.yaml",
        "report.html", "examples.npz",
        *(f"c/{isa}/tiny{end}" for isa in ("portable", "rv32ec")
          for end in (".c", ".h", "_test.c", "_answer.c", "_answer.h")),
    }
    assert not list(bundle.parent.glob(".*.part"))
    assert recipe.read(bundle / "recipe.yaml").models[0].net == NET
    with np.load(bundle / "vectors.npz") as vectors:
        assert vectors["input_0"].shape == (16, 8, 8, 1) and vectors["output_0"].shape == (16, 10)


def test_the_report_holds_the_result(built: tuple[BuildResult, Path]) -> None:
    result, bundle = built
    report = json.loads((bundle.parent / "report.json").read_text())
    assert report == json.loads(json.dumps(result.to_json()))
    assert {"schema", "bundle", "accuracy", "checks"} <= set(report)
    assert set(report["accuracy"]) == {"float", "int8", "device"}
    (check,) = report["checks"]
    assert check["target"] == TARGET and check["instructions"] > 0
    (device,) = result.models[0].device
    assert device.differ == 0 and device.samples > 100
    assert 0.3 < result.models[0].accuracy_int8 <= 1  # two epochs: far above one in ten
    assert json.loads((bundle / "report.json").read_text()) == report["models"][0]


def test_the_model_card_says_what_matters(built: tuple[BuildResult, Path]) -> None:
    result, bundle = built
    card = (bundle / "model_card.md").read_text()
    model = result.models[0]
    count = f"{model.checks[0].instructions:,}"
    (life,) = model.battery
    assert life.energy_uj == pytest.approx(8 * 3 * model.checks[0].latency_range_ms[1])
    assert life.hours is not None and f"battery: {TARGET}, one inference every 10 min" in str(result)
    for text in (NET, life.words, "8 mA (the recipe's own figure)", f"{model.accuracy_int8:.2%}", count, "CH32V003",
                 "| 9 |", "Licence"):
        assert text.lower() in card.lower(), text


def test_the_table_says_what_to_do_next(built: tuple[BuildResult, Path]) -> None:
    result, bundle = built
    text = str(result)
    assert f"ratti check {bundle} --target {TARGET}" in text
    assert f"ratti verify {bundle} --targets {TARGET}" in text


def test_check_takes_the_bundle(built: tuple[BuildResult, Path], capsys: pytest.CaptureFixture) -> None:
    result, bundle = built
    optimize = result.models[0].checks[0].optimize
    assert main(["check", str(bundle), "--target", TARGET, "--optimize", optimize, "--json"]) == (not result.fits)
    found = json.loads(capsys.readouterr().out)
    assert found["flash"] == result.models[0].checks[0].flash and found["ram"] == result.models[0].checks[0].ram


@pytest.mark.oracle
def test_verify_takes_the_bundle(built: tuple[BuildResult, Path], capsys: pytest.CaptureFixture) -> None:
    _, bundle = built
    assert main(["verify", str(bundle), "--targets", "rp2040,ch32v003", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passes"] and found["inputs"] == 24 and all(row["differ"] == 0 for row in found["rows"])


def test_the_c_passes_its_test(
    built: tuple[BuildResult, Path], tmp_path: Path, system_compiler: Callable[[str], str]
) -> None:
    for isa in ("portable", "rv32ec"):
        folder = built[1] / "c" / isa
        program = tmp_path / isa
        flags = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([system_compiler("gcc"), *flags, "tiny.c", "tiny_test.c", "-o", program], cwd=folder, check=True)
        result = subprocess.run([program], capture_output=True, text=True, check=False)
        assert result.returncode == 0 and "vectors equal" in result.stdout


def test_an_interrupted_build_goes_on_to_the_same_bytes(
    built: tuple[BuildResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ratti.train import loop

    real_epoch, trained = loop._epoch, []

    def epoch(*arguments: object) -> object:
        if trained:
            raise KeyboardInterrupt
        trained.append(1)
        return real_epoch(*arguments)

    monkeypatch.setattr(loop, "_epoch", epoch)
    with pytest.raises(KeyboardInterrupt):
        build(_recipe(tmp_path))
    assert not (tmp_path / NET).exists() and not (tmp_path / "report.json").exists()

    def rest(*arguments: object) -> object:
        trained.append(1)
        return real_epoch(*arguments)

    monkeypatch.setattr(loop, "_epoch", rest)
    build(_recipe(tmp_path))
    assert len(trained) == 2  # one epoch in each sitting
    assert (tmp_path / NET / "model.tflite").read_bytes() == (built[1] / "model.tflite").read_bytes()


def test_a_second_build_gives_the_same_bytes(built: tuple[BuildResult, Path], tmp_path: Path) -> None:
    build(_recipe(tmp_path))
    for name in ("model.tflite", "net.yaml", "c/rv32ec/tiny.c", "c/rv32ec/tiny_test.c"):
        assert (tmp_path / NET / name).read_bytes() == (built[1] / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    words = ["build", "digits", "--target", "rp2040", "--net", NET, "--epochs", "12", "--quiet", "--out"]

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ratti", *words, str(out)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(timeout=300) == 0
    killed = start(tmp_path / "killed")
    checkpoint = tmp_path / "killed" / ".work" / NET / "checkpoint.safetensors"
    end = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < end:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL and checkpoint.exists()
    assert not (tmp_path / "killed" / NET).exists()
    assert start(tmp_path / "killed").wait(timeout=300) == 0
    models = [(tmp_path / name / NET / "model.tflite").read_bytes() for name in ("whole", "killed")]
    assert models[0] == models[1]


def test_a_build_has_its_pages(built: tuple[BuildResult, Path]) -> None:
    """Confusion counts are those of the one reading of the test set; examples are of the validation part."""
    result, bundle = built
    (model,) = result.models
    counts = np.array(model.confusion)
    assert counts.sum() == result.data["test"] and counts.shape == (len(model.classes),) * 2
    assert np.trace(counts) / counts.sum() == pytest.approx(model.accuracy_int8)
    with np.load(bundle / "examples.npz") as found:
        assert found["looked_at"] == min(result.data["val"], verbs_build.LOOKED_AT)
        wrong = ~found["right"]
        assert not wrong[wrong.argmin():].any() or wrong.all()  # mistakes first
    for page in (bundle / "report.html", bundle.parent / "report.html"):
        text = page.read_text(encoding="utf-8")
        assert "Which classes are taken for which" in text and "data:image/png;base64," in text


def test_a_folder_of_pictures_with_a_damaged_one(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    from PIL import Image

    rng = np.random.default_rng(5)
    for part, count in (("train", 60), ("test", 12)):
        for k, name in enumerate(("dark", "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = (rng.integers(0, 100, (20, 24, 3)) + 150 * k).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:02}.jpg")
    damaged = tmp_path / "photos" / "train" / "dark" / "07.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    words = ["--target", "rp2040", "--net", "micro-1.0-16", "--epochs", "2", "--out", str(tmp_path / "out"), "--json"]
    assert main(["build", str(tmp_path / "photos"), *words]) == 2
    err = capfd.readouterr().err
    assert "1 of 144 pictures cannot be read (train/dark/07.jpg: " in err and "--skip-damaged" in err
    assert not (tmp_path / "out").exists()
    assert main(["build", str(tmp_path / "photos"), *words, "--skip-damaged"]) == 0
    out, err = capfd.readouterr()
    assert "left out train/dark/07.jpg: " in err
    report = json.loads(out)
    assert [bad["path"] for bad in report["data"]["bad_files"]] == ["train/dark/07.jpg"]
    assert report["data"]["train"] + report["data"]["val"] == 119 and report["data"]["test"] == 24
    assert report["models"][0]["device"][0]["differ"] == 0
    assert "07.jpg" in (tmp_path / "out" / "micro-1.0-16" / "model_card.md").read_text()


def test_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    y = np.arange(120) % 3
    x = (rng.integers(0, 60, (120, 8, 8, 1)) + 60 * y[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "toy.npz", x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])
    result = build(_recipe(tmp_path / "out", str(tmp_path / "toy.npz"), target="rp2040"))
    assert result.data["test"] == 30 and len(result.data["classes"]) == 3
    assert result.models[0].device[0].differ == 0


def test_a_failure_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise InputError("the card cannot be written")

    monkeypatch.setattr("ratti.report.model_card.text", fail)
    with pytest.raises(InputError, match="the card"):
        build(_recipe(tmp_path, epochs=1))
    assert not (tmp_path / NET).exists() and not list(tmp_path.glob(".*.part"))


def test_the_largest_net_that_fits_is_chosen() -> None:
    digits = data.load("digits")
    assert verbs_build.default_net(digits, [TARGET], verbs_build.Limits(), 8) == NET
    with pytest.raises(InputError, match="no stock net for 8x8 inputs fits ch32v003"):
        verbs_build.default_net(digits, [TARGET], verbs_build.Limits(flash_bytes=100), 8)
