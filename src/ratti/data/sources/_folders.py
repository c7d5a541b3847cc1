"""What folders of samples share: one folder a class, and `groups.csv` beside them (columns `file` and `group`; `file`
relative to the folder), which names the samples that belong together: one leaf, one speaker, one part on the bench.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ...errors import DataError


def classes(folder: Path) -> list[str]:
    """Names of the class folders, sorted."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def samples(folder: Path, suffixes: Collection[str]) -> tuple[list[Path], list[Path]]:
    """(files with one of `suffixes`, other files) below `folder`, sorted; hidden files are neither."""
    found = folder.rglob("*") if folder.is_dir() else ()
    files = sorted(p for p in found if p.is_file() and not p.name.startswith("."))
    wanted = [p for p in files if p.suffix.lower() in suffixes]
    return wanted, [p for p in files if p.suffix.lower() not in suffixes]


def files_of(folder: Path, names: Sequence[str], suffixes: Collection[str]) -> list[tuple[Path, int]]:
    """(file, class) of all samples; DataError where there are none, or a class that `names` does not hold."""
    strange = sorted(set(classes(folder)) - set(names))
    if strange:
        raise DataError(f"{folder}: class {', '.join(strange)} is not in train; train has {', '.join(names)}")
    files = [(path, c) for c, name in enumerate(names) for path in samples(folder / name, suffixes)[0]]
    if not files:
        raise DataError(f"{folder}: no files of a known kind; known are {', '.join(sorted(suffixes))}")
    return files


def groups_of(root: Path, paths: Sequence[Path], default: Callable[[Path], str]) -> list[str]:
    """The group of each file: from `groups.csv`, or `default` of its path."""
    named = read_groups(root)
    return [named.get(path.relative_to(root).as_posix()) or default(path) for path in paths]


def read_groups(root: Path) -> Mapping[str, str]:
    """`groups.csv` as {file: group}; empty where there is none, DataError where it is none."""
    path = root / "groups.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            columns = list(rows.fieldnames or ())
            if not {"file", "group"} <= set(columns):
                raise DataError(f"{path}: columns {', '.join(columns)}; 'file' and 'group' are needed")
            groups = {row["file"]: row["group"] for row in rows}
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({error})") from None
    empty = [file for file, group in groups.items() if not file or not group]
    if empty:
        raise DataError(f"{path}: the row of '{empty[0]}' has no group")
    return groups
