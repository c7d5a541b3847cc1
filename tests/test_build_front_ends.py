"""From sound, sensors and cameras to a bundle whose front end is measured, verified and runs as C."""

from __future__ import annotations

import json
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from ratti import features, models, recipe
from ratti.cli import main
from ratti.errors import FormatError, InputError
from ratti.formats import tflite
from ratti.recipe import ModelRecipe, Recipe
from ratti.samples import FRONT_END, front_end_of
from ratti.verbs.build import build
from ratti.verbs.check import Limits, check

pytestmark = [pytest.mark.torch, pytest.mark.toolchain]

NET, TARGET = "ds_cnn-0.25-12", "rp2040"


def sounds(folder: Path) -> Path:
    """A low and a high tone, from eight speakers."""
    rng = np.random.default_rng(1)
    for word, hertz in (("low", 300), ("high", 1500)):
        (folder / word).mkdir(parents=True)
        for speaker in "abcdefgh":
            for k in range(4):
                x = 6000 * np.sin(2 * np.pi * hertz * np.arange(2000) / 8000) + rng.normal(0, 300, 2000)
                with wave.open(str(folder / word / f"{speaker}_{k}.wav"), "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(x.astype(np.int16).tobytes())
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    train = {"epochs": 2, "learning_rate": 1e-2, "augment": {"time_shift": 0.1, "noise": 0.2, "mask_rows": 2}}
    build(Recipe("tones", str(sounds(root / "tones")), (ModelRecipe(NET, (TARGET,), train, {"samples": 32}),),
                 str(root / "out"), front_end={"name": "log_mel", "mels": 10}, options={"seconds": 0.25}))
    return root / "out" / NET


def test_the_page_lists_front_end_and_net(bundle: Path) -> None:
    page = (bundle / "report.html").read_text(encoding="utf-8")
    (checked,) = json.loads((bundle / "report.json").read_text(encoding="utf-8"))["checks"]
    assert "Front end and net" in page and "front end (log_mel)" in page
    for figures in (checked["front_end"], checked["sum"]):
        assert f"{figures['instructions']:,}" in page and f"{figures['flash']:,}" in page
    assert "data:image/png;base64," in page  # features of samples, as pictures


def test_the_front_end_is_in_the_model_and_beside_it(bundle: Path) -> None:
    graph = models.load(bundle)
    found = front_end_of(graph)
    assert found is not None and found[0].name == "log_mel" and found[0].output_shape == (12, 10, 1)
    again = tflite.parse(tflite.serialize(graph))
    assert again.metadata[FRONT_END] == graph.metadata[FRONT_END]
    table = yaml.safe_load((bundle / "front_end.yaml").read_text())
    assert features.from_json(json.dumps(table)) == found
    assert "tones_features()" in (bundle / "model_card.md").read_text()
    assert recipe.read(bundle / "recipe.yaml").front_end == {"name": "log_mel", "mels": 10}


def test_vectors_hold_what_the_microphone_gave(bundle: Path) -> None:
    found = front_end_of(models.load(bundle))
    assert found is not None
    with np.load(bundle / "vectors.npz") as vectors:
        assert (found[1](found[0].compute(vectors["samples"])) == vectors["input_0"]).all()


def test_the_features_in_c_pass_their_test(bundle: Path, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    flags = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror")
    names = ("tones_features.c", "tones_features_test.c")
    subprocess.run([system_compiler("gcc"), *flags, *names, "-o", tmp_path / "test"], cwd=bundle / "c" / "portable",
                   check=True)
    result = subprocess.run([tmp_path / "test"], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "vectors equal" in result.stdout


def test_check_lists_both_and_their_sum(bundle: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(bundle), "--target", TARGET, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    front, both = found["front_end"], found["sum"]
    assert front["name"] == "log_mel" and front["steps"] == 12 and front["step_samples_bytes"] == 512
    assert both["instructions"] == found["instructions"] + front["instructions"] > front["instructions"] > 100_000
    assert both["flash"] == found["flash"]["total"] + front["flash"] and front["flash"] > 1000
    assert both["ram"] >= found["ram"]["total"] + front["step_samples_bytes"]
    assert main(["check", str(bundle), "--target", TARGET]) == 0
    assert "in sum" in capsys.readouterr().out


def test_limits_hold_for_the_sum(bundle: Path) -> None:
    free = check(bundle, TARGET)
    assert free.sum is not None
    tight = check(bundle, TARGET, Limits(flash_bytes=free.flash["total"] + 100))
    assert not tight.fits and tight.reasons[0].startswith("flash: needs")
    assert check(bundle, TARGET, Limits(latency_ms=(free.latency_ms or 0) * 1.01)).fits is False


def test_verify_runs_the_front_end_too(bundle: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--targets", "rp2040,esp32c3", "--runtimes", "host:c", "--json"]
    assert main(["verify", str(bundle), *words]) == 0
    rows = {row["where"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    for where in ("host:c", "emulator:rp2040", "emulator:esp32c3"):
        assert rows[f"{where} front end"]["differ"] == 0 and rows[f"{where} front end"]["elements"] > 1000
    source = str(bundle.parents[1] / "tones")
    with pytest.raises(InputError, match="takes 1994 samples"):  # seconds that the model was not made for
        _samples(bundle, source, 0.2)


def _samples(bundle: Path, source: str, seconds: float) -> None:
    from ratti import data

    found = front_end_of(models.load(bundle))
    assert found is not None
    data.load(source, data.Options(front_end=found[0], seconds=seconds))


def test_a_damaged_description_is_refused(bundle: Path) -> None:
    graph = models.load(bundle)
    import dataclasses

    for text in ("{", graph.metadata[FRONT_END].replace('"frames": 12', '"frames": 13')):
        with pytest.raises(FormatError, match="front end"):
            check(dataclasses.replace(graph, metadata={FRONT_END: text}), TARGET)


def test_sensors_are_built_with_their_statistics(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    y = np.arange(160) % 2
    x = (rng.normal(0, 1, (160, 64, 2)) * (200 + 1500 * y[:, None, None])).astype(np.int16)
    np.savez(tmp_path / "shake.npz", x=x, y=y, groups=np.arange(160) // 4)
    result = build(Recipe("shake", str(tmp_path / "shake.npz"), (ModelRecipe("mlp-0.5-1", (TARGET,), {"epochs": 5}),),
                          str(tmp_path / "out"), front_end={"name": "statistics"}))
    (model,) = result.models
    assert model.accuracy_int8 > 0.9 and model.device[0].differ == 0
    assert model.checks[0].front_end is not None and model.checks[0].front_end.name == "statistics"


def test_waves_are_built_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    y = np.arange(120) % 2
    x = np.cumsum(rng.normal(0, 0.01 + 0.05 * y[:, None], (120, 32)), axis=1)
    np.savez(tmp_path / "drift.npz", x=x, y=y)
    result = build(Recipe("drift", str(tmp_path / "drift.npz"), (ModelRecipe("ds_cnn_1d-0.25-32", (TARGET,),
                                                                              {"epochs": 2}),), str(tmp_path / "out")))
    front = result.models[0].checks[0].front_end
    assert front is not None and front.name == "signal" and result.models[0].device[0].differ == 0


def test_a_camera_stands_before_pictures(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(5)
    for k, name in enumerate(("dark", "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(40):
            pixels = (rng.integers(0, 100, (60, 90, 3)) + 150 * k).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i:02}.png")
    words = ["--target", TARGET, "--net", "micro-1.0-16", "--epochs", "2", "--out", str(tmp_path / "out"), "--quiet"]
    words += ["--front-end", "image,height=48,width=64,format=rgb565"]
    assert main(["build", str(tmp_path / "photos"), *words]) == 0
    found = front_end_of(models.load(tmp_path / "out" / "micro-1.0-16"))
    assert found is not None and found[0].samples == 48 * 64 * 2
    assert (found[1](np.arange(256).reshape(1, -1, 1)).ravel() == np.arange(256) - 128).all()  # a code is pixel - 128


def test_what_does_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown front end 'mfcc': "):
        Recipe("a", "digits", (ModelRecipe("micro-1.0-8", (TARGET,)),), "out", front_end={"name": "mfcc"})
    bad = Recipe("a", "digits", (ModelRecipe("micro-1.0-8", (TARGET,)),), str(tmp_path), options={"size": 3})
    with pytest.raises(InputError, match="'size' follows from the rest"):
        build(bad)


def test_front_ends_that_do_not_take_the_data(tmp_path: Path) -> None:
    from ratti import data
    from ratti.data import Options

    y = np.arange(40) % 2
    np.savez(tmp_path / "waves.npz", x=np.zeros((40, 32), np.int16), y=y)
    np.savez(tmp_path / "shots.npz", x=np.zeros((40, 24, 32, 3), np.uint8), y=y)
    with pytest.raises(InputError, match="takes uint8 samples of a camera, these are signals"):
        data.load(tmp_path / "waves.npz", Options(front_end={"name": "image", "height": 4, "width": 8}))
    with pytest.raises(InputError, match="front end statistics does not take pictures; image does"):
        data.load(tmp_path / "shots.npz", Options(front_end={"name": "statistics"}))
    with pytest.raises(InputError, match="leave out the front end"):
        data.load("digits", Options(front_end={"name": "image"}))
    assert data.load(tmp_path / "shots.npz", Options(resolution=12, front_end={"name": "image", "format": "gray"})
                     ).input_shape == (12, 12, 1)
    with pytest.raises(InputError, match="frames are made smaller, never larger"):
        data.load(tmp_path / "shots.npz", Options(resolution=48, front_end={"name": "image"}))
