"""What was decoded, resized or computed once is kept, named by the files' content and by what was asked of them.

It lies below `data` in the cache folder (`device.cache.folder`) as plain `.npy` files and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..device import cache
from ..features import FrontEnd, to_json
from ..types import Array

KIND = "data"
VERSION = 1  # of what the loaders make of a file: a change of theirs makes everything anew
CHUNK = 256  # samples that a front end takes at a time
LEAST_BYTES = 1 << 16  # of samples: below, computing is quicker than looking
S = TypeVar("S")
T = TypeVar("T")


def arrays(content: Any, make: Callable[[], Mapping[str, Array]]) -> Mapping[str, Array]:
    """What `make` gives; `content` (anything that JSON can hold) says of what it was made. Arrays are read-only."""
    name = cache.key([VERSION, np.__version__, content])

    def save(folder: Path) -> None:
        for key, array in make().items():
            np.save(folder / f"{key}.npy", array, allow_pickle=False)

    folder = cache.publish(KIND, name, save)
    try:
        return _read(folder)
    except (ValueError, OSError, EOFError):  # a clean-up took a part of it, or the disk did
        shutil.rmtree(folder, ignore_errors=True)
        return _read(cache.publish(KIND, name, save))


def _read(folder: Path) -> Mapping[str, Array]:
    found = {p.stem: np.asarray(np.load(p, mmap_mode="r", allow_pickle=False)) for p in folder.glob("*.npy")}
    if not found:
        raise ValueError("an empty folder")
    return found


def spread(function: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """`function` of each item, in order, on all cores: decoders and numpy's loops run beside each other."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


def digests(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of each file's content; empty where it cannot be read."""
    return spread(_digest, paths)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def compute(front_end: FrontEnd, samples: Array) -> Array:
    """`front_end.compute` of (N, samples): kept, and computed on all cores."""
    if front_end.name == "signal" or samples.nbytes < LEAST_BYTES:
        return front_end.compute(samples)

    def make() -> Mapping[str, Array]:
        parts = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
        return {"x": np.concatenate(spread(front_end.compute, parts))}

    digest = hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()
    return arrays(["features", to_json(front_end), digest], make)["x"]
