"""A folder of pictures: `train/<class>/*` and `test/<class>/*`, or `<class>/*` alone, which is split here.

`groups.csv` says which pictures belong together (`_folders`). A group is never in two parts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from .. import images
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
                              flip_safe=(options.channels or 3) == 3)

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
        side = self.options.resolution
        size, channels = self.options.size or (side and (side, side)) or DEFAULT_SIZE, self.options.channels or 3
        x, y, groups = [], [], []
        for path, label in files:
            name = path.relative_to(self.root).as_posix()
            try:
                x.append(images.read(path, size, channels))
            except (images.BadImageError, OSError) as error:
                self.bad.append(BadFile(name, str(error)))
                continue
            y.append(label)
            groups.append(self.groups.get(name, f"file:{name}"))
        if not x:
            return Part(np.zeros((0, *size, channels), np.uint8), np.zeros(0, np.int64), np.zeros(0, np.str_))
        self._note_ungrouped(groups)
        return Part(np.stack(x), np.array(y, np.int64), np.array(groups))

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
