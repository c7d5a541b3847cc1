"""What long studies found, in JSON files that are kept with the project, with bits packed."""

from __future__ import annotations

import base64
import datetime
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ratti.verbs.build import write_json as write
from ratti.versions import versions

__all__ = ["bits", "made", "packed", "read", "unpacked", "write"]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def packed(values: np.ndarray) -> str:
    """Booleans or bytes (N,) as text."""
    data = np.packbits(values) if values.dtype == bool else values.astype(np.uint8)
    return base64.b64encode(zlib.compress(data.tobytes(), 9)).decode()


def unpacked(text: str) -> np.ndarray:
    """Bytes (N,)."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def bits(text: str, count: int) -> np.ndarray:
    """Booleans (count,)."""
    return np.unpackbits(unpacked(text), count=count).astype(bool)


def made() -> str:
    """Today, and what it is made with."""
    found = versions()
    return f"{datetime.date.today()}, ratti {found['ratti']}, PyTorch {found['torch'].partition('+')[0]}"
