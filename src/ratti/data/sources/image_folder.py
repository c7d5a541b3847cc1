"""A folder of pictures: `train/<class>/*` and `test/<class>/*`, or `<class>/*` alone, which is split here.

`groups.csv` says which pictures belong together (`_folders`). A group is never in two parts. With the front end `image`
each picture first becomes a frame as the camera would send it, and then what the firmware makes of that frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ... import features
from ...errors import DataError
from ...types import Array
from .. import cache, camera, images
from ..dataset import BadFile, Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group
from ._folders import classes, read_groups, samples

FORMS = "a folder with train/<class>/ and test/<class>/ (or <class>/ alone) of pictures"
DEFAULT_SIZE = (96, 96)


def accepts(source: str) -> bool:
    return Path(source).is_dir()


def load(source: str, options: Options) -> Dataset:
    return _Loader(Path(source), options).dataset()


class _Loader:
    """One load: collects bad files and notes on the way."""

    def __init__(self, root: Path, options: Options) -> None:
        self.root, self.options = root, options
        self.bad: list[BadFile] = []
        self.notes: list[str] = []
        self.groups = read_groups(root)
        side = options.resolution
        size = options.size or ((side, side) if side else DEFAULT_SIZE)
        self.front_end = camera.chosen(options, size)
        self.size = size if self.front_end is None else (self.front_end.rows, self.front_end.columns)
        self.channels = self.front_end.channels if self.front_end else options.channels or 3
        if self.channels not in images.MODES:
            raise DataError(f"{root}: pictures cannot have {self.channels} channels; 1 (gray) or 3 (RGB) are possible")

    def dataset(self) -> Dataset:
        root, options = self.root, self.options
        has_train, has_test = (root / "train").is_dir(), (root / "test").is_dir()
        if has_test and not has_train:
            raise DataError(f"{root}: a test folder but no train folder; add train/<class>/ with pictures")
        top = root / "train" if has_train else root
        class_names = classes(top)
        if not class_names:
            hint = ""
            if samples(top, images.SUFFIXES)[0]:
                hint = " (pictures lie directly in it: sort them into one folder a class)"
            raise DataError(f"{top}: no class folders{hint}")
        if len(class_names) < 2:
            raise DataError(f"{top}: one class ({class_names[0]}); at least 2 are needed")
        if has_test:
            strange = sorted(set(classes(root / "test")) - set(class_names))
            if strange:
                raise DataError(f"{root / 'test'}: class {', '.join(strange)} is not in train; "
                            f"train has {', '.join(class_names)}")
        folders = [top, root / "test"] if has_test else [top]
        files = [self._list(folder, class_names) for folder in folders]
        loaded = [self._read(some) for some in files]
        self._judge(sum(len(some) for some in files))  # after all were read: one run names every bad file
        rest = loaded[0]
        for c, name in enumerate(class_names):
            if not (rest.y == c).any():
                raise DataError(f"{top / name}: no readable picture; add some or remove the folder")
        if has_test:
            test = loaded[1]
        else:
            mask = cut_by_group(rest.y, rest.groups, options.test_share, 0)
            rest, test = rest.take(~mask), rest.take(mask)
            self.notes.append(f"no test folder: {mask.sum()} of {len(mask)} pictures were set aside as the test part")
        val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
        report = LoadReport(str(root), tuple(self.bad), tuple(self.notes))
        parts = rest.take(~val), rest.take(val), test
        return Dataset.sealed(root.resolve().name, Kind.IMAGE, class_names, parts, report,
                              flip_safe=self.channels == 3, front_end=self.front_end)

    def _list(self, folder: Path, class_names: list[str]) -> list[tuple[Path, int]]:
        files: list[tuple[Path, int]] = []
        for c, name in enumerate(class_names):
            found, others = samples(folder / name, images.SUFFIXES)
            files += [(path, c) for path in found]
            if others:
                self.notes.append(f"{folder / name}: {len(others)} files are no pictures by their names "
                                  f"({others[0].name}, ...) and were not read")
        if not files:
            raise DataError(f"{folder}: no pictures; known are {', '.join(sorted(images.SUFFIXES))}")
        return files

    def _read(self, files: list[tuple[Path, int]]) -> Part:
        paths = [path for path, _ in files]
        front = None if self.front_end is None else features.to_json(self.front_end)
        key = ["pictures", cache.digests(paths), self.size, self.channels, front, images.version()]
        stored = cache.arrays(key, lambda: self._decode(paths))
        y, groups = [], []
        for (path, label), reason in zip(files, stored["reasons"].tolist(), strict=True):
            name = path.relative_to(self.root).as_posix()
            if reason:
                self.bad.append(BadFile(name, reason))
                continue
            y.append(label)
            groups.append(self.groups.get(name, f"file:{name}"))
        if y:
            self._note_ungrouped(groups)
        return Part(stored["x"], np.array(y, np.int64), np.array(groups, np.str_))

    def _decode(self, paths: list[Path]) -> Mapping[str, Array]:
        """`x` of the pictures that can be read, and for each file the reason why not, or nothing."""
        found = cache.spread(self._picture, paths)
        good = [x for x, _ in found if x is not None]
        empty = np.zeros((0, *self.size, self.channels), np.uint8)
        return {"x": np.stack(good) if good else empty, "reasons": np.array([r for _, r in found], np.str_)}

    def _picture(self, path: Path) -> tuple[Array | None, str]:
        front = self.front_end
        try:
            if front is None:
                return images.read(path, self.size, self.channels), ""
            frame = images.read(path, (front.height, front.width), camera.channels(front))
            return camera.pictures(front, frame[None])[0], ""
        except (images.BadImageError, OSError) as error:
            return None, str(error)

    def _note_ungrouped(self, groups: list[str]) -> None:
        alone = sum(g.startswith("file:") for g in groups)
        if self.groups and alone:
            self.notes.append(f"groups.csv does not name {alone} of {len(groups)} pictures; each is its own group")

    def _judge(self, total: int) -> None:
        if len(self.bad) > self.options.max_bad_share * total:
            named = "; ".join(f"{b.path}: {b.reason}" for b in self.bad[:3])
            more = f"; and {len(self.bad) - 3} more" if len(self.bad) > 3 else ""
            raise DataError(f"{self.root}: {len(self.bad)} of {total} pictures cannot be read ({named}{more}); "
                            f"repair or remove them, or leave them out (--skip-damaged)")
