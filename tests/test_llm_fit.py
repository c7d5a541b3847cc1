"""Fit: memory by part, speeds beside published ones, the best file, phones and gateways with their sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import language_models as lm
from ratti.cli import main
from ratti.errors import InputError
from ratti.llm import blank, fit, known, memory, mixes
from ratti.llm.llamacpp import Flags
from ratti.targets import hosts

pytest.importorskip("gguf")

SIX = ("phone-2gb", "phone-3gb", "phone-4gb", "pi-4", "pi-5", "pi-zero-2w")
MIB = 1 << 20


def test_the_six_are_there() -> None:
    assert hosts.ids() == SIX


@pytest.mark.parametrize("name", hosts.ids())
def test_every_number_has_a_source(name: str) -> None:
    host = hosts.load(name)
    for number in host.numbers:
        assert host.source(number) != hosts.UNVERIFIED, number
    assert host.usable_bytes < host.memory_bytes


GOOD = """
name = "X"
kind = "phone"
cpu = "2x A"
memory_bytes = 100
usable_bytes = 50
bandwidth_bytes_per_s = 1e9
int8_ops_per_s = 1e9
speed_error = 2.0
"""


@pytest.mark.parametrize(("old", "new", "says"), [
    ('kind = "phone"', 'kind = "desk"', "kind is 'desk'"), ("usable_bytes = 50", "usable_bytes = 150", "more than"),
    ("memory_bytes = 100", "memory_bytes = 0", "memory_bytes must be above 0"), ('cpu = "2x A"', "", "cpu"),
    ('cpu = "2x A"', 'cpu = "A"\ncolor = 1', "unknown keys: color"), ("speed_error = 2.0", "speed_error = 0.5", "factor"),
    ('cpu = "2x A"', 'cpu = "A"\nextensions = ["avx"]', "known: dotprod"),
])
def test_wrong_host_files_are_refused(old: str, new: str, says: str) -> None:
    assert hosts.parse("x", GOOD).source("memory_bytes") == "unverified"
    with pytest.raises(InputError, match=says):
        hosts.parse("x", GOOD.replace(old, new))


# FACTS: exact sizes of keys and values, and of files, at a context of 2048.
@pytest.mark.parametrize(("name", "kv_mib", "file_mb"), [("tinyllama-1.1b", 44, 668), ("phi-3-mini-4k", 768, 2390)])
def test_sizes_that_are_known(name: str, kv_mib: int, file_mb: float) -> None:
    shape = known.shape(name)
    assert memory.kv_bytes(shape, 2048) == kv_mib * MIB
    assert sum(t.bytes for t in blank.plan(shape, mixes.load("q4_k_m"))) == pytest.approx(file_mb * 1e6, rel=0.005)


# FACTS: peak RSS in MB of Q4_K_M files at a context of 2048 with llama.cpp on x86 (AVX2): its own flags, frugal flags.
@pytest.mark.parametrize(("name", "default_mb", "frugal_mb"), [("tinyllama-1.1b", 1206, 717), ("phi-3-mini-4k", 4613, 2753)])
def test_memory_beside_measured_peaks(name: str, default_mb: float, frugal_mb: float) -> None:
    shape = known.shape(name)
    tensors = blank.plan(shape, mixes.load("q4_k_m"))
    for flags, measured in ((Flags(), default_mb), (Flags(batch=64, cache="q8_0", repack=False), frugal_mb)):
        assert memory.memory(shape, tensors, flags, ("avx2",)).total == pytest.approx(measured * 1e6, rel=0.10)


# Published speeds, tokens per second (FACTS section 6).
@pytest.mark.parametrize(("model", "device", "type", "published"), [
    ("tinyllama-1.1b", "pi-5", "q8_0", 9.0), ("phi-3-mini-4k", "pi-5", "q4_k_m", 3.58), ("tinyllama-1.1b", "pi-4", "q8_0", 3.0),
])
def test_speed_beside_published(model: str, device: str, type: str, published: float) -> None:
    s = fit.fit(model, device, 512, type=type).chosen.speed
    assert s.low <= published <= s.high
    assert s.predicted == pytest.approx(published, rel=0.15)


def test_the_best_file_leaves_room() -> None:
    result = fit.fit("tinyllama-1.1b", "phone-2gb")
    assert result.fits and result.chosen.memory.total <= 0.9 * result.usable_bytes
    better = [o for o in result.options if o.memory.weights > result.chosen.memory.weights]
    assert better and all(o.memory.total > 0.9 * result.usable_bytes for o in better)
    assert any(line.startswith("llama-cli -m MODEL-") for line in result.advice)


def test_frugal_flags_come_in_when_they_are_needed() -> None:
    roomy = fit.fit("phi-3-mini-4k", "pi-5", type="q4_k_m").chosen
    tight = fit.fit("phi-3-mini-4k", "pi-5", usable_bytes=2800 * MIB, type="q4_k_m").chosen
    assert roomy.flags.repack and roomy.memory.repack > 1000 * MIB and "--no-repack" not in roomy.flags.line()
    assert tight.fits and tight.memory.repack == 0 and tight.flags.cache == "q8_0" and tight.flags.batch == 64


def test_what_does_not_fit_says_what_would() -> None:
    result = fit.fit("phi-3-mini-4k", "phone-4gb")
    assert not result.fits
    text = "\n".join(result.advice)
    assert "too much" in text and "fits with a context of" in text
    none = fit.fit("phi-3-mini-4k", "pi-zero-2w")
    assert any("devices with room: pi-4, pi-5" in line for line in none.advice)


@pytest.mark.parametrize(("arguments", "says"), [
    ("tinylama --target pi-5", "unknown model 'tinylama': did you mean tinyllama-1.1b"),
    ("tinyllama-1.1b --target pi5", "unknown phone or gateway 'pi5': did you mean pi-5"),
    ("tinyllama-1.1b --target pi-5 --context 4096", "takes 1 to 2048"),
    ("tinyllama-1.1b --target pi-5 --type q2", "unknown file type 'q2'"),
    ("tinyllama-1.1b --target pi-5 --usable much", "'much' is not a size"),
    ("missing.gguf --target pi-5", "missing.gguf: no file"),
])
def test_bad_input_gets_one_line(arguments: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["llm", "fit", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and not out


def test_json_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("llm fit tinyllama-1.1b --target phone-2gb --usable 1.2GiB --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"model", "device", "fits", "memory", "tokens_per_s", "advice"} <= set(found)
    assert {"weights", "kv", "compute", "repack", "total", "usable"} <= set(found["memory"])
    assert found["memory"]["usable"] == round(1.2 * (1 << 30))
    assert found["tokens_per_s"]["how"] == "estimated" and found["tokens_per_s"]["source"]
    assert main("llm fit phi-3-mini-4k --target phone-2gb".split()) == 1
    assert "DOES NOT FIT" in capsys.readouterr().out


def test_targets_lists_phones_and_gateways(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("rp2040", *SIX))
    assert main(["targets", "pi-4"]) == 0
    assert "fitted to the published speed" in capsys.readouterr().out
    assert main(["targets", "--json"]) == 0
    assert {"rp2040", *SIX} <= {t["id"] for t in json.loads(capsys.readouterr().out)}


def test_files_and_folders_can_be_asked_about(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    from ratti.llm.convert import convert
    from ratti.llm.quantize import quantize

    folder = lm.write(tmp_path / "model", lm.SHAPES["phi3"])
    file = convert(folder, progress=False).path
    small = quantize(file, "q8_0", engine="own", progress=False).path
    of_folder, of_float, of_small = (fit.fit(str(p), "pi-4", 256) for p in (folder, file, small))
    assert of_folder.chosen == of_float.chosen
    assert [o.type for o in of_small.options] == ["q8_0"]
    assert of_small.parameters == of_folder.parameters
    assert abs(of_small.chosen.memory.weights - small.stat().st_size) < 64 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("name", known.SHAPES)
@pytest.mark.parametrize("frugal", [False, True], ids=["default", "frugal"])
def test_predicted_memory_beside_a_measured_peak(name: str, frugal: bool) -> None:
    """Full-size files of random blocks, run here: within a tenth."""
    pytest.importorskip("llama_cpp")
    usable = {"tinyllama-1.1b": 700, "phi-3-mini-4k": 2800}[name] * MIB if frugal else 16000 * MIB
    found = fit.check(fit.fit(name, "pi-5", 2048, usable, "q4_k_m")).check
    assert found is not None and abs(found.error) < 0.10, found
