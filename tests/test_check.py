"""`ratti check`: the figures are complete, add up, repeat, and turn the verdict where a limit says so."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ratti
import toys
from ratti import nets, targets
from ratti.errors import EmulationError, InputError
from ratti.formats import tflite
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.ops.conv2d import Conv2D
from ratti.ops.relu import Relu
from ratti.report import tables
from ratti.types import DType, TensorType
from ratti.verbs.check import CheckResult, Limits, check
from ratti.verbs.verify import verify

pytestmark = pytest.mark.toolchain

BOARD = "stm32l4r5zi"
SLOW = 3 if os.environ.get("CI") else 1
FIELDS = {
    "schema", "model", "target", "how", "fits", "reasons", "ram", "flash", "macs", "instructions", "cycles",
    "cycles_range", "latency_ms", "energy_uj", "layers", "passes", "assumed",
}
HOW = {"ram", "flash", "instructions", "cycles", "latency", "energy"}


@pytest.fixture(scope="module")
def kws(shared: Path) -> CheckResult:
    return check(shared / "models" / "kws.tflite", BOARD)


@pytest.fixture(scope="module")
def toy() -> Callable[..., CheckResult]:
    """Checks a small net with random weights."""
    graph = nets.random_graph(toys.spec())

    def run(target: str = BOARD, **limits: float) -> CheckResult:
        return check(graph, target, Limits(**limits))

    return run


def test_json_has_every_field(kws: CheckResult) -> None:
    found = json.loads(json.dumps(kws.to_json()))
    assert found["schema"] == "ratti.check/1" and set(found) >= FIELDS
    assert set(found["how"]) == HOW
    assert set(found["how"].values()) <= {"measured", "emulated", "priced", "estimated", "absent"}
    assert set(found["ram"]) >= {"total", "activations", "scratch", "stack", "lower_bound", "limit"}
    assert set(found["flash"]) >= {"total", "weights", "code", "parameters", "transformed", "limit"}
    assert len(found["cycles_range"]) == 2 and found["cycles_range"][0] < found["cycles_range"][1]
    for layer in found["layers"]:
        assert set(layer) >= {"name", "op", "kernel", "macs", "instructions", "cycles", "ram"}


def floats() -> Graph:
    """A convolution with a relu of its own, in floats."""
    b = GraphBuilder("floats")
    x = b.input("x", TensorType((1, 6, 6, 3), DType.FLOAT32))
    weight = np.random.default_rng(0).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
    y = b.float(Conv2D(), [x, b.constant("w", weight)], "conv")
    return b.build([b.float(Relu(), [y], "relu")])


@pytest.mark.parametrize("file", ["float.tflite", "float.onnx"])
def test_a_float_model_is_assumed_to_be_int8(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    if path.suffix == ".tflite":
        path.write_bytes(tflite.serialize(floats()))
    else:
        onnx_files = pytest.importorskip("onnx_files")
        path.write_bytes(onnx_files.single(onnx_files.OPS["conv_relu"]).SerializeToString())
    result = check(path, BOARD)
    assert result.assumed and "accuracy unknown" in result.assumed
    assert {s.name: s.ops for s in result.passes if s.ops} == {"fuse_activations": 1}
    assert [layer.op for layer in result.layers] == ["conv2d"] and result.instructions
    text = str(result)
    assert "int8 assumed, accuracy unknown" in text and "saved 1 ops (fuse_activations)" in text
    fused = {"name": "fuse_activations", "ops": 1, "constant_bytes": 0, "macs": 0}
    assert fused in result.to_json()["passes"]


def test_keyword_spotting_on_the_board(kws: CheckResult) -> None:
    assert kws.fits and not kws.reasons
    assert kws.macs == 2_656_768
    assert kws.instructions / kws.macs <= 6
    assert kws.ram["activations"] <= 1.1 * kws.ram["lower_bound"]
    assert kws.ram["lower_bound"] == 8_000  # one map of 25x5x64, computed in place


def test_parts_add_up(kws: CheckResult) -> None:
    assert sum(layer.macs for layer in kws.layers) == kws.macs
    assert sum(layer.instructions for layer in kws.layers) == kws.instructions
    assert sum(layer.cycles for layer in kws.layers) == pytest.approx(kws.cycles, abs=len(kws.layers))
    assert sum(kws.ram[k] for k in ("activations", "scratch", "static", "stack")) == kws.ram["total"]
    assert kws.flash["weights"] + kws.flash["code"] == kws.flash["total"]
    channels = 9 * 64 + 12  # every layer with weights, and its tables are multiples of four
    assert kws.flash["parameters"] == 8 * channels
    assert kws.flash["parameters"] + kws.flash["transformed"] < kws.flash["code"]
    assert f"channel parameters {kws.flash['parameters']:,}" in str(kws)
    assert max(layer.ram for layer in kws.layers) <= kws.ram["activations"] + kws.ram["scratch"]
    clock = targets.load(BOARD).clock_hz
    assert kws.latency_ms == pytest.approx(kws.cycles_range[1] / clock * 1e3)


def test_a_limit_on_ram_is_met_with_streams(kws: CheckResult, shared: Path) -> None:
    limit = 6_656
    result = check(shared / "models" / "kws.tflite", BOARD, Limits(ram_bytes=limit))
    assert kws.ram["total"] > 8_000 and not kws.tradeoff
    assert result.fits and result.ram["total"] <= limit
    assert result.instructions <= 1.12 * kws.instructions
    assert sum(layer.instructions for layer in result.layers) == result.instructions
    assert sum(layer.macs for layer in result.layers) == result.macs
    rows = result.to_json()["tradeoff"]
    assert rows[0]["how"] == "layer by layer" and rows[0]["ram_bytes"] == kws.ram["total"]
    sizes = [(r["ram_bytes"], -r["instructions"]) for r in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert "RAM for instructions" in str(result)


def test_the_same_call_twice_gives_the_same_json(toy: Callable[..., CheckResult]) -> None:
    assert json.dumps(toy().to_json()) == json.dumps(toy().to_json())


def test_image_classification_does_not_fit_the_smallest_device(shared: Path) -> None:
    result = check(shared / "models" / "ic.tflite", "ch32v003")
    assert not result.fits
    ram, flash = result.reasons
    assert f"needs {result.ram['total']:,} B" in ram and "limit of 2,048 B" in ram
    assert result.ram["total"] > 15_000  # the least that was found: layers in bands of rows
    assert f"needs {result.flash['total']:,} B" in flash and "limit of 16,384 B" in flash
    assert result.instructions > result.macs  # measured all the same, with larger memories


def test_each_limit_turns_the_verdict(toy: Callable[..., CheckResult]) -> None:
    free = toy()
    assert free.fits
    figures = {
        "ram_bytes": free.ram["total"], "flash_bytes": free.flash["total"],
        "latency_ms": free.latency_ms, "energy_uj": free.energy_uj,
    }
    for name, figure in figures.items():
        assert toy(**{name: figure}).fits, name
        # RAM can be saved, and flash that was spent on speed.
        short = {"ram_bytes": free.ram["lower_bound"] // 10, "flash_bytes": free.flash["weights"]}
        over = toy(**{name: short.get(name, figure * 0.99)})
        assert not over.fits and len(over.reasons) == 1, name
        assert over.reasons[0].lower().startswith(name.split("_")[0])


def test_flash_is_spent_on_speed_within_its_limit(toy: Callable[..., CheckResult]) -> None:
    free = toy()
    tight = toy(flash_bytes=free.flash["total"] - 1)
    free_layers, tight_layers = (sum(y.kernel == "conv_winograd" for y in r.layers) for r in (free, tight))
    assert tight_layers < free_layers
    assert tight.fits and tight.flash["total"] < free.flash["total"]
    assert (tight.instructions or 0) > (free.instructions or 0)


def test_flash_is_given_up_where_nothing_runs(
    toy: Callable[..., CheckResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratti.deploy.MAX_INSTRUCTIONS", 1000.0)
    free = toy()
    tight = toy(flash_bytes=free.flash["total"] - 1)
    assert free.instructions is None and tight.instructions is None
    assert tight.fits and tight.flash["total"] < free.flash["total"]


def test_flash_is_given_up_layer_by_layer() -> None:
    graph = nets.random_graph(toys.spec(
        "conv: {width: 16, kernel: 3, activation: relu}",
        "conv: {width: 24, kernel: 3, activation: relu}",
        "conv: {width: 32, kernel: 3, stride: 2, activation: relu}",
        "conv: {width: 32, kernel: 3, activation: relu}",
        "conv: {width: 32, kernel: 3, activation: relu}",
        "flatten: {}",
        "fc: {width: 3}",
    ))
    fast, small = check(graph, BOARD), check(graph, BOARD, Limits(flash_bytes=graph_bytes(graph)))
    limit = (fast.flash["total"] + small.flash["total"]) // 2
    some = check(graph, BOARD, Limits(flash_bytes=limit))
    counts = [sum(layer.kernel == "conv_winograd" for layer in r.layers) for r in (small, some, fast)]
    assert counts[0] == 0 < counts[1] < counts[2]
    assert some.fits and some.flash["total"] <= limit and not small.fits
    assert small.flash["transformed"] < some.flash["transformed"] < fast.flash["transformed"]
    assert (fast.instructions or 0) < (some.instructions or 0) < (small.instructions or 0)


def graph_bytes(graph: Graph) -> int:
    """Of all constants: less than any firmware takes."""
    return sum(v.type.bytes for v in graph.values.values() if v.is_constant)


def test_the_arena_lies_in_the_nearest_memory_that_holds_it() -> None:
    small = check(nets.random_graph(toys.spec()), "stm32h743")
    wide = ("conv: {width: 16, kernel: 3}", "flatten: {}", "fc: {width: 3}")
    spec = dataclasses.replace(toys.spec(*wide), input_shape=(100, 100, 1))
    large = check(nets.random_graph(spec), "stm32h743")
    assert [r.ram["memory"] for r in (small, large)] == ["dtcm", "axi_sram"]
    assert small.fits and large.fits and large.ram["total"] > 131_072
    assert "arena in dtcm" in str(small)


def test_a_limit_without_a_figure_is_not_kept(toy: Callable[..., CheckResult]) -> None:
    assert toy("esp32c3").fits
    for name, label in (("latency_ms", "latency"), ("energy_uj", "energy")):
        result = toy("esp32c3", **{name: 1e9})
        assert not result.fits
        assert result.reasons[0].startswith(f"{label}: no figure to hold against")
        assert "Espressif publishes no cycle table" in result.absent["latency"]
    assert result.latency_ms is None and result.how["latency"] == "absent"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_above_zero(value: float) -> None:
    for name in ("ram_bytes", "flash_bytes", "latency_ms", "energy_uj"):
        with pytest.raises(InputError, match="must be above 0"):
            Limits(**{name: value})


def test_what_would_run_for_minutes_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = nets.random_graph(toys.spec())
    full = check(graph, "ch32v003")
    monkeypatch.setattr("ratti.deploy.MAX_INSTRUCTIONS", 1000.0)
    result = check(graph, "ch32v003")
    assert result.instructions is None and result.cycles_range is None and result.latency_ms is None
    assert {k for k, v in result.how.items() if v == "absent"} == {"instructions", "cycles", "latency", "energy"}
    assert "billion instructions" in result.absent["instructions"]
    assert result.flash["total"] == full.flash["total"]
    assert result.ram["stack"] is None and result.ram["total"] == full.ram["total"] - full.ram["stack"]
    assert all(layer.instructions is None for layer in result.layers)
    assert "instructions: none, about" in str(result)
    assert not check(graph, "ch32v003", Limits(latency_ms=1e9)).fits


@pytest.mark.parametrize("target", ["esp32", "esp32s3"])
def test_a_core_without_compiler_is_planned(target: str) -> None:
    """Xtensa: RAM as planned, weights exact, code estimated by another core's, time null, and it says so."""
    graph = nets.random_graph(toys.spec())
    result, other = check(graph, target), check(graph, "esp32c3")
    assert result.instructions is None and result.cycles is None and result.latency_ms is None
    assert result.how["ram"] == result.how["flash"] == "estimated" and result.how["latency"] == "absent"
    assert result.ram["stack"] is None  # kernels for other features, so not quite the same arena
    assert result.ram["activations"] == pytest.approx(other.ram["activations"], rel=0.05)
    assert result.flash["weights"] == other.flash["weights"] and result.flash["code"] > 1000
    assert "the code is estimated" in result.absent["flash"]
    assert "instructions: none, no compiler or emulator of Xtensa" in str(result)
    with pytest.raises(EmulationError, match=r"nothing runs on xtensa_lx[67]: no compiler"):
        verify(graph, [target], ())


