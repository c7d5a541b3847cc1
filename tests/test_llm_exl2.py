"""EXL2: golden vectors by arithmetic that shares nothing with the writer, GPTQ's gain, bits that meet the target."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import language_models as lm
from ratti.errors import FormatError, InputError, UnsupportedError
from ratti.types import Array

torch = pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

from ratti.llm import model as models  # noqa: E402
from ratti.llm import safetensors  # noqa: E402
from ratti.llm.exl2 import allocate, gptq, layout, quantize, reader  # noqa: E402
from ratti.llm.folder import open_folder  # noqa: E402


def _random(rng: np.random.Generator, bits: tuple[int, ...], columns: int) -> layout.Codes:
    rows = 32 * len(bits)
    codes = np.concatenate([rng.integers(0, 1 << b, (32, columns)) for b in bits]).astype(np.uint8)
    return layout.Codes(codes, rng.integers(0, 16, (len(bits), columns)).astype(np.uint8),
                        rng.uniform(0.01, 2, len(bits)).astype(np.float16), bits, rng.permutation(rows))


def _half(value: float) -> float:
    """`value` rounded to float16, by the C library's conversion in struct."""
    return float(struct.unpack("<e", struct.pack("<e", value))[0])


def _by_hand(tensors: dict[str, Array], row: int, column: int) -> float:
    """One weight of a packed layer: a stream of bits read one at a time, products rounded to half."""
    place = int(tensors["q_invperm"][row])
    group = place // 32
    bits, word = (int(v) for v in tensors["q_groups"][2 * group : 2 * group + 2])
    stream = 0
    for i in range(bits):
        stream |= (int(tensors["q_weight"][word + i, column]) & 0xFFFFFFFF) << (32 * i)
    code = stream >> (place % 32 * bits) & ((1 << bits) - 1)
    scale = (int(tensors["q_scale"][group, column // 8]) & 0xFFFFFFFF) >> (4 * (column % 8)) & 15
    factor = _half(float(tensors["q_scale_max"][group]) * _half(1 / 256))
    return _half((code - (1 << bits - 1)) * _half((scale + 1) ** 2 * factor))


@pytest.mark.parametrize("bits", [(8, 6, 5, 4, 3, 2), *((b, b) for b in layout.BITS)], ids=str)
def test_golden_vectors(bits: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = _random(rng, bits, 40)
    tensors = layout.pack(layer)
    got = layout.weights(layer)
    for row in range(len(layer.codes)):
        for column in range(40):
            assert float(got[row, column]) == _by_hand(tensors, row, column)


def test_a_layer_packed_by_hand() -> None:
    """32 inputs and 32 outputs at 4 bits: code (row + column) % 16, scale column % 16, factor 0.5."""
    rows, columns = np.arange(32)[:, None], np.arange(32)[None]
    layer = layout.Codes(((rows + columns) % 16).astype(np.uint8), (columns % 16).astype(np.uint8),
                         np.array([0.5], np.float16), (4,), np.arange(32)[::-1].copy())
    packed = layout.pack(layer)
    assert packed["q_weight"].shape == (4, 32)
    assert [int(v) & 0xFFFFFFFF for v in packed["q_weight"][:, 0]] == [0x76543210, 0xFEDCBA98] * 2
    assert [int(v) & 0xFFFFFFFF for v in packed["q_weight"][:2, 9]] == [0x0FEDCBA9, 0x87654321]
    assert [int(v) & 0xFFFFFFFF for v in packed["q_scale"][0]] == [0x76543210, 0xFEDCBA98] * 2
    assert packed["q_groups"].tolist() == [4, 0]
    assert packed["q_invperm"].tolist() == list(range(31, -1, -1))
    assert {k: v.dtype.name for k, v in packed.items()} == {
        "q_weight": "int32", "q_scale": "int32", "q_scale_max": "float16", "q_groups": "int16", "q_invperm": "int32"}


@pytest.mark.parametrize("columns", [32, 40, 96])
def test_unpack_reverses_pack(columns: int, rng: np.random.Generator) -> None:
    layer = _random(rng, (6, 5, 3, 2), columns)
    tensors = layout.pack(layer)
    assert tensors["q_weight"].shape == (16, -(-columns // 32) * 32)
    back = layout.unpack(tensors, columns)
    assert back.bits == layer.bits
    for part in ("codes", "scales", "factors", "order"):
        assert np.array_equal(getattr(back, part), getattr(layer, part)), part


@pytest.mark.parametrize(("part", "value"), [
    ("q_groups", np.array([7, 0], np.int16)), ("q_groups", np.array([4, 3], np.int16)),
    ("q_invperm", np.zeros(32, np.int32)), ("q_scale", np.zeros((3, 1), np.int32)),
    ("q_weight", np.zeros((1, 32), np.int32)),
])
def test_damaged_layers_are_refused(part: str, value: Array, rng: np.random.Generator) -> None:
    tensors = layout.pack(_random(rng, (4,), 32))
    with pytest.raises(FormatError, match="EXL2"):
        layout.unpack({**tensors, part: value}, 32)


@pytest.fixture
def problem(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight (96, 128) and the second moments of correlated inputs, some used far more than others."""
    mixing = rng.standard_normal((128, 128)) * np.exp(rng.standard_normal(128))
    x = rng.standard_normal((600, 128)) @ mixing
    weight = torch.from_numpy((rng.standard_normal((96, 128)) * 0.05).astype(np.float32))
    return weight, torch.from_numpy(x.T @ x)


def _loss(weight: torch.Tensor, made: layout.Codes, moments: torch.Tensor) -> float:
    difference = weight.double() - torch.from_numpy(layout.weights(made).astype(np.float64).T)
    return float((difference @ moments * difference).sum())


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_gptq_keeps_the_output_better_than_rounding(bits: int, problem: tuple[torch.Tensor, torch.Tensor]) -> None:
    weight, moments = problem
    fitted = gptq.quantize(weight, moments, (bits,) * 4)
    plain = gptq.quantize(weight, torch.diag(moments.diagonal()), (bits,) * 4)  # no correlation: plain rounding
    assert fitted.order.tolist() == gptq.order(moments).tolist()
    assert _loss(weight, fitted, moments) < 0.7 * _loss(weight, plain, moments)


@pytest.mark.parametrize("target", [2.5, 3.0, 4.0, 4.65, 6.0])
def test_bits_meet_the_target(target: float, rng: np.random.Generator) -> None:
    demands = []
    for spread in (0.1, 1.0):
        weight = torch.from_numpy((rng.standard_normal((64, 256)) * 0.05).astype(np.float32))
        demands.append(allocate.demand(weight, torch.from_numpy(np.exp(spread * rng.standard_normal(256)))))
    chosen = allocate.allocate(demands, target)
    assert target - 0.35 < allocate.average(demands, chosen) <= target
    assert all(a >= b for of in chosen for a, b in itertools.pairwise(of))


def test_a_target_out_of_reach_is_refused() -> None:
    with pytest.raises(InputError, match=r"an average of 1.5 bits: EXL2 makes 2.1"):
        allocate.allocate([], 1.5)


@pytest.mark.parametrize("name", ["llama", "phi3-gqa", "llama-tied"])
def test_a_folder_goes_through(name: str, tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "model", lm.SHAPES[name])
    text = tmp_path / "text.txt"
    text.write_text(lm.TEXT * 10)
    made = quantize.quantize(folder, text, 5.0, samples=4)
    assert made.path == tmp_path / "model-exl2-5" and 4.5 < made.bits_per_weight <= 5.0
    entries = safetensors.read(made.path / "model.safetensors")
    layers = {n.rsplit(".", 1)[0] for n in entries if n.endswith("q_weight")}
    assert {"model.layers.0.self_attn.k_proj", "model.layers.0.mlp.up_proj", "lm_head"} <= layers
    assert not any("qkv" in n or "gate_up" in n for n in entries)
    assert json.loads((made.path / "config.json").read_text())["quantization_config"]["bits"] == 5.0
    ids = torch.from_numpy(np.arange(20, 60)[None])
    with torch.inference_mode():
        before, after = models.load(open_folder(folder))(ids)[0], reader.load(made.path)(ids)[0]
    assert float((before - after).norm() / before.norm()) < 0.25


def test_errors_leave_nothing(tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "model", lm.SHAPES["llama-tied"])
    text = tmp_path / "text.txt"
    text.write_text(lm.TEXT * 10)
    with pytest.raises(InputError, match=r"an average of 9\.0 bits"):
        quantize.quantize(folder, text, 9.0, samples=2)
    with pytest.raises(UnsupportedError, match="no EXL2 folder"):
        reader.load(folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "text.txt"]
    (tmp_path / "model-exl2-4").mkdir()
    (tmp_path / "model-exl2-4" / "mine").touch()
    with pytest.raises(InputError, match="exists and is not an empty folder"):
        quantize.quantize(folder, text, 4.0)
