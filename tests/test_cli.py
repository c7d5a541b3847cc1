"""The command line: bad input gets one clear line on standard error and exit code 2, and nothing is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ratti
import toys
from ratti import nets
from ratti.cli import main, verbs
from ratti.formats import tflite
from ratti.graph.builder import GraphBuilder
from ratti.ops.softmax import Softmax
from ratti.types import DType, Quant, TensorType

BOARD = ("--target", "stm32l4r5zi")


def _line_model(shape: tuple[int, ...], dtype: DType = DType.INT8) -> bytes:
    """A `.tflite` with one softmax."""
    of = (lambda scale, zero: Quant.per_tensor(scale, zero)) if dtype is DType.INT8 else (lambda scale, zero: None)
    b = GraphBuilder("line")
    x = b.input("x", TensorType(shape, dtype, of(0.1, 0)))
    return tflite.serialize(b.build(b.node(Softmax(1.0), [x], [TensorType(shape, dtype, of(1 / 256, -128))], "soft")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of things that can go wrong."""
    image = pytest.importorskip("PIL.Image")
    root = tmp_path_factory.mktemp("place")
    good = tflite.serialize(nets.random_graph(toys.spec()))
    files = {
        "good.tflite": good, "short.tflite": good[: len(good) // 2], "text.tflite": b"hello", "empty.tflite": b"",
        "line.tflite": _line_model((1, 10)), "float.tflite": _line_model((1, 10), DType.FLOAT32),
        "batch.tflite": _line_model((4, 10)), "other.bin": good, "plain": b"", "broken.yaml": b"name: [",
        "key.yaml": b"name: a\ndata: digits\ncolour: 1\nmodels: [{net: micro-1.0-8, targets: rp2040}]",
        "limit.yaml": b"name: a\ndata: digits\nlimits: {speed: 3}\nmodels: [{net: micro-1.0-8, targets: rp2040}]",
        "one/a/1.png": b"", "empties/a/1.jpg": b"", "empties/b/1.jpg": b"", "no_classes/readme.md": b"x",
        "text/a/1.png": b"this is text", "text/b/1.png": b"this is text", "no_train/test/a/1.png": b"",
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    for name in ("strange/train/a", "strange/train/b", "strange/test/c"):
        (root / name).mkdir(parents=True)
        image.new("RGB", (8, 8)).save(root / name / "1.png")
    np.savez(root / "keys.npz", a=np.zeros(3))
    (root / "text.npz").write_text("hello")
    return root


WRONG: list[tuple[str, str]] = [
    # how the line is called; what the error says
    ("chek good.tflite", "unknown verb 'chek': did you mean check?"),
    ("check", "arguments are required: MODEL, --target"),
    ("check good.tflite", "arguments are required: --target"),
    ("check good.tflite --target rp2040 --frobnicate", "unrecognized arguments: --frobnicate"),
    ("check good.tflite --target rp2040 --optimize fast", "invalid choice: 'fast'"),
    ("check missing.tflite --target rp2040", "model 'missing.tflite' not found"),
    ("check short.tflite --target rp2040", "'short.tflite': damaged file"),
    ("check text.tflite --target rp2040", "'text.tflite': not a TFLite file"),
    ("check empty.tflite --target rp2040", "the file is empty"),
    ("check batch.tflite --target rp2040", "batch"),
    ("check other.bin --target rp2040", "is no .tflite, .onnx or .pt2 file"),
    ("check one --target rp2040", "'one' is a folder without model.tflite"),
    ("check  --target rp2040", "no model given"),
    ("check mobilenet_v9-1.0-64 --target rp2040", "unknown net family 'mobilenet_v9': did you mean mobilenet_v"),
    ("check mobilenet_v2-wide-64 --target rp2040", "'mobilenet_v2-wide-64' not found"),
    ("check mobilenet_v2-0-64 --target rp2040", "width must be above 0"),
    ("check mobilenet_v2-0.35-0 --target rp2040", "resolution 1 to"),
    ("check good.tflite --target rp2041", "unknown target 'rp2041': did you mean rp2040 or rp2350?"),
    ("check good.tflite --target ../rp2040", "unknown target '../rp2040'"),
    ("check good.tflite --target rp2040 --max-ram 0", "must be above 0, like 64KiB"),
    ("check good.tflite --target rp2040 --max-ram=-1", "must be above 0, like 64KiB"),
    ("check good.tflite --target rp2040 --max-ram=", "'' is not a size; write it like 64KiB"),
    ("check good.tflite --target rp2040 --max-ram 1e999", "too large for a size"),
    ("check good.tflite --target rp2040 --max-flash 5parsecs", "'5parsecs' is not a size"),
    ("check good.tflite --target rp2040 --max-latency 5KiB", "'5KiB' is not a time; write it like 50ms"),
    ("check good.tflite --target rp2040 --max-energy nan", "'nan' is not an energy; write it like 200uJ"),
    ("targets rp2041", "unknown target 'rp2041'"),
    ("export good.tflite --to swift --out out", "unknown export kind 'swift': known: c, cpp, "),
    ("export good.tflite --to , --out out", "nothing to export"),
    ("export good.tflite --name 3x --out out", "no C identifier"),
    ("export good.tflite --target nope --out out", "unknown target 'nope'"),
    ("export good.tflite --out plain", "'plain' is a file"),
    ("export good.tflite --out plain/inside", "is a file"),
    ("export float.tflite --out out", "float model"),
    ("verify good.tflite --inputs 0", "'0' must be a whole number of at least 1"),
    ("verify good.tflite --inputs many", "'many' must be a whole number"),
    ("verify good.tflite --runtimes tvn", "unknown runtime 'tvn': did you mean tvm"),
    ("verify good.tflite --runtimes ,", "nothing to compare with"),
    ("verify good.tflite --targets nope", "unknown target 'nope'"),
    ("verify good.tflite --samples nowhere", "no such file or folder"),
    ("verify line.tflite --samples digits", "--samples works for models whose input is (1, H, W, C)"),
    ("verify float.tflite", "float model"),
]
BAD_BUILDS: list[tuple[str, str]] = [
    ("build broken.yaml", "is no YAML"),
    ("build missing.yaml", "cannot read recipe 'missing.yaml'"),
    ("build key.yaml", "unknown key 'colour'"),
    ("build limit.yaml", "limits: unknown key 'speed'; known: ram, flash, latency, energy"),
    ("build key.yaml --target rp2040", "a recipe says that itself: leave out --target"),
    ("build digits", "say for which device"),
    ("build digits --target ,", "say for which device"),
    ("build digits --target rp2041", "unknown target 'rp2041'"),
    ("build digits --target rp2040 --net nope", "neither a net's id"),
    ("build digits --target rp2040 --net micro-1.0-16", "takes inputs of height 16"),
    ("build digits --target rp2040 --net micro-1.0-8 --epochs 0", "at least 1"),
    ("build digits --target rp2040 --net micro-1.0-8 --seed=-1", "at least 0"),
    ("build digits --target rp2040 --size 0", "at least 1"),
    ("build digits --target rp2040 --net micro-1.0-8 --max-ram 0", "must be above 0"),
    ("build digits --target rp2040 --net micro-1.0-8 --out plain", "'plain' is a file"),
    ("build nowhere --target rp2040 --net micro-1.0-8", "nowhere: no such file or folder"),
    ("build plain --target rp2040 --net micro-1.0-8", "no data set of a known kind"),
    ("build one --target rp2040 --net micro-1.0-8", "one class (a); at least 2 are needed"),
    ("build empties --target rp2040 --net micro-1.0-8", "the file is empty (0 bytes)"),
    ("build text --target rp2040 --net micro-1.0-8", "a/1.png: not a picture, or damaged"),
    ("build no_classes --target rp2040 --net micro-1.0-8", "no class folders"),
    ("build no_train --target rp2040 --net micro-1.0-8", "no train folder"),
    ("build strange --target rp2040 --net micro-1.0-8", "class c is not in train"),
    ("build keys.npz --target rp2040 --net micro-1.0-8", "no x_train"),
    ("build text.npz --target rp2040 --net micro-1.0-8", "text.npz"),
]


def _refused(line: str, says: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    assert main(line.split(" ")) == 2
    out, err = capfd.readouterr()
    assert says in err
    assert out == "" and err.startswith("ratti") and err.count("\n") == 1, err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("line, says", WRONG)
def test_bad_input(
    line: str, says: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    _refused(line, says, place, monkeypatch, capfd)


@pytest.mark.torch
@pytest.mark.parametrize("line, says", BAD_BUILDS)
def test_bad_builds(
    line: str, says: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    _refused(line, says, place, monkeypatch, capfd)


def test_without_words_there_is_help(capsys: pytest.CaptureFixture) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and all(verb in err for verb in verbs())


def test_help_and_version(capsys: pytest.CaptureFixture) -> None:
    for verb in verbs():
        assert main([verb, "--help"]) == 0
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f"ratti {ratti.__version__}\n")


def test_targets(capsys: pytest.CaptureFixture) -> None:
    assert main(["targets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) >= 8
    assert all(n["source"] for t in found for n in t["numbers"].values())
    assert main(["targets", "ch32v003"]) == 0
    assert "memory.sram.bytes" in capsys.readouterr().out


@pytest.mark.toolchain
def test_check_answers_by_its_exit_code(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(place)
    assert main(["check", "good.tflite", *BOARD, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["fits"] and found["model"] == "good.tflite"
    assert main(["check", "good.tflite", *BOARD, "--max-flash", "1KiB"]) == 1
    out, err = capfd.readouterr()
    assert "DOES NOT FIT" in out and "✗ flash: needs" in out and not err


def _start(*words: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "ratti", *words], stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    process = _start("targets", "stm32l4r5zi", "--json", stdout=writer)
    os.close(writer)
    os.close(reader)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 141


@pytest.mark.toolchain
def test_control_c_ends_without_a_traceback(tmp_path: Path) -> None:
    # A cold cache, so that there is time to interrupt.
    environment = {**os.environ, "RATTI_CACHE": str(tmp_path)}
    process = _start("check", "mobilenet_v2-0.35-96", *BOARD, stdout=subprocess.PIPE, env=environment,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # jobs of a shell may ignore it
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "ratti: interrupted\n")