@pytest.mark.slow
def test_a_large_net_is_refused_in_numbers() -> None:
    result = check("mobilenet_v2-1.0-224", "ch32v003")
    assert not result.fits and result.instructions is None
    assert result.ram["total"] > 1_000_000 and result.flash["weights"] > 3_000_000


def test_the_table_says_what_matters(kws: CheckResult) -> None:
    text = str(kws)
    first, *rest = text.splitlines()
    assert first.split() == ["FITS", "kws.tflite", "on", "STM32L4R5ZI", "(Cortex-M4F,", "120", "MHz)"]
    assert f"{kws.instructions:,} instructions" in text and "per MAC" in text
    assert any(line.startswith("→ RAM peaks in ") for line in rest)
    assert any(line.startswith("→ time: ") for line in rest)
    for layer in kws.layers:
        assert layer.name in text
    assert max(map(len, text.splitlines())) <= tables.PLAIN_WIDTH and "\x1b" not in text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns, widest", [(40, 60), (80, 80), (120, 120), (300, 120)])
def test_tables_keep_to_the_terminal(
    kws: CheckResult, monkeypatch: pytest.MonkeyPatch, columns: int, widest: int
) -> None:
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = str(kws).splitlines()
    assert max(map(len, lines)) <= widest
    if columns >= 80:  # a layer is one line
        assert sum(line.startswith((" conv2d_", " depthwise_")) for line in lines) == 9
    assert any(kws.layers[0].kernel in line for line in lines) == (columns >= 120)


