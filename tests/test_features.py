"""Front ends: numpy and C give the same integers on every core, near the real numbers that they stand for."""

from __future__ import annotations

import importlib
import subprocess

import numpy as np
import pytest

from ratti import features, targets
from ratti.deploy import front_end_program
from ratti.device.host import HostModel, build_executable
from ratti.device.measure import measure
from ratti.emit import features as emit
from ratti.errors import FormatError
from ratti.features import Codes, FrontEnd
from ratti.features.image import Image
from ratti.features.log_mel import LogMel
from ratti.features.statistics import Statistics
from ratti.samples import make_samples
from ratti.types import Array, DType, Quant

EXAMPLES = [e for n in features.front_ends() for e in importlib.import_module(f"ratti.features.{n}").EXAMPLES]
each = pytest.mark.parametrize("front_end", EXAMPLES, ids=lambda f: f"{f.name}-{f.samples}")


def inputs(front_end: FrontEnd) -> Array:
    """Silence, extremes, a click, a sine, noise of all strengths."""
    return make_samples(front_end, 16, seed=3)


def codes_for(front_end: FrontEnd, x: Array) -> Codes:
    values = front_end.compute(x).astype(np.float64)
    channels = tuple(range(values.ndim - 1))
    return Codes.fit(values.mean(channels), values.std(channels) + 1, Quant.per_tensor(4 / 255, -9))


@each
def test_settings_survive_json(front_end: FrontEnd) -> None:
    codes = codes_for(front_end, inputs(front_end))
    assert features.from_json(features.to_json(front_end, codes)) == (front_end, codes)
    assert features.from_json(features.to_json(front_end)) == (front_end, None)


@each
def test_host_gives_the_same_codes(front_end: FrontEnd) -> None:
    x = inputs(front_end)
    codes = codes_for(front_end, x)
    program = front_end_program(emit.emit(front_end, codes, "demo"))
    want = codes(front_end.compute(x))
    with HostModel(program, ("-Wall", "-Wextra", "-Wconversion", "-Werror")) as host:
        for row, expected in zip(x, want, strict=True):
            (got,) = host.run([row])
            assert (got.view(np.int8) == expected.ravel()).all()


@each
@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["stm32f446re", "rp2040", "esp32c3"])
def test_cores_give_the_same_codes(front_end: FrontEnd, target: str) -> None:
    x = inputs(front_end)
    codes = codes_for(front_end, x)
    measured = measure(front_end_program(emit.emit(front_end, codes, "demo")), targets.load(target), list(x[:, None]))
    got = np.stack([row[0] for row in measured.outputs]).view(np.int8)
    assert (got == codes(front_end.compute(x)).reshape(len(x), -1)).all()


@pytest.mark.toolchain
def test_nothing_undefined_happens() -> None:
    main = """#include "demo_features.h"
int main(void)
{
    static SAMPLE samples[DEMO_FEATURES_SAMPLES];
    static int8_t codes[4096];
    static int32_t work[DEMO_FEATURES_WORK_BYTES / 4];
    uint32_t seed = 1;
    int i, k;
    for (k = 0; k < 40; ++k) {
        for (i = 0; i < DEMO_FEATURES_SAMPLES; ++i) {
            seed = seed * 1664525u + 1013904223u;
            samples[i] = (SAMPLE)(k < 2 ? (k ? -32768 : 32767) : (int32_t)(seed >> 16) >> (k % 16));
        }
        demo_features(samples, codes, (int8_t *)work);
    }
    return 0;
}
"""
    for front_end in EXAMPLES:
        codes = codes_for(front_end, inputs(front_end))
        text = main.replace("SAMPLE ", f"{emit.ctype(front_end)} ").replace("(SAMPLE)", f"({emit.ctype(front_end)})")
        files = {**emit.emit(front_end, codes, "demo").files, "main.c": text}
        subprocess.run([str(build_executable(files, "undefined"))], check=True)


@pytest.mark.parametrize("strength", [20, 500, 8000])
def test_the_spectrogram_is_near_the_real_one(strength: float) -> None:
    front_end = LogMel(8000, 30, 256, 128, 20)
    x = np.clip(np.random.default_rng(1).normal(0, strength, (1, front_end.samples)), -32768, 32767).astype(np.int16)
    frames = np.stack([x[0, i * 128 : i * 128 + 256] for i in range(30)]) * (front_end.window / 32768)
    power = np.abs(np.fft.rfft(frames)[:, :128] / 128) ** 2
    ranges, weights = front_end.bands
    ends = np.cumsum(ranges[:, 1])
    energy = np.stack([power[:, a : a + n] @ weights[e - n : e] for (a, n), e in zip(ranges, ends, strict=True)], 1)
    want = np.maximum(256 * np.log2(energy), front_end.floor)
    error = np.abs(front_end.compute(x)[0, :, :, 0] - want)
    assert error.mean() < 1.5 and error.max() < 16  # 256 a factor of 2 in energy: 0.02 dB and 0.2 dB


