"""Data sets: the types, splitting by group, augmentation, scores."""

from __future__ import annotations

import numpy as np
import pytest

from ratti import data
from ratti.data import Augment, Flip
from ratti.data.dataset import Dataset, Kind, LoadReport, Part
from ratti.errors import DataError
from ratti.types import DType


def part(n: int, first: int, classes: int = 2, value: int = 0) -> Part:
    x = np.full((n, 4, 4, 1), value, np.uint8)
    return Part(x, np.arange(n, dtype=np.int64) % classes, np.array([f"g{first + i}" for i in range(n)]))


def sealed(parts: tuple[Part, Part, Part], names: tuple[str, ...] = ("a", "b"), kind: Kind = Kind.IMAGE) -> Dataset:
    return Dataset.sealed("toy", kind, names, parts, LoadReport("toy"))


def test_the_test_part_records_who_opens_it() -> None:
    dataset = sealed((part(6, 0), part(4, 10), part(2, 20, value=7)))
    assert dataset.test_size == 2 and dataset.test_opened == ()
    dataset.digest()
    assert dataset.test_opened == ()
    assert dataset.open_test("final report").x[0, 0, 0, 0] == 7
    assert dataset.test_opened == ("final report",)
    assert "7" not in repr(dataset)


@pytest.mark.parametrize(
    ("parts", "names", "message"),
    [
        ((part(6, 0), part(4, 10), part(2, 20)), ("a",), "1 class"),
        ((part(6, 0), part(4, 10), part(2, 20)), ("a", "a"), "repeat"),
        ((part(6, 0), part(4, 10), part(2, 20)), ("a", "b", "c"), "no training sample of c"),
        ((part(6, 0), part(4, 10), part(0, 20)), ("a", "b"), "test part is empty"),
        ((part(6, 0, 3), part(4, 10), part(2, 20)), ("a", "b"), "labels 0 to 2"),
        ((part(6, 0), part(4, 5), part(2, 20)), ("a", "b"), "group g5 .* more than one part"),
        ((part(6, 0), part(4, 10), part(2, 3)), ("a", "b"), "group g3 .* more than one part"),
    ],
)
def test_unusable_data_is_refused(parts: tuple[Part, Part, Part], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        sealed(parts, names)


def test_pixels_become_their_code_over_128() -> None:
    dataset = sealed((part(6, 0), part(4, 10), part(2, 20)))
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert dataset.input_quant is not None
    codes = dataset.input_quant.quantize(dataset.normalization.real(pixels), DType.INT8)
    assert (codes.view(np.uint8) == pixels ^ 0x80).all()


def test_signals_are_standardized_by_the_train_part_alone() -> None:
    rng = np.random.default_rng(0)
    train, val, test = (
        Part(rng.normal(shift, 3, (n, 8, 1, 2)).astype(np.float32), np.arange(n) % 2,
             np.array([f"{shift}{i}" for i in range(n)]))
        for n, shift in ((40, 5), (10, 100), (10, 200))
    )
    dataset = sealed((train, val, test), kind=Kind.SIGNAL)
    real = dataset.normalization.real(train.x)
    assert dataset.input_quant is None and len(dataset.normalization.mean) == 2
    assert np.allclose(real.mean((0, 1, 2)), 0, atol=1e-5) and np.allclose(real.std((0, 1, 2)), 1, atol=1e-5)


def test_equal_data_has_an_equal_digest_and_changed_data_another() -> None:
    first, same, other = (
        sealed((part(6, 0, value=v), part(4, 10), part(2, 20))).digest() for v in (0, 0, 1))
    assert first == same != other


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_takes_whole_groups_and_about_the_share_of_each_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 120, 1500)
    y = groups % 4  # a group is of one class
    mask = data.cut_by_group(y, groups.astype(str), 0.2, seed)
    assert not set(groups[mask]) & set(groups[~mask])
    shares = [mask[y == c].mean() for c in range(4)]
    assert all(0.15 < s < 0.25 for s in shares)


def test_a_cut_of_groups_that_hold_several_classes() -> None:
    rng = np.random.default_rng(3)
    speakers, y = rng.integers(0, 6, 600), rng.integers(0, 10, 600)
    mask = data.cut_by_group(y, speakers.astype(str), 1 / 6, 0)
    assert len(set(speakers[mask])) == 1


def test_a_class_with_two_large_groups_is_in_both_parts() -> None:
    y = np.array([0] * 20 + [1] * 20)
    groups = np.array(["a"] * 12 + ["b"] * 8 + [f"s{i}" for i in range(20)])
    mask = data.cut_by_group(y, groups, 0.1, 0)
    assert set(groups[(y == 0) & mask]) == {"b"}


def test_a_class_of_one_group_stays_in_train() -> None:
    y, groups = np.array([0] * 9 + [1] * 20), np.array(["only"] * 9 + [f"s{i}" for i in range(20)])
    mask = data.cut_by_group(y, groups, 0.5, 1)
    assert not mask[y == 0].any() and mask[y == 1].any()


def test_a_cut_repeats() -> None:
    y, groups = np.arange(90) % 3, np.arange(90).astype(str)
    first, again, other = (data.cut_by_group(y, groups, 0.3, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_scores_by_hand() -> None:
    outputs = np.array([[9, 1, 0], [8, 2, 0], [0, 1, 7], [5, 6, 0]], np.int8)
    result = data.score(outputs, np.array([0, 0, 0, 1]))
    assert result.accuracy == 0.75
    assert result.recall == (2 / 3, 1.0, None)
    assert result.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)


def test_augmentation_moves_mirrors_and_shades() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (32, 6, 6, 3)).astype(np.uint8)
    assert (Augment()(x, rng) == x).all()
    mirrored = Augment(flip=Flip.HORIZONTAL)(x, rng)
    kinds = {(m == o).all() for m, o in zip(mirrored, x, strict=True)}
    assert kinds == {True, False}
    assert all((m == o).all() or (m == o[:, ::-1]).all() for m, o in zip(mirrored, x, strict=True))
    turned = Augment(flip=Flip.ALL)(x, rng)
    assert (np.sort(turned.reshape(32, -1)) == np.sort(x.reshape(32, -1))).all()
    moved = Augment(shift_px=1)(x, rng)
    shifts = [np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")[:, i : i + 6, j : j + 6]
              for i in range(3) for j in range(3)]
    assert all(any((m == s[k]).all() for s in shifts) for k, m in enumerate(moved))
    shaded = Augment(brightness=0.2, contrast=0.2)(x, rng)
    assert shaded.dtype == np.uint8 and (shaded != x).any()


def test_digits_are_never_mirrored_and_signals_not_augmented() -> None:
    image = sealed((part(6, 0), part(4, 10), part(2, 20)))
    assert Augment.light(image).flip is Flip.NONE and Augment.light(image).shift_px == 1
    signal = sealed((part(6, 0), part(4, 10), part(2, 20)), kind=Kind.SIGNAL)
    assert Augment.light(signal) == Augment()
