"""llama.cpp runs what we write: logits beside transformers, tokens, both quantizers, perplexity, chat."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

import language_models as lm
from ratti.cli import main
from ratti.errors import FormatError, InputError, UnsupportedError
from ratti.llm import gguf, importance, llamacpp, mixes
from ratti.llm import text as texts
from ratti.llm.bench import bench
from ratti.llm.convert import convert
from ratti.llm.llamacpp import Engine, Flags
from ratti.llm.quantize import quantize
from ratti.llm.run import Chat, Sampling

pytest.importorskip("llama_cpp")
pytest.importorskip("sentencepiece")
torch = pytest.importorskip("torch")

ONE = {"context": 256, "batch": 256, "threads": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder and an F32 file of each model."""
    root = tmp_path_factory.mktemp("models")
    for name in lm.SHAPES:
        convert(lm.write(root / name, lm.SHAPES[name]), root / f"{name}.gguf", "f32", progress=False)
    (root / "text.txt").write_text(lm.TEXT * 3)
    return root


@pytest.fixture(scope="module")
def stories(shared: Path) -> str:
    """The whole Hindi test text."""
    return (shared / "data/text/hindi_stories/test.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", lm.SHAPES)
def test_logits_are_those_of_transformers(name: str, place: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(place / name, dtype=torch.float32).eval()
    ids = np.random.default_rng(0).integers(3, lm.VOCABULARY, 100)
    with torch.inference_mode():
        theirs = model(torch.from_numpy(ids[None])).logits[0].numpy()
    flags = Flags(context=256, batch=128, threads=1)  # within the original context, where longrope's short factors hold
    with Engine(place / f"{name}.gguf", flags) as engine:
        ours = engine.logits(ids)
    assert theirs.std() > 0.3  # or the comparison says nothing
    assert np.abs(ours - theirs).max() < 0.01


@pytest.mark.parametrize("name", lm.SHAPES)
def test_our_own_model_agrees(name: str, place: Path) -> None:
    """The PyTorch model that calibrates and trains, over the longest context (longrope: its long factors)."""
    from ratti.llm import model as models
    from ratti.llm.folder import open_folder

    length = lm.SHAPES[name].context
    ids = np.random.default_rng(1).integers(3, lm.VOCABULARY, min(length, 200))
    with torch.inference_mode():
        # Both programs choose longrope's factors by the length of what they hold: make it the same.
        padded = torch.from_numpy(np.concatenate((ids, np.full(length - len(ids), 5)))[None])
        ours = models.load(open_folder(place / name))(padded)[0, : len(ids)].numpy()
    with Engine(place / f"{name}.gguf", Flags(context=length, batch=256, threads=1)) as engine:
        assert np.abs(engine.logits(ids) - ours).max() < 0.01


def test_tokenizers_agree_on_the_whole_text(stories: str, shared: Path, tmp_path: Path) -> None:
    from ratti.llm import tokenizer

    transformers = pytest.importorskip("transformers")
    folder = lm.write(tmp_path / "model", lm.tiny("llama-tied", vocabulary=2048), tokenized=False)
    train = (shared / "data/text/hindi_stories/train.txt").read_text(encoding="utf-8")
    tokenizer.train(train, 2048, folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder).encode(stories, add_special_tokens=False)
    pieces = tokenizer.load((folder / "tokenizer.model").read_bytes()).encode(stories)
    assert theirs == pieces and len(pieces) > 10_000
    for kind in ("tokenizer.model", "tokenizer.json"):
        with Engine(convert(folder, tmp_path / "m.gguf", progress=False).path, Flags(context=64, threads=1)) as engine:
            assert engine.tokenize(stories) == pieces, kind
            assert b"".join(map(engine.piece, pieces)).decode().removeprefix(" ") == stories
        (folder / kind).unlink()


@pytest.mark.parametrize("weighed", [False, True], ids=["plain", "importance"])
@pytest.mark.parametrize("name", ["llama", "phi3-gqa"])
def test_our_files_are_llama_cpps(name: str, weighed: bool, place: Path, tmp_path: Path) -> None:
    source = place / f"{name}.gguf"
    weigh = importance.measure(place / name, place / "text.txt", samples=2) if weighed else None
    for kind in mixes.names():
        ours = quantize(source, kind, tmp_path / "ours.gguf", engine="own", importance=weigh, progress=False)
        theirs = quantize(source, kind, tmp_path / "theirs.gguf", engine="llama.cpp", importance=weigh, progress=False)
        assert ours.types == theirs.types and ours.bytes == theirs.bytes
        a, b = gguf.open_gguf(ours.path), gguf.open_gguf(theirs.path)
        other = {t.name: t for t in b.tensors}
        for t in a.tensors:
            assert np.array_equal(a.raw(t), b.raw(other[t.name])), (kind, t.name)
        assert a.get("general.file_type") == b.get("general.file_type")


def test_importance_covers_every_linear_layer(place: Path) -> None:
    found = importance.measure(place / "phi3", place / "text.txt", samples=2)
    tensors = {t.name: t.shape for t in gguf.open_gguf(place / "phi3.gguf").tensors}
    assert set(found) == {n for n, s in tensors.items() if n.startswith("blk.") and len(s) > 1}
    assert all(len(v) == tensors[n][1] and v.min() > 0 for n, v in found.items())
    with pytest.raises(InputError, match="importance matrix is of another model"):
        quantize(place / "llama.gguf", "q4_0", importance=found, progress=False)


def test_perplexity_is_the_same_in_both_engines(place: Path) -> None:
    from ratti.llm import model as models
    from ratti.llm.folder import open_folder
    from ratti.llm.train import perplexity

    content = lm.TEXT * 3
    result = bench(place / "llama.gguf", ["q8_0"], place / "text.txt", Flags(**ONE), window=64)
    with Engine(place / "llama.gguf", Flags(**ONE)) as engine:
        ids = np.array(engine.tokenize(content))
    ours = perplexity(models.load(open_folder(place / "llama")), ids, len(content), 64)
    float_row, small = result.rows
    assert float_row.perplexity == pytest.approx(ours.perplexity, rel=1e-4)
    assert float_row.bits_per_character == pytest.approx(ours.bits_per_character, rel=1e-4)
    assert abs(small.against_float) < 0.02
    assert small.bytes < 0.3 * float_row.bytes and small.peak_rss_bytes > small.process_bytes > 0


def test_a_text_that_is_too_short_is_refused(place: Path) -> None:
    with pytest.raises(InputError, match="too short to measure perplexity"):
        texts.score(np.arange(5), 5, 16, 1, lambda window: np.zeros((len(window), 8)))


def test_chat_streams_whole_characters(place: Path) -> None:
    with Engine(place / "llama.gguf", Flags(context=64, threads=1)) as engine:
        pieces = list(Chat(engine, Sampling(24, 0.9, seed=3)).say("एक छोटी"))
        again = list(Chat(engine, Sampling(24, 0.9, seed=3)).say("एक छोटी"))
        assert pieces == again and 1 < len(pieces) <= 25
        with pytest.raises(InputError, match="of 256 tokens of context"):
            list(Chat(engine, Sampling()).say(lm.TEXT * 4))


def test_sampling_follows_the_distribution() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    rng = np.random.default_rng(0)
    assert Sampling(temperature=0).draw(logits, rng) == 0
    drawn = np.bincount([Sampling(temperature=1, top_p=1.0).draw(logits, rng) for _ in range(4000)], minlength=4) / 4000
    assert np.abs(drawn - [0.5, 0.3, 0.15, 0.05]).max() < 0.03
    nucleus = {Sampling(temperature=1, top_p=0.75).draw(logits, rng) for _ in range(300)}
    assert nucleus == {0, 1}


def test_run_prints_as_it_goes(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(place / "llama.gguf")
    assert main(["llm", "run", model, "राजा", "--tokens", "8", "--context", "64", "--threads", "1"]) == 0
    assert capsys.readouterr().out.strip()
    monkeypatch.setattr(sys, "stdin", io.StringIO("एक\n\nदो\n"))
    assert main(["llm", "run", model, "--tokens", "4", "--context", "64", "--threads", "1", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.count("\n") >= 2


def _bad(place: Path, how: str) -> list[str]:
    """A command line that must fail."""
    bad = place / "bad.gguf"
    data = (place / "llama.gguf").read_bytes()
    bad.write_bytes(data[:-5000] if how in ("cut", "cut run") else b"hello")
    return {
        "cut": ["quantize", str(bad)], "cut run": ["run", str(bad), "x"], "text": ["quantize", str(bad)],
        "type": ["quantize", str(place / "llama.gguf"), "--type", "q9"],
        "missing": ["bench", str(place / "missing.gguf")], "itself": ["quantize", str(bad), "--out", str(bad)],
        "folder": ["convert", str(place / "nothing")],
        "calibrate": ["quantize", str(place / "llama"), "--type", "exl2"],
        "types": ["bench", str(bad), str(bad), "--types", "q8_0"],
        "no text": ["bench", str(place / "llama.gguf"), "--text", str(place / "no.txt")],
    }[how]


@pytest.mark.parametrize(("how", "says"), [
    ("cut", "cut short: tensor"), ("cut run", "llama.cpp cannot load it"), ("text", "no GGUF file"),
    ("type", "unknown file type 'q9'; known: q4_0"), ("missing", "missing.gguf: no file"), ("itself", "no GGUF file"),
    ("folder", "no folder of a model"), ("calibrate", "give a text with --calibrate"),
    ("types", "give one model to make --types of"), ("no text", "cannot be read as UTF-8 text"),
])
def test_errors_are_one_line(how: str, says: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(p.name for p in place.iterdir())
    assert main(["llm", *_bad(place, how), *(["--quiet"] if how != "cut run" else [])]) == 2
    out, err = capfd.readouterr()
    assert says in err and err.count("\n") == 1 and not out
    (place / "bad.gguf").unlink()
    assert sorted(p.name for p in place.iterdir()) == [n for n in before if n != "bad.gguf"]


def test_a_quantized_file_is_not_quantized_again(place: Path, tmp_path: Path) -> None:
    small = quantize(place / "llama-tied.gguf", "q8_0", tmp_path / "small.gguf", progress=False)
    with pytest.raises(UnsupportedError, match="is quantized already"):
        quantize(small.path, "q4_0", progress=False)
    with pytest.raises(FormatError, match=r"llama\.cpp cannot load it"):
        (tmp_path / "bad.gguf").write_bytes(small.path.read_bytes()[:5000])
        Engine(tmp_path / "bad.gguf", Flags(threads=1))


def test_flags_are_checked_and_said() -> None:
    assert Flags().line() == "--ctx-size 2048"
    assert "--no-repack" in Flags(repack=False).line()
    for wrong in ({"cache": "q2"}, {"context": 0}):
        with pytest.raises(InputError):
            Flags(**wrong)


def test_the_binding_says_it_is_there() -> None:
    assert llamacpp.installed()