def test_a_sine_is_loudest_in_its_band() -> None:
    front_end = LogMel(8000, 2, 256, 128, 20, range_db=60)
    t = np.arange(front_end.samples) / 8000
    for hertz in (300, 1000, 3000):
        sine = (20000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
        values = front_end.compute(sine[None])[0, 0, :, 0]
        first, count = front_end.bands[0][values.argmax()]
        assert first <= hertz * 256 / 8000 <= first + count
    assert (front_end.compute(np.zeros((1, front_end.samples), np.int16)) == front_end.floor).all()


def test_statistics_are_near_the_real_ones() -> None:
    front_end = Statistics(2, 100, 2)
    x = np.random.default_rng(2).normal(300, 2000, (5, front_end.samples)).astype(np.int16)
    found = front_end.compute(x).reshape(5, 2, 2, 10)
    real = x.reshape(5, 2, 100, 2).astype(np.float64)
    for k, want in enumerate((real.mean(2), real.std(2), np.sqrt((real**2).mean(2)), real.min(2), real.max(2))):
        assert np.abs(found[..., k] - want).max() <= 1
    above = real > real.mean(2, keepdims=True)
    assert np.abs(found[..., 5] - (above[:, :, 1:] != above[:, :, :-1]).sum(2)).max() <= 1
    energy = (((real[:, :, 0::2] - real[:, :, 1::2]) / 2) ** 2).sum(2)
    assert np.abs(found[..., 6] - 256 * np.log2(energy)).max() < 4


@pytest.mark.parametrize("octave", [0, 1, 2, 3])
def test_a_swing_is_in_its_octave(octave: int) -> None:
    front_end = Statistics(1, 256, 1, (), 4)
    period = 3 * 2**octave  # between the octave's ends, 2 and 4 samples of its own rate
    x = (8000 * np.sin(2 * np.pi * np.arange(256) / period)).astype(np.int16)
    assert front_end.compute(x[None]).ravel().argmax() == octave


@pytest.mark.parametrize("format", ["gray", "rgb", "rgb565", "rgb565_swapped"])
def test_pictures_are_near_those_of_another_program(format: str) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="pillow is missing (pip install 'ratti[train]')")
    channels = 1 if format == "gray" else 3
    front_end = Image(48, 72, format, 16, 16, channels)
    rough = np.random.default_rng(4).integers(0, 256, (6, 9, channels)).astype(np.uint8)
    frame = rough.repeat(8, 0).repeat(8, 1)
    found = front_end.compute(front_end.encode(frame[None]))[0]
    picture = pillow.fromarray(frame[:, 12:60].squeeze()).resize((16, 16), pillow.Resampling.BOX)
    error = np.abs(found - np.asarray(picture, np.int64).reshape(16, 16, channels))
    assert error.max() <= (7 if format.startswith("rgb565") else 1)  # 5 bits of red hold steps of 8


def test_colors_become_gray_as_they_are_bright() -> None:
    frames = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)[:, None, None].repeat(4, 1)
    found = Image(4, 4, "rgb", 2, 2, 1).compute(frames.repeat(4, 2).reshape(4, -1))[:, 0, 0, 0]
    assert found.tolist() == [77, 149, 29, 255]


def test_codes_are_those_of_real_quantization() -> None:
    quant = Quant.per_tensor(0.021, -17)
    mean, std = np.array([812.5, -3.0]), np.array([400.0, 9.5])
    codes = Codes.fit(mean, std, quant)
    values = np.random.default_rng(0).integers(-32768, 32768, (5000, 2)).astype(np.int16)
    real = quant.quantize(((values - mean) / std).astype(np.float32), DType.INT8)
    difference = np.abs(codes(values).astype(int) - real)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"mels": 120, "low_hz": 20}, "some hold no frequency"),
        ({"high_hz": 5000}, "must lie below 4000 Hz"),
        ({"coefficients": 21}, "21 coefficients of 20 bands"),
        ({"frame_samples": 4096}, "at most 2048"),
        ({"frames": 0}, "frames is 0"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, int], says: str) -> None:
    good = {"rate_hz": 8000, "frames": 4, "frame_samples": 256, "hop_samples": 128, "mels": 20}
    with pytest.raises(ValueError, match=says):
        LogMel(**{**good, **settings})


def test_damaged_descriptions() -> None:
    for text in ("{", "[]", '{"front_end": "os"}', '{"front_end": "log_mel"}', '{"front_end": "log_mel", "x": 1}'):
        with pytest.raises(FormatError):
            features.from_json(text)
