"""Windows of sensors in CSV tables, front ends on them, and what is kept of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ratti import data
from ratti.data import Kind, Options
from ratti.errors import DataError, InputError
from ratti.features.statistics import Statistics


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


def moves(kind: str, seed: int, rows: int = 130) -> list[list[object]]:
    """A slow or a fast swing in three axes, in g."""
    rng, t = np.random.default_rng(seed), np.arange(rows) / 50
    swing = np.sin(2 * np.pi * (1 if kind == "walk" else 7) * t + seed)
    xyz = np.stack([swing, 0.5 * swing, 1 + 0 * t], 1) + rng.normal(0, 0.05, (rows, 3))
    return [[f"{a:.2f}", *(f"{v:.4f}" for v in row), 50] for a, row in zip(t, xyz, strict=True)]


HEAD = ("time", "ax", "ay", "az", "rate_hz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("walk", "run"):
        for k in range(8):
            write(tmp_path / "moves" / kind / f"{k}.csv", HEAD, moves(kind, k))
    return tmp_path / "moves"


def test_recordings_are_cut_into_windows_and_stay_together(folder: Path) -> None:
    dataset = data.load(folder, Options(window=40, hop=20))
    assert dataset.kind is Kind.SIGNAL and dataset.input_shape == (40, 1, 3) and dataset.class_names == ("run", "walk")
    parts = dataset.train, dataset.val, dataset.open_test("test")
    assert sum(map(len, parts)) == 16 * 5 and dataset.train.x.dtype == np.int16
    groups = [set(p.groups.tolist()) for p in parts]
    assert not groups[0] & groups[1] and not (groups[0] | groups[1]) & groups[2]
    assert any(note.startswith("1.0 is ") for note in dataset.report.notes)
    gravity = dataset.train.x[:, :, 0, 2].mean()
    (unit,) = (float(n.split()[2]) for n in dataset.report.notes if n.startswith("1.0 is "))
    assert abs(gravity / unit - 1) < 0.02


def test_whole_recordings_without_a_window(folder: Path) -> None:
    write(folder / "run" / "long.csv", HEAD, moves("run", 9, 200))
    dataset = data.load(folder)
    assert dataset.input_shape == (130, 1, 3)


def test_statistics_stand_before_the_net(folder: Path) -> None:
    options = Options(window=40, front_end={"name": "statistics", "octaves": 2}, resolution=4)
    dataset = data.load(folder, options)
    front_end = dataset.front_end
    assert isinstance(front_end, Statistics) and front_end.segments == 4 and dataset.input_shape == (4, 1, 24)
    raw = dataset.samples(dataset.train)
    assert raw is not None and (front_end.compute(raw) == dataset.train.x).all()
    with pytest.raises(InputError, match="unknown statistic 'median'; known: mean, deviation"):
        data.load(folder, Options(front_end={"name": "statistics", "kinds": ["median"]}))
    with pytest.raises(InputError, match="unknown key 'wide'; known: segments, kinds, octaves"):
        data.load(folder, Options(front_end={"name": "statistics", "wide": 3}))
    with pytest.raises(InputError, match="unknown front end 'statistic': did you mean statistics"):
        data.load(folder, Options(front_end={"name": "statistic"}))
    with pytest.raises(InputError, match="one channel of a known rate is needed"):
        data.load(folder, Options(front_end={"name": "log_mel"}))


def test_one_file_with_a_window_column(tmp_path: Path) -> None:
    head = ("window", "label", "group", "part", "level")
    rows = [[w, "ab"[w % 2], f"p{w // 4}", "test" if w >= 12 else "train", w * 10 + i]
            for w in range(16) for i in range(5 + w % 3)]
    write(tmp_path / "all.csv", head, rows)
    dataset = data.load(tmp_path / "all.csv")
    assert dataset.input_shape == (5, 1, 1) and dataset.test_size == 4 and not dataset.report.bad_files
    assert sorted(dataset.open_test("test").x[:, 0, 0, 0].tolist()) == [120, 130, 140, 150]
    assert "scale" not in " ".join(dataset.report.notes)  # whole numbers stay what they are


def test_a_second_load_reads_what_was_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ratti.data.sources import csv_windows

    first = data.load(folder, Options(window=40))
    monkeypatch.setattr(csv_windows, "_read", lambda path: pytest.fail("read again"))
    assert data.load(folder, Options(window=40)).digest() == first.digest()
    monkeypatch.undo()
    write(folder / "run" / "0.csv", HEAD, moves("run", 77))
    assert data.load(folder, Options(window=40)).digest() != first.digest()


@pytest.mark.parametrize(
    ("head", "rows", "says"),
    [
        (HEAD, [[0, 1, 2, "x", 50]], "row 2: az is 'x', which is no number"),
        (HEAD, [[0, 1, 2]], "row 2 has 3 values, the first row names 5 columns"),
        (HEAD, [], "no rows below the names"),
        (("time", "rate_hz"), [[0, 50]], "no column of a channel beside time, rate_hz"),
        (("ax", "ax"), [[0, 50]], "columns without a name, or with the same one"),
        (("ax", "ay"), [[0, 50]], "all tables must have the same columns"),
        (("time", "ax", "ay", "az", "rate_hz"), [[0, 1, 2, 3, 60]], "of 50 and 60 Hz"),
    ],
)
def test_tables_that_cannot_be_used(folder: Path, head: Sequence[str], rows: list[list[object]], says: str) -> None:
    write(folder / "run" / "0.csv", head, rows)
    with pytest.raises(DataError, match=says) as caught:
        data.load(folder, Options(window=1))
    assert "\n" not in str(caught.value)


def test_a_file_without_labels(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", ("window", "level"), [[1, 2]])
    with pytest.raises(DataError, match="no column label"):
        data.load(tmp_path / "all.csv")
    write(tmp_path / "all.csv", ("window", "label", "level"), [[1, "a", 2], [1, "b", 2]])
    with pytest.raises(DataError, match="window 1 has more than one label"):
        data.load(tmp_path / "all.csv")


def test_augmentation_changes_what_the_sensor_gave_and_computes_anew(folder: Path) -> None:
    options = Options(window=40, front_end={"name": "statistics", "octaves": 0, "kinds": ["mean", "deviation"]})
    dataset, rng = data.load(folder, options), np.random.default_rng(0)
    part = dataset.train.take(slice(20))
    same = data.Augment().part(dataset, part, rng)
    assert (same.x == part.x).all()
    louder = data.Augment(gain_db=6).part(dataset, part, rng)
    ratio = louder.x[:, 0, 0, 1::2] / part.x[:, 0, 0, 1::2]
    assert 0.49 < ratio.min() < 0.8 and 1.3 < ratio.max() < 2.01 and np.ptp(ratio, axis=1).max() < 0.05
    noisy = data.Augment(noise=0.5).part(dataset, part, rng)
    assert (noisy.x[:, 0, 0, 5] > part.x[:, 0, 0, 5]).all() and (noisy.y == part.y).all()


def test_a_shift_moves_all_channels_together(folder: Path) -> None:
    dataset = data.load(folder, Options(window=40))
    part = dataset.train.take(slice(30))
    moved = data.Augment(time_shift=0.25).part(dataset, part, np.random.default_rng(1)).x
    shifts = set()
    for before, after in zip(part.x[:, :, 0], moved[:, :, 0], strict=True):
        found = [s for s in range(-10, 11) if (after == before[np.clip(np.arange(40) + s, 0, 39)]).all()]
        assert found
        shifts |= set(found)
    assert len(shifts) > 8


def test_masks_hide_rows_and_columns(folder: Path) -> None:
    dataset = data.load(folder, Options(window=40, front_end={"name": "statistics"}, resolution=8))
    part = dataset.train.take(slice(20))
    hidden = data.Augment(mask_rows=3, mask_columns=1).part(dataset, part, np.random.default_rng(1)).x != part.x
    assert 0 < hidden.any(axis=(2, 3)).sum(axis=1).max() <= 8 and hidden.any()
    rows = data.Augment(mask_rows=3).part(dataset, part, np.random.default_rng(1)).x != part.x
    assert rows.any(axis=(2, 3)).sum(axis=1).max() == 3


def test_balanced_epochs_draw_each_class_as_often() -> None:
    labels = np.repeat([0, 1, 2], [900, 60, 40])
    order = data.epoch_order(labels, np.random.default_rng(0), balanced=True)
    assert len(order) == 1000 and sorted(np.bincount(labels[order]).tolist()) == [333, 333, 334]
    often = np.bincount(order, minlength=1000)
    assert np.ptp(often[900:960]) <= 1 and np.ptp(often[960:]) <= 1 and often[:900].max() == 1
    other = data.epoch_order(labels, np.random.default_rng(1), balanced=True)
    assert set(other[other < 900].tolist()) != set(order[order < 900].tolist())
    plain = data.epoch_order(labels, np.random.default_rng(0))
    assert sorted(plain.tolist()) == list(range(1000))


def test_pace_stretches_around_the_middle(folder: Path) -> None:
    ramp = np.repeat(np.arange(0, 4100, 100, dtype=np.int16)[None, :, None], 50, axis=0)
    played = data.Augment(speed=0.2)._sensor(ramp, np.random.default_rng(0))
    assert (played[:, 20] == ramp[:, 20]).all()  # the middle stays
    pace = (played[:, 25, 0] - played[:, 15, 0]) / 1000.0
    assert pace.min() < 0.85 and pace.max() > 1.15 and np.abs(pace - 1).max() <= 0.201
    assert played.min() >= 0 and played.max() <= 4000


def test_copies_stand_behind_the_original(folder: Path) -> None:
    options = Options(window=40, front_end={"name": "statistics", "octaves": 0, "kinds": ["mean", "deviation"]})
    dataset = data.load(folder, options)
    more, count = data.Augment(gain_db=6).copies(dataset, 2, seed=3), len(dataset.train)
    assert len(more.train) == 3 * count and len(more.val) == len(dataset.val)
    assert (more.train.x[:count] == dataset.train.x).all() and (more.train.x[count:] != more.train.x[:1]).any()
    assert (more.train.y.reshape(3, count) == dataset.train.y).all()
    again = data.Augment(gain_db=6).copies(dataset, 2, seed=3)
    assert (again.train.x == more.train.x).all() and again.digest() == more.digest() != dataset.digest()
    assert not more.test_opened
