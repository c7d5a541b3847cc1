"""Conversion: tensors and names as GGUF's own package knows them, every style of folder, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import language_models as lm
from ratti.errors import FormatError, InputError, UnsupportedError
from ratti.llm import architectures, gguf, quants
from ratti.llm.convert import convert
from ratti.llm.folder import open_folder

names = pytest.importorskip("gguf")
pytest.importorskip("sentencepiece")


def _expected(name: str, value: Any, shape: Any) -> Any:
    """What GGUF wants of a tensor: Llama's rotary rows interleaved, by reshaping alone."""
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2] if "." in name else "", 0)
    if shape.architecture == "llama" and heads:
        return value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
    return value


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize("name", lm.SHAPES)
def test_tensors_and_names(name: str, dtype: str, tmp_path: Path) -> None:
    shape = lm.SHAPES[name]
    folder = lm.write(tmp_path / "model", shape, shards=3 if dtype == "BF16" else 1, dtype=dtype)
    made = convert(folder, type="f32", progress=False)
    assert made.path == tmp_path / "model-f32.gguf"
    file = gguf.open_gguf(made.path)
    known = names.get_tensor_name_map(names.MODEL_ARCH[shape.architecture.upper()], shape.layers)
    found = {t.name: t for t in file.tensors}
    for source, value in lm.weights(shape).items():
        target = known.get_name(source, try_suffixes=(".weight",))
        if dtype == "BF16":
            value = (value.view(np.uint32) & 0xFFFF0000).view(np.float32)
        assert np.array_equal(file.float32(found.pop(target)), _expected(source, value, shape)), target
    extra = {"llama-3": {"rope_freqs.weight"}, "phi3-long": {"rope_factors_long.weight", "rope_factors_short.weight"}}
    assert set(found) == extra.get(name, set())
    assert made.parameters == sum(v.size for v in lm.weights(shape).values())


@pytest.mark.parametrize("name", ["llama", "phi3-long"])
def test_the_gguf_package_reads_the_file(name: str, tmp_path: Path) -> None:
    shape = lm.SHAPES[name]
    made = convert(lm.write(tmp_path / "model", shape), type="f16", progress=False)
    theirs, ours = names.GGUFReader(made.path), gguf.open_gguf(made.path)
    for a, b in zip(theirs.tensors, ours.tensors, strict=True):
        assert (a.name, tuple(a.shape)[::-1], int(a.tensor_type)) == (b.name, b.shape, b.type)
        assert np.array_equal(np.asarray(a.data).reshape(-1).view(np.uint8), ours.raw(b).reshape(-1))
    for key in ours.metadata:
        assert theirs.get_field(key) is not None, key
        if "token" not in key:
            assert theirs.get_field(key).contents() == ours.get(key)
    assert ours.get("{arch}.attention.head_count_kv") == shape.kv_heads
    assert ours.get("tokenizer.ggml.bos_token_id") == 1
    assert ours.get("tokenizer.ggml.add_bos_token") is True


def test_auto_keeps_what_is_stored(tmp_path: Path) -> None:
    made = convert(lm.write(tmp_path / "model", lm.SHAPES["llama-tied"], dtype="BF16"), progress=False)
    file = gguf.open_gguf(made.path)
    assert made.type == "bf16"
    assert {t.type for t in file.tensors if len(t.shape) > 1} == {quants.load("bf16").id}
    assert {t.type for t in file.tensors if len(t.shape) == 1} == {quants.load("f32").id}


NEW = {"rope_theta": None, "rope_scaling": None, "torch_dtype": None, "dtype": "float32"}


@pytest.mark.parametrize("name", lm.SHAPES)
def test_new_style_configurations_say_the_same(name: str, tmp_path: Path) -> None:
    shape = lm.SHAPES[name]
    folder = lm.write(tmp_path / "model", shape)
    old = open_folder(folder).shape
    rope = json.loads((folder / "config.json").read_text())["rope_scaling"] or {}
    kind = rope.pop("type", None) or rope.pop("rope_type", None) or "default"
    lm.edit(folder, **NEW, rope_parameters={**rope, "rope_type": kind, "rope_theta": shape.rope.theta})
    assert open_folder(folder).shape == old == shape


def test_a_tokenizer_json_alone_will_do(tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "model", lm.SHAPES["llama-tied"])
    both = gguf.open_gguf(convert(folder, tmp_path / "both.gguf", progress=False).path)
    (folder / "tokenizer.model").unlink()
    alone = gguf.open_gguf(convert(folder, tmp_path / "alone.gguf", progress=False).path)
    for key in ("tokens", "token_type"):
        assert alone.get(f"tokenizer.ggml.{key}") == both.get(f"tokenizer.ggml.{key}")
    scores = alone.get("tokenizer.ggml.scores")[3 + 256 :]
    assert scores == sorted(scores, reverse=True)  # in the order of merging


def test_a_model_that_is_not_microsofts_is_not_called_phi_3(tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "my-phi-3", lm.SHAPES["phi3"])
    assert gguf.open_gguf(convert(folder, progress=False).path).get("general.name") == "my-phi"


