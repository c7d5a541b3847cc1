"""Small real data under the names that the documents use: what their commands are tried on."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import numpy as np

from ratti.types import Array
from toys import dataset

RATE = 8000


def photos(folder: Path) -> None:
    """`toys.dataset` as JPEGs of 72x96, three classes, in two parts, two shots a group."""
    from PIL import Image

    toy = dataset(120)
    lines = ["file,group"]
    for name, part in (("train", toy.train), ("test", toy.open_test("stand-in"))):
        for i, (x, y) in enumerate(zip(part.x, part.y, strict=True)):
            path = folder / name / toy.class_names[y] / f"{i:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.repeat(x, 3, axis=2)).resize((96, 72)).save(path)
            lines.append(f"{path.relative_to(folder)},{name}{i // 6}")
    (folder / "groups.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_wav(path: Path, samples: Array, rate: int = RATE, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(samples.dtype.itemsize)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def tone(hertz: float, length: int, seed: int) -> Array:
    """In noise, (length,) int16."""
    noise = np.random.default_rng(seed).normal(0, 300, length)
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(length) / RATE) + noise).astype(np.int16)


def words(folder: Path) -> None:
    """Two words of eight speakers."""
    for part, speakers in (("train", "abcdef"), ("test", "gh")):
        for word, hertz in (("low", 300.0), ("high", 1800.0)):
            for speaker in speakers:
                for k in range(4):
                    samples = tone(hertz, 6000 + 900 * k, 10 * ord(speaker) + k)
                    write_wav(folder / part / word / f"{speaker}_{k}.wav", samples)


def moves(folder: Path) -> None:
    """Two kinds of acceleration along three axes, a file a recording."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 3)):
        for kind, rate in (("shake", 0.9), ("turn", 0.1)):
            (folder / part / kind).mkdir(parents=True)
            for k in range(count):
                t = np.arange(512)
                axes = [np.sin(rate * t + phase) + rng.normal(0, 0.1, 512) for phase in rng.uniform(0, 6, 3)]
                table = np.stack([t / 100, *axes], axis=1)
                np.savetxt(folder / part / kind / f"{k}.csv", table, "%.4f", ",", header="time,ax,ay,az", comments="")


def beats(path: Path) -> None:
    """Two kinds of beats of 128 samples, one kind rarer, twelve patients."""
    rng = np.random.default_rng(0)
    y = (np.arange(360) % 4 == 0).astype(np.int64)
    width = np.where(y, 12.0, 4.0)[:, None]
    x = 900 * np.exp(-((np.arange(128) - 64) / width) ** 2) + rng.normal(0, 30, (360, 128))
    patients = np.arange(360) // 30
    late = patients >= 9
    np.savez(path, x_train=x[~late].astype(np.int16), y_train=y[~late], patient_train=patients[~late],
             x_test=x[late].astype(np.int16), y_test=y[late], patient_test=patients[late])


def float_model(path: Path) -> None:
    """A net of another tool, not trained: pictures of 32x32 to three classes."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)).eval()
    torch.onnx.export(net, (torch.zeros(1, 3, 32, 32),), str(path), dynamo=False)


def make(folder: Path, commands: str, shared: Path, root: Path) -> None:
    """Everything that the commands name and that is not made by them."""
    for name in ("kws.tflite", "model.tflite", "other.tflite"):
        if name in commands:
            shutil.copy(shared / "models" / "kws.tflite", folder / name)
    for name, data in (("photos", photos), ("words", words), ("moves", moves), ("beats.npz", beats),
                       ("model.onnx", float_model)):
        if name in commands:
            data(folder / name)
    for name, part in (("stories.txt", "train.txt"), ("test.txt", "test.txt")):
        if name in commands:
            text = (shared / "data" / "text" / "hindi_stories" / part).read_text(encoding="utf-8")
            (folder / name).write_text(text[:200_000], encoding="utf-8")
    for name in ("examples", "docs"):
        if f" {name}/" in commands:
            shutil.copytree(root / name, folder / name)
