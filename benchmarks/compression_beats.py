"""Heartbeats in the compression study: intervals as ratios, and boosted trees as a yardstick."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compression_results import Result


def relative(source: Path, out: Path) -> Path:
    """A copy of the set whose intervals before and after a beat are shares of the mean one: a heart's own pace is no
    sign of disease, a beat that comes early is (de Chazal et al. 2004, section III).
    """
    path = out / "heartbeats.npz"
    if not path.exists():
        with np.load(source) as arrays:
            content = dict(arrays)
        for part in ("train", "test"):
            before, after, mean = content[f"rr_{part}"].T
            content[f"rr_{part}"] = np.stack([before / mean, after / mean, before / after, mean], axis=1)
        out.mkdir(parents=True, exist_ok=True)
        partial = out / f"heartbeats.{time.monotonic_ns()}.npz"
        np.savez_compressed(partial, **content)  # type: ignore[arg-type]
        partial.replace(path)
    return path


def trees(dataset: Any, seed: int) -> tuple[Result, Callable[[Any], Any]]:
    """scikit-learn's histogram trees in their own settings, classes weighed alike, on the train part."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import balanced_accuracy_score

    start = time.monotonic()
    model = HistGradientBoostingClassifier(class_weight="balanced", random_state=seed)
    model.fit(_table(dataset.train), dataset.train.y)
    val = balanced_accuracy_score(dataset.val.y, model.predict(_table(dataset.val)))
    return Result("trees", float(val), time.monotonic() - start, 0), lambda part: model.predict_proba(_table(part))


def _table(part: Any) -> Any:
    return np.concatenate([part.numbers, part.x.reshape(len(part), -1)], axis=1)
