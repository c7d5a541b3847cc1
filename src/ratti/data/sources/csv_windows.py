"""Windows of sensors in CSV tables.

A folder: `train/<class>/*.csv` and `test/<class>/*.csv`, or `<class>/*.csv` alone, which is split here. A file is one
recording: a row a moment, a column a channel. Recordings are cut into windows (`window` rows, every `hop` rows; what
the net takes unless that is said); all windows of one recording stay in one part, or all recordings that `groups.csv`
names together.

A single file: the columns `window` and `label`, maybe `group` and `part` (`train` or `test`), and one a channel; the
rows with one name in `window` are one window, in order. Windows are as long as the shortest one.

The first row names the columns; channels are all columns but `time`, `timestamp`, `t`, the four above and `rate_hz`,
the same in all rows, which spectrograms need. Values are as the sensor gives them: whole numbers in int16, or real
ones, which are scaled by a power of two until they are; the report says by which.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...features import FrontEnd
from ...types import Array
from .. import cache
from ..dataset import BadFile, Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group
from ._folders import classes, files_of, groups_of
from .npz import signals

FORMS = "a folder with train/<class>/ and test/<class>/ (or <class>/ alone) of .csv, or a .csv with a window column"
SUFFIXES = frozenset({".csv"})
TIMES = frozenset({"time", "timestamp", "t"})
WINDOW, LABEL, GROUP, PART, RATE = "window", "label", "group", "part", "rate_hz"
NO_CHANNELS = TIMES | {WINDOW, LABEL, GROUP, PART, RATE}


@dataclass(frozen=True)
class _Table:
    """Columns of a file: texts of those that have a meaning, (rows, channels) float64 of the others."""

    texts: Mapping[str, list[str]]
    channels: tuple[str, ...]
    values: Array

    @property
    def rate_hz(self) -> int:
        """Samples a second; 0 where the table does not say."""
        given = set(self.texts.get(RATE, ()))
        if len(given) > 1:
            raise ValueError(f"{RATE} is {' and '.join(sorted(given)[:2])}; one rate for all rows is needed")
        return round(_number(given.pop(), RATE, 2)) if given else 0


def accepts(source: str) -> bool:
    root = Path(source)
    if root.is_file():
        return root.suffix.lower() in SUFFIXES
    return root.is_dir() and any(p.parent != root for p in root.rglob("*.csv"))


def load(source: str, options: Options) -> Dataset:
    root = Path(source)
    return _folder(root, options) if root.is_dir() else _file(root, options)


def _folder(root: Path, options: Options) -> Dataset:
    has_test = (root / "test").is_dir()
    top = root / "train" if (root / "train").is_dir() else root
    if has_test and top is root:
        raise DataError(f"{root}: a test folder but no train folder; add train/<class>/ with recordings")
    names = classes(top)
    if len(names) < 2:
        raise DataError(f"{top}: {len(names)} folder of recordings; at least 2 are needed, one a class")
    listed = [files_of(folder, names, SUFFIXES) for folder in ([top, root / "test"] if has_test else [top])]
    paths = [path for files in listed for path, _ in files]
    tables, bad = _tables(root, paths, options)
    labels = [label for files in listed for _, label in files]
    groups = groups_of(root, paths, lambda path: path.relative_to(root).as_posix())
    in_test = [k > 0 for k, files in enumerate(listed) for _ in files]
    window = options.window or _rows_of_net(options) or min(len(t.values) for t in tables if t is not None)
    hop = options.hop or window
    xs, owner = [], []
    for k, table in enumerate(tables):
        for start in range(0, (0 if table is None else len(table.values)) - window + 1, hop):
            assert table is not None
            xs.append(table.values[start : start + window])
            owner.append(k)
    short = sum(t is not None and len(t.values) < window for t in tables)
    notes = [f"windows of {window} rows, every {hop}: {len(xs)} of {len(paths)} recordings"]
    notes += [f"{short} recordings are shorter than a window and give none"] if short else []
    if not xs:
        raise DataError(f"{root}: no recording has {window} rows; take a shorter window")
    at = np.array(owner)
    return _dataset(root, names, np.stack(xs), np.array(labels)[at], np.array(groups)[at],
                    np.array(in_test)[at] if has_test else None, _rate(tables), options, notes, bad)


def _rows_of_net(options: Options) -> int | None:
    """How many rows the net takes, where they reach it as they are."""
    if options.front_end is not None:
        return options.front_end.samples // options.front_end.side_by_side if isinstance(
            options.front_end, FrontEnd) else None
    return options.size[0] if options.size else options.resolution


def _file(path: Path, options: Options) -> Dataset:
    (table,), _ = _tables(path.parent, [path], options)
    assert table is not None
    missing = [c for c in (WINDOW, LABEL) if c not in table.texts]
    if missing:
        raise DataError(f"{path}: no column {' and '.join(missing)}; '{WINDOW}' says which rows belong together and "
                        f"'{LABEL}' what they are")
    order, first = np.unique(np.array(table.texts[WINDOW]), return_index=True)
    order = order[np.argsort(first)]
    index = {name: np.flatnonzero(np.array(table.texts[WINDOW]) == name) for name in order.tolist()}
    length = min(len(rows) for rows in index.values())
    for column in (LABEL, GROUP, PART):
        values = np.array(table.texts.get(column, [""] * len(table.values)))
        mixed = [name for name, rows in index.items() if len(set(values[rows].tolist())) > 1]
        if mixed:
            raise DataError(f"{path}: window {mixed[0]} has more than one {column}")
    heads = [int(rows[0]) for rows in index.values()]
    names = sorted(set(table.texts[LABEL]))
    labels = np.array([names.index(table.texts[LABEL][r]) for r in heads])
    groups = [table.texts[GROUP][r] for r in heads] if GROUP in table.texts else [f"window:{n}" for n in index]
    in_test = np.array([table.texts[PART][r] == "test" for r in heads]) if PART in table.texts else None
    x = np.stack([table.values[rows[:length]] for rows in index.values()])
    notes = [f"{len(index)} windows of {length} rows"]
    return _dataset(path, names, x, labels, np.array(groups), in_test, _rate([table]), options, notes, [])


def _dataset(root: Path, names: list[str], x: Array, labels: Array, groups: Array, in_test: Array | None,
             rate_hz: int | None, options: Options, notes: list[str], bad: list[BadFile]) -> Dataset:
    """From windows x (N, rows, channels) float64."""
    if in_test is None:
        in_test = cut_by_group(labels, groups, options.test_share, 0)
        notes.append(f"no test part: {in_test.sum()} of {len(in_test)} windows were set aside as the test part")
    if in_test.all() or not in_test.any():
        raise DataError(f"{root}: windows of train and of test are needed; without a part of its own test is cut off")
    shaped = [x[mask][:, :, None, :] for mask in (~in_test, in_test)]
    front_end, made = signals(str(root), shaped, rate_hz, options, notes)
    rest, test = (Part(features, labels[mask].astype(np.int64), groups[mask], raw=samples)
                  for (features, samples), mask in zip(made, (~in_test, in_test), strict=True))
    val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
    return Dataset.sealed(root.stem, Kind.SIGNAL, names, (rest.take(~val), rest.take(val), test),
                          LoadReport(str(root), tuple(bad), tuple(notes)), front_end=front_end)


def _rate(tables: Sequence[_Table | None]) -> int | None:
    try:
        rates = {t.rate_hz for t in tables if t is not None} - {0}
    except ValueError as error:
        raise DataError(str(error)) from None
    if len(rates) > 1:
        raise DataError(f"recordings of {' and '.join(map(str, sorted(rates)))} Hz; bring all to one rate")
    return rates.pop() if rates else None


def _tables(root: Path, paths: list[Path], options: Options) -> tuple[list[_Table | None], list[BadFile]]:
    """(the table of each file, or None; what could not be read): DataError where that is too much."""
    stored = cache.arrays(["csv", cache.digests(paths)], lambda: _parse(paths))
    content = json.loads(stored["content"].tobytes())
    reasons = content["reasons"]
    bad = [BadFile(p.relative_to(root).as_posix(), r) for p, r in zip(paths, reasons, strict=True) if r]
    if len(bad) > options.max_bad_share * len(paths) or len(bad) == len(paths):
        named = "; ".join(f"{b.path}: {b.reason}" for b in bad[:3])
        raise DataError(f"{root}: {len(bad)} of {len(paths)} tables cannot be read ({named}); repair or remove them, "
                        f"or leave them out (--skip-damaged)")
    parts = iter(np.split(stored["values"], np.cumsum(content["rows"])[:-1]))
    texts = iter(content["texts"])
    return [None if r else _Table(next(texts), tuple(content["channels"]), next(parts)) for r in reasons], bad


def _parse(paths: list[Path]) -> Mapping[str, Array]:
    """All tables in two arrays: the values, row under row, and the rest as JSON."""
    found = cache.spread(_try, paths)
    tables = [t for t in found if not isinstance(t, str)]
    known = {t.channels: p for t, p in zip(found, paths, strict=True) if not isinstance(t, str)}
    if len(known) > 1:
        (a, first), (b, second) = list(known.items())[:2]
        raise DataError(f"channels {', '.join(a)} in {first}, {', '.join(b)} in {second}; all tables must have the "
                        f"same columns in one order")
    content = {
        "reasons": [t if isinstance(t, str) else "" for t in found],
        "channels": next(iter(known), ()),
        "rows": [len(t.values) for t in tables],
        "texts": [t.texts for t in tables],
    }
    values = np.concatenate([t.values for t in tables]) if tables else np.zeros((0, 1))
    return {"values": values, "content": np.frombuffer(json.dumps(content).encode(), np.uint8)}


def _try(path: Path) -> _Table | str:
    try:
        return _read(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        return str(error) or type(error).__name__


def _read(path: Path) -> _Table:
    """The table in a file. ValueError where it is none."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        head = [name.strip() for name in next(rows, [])]
        body = [row for row in rows if row]
    if not body:
        raise ValueError("no rows below the names of the columns")
    if len(set(head)) != len(head) or not all(head):
        raise ValueError("columns without a name, or with the same one")
    for k, row in enumerate(body, 2):
        if len(row) != len(head):
            raise ValueError(f"row {k} has {len(row)} values, the first row names {len(head)} columns")
    channels = tuple(name for name in head if name.lower() not in NO_CHANNELS)
    if not channels:
        raise ValueError(f"no column of a channel beside {', '.join(head)}")
    known = NO_CHANNELS - TIMES
    texts = {n.lower(): [row[k].strip() for row in body] for k, n in enumerate(head) if n.lower() in known}
    columns = [head.index(name) for name in channels]
    values = np.array([[_number(row[k], head[k], r) for k in columns] for r, row in enumerate(body, 2)])
    return _Table(texts, channels, values)


def _number(text: str, column: str, row: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"row {row}: {column} is '{text[:20]}', which is no number")
    return value
