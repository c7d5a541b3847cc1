"""Nets as data: ids, shapes, MACs, parameters, net.yaml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ratti import nets, registry
from ratti.data import goals
from ratti.errors import FormatError, InputError
from ratti.nets._scale import adapted_strides, scaled

EXAMPLES = [registry.load("ratti.nets", family).EXAMPLE for family in nets.families()]


@pytest.mark.parametrize("net_id", EXAMPLES)
def test_every_family_has_a_net_that_survives_yaml(net_id: str) -> None:
    spec = nets.spec(net_id)
    assert nets.from_yaml(nets.to_yaml(spec)) == spec
    assert spec.name == net_id and spec.macs > 0 and spec.parameters > 0
    assert len({name for name, _, _ in spec.layers}) == len(spec.layers)


@pytest.mark.parametrize("net_id", EXAMPLES)
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3), (49, 10, 1), (128, 1, 2)])
def test_every_family_takes_every_shape(net_id: str, shape: tuple[int, int, int]) -> None:
    family, width, _ = net_id.split("-")
    spec = nets.spec(f"{family}-{width}-{shape[0]}", input_shape=shape, classes=4)
    assert spec.input_shape == shape
    goal = getattr(registry.load("ratti.nets", family), "GOAL", "classify")
    assert spec.classes == goals.load(goal).outputs(4, shape)


@pytest.mark.parametrize(
    ("net_id", "classes", "macs", "parameters"),
    [
        ("ds_cnn-1.0-49", 12, 2_656_768, 22_604),  # MLPerf Tiny's KWS
        ("resnet8-1.0-32", 10, 12_501_632, 77_706),  # MLPerf Tiny's IC
        ("mobilenet_v1-0.25-96", 2, 7_489_664, 210_850),  # MLPerf Tiny's VWW
        ("mobilenet_v2-1.0-224", 1000, 300_774_272, 3_487_816),  # 300 M and 3.4 M in the paper (3.47 M with biases)
        ("mobilenet_v3_small-1.0-224", 1000, 56_510_400, 2_536_800),  # 56 M and 2.5 M
        ("shufflenet_v1-1.0-224", 1000, 137_460_672, 1_853_488),  # 137 M
        ("shufflenet_v2-1.0-224", 1000, 144_907_992, 2_270_514),  # 146 M and 2.3 M
        ("resnet50-1.0-224", 1000, 4_089_184_256, 25_530_472),  # 3.8 G with the strides elsewhere, and 25.6 M
        ("autoencoder-1.0-640", 640, 264_192, 265_864),  # MLPerf Tiny's AD
    ],
)
def test_macs_and_parameters_are_those_of_the_papers(net_id: str, classes: int, macs: int, parameters: int) -> None:
    spec = nets.spec(net_id, classes=classes)
    assert (spec.macs, spec.parameters) == (macs, parameters)


def test_the_micro_net_fits_the_smallest_part() -> None:
    spec = nets.spec("micro-1.0-8")
    sizes = [1]
    for name, layer, (shape,) in spec.layers:
        output = layer.output_shape(shape)
        total = 1
        for d in output:
            total *= d
        source = 1
        for d in shape:
            source *= d
        sizes.append(total + source)
        assert total + source <= 1024, name
    assert spec.parameters + 3 * 192 <= 6 * 1024  # int8 weights, int32 biases
    assert spec.macs <= 25_000


def test_ids_and_specs_need_no_torch() -> None:
    code = "import sys; from ratti import nets; nets.spec('micro-1.0-8').macs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(p for p in sys.path if p)})


def test_strides_adapt_from_the_input_on() -> None:
    strides = (2, 1, 2, 2, 2, 1, 2)
    assert adapted_strides(strides, 224) == adapted_strides(strides, 33) == strides
    assert adapted_strides(strides, 32) == (1, 1, 1, 2, 2, 1, 2)
    assert adapted_strides(strides, 8) == (1, 1, 1, 1, 1, 1, 2)
    assert adapted_strides(strides, 3) == (1,) * 7


def test_widths_round_as_in_the_reference_code() -> None:
    assert [scaled(w, 0.35) for w in (32, 16, 24, 32, 64, 96, 160, 320)] == [16, 8, 8, 16, 24, 32, 56, 112]


@pytest.mark.parametrize(
    ("net_id", "message"),
    [
        ("mobilenet_v2", "no net id; ids are family-width-resolution"),
        ("mobilenet_v4-1.0-96", "unknown net family 'mobilenet_v4': did you mean mobilenet_v"),
        ("micro-0-8", "width must be above 0"),
        ("micro-1.0-0", "resolution 1 to 1024"),
        ("micro-1.0-5000", "resolution 1 to 1024"),
        ("../micro-1.0-8", "no net id"),
    ],
)
def test_ids_that_are_none(net_id: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        nets.spec(net_id)


def test_an_input_of_another_height_is_refused() -> None:
    with pytest.raises(InputError, match=r"takes inputs of height 8, the data has \(16, 16, 1\).*micro-1-16"):
        nets.spec("micro-1.0-8", input_shape=(16, 16, 1))
    with pytest.raises(InputError, match="1 classes"):
        nets.spec("micro-1.0-8", classes=1)


GOOD = """schema: ratti.net/1
name: toy
input: [8, 8, 1]
blocks:
  - conv: {width: 8, kernel: 3, stride: 2, activation: relu}
  - mean: {}
  - fc: {width: 10}