def test_results_are_frozen(kws: CheckResult) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        kws.fits = False  # type: ignore[misc]
    assert ratti.check is check


def _ratti(code: str, *words: str, cache: Path | None = None) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Runs the command line in a new process, `code` after it; gives its processor seconds, which other work on the
    computer changes little, too."""
    script = f"import sys; from ratti.cli import main; rc = main(sys.argv[1:]); {code}; sys.exit(rc)"
    environment = dict(os.environ) | ({"XDG_CACHE_HOME": str(cache), "RATTI_CACHE": str(cache)} if cache else {})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False, env=environment
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


NO_TORCH = "assert not {'torch', 'torchao', 'sklearn', 'PIL'} & set(sys.modules)"


def test_targets_starts_at_once_and_without_torch() -> None:
    runs = [_ratti(NO_TORCH, "targets") for _ in range(3)]
    assert all(r.returncode == 0 and not r.stderr for _, r in runs), runs
    assert min(seconds for seconds, _ in runs) < 0.6 * SLOW


@pytest.mark.parametrize("model", ["kws.tflite", "micro-1.0-8"])
def test_check_needs_no_torch_and_is_quick_when_warm(shared: Path, model: str) -> None:
    path = shared / "models" / model
    words = ("check", str(path) if path.exists() else model, "--target", BOARD)
    runs = [_ratti(NO_TORCH, *words) for _ in range(3)]
    assert all(r.returncode == 0 and not r.stderr for _, r in runs), runs
    assert min(seconds for seconds, _ in runs) < 2 * SLOW


@pytest.mark.slow
def test_check_is_quick_when_cold(shared: Path, tmp_path: Path) -> None:
    words = ("check", str(shared / "models" / "kws.tflite"), "--target", BOARD)
    seconds, result = _ratti("pass", *words, cache=tmp_path)
    assert result.returncode == 0 and any(tmp_path.rglob("*"))
    assert seconds < 8 * SLOW


def test_figures_read_in_three_digits() -> None:
    assert [tables.figure(x) for x in (0.0124, 1.234, 12.34, 1234.5)] == ["0.012", "1.23", "12.3", "1,234"]
