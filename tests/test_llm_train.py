"""Small models made here: tokenizer, training that resumes, rounding in the loop, a teacher, the whole path."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import language_models as lm
from ratti.errors import DataError, InputError
from ratti.llm import quants, text

torch = pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

from ratti.llm import model as models  # noqa: E402
from ratti.llm import tokenizer  # noqa: E402
from ratti.llm.folder import open_folder  # noqa: E402
from ratti.llm.rounding import q4_0  # noqa: E402
from ratti.llm.train import CHECKPOINT, LanguageConfig, perplexity, train  # noqa: E402

SMALL = LanguageConfig(vocabulary=512, layers=1, feed_forward=768, context=32, batch=4, epochs=2, steps_per_epoch=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(f"{lm.TEXT} {i}" for i in range(40)), encoding="utf-8")
    return path


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(models.load(open_folder(folder)).state_dict())


@pytest.mark.parametrize("architecture", ["llama", "phi3"])
def test_what_comes_out_is_a_complete_folder(architecture: str, corpus: Path, tmp_path: Path) -> None:
    result = train(corpus, dataclasses.replace(SMALL, architecture=architecture), tmp_path / "out", progress=False)
    folder = open_folder(tmp_path / "out")
    assert folder.architecture.id == architecture and folder.shape == dataclasses.replace(
        SMALL, architecture=architecture).shape
    assert result.parameters == sum(w.numel() for w in _weights(tmp_path / "out").values())
    assert result.cost.characters == len(corpus.read_text()) and result.cost.characters_per_token > 1
    assert 1 < result.validation_perplexity < 600


def test_training_lowers_the_loss_and_is_repeatable(corpus: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, epochs=3, steps_per_epoch=8)
    losses: list[float] = []
    train(corpus, config, tmp_path / "a", progress=False, on_epoch=lambda e: losses.append(e.val_loss))
    train(corpus, config, tmp_path / "b", progress=False)
    assert losses[-1] < losses[0] - 0.3
    a, b = _weights(tmp_path / "a"), _weights(tmp_path / "b")
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_an_interrupted_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    train(corpus, SMALL, tmp_path / "whole", progress=False)

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(corpus, SMALL, tmp_path / "parts", progress=False, on_epoch=stop)
    assert (tmp_path / "parts" / CHECKPOINT).is_file() and not (tmp_path / "parts" / "model.safetensors").exists()
    result = train(corpus, SMALL, tmp_path / "parts", progress=False)
    assert result.epochs == 2
    a, b = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    assert all(torch.equal(a[k], b[k]) for k in a)
    with pytest.raises(InputError, match=r"checkpoint of another run .other settings"):
        train(corpus, dataclasses.replace(SMALL, seed=1), tmp_path / "parts", progress=False)


def test_rounding_is_q4_0s(rng: np.random.Generator) -> None:
    w = (rng.standard_normal((64, 256)) * 0.05).astype(np.float32)
    w[0] = 0
    kind = quants.load("q4_0")
    tensor = torch.from_numpy(w).requires_grad_()
    rounded = q4_0(tensor)
    assert np.allclose(rounded.detach().numpy(), kind.dequantize(kind.quantize(w)), atol=1e-8)
    rounded.sum().backward()
    assert torch.equal(tensor.grad, torch.ones(64, 256))


def test_quantization_aware_training_sees_the_rounded_weights(corpus: Path, tmp_path: Path) -> None:
    """What it selects by is the perplexity of the weights that a Q4_0 file holds, and only theirs."""
    config = dataclasses.replace(SMALL, epochs=1, steps_per_epoch=8, quantization_aware=True, learning_rate=5e-3)
    result = train(corpus, config, tmp_path / "out", progress=False)
    processor = tokenizer.load((tmp_path / "out" / "tokenizer.model").read_bytes())
    ids = np.array(processor.encode(text.split(corpus.read_text())[1]))
    model = models.load(open_folder(tmp_path / "out"))
    as_stored = perplexity(model, ids, 1, config.context).perplexity
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and name != "lm_head.weight":  # a Q4_0 file keeps the output matrix in Q6_K
                weight.copy_(q4_0(weight))
    rounded = perplexity(model, ids, 1, config.context).perplexity
    assert rounded == pytest.approx(result.validation_perplexity, rel=1e-5)
    assert abs(as_stored / rounded - 1) > 1e-4


def test_a_student_takes_its_teachers_tokenizer_and_size_of_vocabulary(corpus: Path, tmp_path: Path) -> None:
    train(corpus, SMALL, tmp_path / "teacher", progress=False)
    config = dataclasses.replace(SMALL, vocabulary=1024, heads=2, kv_heads=1)
    result = train(corpus, config, tmp_path / "student", teacher=tmp_path / "teacher", progress=False)
    assert open_folder(result.folder).shape.vocabulary == 512
    for name in ("tokenizer.model", "tokenizer.json"):
        assert (tmp_path / "student" / name).read_bytes() == (tmp_path / "teacher" / name).read_bytes()


@pytest.mark.parametrize(("change", "says"), [
    ({"hidden": 320}, "hidden is 320: rows must be a multiple of 256"), ({"feed_forward": 700}, "feed_forward is 700"),
    ({"heads": 3}, "3 heads must divide 256"), ({"layers": 200}, "M parameters; `train` makes models of 1 to 30 M"),
    ({"vocabulary": 300, "feed_forward": 256}, "0.[0-9] M parameters"), ({"context": 4}, "context of 4 is too short"),
    ({"epochs": 0}, "epochs must be at least 1"), ({"learning_rate": 0.0}, "must be above 0"),
    ({"architecture": "mamba"}, "unknown architecture 'mamba'"),
])
def test_wrong_sizes_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        dataclasses.replace(SMALL, **change)


def test_wrong_texts_are_refused(tmp_path: Path) -> None:
    cases = {"missing": None, "empty": b" \n", "latin": b"\xff\xfe\xfd", "short": lm.TEXT.encode()}
    for name, data in cases.items():
        path = tmp_path / f"{name}.txt"
        if data is not None:
            path.write_bytes(data)
        with pytest.raises((DataError, InputError)):
            train(path, SMALL, tmp_path / f"out-{name}", progress=False)


def test_a_vocabulary_smaller_than_the_alphabet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a vocabulary of 270 is too small: the text has [0-9]+ different characters"):
        tokenizer.train(lm.TEXT, 270, tmp_path)
    with pytest.raises(InputError, match="no tokenizer of 4000 tokens"):
        tokenizer.train(lm.TEXT, 4000, tmp_path)
    assert not list(tmp_path.iterdir())


def test_characters_cost_what_is_said(tmp_path: Path) -> None:
    tokenizer.train(lm.TEXT * 4, 512, tmp_path)
    processor = tokenizer.load((tmp_path / "tokenizer.model").read_bytes())
    known, foreign = tokenizer.cost(processor, "नदी"), tokenizer.cost(processor, "ழ")
    assert (known.characters, known.bytes, known.byte_tokens) == (3, 9, 0)
    assert foreign.bytes == foreign.byte_tokens == 3  # a letter of Tamil falls back to its three bytes


def test_validation_is_whole_documents() -> None:
    content = "\n\n".join(f"document {i}" for i in range(45))
    parts = text.split(content)
    assert parts[1].split("\n\n") == ["document 19", "document 39"]
    assert len(parts[0].split("\n\n")) == 43
    train_part, validation = text.split("one\ntwo\nthree\nfour")
    assert (train_part, validation) == ("one\ntwo\nthree", "four")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "phi3"])
def test_the_whole_path_on_hindi(architecture: str, shared: Path, tmp_path: Path) -> None:
    """Trained here, converted, quantized, run by llama.cpp: what each type costs on text that no step has seen."""
    pytest.importorskip("llama_cpp")
    from ratti.llm.bench import bench
    from ratti.llm.exl2 import quantize, reader
    from ratti.llm.llamacpp import Flags

    stories = shared / "data/text/hindi_stories"
    config = LanguageConfig(architecture=architecture, vocabulary=1024, context=128, layers=2, epochs=4,
                            steps_per_epoch=40, kv_heads=2 if architecture == "llama" else 4)
    train(stories / "train.txt", config, tmp_path / "model", progress=False)
    flags = Flags(context=128, threads=1)
    result = bench(tmp_path / "model", ["q8_0", "q4_k_m", "q4_0"], stories / "test.txt", flags, window=128)
    loss = {row.name.rsplit("-", 1)[1]: abs(row.against_float) for row in result.rows}
    assert result.rows[0].perplexity < 300
    assert loss["q8_0"] < 0.002 and loss["q4_k_m"] < 0.015 and loss["q4_0"] < 0.025
    made = quantize.quantize(tmp_path / "model", stories / "train.txt", 4.0, samples=16)
    processor = tokenizer.load((tmp_path / "model" / "tokenizer.model").read_bytes())
    ids = np.array(processor.encode((stories / "test.txt").read_text(encoding="utf-8")))
    exl2 = perplexity(reader.load(made.path), ids, 1, 128).perplexity
    assert abs(exl2 / result.rows[0].perplexity - 1) < 0.01