"""


def test_yaml_reads_what_a_person_writes(tmp_path: Path) -> None:
    spec = nets.from_yaml(GOOD)
    assert spec.shapes == ((8, 8, 1), (4, 4, 8), (8,), (10,))
    assert spec.macs == 4 * 4 * 8 * 9 + 80 and spec.parameters == 8 * 9 + 8 + 80 + 10
    assert nets.to_yaml(spec) == GOOD
    (tmp_path / "net.yaml").write_text(GOOD)
    assert nets.read(tmp_path / "net.yaml") == spec


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ratti.net/1", "ratti.net/9", "first line must be 'schema: ratti.net/1'"),
        ("width: 8", "widht: 8", r"block 1 \(conv\): unknown field 'widht': did you mean width"),
        ("width: 8, ", "", r"block 1 \(conv\): width missing"),
        ("width: 8", "width: 0", r"block 1 \(conv\): .*must be at least 1"),
        ("width: 8", "width: true", "width must be a whole number, not True"),
        ("kernel: 3", "kernel: [3, 3, 3]", "kernel must be a whole number or a list of 2"),
        ("kernel: 3", "kernel: 3, groups: 3", "3 groups do not divide a width of 8"),
        ("kernel: 3", "kernel: 3, groups: 2", r"block 1 \(conv\) after \(8, 8, 1\): 2 groups do not divide 1 input"),
        ("kernel: 3", "kernel: 11, pads: 0", "a window of 11x11 does not fit an input of 8x8"),
        ("relu", "swish", "activation must be one of none, relu, relu6, hard_swish, not 'swish'"),
        ("- mean: {}", "- maen: {}", "unknown block 'maen': did you mean mean"),
        ("- mean: {}", "- join: {hidden: 4, width: 4}\n  - mean: {}", "reads numbers beside the input"),
        ("name: toy", "name: toy\nnumbers: 2", "no block reads the 2 numbers"),
        ("- mean: {}", "- inverted_residual: {hidden: 8, width: 9, residual: true}",
         r"the shortcut gives \(4, 4, 8\), the body \(4, 4, 9\)"),
        ("- mean: {}\n", "- separable: {width: 4}\n", "put mean or flatten before it"),
        ("  - mean: {}\n  - fc: {width: 10}\n", "", r"the output is \(4, 4, 8\)"),
        ("- mean: {}", "- mean", "a block is one name with its fields"),
        ("[8, 8, 1]", "[8, 8]", r"input must be \[H, W, C\]"),
        ("[8, 8, 1]", "[8, 0, 1]", "each at least 1"),
        ("name: toy\n", "", "name missing"),
        ("name: toy\n", "name: [\n", "not YAML"),
    ],
)
def test_yaml_with_a_mistake_says_which(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as caught:
        nets.from_yaml(GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_yaml_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        nets.read(tmp_path / "net.yaml")