@pytest.mark.slow
@pytest.mark.parametrize("name", lm.SHAPES)
def test_equal_to_the_official_converter(name: str, tmp_path: Path) -> None:
    """Where llama.cpp's source lies at RATTI_LLAMA_CPP: tensors, types and the sizes in the metadata."""
    source = os.environ.get("RATTI_LLAMA_CPP")
    if not source:
        pytest.skip("optional: llama.cpp's source is missing (set RATTI_LLAMA_CPP)")
    folder = lm.write(tmp_path / "model", lm.SHAPES[name], shards=2)
    for kind in ("f32", "f16", "bf16"):
        theirs = tmp_path / f"official-{kind}.gguf"
        command = [sys.executable, str(Path(source) / "convert_hf_to_gguf.py"), str(folder), "--outfile", str(theirs)]
        done = subprocess.run([*command, "--outtype", kind], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-500:]
        a, b = gguf.open_gguf(theirs), gguf.open_gguf(convert(folder, type=kind, progress=False).path)
        ours = {t.name: t for t in b.tensors}
        assert set(ours) == {t.name for t in a.tensors}
        for t in a.tensors:
            assert (t.shape, t.type) == (ours[t.name].shape, ours[t.name].type)
            assert np.array_equal(a.raw(t), b.raw(ours[t.name])), t.name
        for key in a.metadata:
            if key.startswith(lm.SHAPES[name].architecture):
                assert a.get(key) == b.get(key), key
        assert a.get("tokenizer.ggml.tokens") == b.get("tokenizer.ggml.tokens")


def _break(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "header":
        weights.write_bytes(b"\xff" * 64)
    elif how == "json":
        (folder / "config.json").write_text("{")
    elif how == "size":
        lm.edit(folder, hidden_size=255)
    elif how == "key":
        lm.edit(folder, num_attention_heads=None)
    elif how == "architecture":
        lm.edit(folder, architectures=["MambaForCausalLM"])
    elif how == "quantized":
        lm.edit(folder, quantization_config={"quant_method": "gptq"})
    elif how == "bias":
        lm.edit(folder, attention_bias=True)
    elif how == "rope":
        lm.edit(folder, rope_scaling={"type": "yarn", "factor": 4})
    elif how == "untied":
        lm.edit(folder, tie_word_embeddings=False)
    elif how == "layers":
        lm.edit(folder, num_hidden_layers=3)
    elif how == "tokenizer":
        (folder / "tokenizer.model").write_bytes(b"nothing")
    elif how == "no tokenizer":
        for path in folder.glob("tokenizer*"):
            path.unlink()
    elif how == "weights":
        weights.unlink()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("cut", "cut short: tensor"), ("header", "no safetensors file"), ("json", "cannot be read as JSON"),
        ("size", "do not share|odd|shape"), ("key", "lacks 'num_attention_heads'"),
        ("architecture", "unknown architecture .MambaForCausalLM.; known: LlamaForCausalLM, Phi3ForCausalLM"),
        ("quantized", "quantized already .gptq."), ("bias", "bias"), ("rope", "rope scaling 'yarn'; supported"),
        ("untied", "'lm_head.weight' is missing"), ("layers", "'model.layers.1.input_layernorm.weight' is missing"),
        ("tokenizer", "tokenizer.model cannot be read"), ("no tokenizer", "neither tokenizer.model nor"),
        ("weights", "no weights; expected model.safetensors"),
    ],
)
def test_wrong_folders_get_one_line_and_leave_nothing(how: str, says: str, tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "model", lm.SHAPES["llama-tied"])
    _break(folder, how)
    with pytest.raises((InputError, FormatError, UnsupportedError), match=says) as error:
        convert(folder, progress=False)
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = lm.write(tmp_path / "model", lm.SHAPES["llama"], shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(InputError, match="1 of 3 shards missing: model-00002-of-00003"):
        convert(folder, progress=False)


FULL_DISK = """
import resource, sys
from ratti.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_disk_that_fills_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both are refused writes."""
    folder = lm.write(tmp_path / "model", lm.SHAPES["llama"])
    done = subprocess.run([sys.executable, "-c", FULL_DISK, "llm", "convert", str(folder), "--quiet"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("cut", [0, 3, 20, 200, 20_000, -1])
def test_damaged_gguf_files_are_refused(cut: int, tmp_path: Path) -> None:
    made = convert(lm.write(tmp_path / "model", lm.SHAPES["llama-tied"]), progress=False)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(made.path.read_bytes()[: made.bytes + cut if cut < 0 else cut])
    with pytest.raises(FormatError, match=r"no GGUF file|cut short|damaged"):
        gguf.open_gguf(bad)


def test_random_damage_in_the_header_never_crashes(tmp_path: Path) -> None:
    made = convert(lm.write(tmp_path / "model", lm.SHAPES["llama-tied"]), progress=False)
    data = bytearray(made.path.read_bytes())
    rng = np.random.default_rng(0)
    bad = tmp_path / "bad.gguf"
    for _ in range(60):
        broken = bytearray(data)
        for at in rng.integers(0, 4000, 3):
            broken[at] = int(rng.integers(0, 256))
        bad.write_bytes(broken)
        try:
            gguf.open_gguf(bad)
        except FormatError as error:
            assert "bad.gguf" in str(error)


def test_every_architecture_counts_its_weights() -> None:
    from ratti.llm import known

    counts = {name: architectures.load(s.architecture).parameters(s) for name, s in known.SHAPES.items()}
    assert counts == {"tinyllama-1.1b": 1_100_048_384, "phi-3-mini-4k": 3_821_079_552}  # as Hugging Face counts them
