"""Sources of data: what loads, what is reported, what is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ratti import data
from ratti.data import Kind, Options
from ratti.errors import DataError, InputError

Image = pytest.importorskip("PIL.Image")

SHARED = Path(os.environ.get("RATTI_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared(name: str) -> str:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"development data {name} is not at {path.parent} (set RATTI_SHARED)")
    return str(path)


def picture(path: Path, value: int, mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in "LI;16" else (value, 255 - value, 30)).save(path)


def folder(root: Path, parts: tuple[str, ...] = ("train", "test"), per_class: int = 12) -> Path:
    for p in parts:
        for c, name in enumerate(("ant", "bee")):
            for i in range(per_class):
                picture(root / p / name / f"{i:02d}.{'png' if i % 2 else 'jpg'}", 200 * c + i)
    return root


SMALL = Options(size=(8, 8))


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    dataset = data.load(folder(tmp_path), SMALL)
    assert dataset.class_names == ("ant", "bee") and dataset.kind is Kind.IMAGE
    assert dataset.input_shape == (8, 8, 3) and dataset.test_size == 24
    assert len(dataset.train) + len(dataset.val) == 24 and len(dataset.val) == 4
    ants = dataset.train.x[dataset.train.y == 0]
    assert ants[..., 0].mean() < 30 and ants[..., 1].mean() > 220  # red and green where they belong
    assert dataset.report.lines() == ()


def test_one_folder_of_classes_is_split_and_says_so(tmp_path: Path) -> None:
    dataset = data.load(folder(tmp_path, ("",)), Options(size=(8, 8), channels=1))
    assert dataset.input_shape == (8, 8, 1)
    assert dataset.test_size == 4 and len(dataset.train) + len(dataset.val) == 20
    assert any("set aside as the test part" in line for line in dataset.report.lines())


def test_groups_stay_together(tmp_path: Path) -> None:
    folder(tmp_path, ("",))
    rows = [f"{name}/{i:02d}.{'png' if i % 2 else 'jpg'},{name}-{i // 3}" for name in ("ant", "bee") for i in range(12)]
    (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(rows[:-1]) + "\n")
    dataset = data.load(tmp_path, Options(size=(8, 8), val_share=0.3, test_share=0.3))
    parts = [set(p.groups.tolist()) for p in (dataset.train, dataset.val, dataset.open_test("test"))]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert {"ant-0", "ant-1", "ant-2", "ant-3"} <= set.union(*parts)
    assert any("does not name 1 of 24" in line for line in dataset.report.lines())


def test_a_group_in_train_and_test_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "groups.csv").write_text("file,group\ntrain/ant/00.jpg,leaf7\ntest/ant/00.jpg,leaf7\n")
    with pytest.raises(DataError, match=r"leaf7 .* more than one part"):
        data.load(tmp_path, SMALL)


def test_bad_pictures_are_counted_and_named(tmp_path: Path) -> None:
    folder(tmp_path)
    good = (tmp_path / "train/ant/00.jpg").read_bytes()
    (tmp_path / "train/ant/cut.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "train/bee/empty.png").write_bytes(b"")
    (tmp_path / "test/bee/text.jpg").write_text("no picture")
    dataset = data.load(tmp_path, Options(size=(8, 8), max_bad_share=0.1))
    assert [b.path for b in dataset.report.bad_files] == ["train/ant/cut.jpg", "train/bee/empty.png",
                                                          "test/bee/text.jpg"]
    assert "0 bytes" in dataset.report.bad_files[1].reason
    assert len(dataset.train) + len(dataset.val) == 24
    with pytest.raises(DataError, match=r"3 of 51 pictures cannot be read \(train/ant/cut.jpg: .*text.jpg"):
        data.load(tmp_path, SMALL)


def test_pictures_of_16_bits_are_not_guessed_at(tmp_path: Path) -> None:
    folder(tmp_path)
    picture(tmp_path / "train/ant/deep.png", 4000, "I;16")
    with pytest.raises(DataError, match=r"deep.png: pixels of mode I;16"):
        data.load(tmp_path, SMALL)


def test_files_that_are_no_pictures_are_noted(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "train/ant/notes.txt").write_text("x")
    (tmp_path / "train/ant/.hidden").write_text("x")
    (line,) = data.load(tmp_path, SMALL).report.lines()
    assert "1 files are no pictures" in line and "notes.txt" in line


def test_upright_by_exif_and_cut_from_the_center(tmp_path: Path) -> None:
    folder(tmp_path)
    image = Image.new("RGB", (30, 10), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 10, 10))  # white on the left: cut away by the center crop
    image.save(tmp_path / "train/ant/00.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    turned = Image.new("RGB", (10, 10), (0, 0, 0))
    turned.paste((255, 255, 255), (0, 0, 5, 10))  # white on the left, upright it is on top
    turned.save(tmp_path / "train/ant/01.png", exif=exif)
    from ratti.data.images import read

    assert read(tmp_path / "train/ant/00.jpg", (10, 10), 1).max() < 40
    upright = read(tmp_path / "train/ant/01.png", (10, 10), 1)
    assert upright[:4].min() == 255 and upright[6:].max() == 0


def one_class(root: Path) -> None:
    picture(root / "train/ant/0.png", 3)


def no_classes(root: Path) -> None:
    picture(root / "0.png", 3)


def empty_class(root: Path) -> None:
    folder(root)
    for p in (root / "train/bee").iterdir():
        p.unlink()


def strange_class(root: Path) -> None:
    folder(root)
    picture(root / "test/cat/0.png", 3)


def test_only(root: Path) -> None:
    folder(root, ("test",))


def no_pictures(root: Path) -> None:
    (root / "train/ant").mkdir(parents=True)
    (root / "train/bee").mkdir()


def bad_groups(root: Path) -> None:
    folder(root)
    (root / "groups.csv").write_text("name,leaf\na,b\n")


test_only.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (one_class, r"one class \(ant\); at least 2"),
        (no_classes, "no class folders .*sort them"),
        (empty_class, "bee: no readable picture"),
        (strange_class, "class cat is not in train; train has ant, bee"),
        (test_only, "a test folder but no train folder"),
        (no_pictures, "no pictures; known are"),
        (bad_groups, "columns name, leaf; 'file' and 'group' are needed"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        data.load(tmp_path, SMALL)
    assert "\n" not in str(caught.value)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or folder; a data set is .*folder.*npz"):
        data.load(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("1")
    with pytest.raises(DataError, match="no data set of a known kind"):
        data.load(tmp_path / "a.txt")


def arrays(n: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (n, 6, 5)).astype(np.uint8), "y_train": np.arange(n) % 4,
        "x_test": rng.integers(0, 256, (8, 6, 5)).astype(np.uint8), "y_test": np.arange(8) % 4,
    }


def saved(path: Path, **more: object) -> Path:
    content = {**arrays(), **more}
    np.savez(path / "set.npz", **{k: v for k, v in content.items() if v is not None})  # type: ignore[arg-type]
    return path / "set.npz"


def test_npz_images(tmp_path: Path) -> None:
    dataset = data.load(saved(tmp_path, class_names=np.array(["a", "b", "c", "d"])))
    assert dataset.kind is Kind.IMAGE and dataset.input_shape == (6, 5, 1) and dataset.class_names[3] == "d"
    resized = data.load(saved(tmp_path), Options(size=(12, 10), channels=3))
    assert resized.input_shape == (12, 10, 3) and resized.class_names == ("0", "1", "2", "3")


def test_npz_signals_with_patients(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-900, 900, (40, 16)).astype(np.int16)
    dataset = data.load(saved(tmp_path, x_train=x, x_test=x[:8], patient_train=np.arange(40) // 8,
                              patient_test=np.arange(8) + 90, extra=np.zeros(40)))
    assert dataset.kind is Kind.SIGNAL and dataset.input_shape == (16, 1, 1) and dataset.train.x.dtype == np.int16
    assert len(set(dataset.val.groups.tolist())) == 1 and dataset.report.notes == ("not used: extra",)
    with pytest.raises(InputError, match="signals cannot be resized"):
        data.load(tmp_path / "set.npz", Options(size=(8, 8)))


def test_numbers_beside_the_samples(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-900, 900, (40, 16)).astype(np.int16)
    rr = np.linspace(0, 1, 80).reshape(40, 2)
    dataset = data.load(saved(tmp_path, x_train=x, x_test=x[:8], rr_train=rr, rr_test=rr[:8]))
    assert dataset.numbers == 2 and dataset.test_size == 8
    waves, numbers = dataset.real(dataset.train)
    assert waves.shape == (len(dataset.train), 16, 1, 1) and numbers.shape == (len(dataset.train), 2)
    assert abs(numbers.mean()) < 1e-5 and abs(numbers.std() - 1) < 1e-5
    with pytest.raises(DataError, match="the samples of test have other numbers beside them"):
        data.load(saved(tmp_path, x_train=x, x_test=x[:8], rr_train=rr))
    with pytest.raises(DataError, match=r"rr_test is float64 of shape \(7, 2\); numbers of shape \(8, K\) are needed"):
        data.load(saved(tmp_path, x_train=x, x_test=x[:8], rr_train=rr, rr_test=rr[:7]))


def test_npz_that_is_split_and_has_string_labels(tmp_path: Path) -> None:
    a = arrays()
    np.savez(tmp_path / "whole.npz", x=a["x_train"], y=np.array(["n", "s", "v", "f"])[a["y_train"]])
    dataset = data.load(tmp_path / "whole.npz")
    assert dataset.class_names == ("f", "n", "s", "v") and dataset.test_size == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "no y_test; it has x_test, x_train, y_train"),
        ({"y_train": np.arange(39) % 4}, r"y_train has shape \(39,\); \(40,\) is needed"),
        ({"y_train": np.arange(40) % 4 - 1}, "labels -1 to 3; 4 classes allow 0 to 3"),
        ({"y_train": (np.arange(40) % 4).astype(float)}, "integers or strings"),
        ({"class_names": np.array(["a", "b"])}, "labels 0 to 3; 2 classes allow 0 to 1"),
        ({"y_test": np.full(8, 5)}, "class 5 is in test but not in train"),
        ({"x_train": np.zeros(40, np.uint8)}, r"x_train has shape \(40,\)"),
        ({"x_train": np.full((40, 6, 5), np.nan)}, "not finite"),
        ({"x_train": np.array([{}] * 40)}, "Python objects"),
        ({"x_train": np.array(["a"] * 40)}, "elements of type"),
        ({"x_test": np.zeros((8, 7, 5), np.uint8)}, "samples of shape"),
        ({"patient_train": np.arange(39)}, "one group a sample"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        data.load(saved(tmp_path, **change))
    assert "\n" not in str(caught.value)


def test_a_damaged_npz(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"not an \.npz file, or damaged"):
        data.load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="one array without a name"):
        data.load(path)


def test_digits_have_one_fixed_test_part() -> None:
    pytest.importorskip("sklearn")
    first, other = data.load("digits"), data.load("digits", Options(seed=1))
    assert first.input_shape == (8, 8, 1) and first.train.x.max() == 255 and len(first.class_names) == 10
    assert (first.open_test("test").x == other.open_test("test").x).all() and first.digest() != other.digest()
    assert len(first.train) + len(first.val) + first.test_size == 1797
    counts = np.bincount(first.open_test("test").y)
    assert counts.min() >= 33 and counts.max() <= 39


def test_leaves_keep_each_leaf_in_one_part() -> None:
    dataset = data.load(shared("leaves"), Options(size=(16, 16)))
    assert dataset.classes == 15 and dataset.test_size == 872 and not dataset.report.bad_files
    assert not set(dataset.train.groups.tolist()) & set(dataset.val.groups.tolist())
    assert 400 < len(dataset.val) < 640 and dataset.flip_safe


def test_ecg_is_split_by_patient() -> None:
    dataset = data.load(shared("ecg/mitbih_beats.npz"))
    assert dataset.input_shape == (128, 1, 1) and dataset.class_names == ("N", "S", "V", "F")
    assert not set(dataset.train.groups.tolist()) & set(dataset.val.groups.tolist())
