"""Folders of recordings: features by the integer front end, speakers kept apart, bad files named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ratti import data
from ratti.data import Options
from ratti.data.sources.audio_folder import read_wav
from ratti.errors import DataError, InputError
from ratti.features.log_mel import LogMel
from stand_ins import tone, write_wav


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for word, hertz in (("low", 300.0), ("high", 1800.0)):
        for s, speaker in enumerate(("ann", "bob", "cid", "dee")):
            for k in range(4):
                write_wav(tmp_path / "words" / word / f"{speaker}_{k}.wav", tone(hertz, 3000 + 900 * k, 10 * s + k))
    return tmp_path / "words"


def test_recordings_become_spectrograms(folder: Path) -> None:
    dataset = data.load(folder, Options(seconds=0.5))
    assert isinstance(dataset.front_end, LogMel) and dataset.class_names == ("high", "low")
    assert dataset.input_shape == dataset.front_end.output_shape == (dataset.front_end.frames, 20, 1)
    assert dataset.train.x.dtype == np.int16
    loudest = [x[:, :, 0].max(axis=0).argmax() for x in dataset.train.x]
    assert min(b for b, y in zip(loudest, dataset.train.y, strict=True) if y == 0) > max(
        b for b, y in zip(loudest, dataset.train.y, strict=True) if y == 1)
    speakers = [set(p.groups.tolist()) for p in (dataset.train, dataset.val, dataset.open_test("test"))]
    assert not speakers[0] & speakers[1] and not (speakers[0] | speakers[1]) & speakers[2]


def test_the_net_says_how_many_frames_and_bands(folder: Path) -> None:
    assert data.load(folder, Options(size=(25, 12), seconds=0.5)).input_shape == (25, 12, 1)
    with pytest.raises(InputError, match="front end log_mel: 200 bands are too many"):
        data.load(folder, Options(size=(25, 200), seconds=0.5))


def test_a_speaker_is_held_out(folder: Path) -> None:
    dataset = data.load(folder, Options(seconds=0.5, hold_out="cid"))
    assert set(dataset.open_test("test").groups.tolist()) == {"cid"} and dataset.test_size == 8
    assert "cid" not in {*dataset.train.groups.tolist(), *dataset.val.groups.tolist()}
    with pytest.raises(InputError, match="no speaker 'eve' to hold out; there are ann, bob, cid, dee"):
        data.load(folder, Options(hold_out="eve"))


def test_speakers_in_both_parts_are_said(folder: Path) -> None:
    for word in ("low", "high"):
        (folder / "train").mkdir(exist_ok=True)
        (folder / "test" / word).mkdir(parents=True)
        (folder / word).rename(folder / "train" / word)
        (folder / "train" / word / "ann_0.wav").rename(folder / "test" / word / "ann_0.wav")
    dataset = data.load(folder, Options(seconds=0.5))
    assert dataset.test_size == 2 and "1 of 4 speakers are heard in train and in test" in dataset.report.notes[1]


def test_bad_files_are_named(folder: Path) -> None:
    (folder / "low" / "eve_1.wav").write_bytes(b"RIFF????WAVE")
    with pytest.raises(DataError, match=r"1 of 33 recordings cannot be read \(low/eve_1.wav: "):
        data.load(folder)
    assert [b.path for b in data.load(folder, Options(max_bad_share=0.1)).report.bad_files] == ["low/eve_1.wav"]
    write_wav(folder / "low" / "eve_1.wav", tone(300, 3000, 1), rate=16000)
    with pytest.raises(DataError, match=r"recordings of 8000 Hz .* and of 16000 Hz \(eve_1.wav\); bring all to one"):
        data.load(folder)


def test_wav_of_all_kinds(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([0, 128, 255], np.uint8))
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [-32768, 0, 127 << 8]
    write_wav(tmp_path / "b.wav", np.array([100, 301, -5, -8], np.int16), channels=2)
    samples, rate = read_wav(tmp_path / "b.wav")
    assert samples.tolist() == [200, -7] and rate == 8000
    write_wav(tmp_path / "c.wav", np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="32 bits a sample; 8 or 16 are needed"):
        read_wav(tmp_path / "c.wav")
    write_wav(tmp_path / "d.wav", np.zeros(0, np.int16))
    with pytest.raises(ValueError, match="no samples"):
        read_wav(tmp_path / "d.wav")
