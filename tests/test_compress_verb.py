"""`ratti train` and `ratti compress`: from data to a net that fits, with what each step costs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import ratti
from ratti import cli, models, nets
from ratti.errors import InputError
from ratti.train import TrainConfig, predict
from ratti.verbs.build import load_data
from ratti.verbs.check import Limits
from ratti.verbs.compress import compress
from ratti.verbs.train import train, trained_net

pytestmark = [pytest.mark.torch, pytest.mark.toolchain]
NET = "micro-1.0-8"
SETTINGS = TrainConfig(epochs=6, learning_rate=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("train") / "net"
    train("digits", NET, out, SETTINGS)
    return out


def test_a_trained_net_can_be_read_again(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    spec, module = trained_net(folder)
    _, data = load_data("digits", str(folder / "net.yaml"))
    assert spec.name == NET and report["settings"]["epochs"] == 6
    assert (predict(module, data, data.val).argmax(1) == data.val.y).mean() == pytest.approx(report["accuracy"])
    assert data.test_opened == ()


def test_a_finished_training_returns_at_once(folder: Path) -> None:
    weights = (folder / "weights.safetensors").read_bytes()
    again = train("digits", NET, folder, SETTINGS)
    assert again.epochs == 6 and (folder / "weights.safetensors").read_bytes() == weights


def test_a_student_learns_from_a_net_and_from_logits(folder: Path, tmp_path: Path) -> None:
    spec, module = trained_net(folder)
    _, data = load_data("digits", str(folder / "net.yaml"))
    np.save(tmp_path / "logits.npy", predict(module, data, data.train))
    for teacher in (folder, tmp_path / "logits.npy"):
        found = train("digits", "micro-0.5-8", tmp_path / teacher.stem, TrainConfig(epochs=2), teacher=teacher)
        assert found.teacher == str(teacher) and found.accuracy > 0.1
    with pytest.raises(InputError, match=r"is no trained net: it has no net\.yaml and no weights\.safetensors"):
        train("digits", NET, tmp_path / "x", SETTINGS, teacher=tmp_path)
    np.save(tmp_path / "logits.npy", np.zeros((3, 10), np.float32))
    with pytest.raises(InputError, match="finite logits of shape"):
        train("digits", NET, tmp_path / "x", SETTINGS, teacher=tmp_path / "logits.npy")
    assert spec.name == NET and not (tmp_path / "x").exists()


def test_the_ladder_leads_into_the_limits(folder: Path, tmp_path: Path) -> None:
    whole = compress(folder, "digits", "stm32f446re", out=tmp_path / "whole", settings=SETTINGS, zeros=0.8)
    assert [r.step for r in whole.ladder] == ["float", "ptq", "qat", "sparse", "sparse ptq",
                                              "on stm32f446re, 359 samples"]
    note = next(n for n in whole.notes if n.startswith("sparse ptq beside the same net without zeros: "))
    steps = {r.step: r for r in whole.ladder}
    assert whole.chosen in ("ptq", "qat", "sparse ptq") and " B of flash, " in note
    flash, dense = steps["sparse ptq"].flash, steps["ptq"].flash
    assert flash is not None and dense is not None and ("no gain" in note or flash < dense or "for size" in note)
    assert whole.fits and whole.ladder[0].val == pytest.approx(json.loads((folder / "report.json").read_text())[
        "accuracy"])
    latency = whole.ladder[1].latency_ms
    assert latency is not None
    small = compress(folder, "digits", "stm32f446re", Limits(latency_ms=0.75 * latency), out=tmp_path / "small",
                     settings=SETTINGS, sensitivity=True, max_drop=-100.0)
    steps = {r.step: r for r in small.ladder}
    assert list(steps)[:5] == ["float", "ptq", "pruned", "pruned ptq", "qat"] and not steps["ptq"].fits
    chosen = steps[small.chosen]
    assert not small.fits and "points lost on validation, over the limit of -100" in str(small)
    assert small.drop == pytest.approx(100 * (steps["float"].val - chosen.val))
    assert chosen.fits and chosen.latency_ms is not None and chosen.latency_ms <= 0.75 * latency
    assert chosen.instructions is not None and steps["ptq"].instructions is not None
    assert chosen.instructions < steps["ptq"].instructions
    assert small.ladder[-1].test == pytest.approx(chosen.test, abs=0.01)  # the firmware against torch's simulation
    bundle = Path(small.result.bundle)
    assert nets.read(bundle / "net.yaml").parameters < nets.spec(NET).parameters
    assert models.load(bundle).macs() < models.load(Path(whole.result.bundle)).macs()
    assert small.before.whole.instructions == steps["ptq"].instructions
    page = (tmp_path / "small" / "report.html").read_text()
    assert all(h in page for h in ("Accuracy at every step", "before and after", "What each layer alone costs in int8"))
    assert "before and after" not in (tmp_path / "whole" / "report.html").read_text() or whole.chosen == "qat"
    text = str(small)
    assert "layer alone in int8" in text and f"{small.chosen} ◄" in text and json.dumps(small.to_json())


@pytest.mark.slow
def test_a_killed_compression_goes_on_to_the_same_ladder(folder: Path, tmp_path: Path) -> None:
    def words(out: str) -> list[str]:
        return [sys.executable, "-m", "ratti", "compress", str(folder), "--data", "digits", "--target", "stm32f446re",
                "--max-latency", "0.25ms", "--epochs", "12", "--quiet", "--out", str(tmp_path / out)]

    process = subprocess.Popen(words("killed"), stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / ".work" / "pruned" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (tmp_path / "killed" / "report.json").exists()
    ladders = []
    for out in ("killed", "whole"):
        assert subprocess.run(words(out), stdout=subprocess.DEVNULL, check=False).returncode == 0
        ladders.append(json.loads((tmp_path / out / "report.json").read_text())["ladder"])
    assert ladders[0] == ladders[1]


def test_the_functions_of_the_package_follow_each_other(folder: Path) -> None:
    spec, module = trained_net(folder)
    _, data = load_data("digits", str(folder / "net.yaml"))
    pruned = ratti.prune(spec, module, lambda net: float(net.macs), 0.6)
    taught = ratti.distill(pruned.spec, data, module, TrainConfig(epochs=3), initial=pruned.model, progress=False)
    program = ratti.quantize(taught.model, data)
    assert pruned.cost <= 0.6 * pruned.cost_before and taught.val.accuracy > 0.2
    assert (predict(program, data, data.val).argmax(1) == data.val.y).mean() > taught.val.accuracy - 0.1


def test_limits_out_of_reach_name_the_nearest(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code = cli.main(["compress", str(folder), "--data", "digits", "--target", "stm32f446re", "--max-flash", "3000",
                     "--epochs", "2", "--out", str(tmp_path / "out"), "--quiet"])
    assert code == 2
    error = capsys.readouterr().err
    assert "cannot be pruned into these limits; the nearest that was tried takes" in error
    assert "take a smaller net or wider limits" in error and not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(("words", "message"), [
    (["train", "digits", "--net", "nothing-1.0-8"], "nothing"),
    (["train", "digits", "--net", NET, "--learning-rate", "-1"], "learning_rate must be above 0"),
    (["compress", "nowhere", "--data", "digits", "--target", "rp2040"], "'nowhere' is no trained net"),
    (["compress", NET, "--data", "digits", "--target", "unheard"], "unheard"),
])
def test_bad_input_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture,
                               monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
