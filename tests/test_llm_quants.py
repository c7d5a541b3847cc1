"""Block types: equal to ggml's own quantizer, read back as the gguf package reads them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratti.errors import InputError
from ratti.llm import mixes, quants
from ratti.types import Array

gguf = pytest.importorskip("gguf")

PACKED = [name for name in quants.ids() if quants.load(name).weights > 1]
K_QUANTS = [name for name in PACKED if quants.load(name).weights == 256]
ROWS, COLUMNS = 48, 1024


@pytest.fixture(scope="module")
def ggml() -> Any:
    """ggml's library, from llama.cpp's binding."""
    llama_cpp = pytest.importorskip("llama_cpp")
    folder = Path(llama_cpp.__file__).parent / "lib"
    library = ctypes.CDLL(str(next(p for p in folder.iterdir() if p.name.startswith("libggml-base"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, whole = ctypes.c_void_p, ctypes.c_int64
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, whole, whole, whole, pointer]
    return library


@pytest.fixture(scope="module")
def rows() -> Array:
    """Weights as models have them, and rows that are hard: zero, constant, one-sided, heavy-tailed, tiny."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((ROWS, COLUMNS)) * 0.02 * np.exp(rng.standard_normal((ROWS, 1)) / 2)
    x[0], x[1, :300], x[2], x[3], x[4] = 0, 0, np.abs(x[2]), -np.abs(x[3]), 0.5
    x[5], x[6], x[7] = rng.standard_t(2, COLUMNS), x[6] * 1e-9, -0.25
    return x.astype(np.float32)


@pytest.mark.parametrize("weighed", [False, True], ids=["plain", "importance"])
@pytest.mark.parametrize("name", PACKED)
def test_blocks_equal_ggml(name: str, weighed: bool, rows: Array, ggml: Any) -> None:
    kind = quants.load(name)
    importance = np.exp(np.random.default_rng(4).standard_normal(COLUMNS)).astype(np.float32) if weighed else None
    theirs = np.zeros((ROWS, kind.row_bytes(COLUMNS)), np.uint8)
    weigh = importance.ctypes.data if importance is not None else None
    ggml.ggml_quantize_chunk(kind.id, rows.ctypes.data, theirs.ctypes.data, 0, ROWS, COLUMNS, weigh)
    ours = kind.quantize(rows, importance)
    same = (ours.reshape(-1, kind.bytes) == theirs.reshape(-1, kind.bytes)).all(1)
    assert same.mean() >= 0.99, f"{same.mean():.2%} of the blocks are identical"
    rmse = [float(np.sqrt(np.square(kind.dequantize(q) - rows).mean())) for q in (ours, theirs)]
    assert rmse[0] == pytest.approx(rmse[1], rel=1e-4)


@pytest.mark.parametrize("name", quants.ids())
def test_read_as_the_gguf_package_reads(name: str, rows: Array) -> None:
    kind = quants.load(name)
    data = kind.quantize(rows)
    theirs = gguf.quants.dequantize(data, gguf.GGMLQuantizationType(kind.id))
    assert np.array_equal(kind.dequantize(data), theirs)


@pytest.mark.parametrize("name", quants.ids())
def test_sizes_are_ggufs(name: str) -> None:
    kind = quants.load(name)
    assert (kind.weights, kind.bytes) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind.id)]
    assert kind.name == gguf.GGMLQuantizationType(kind.id).name


@pytest.mark.parametrize("name", PACKED)
def test_rows_that_are_no_blocks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        quants.load(name).row_bytes(100)


@pytest.mark.parametrize("name", K_QUANTS)
def test_importance_lowers_the_weighed_error(name: str) -> None:
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((32, 512)) * 0.05).astype(np.float32)
    importance = np.exp(2 * rng.standard_normal(512)).astype(np.float32)
    kind = quants.load(name)
    plain, weighed = (np.square(kind.dequantize(kind.quantize(x, w)) - x) @ importance for w in (None, importance))
    assert weighed.sum() < 0.97 * plain.sum()


def test_more_bits_lose_less(rows: Array) -> None:
    errors = [np.square(quants.load(n).dequantize(quants.load(n).quantize(rows)) - rows).mean()
              for n in ("q4_0", "q4_k", "q5_k", "q6_k", "q8_0", "f16", "f32")]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0


def _tensors(layers: int, columns: int = 256) -> dict[str, tuple[int, ...]]:
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    found = {f"blk.{i}.{n}.weight": (64, columns) for i in range(layers) for n in names}
    found |= {f"blk.{i}.attn_norm.weight": (columns,) for i in range(layers)}
    return found | {"token_embd.weight": (512, columns), "output.weight": (512, columns)}


def test_mixes_keep_more_of_what_matters() -> None:
    kinds = mixes.load("Q4_K_M").assign(_tensors(16))
    assert kinds["output.weight"] is quants.load("q6_k")
    assert kinds["token_embd.weight"] is quants.load("q4_k")
    better = [i for i in range(16) if kinds[f"blk.{i}.attn_v.weight"] is quants.load("q6_k")]
    assert better == [0, 1, 4, 7, 10, 13, 14, 15]
    assert kinds["blk.3.attn_norm.weight"] is None


def test_rows_that_do_not_divide_fall_back() -> None:
    kinds = mixes.load("q4_k_m").assign(_tensors(2, 320))
    assert kinds["blk.0.attn_q.weight"] is quants.load("q5_0")
    assert kinds["blk.1.attn_v.weight"] is quants.load("q8_0")
    assert mixes.load("q4_0").assign(_tensors(1, 40))["blk.0.attn_q.weight"] is quants.load("f16")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(InputError, match="unknown file type 'q3'; known: q4_0, q8_0, q4_k_s"):
        mixes.load("q3")
    with pytest.raises(InputError, match="unknown block type 'q4_z': did you mean q4_"):
        quants.load("q4_z")
