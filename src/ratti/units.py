"""Sizes, times and energies as people write them."""

from __future__ import annotations

import math
import re
from typing import Any

from .errors import InputError

_BYTES = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
          "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30}
_MILLISECONDS = {"": 1.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "s": 1e3}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MILLIAMPS = {"": 1.0, "ma": 1.0, "ua": 1e-3, "µa": 1e-3, "na": 1e-6, "a": 1e3}
_MILLIAMP_HOURS = {"": 1.0, "mah": 1.0, "ah": 1e3}
_MICROJOULES = {"": 1.0, "uj": 1.0, "µj": 1.0, "mj": 1e3, "j": 1e6}


def size(text: str) -> int:
    """Bytes: 65536, 64K, 64KB and 64KiB are the same."""
    value = _number(text, _BYTES, "a size", "64KiB")
    if value < 1:
        raise InputError(f"a size of '{text}' is less than a byte; write it like 64KiB")
    return round(value)


def milliseconds(text: str) -> float:
    return _number(text, _MILLISECONDS, "a time", "50ms")


def seconds(text: str) -> float:
    """Long times: 300, 300s and 5m are the same."""
    return _number(text, _SECONDS, "a duration", "5m")


def microjoules(text: str) -> float:
    return _number(text, _MICROJOULES, "an energy", "200uJ")


def milliamps(text: str) -> float:
    return _number(text, _MILLIAMPS, "a current", "5uA")


def milliamp_hours(text: str) -> float:
    return _number(text, _MILLIAMP_HOURS, "a battery", "2400mAh")


def _number(text: str, units: dict[str, Any], what: str, example: str) -> float:
    match = re.fullmatch(r"\s*(-?[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-zµ]*)\s*", text.lower())
    if not match or match[2] not in units:
        raise InputError(f"'{text}' is not {what}; write it like {example}")
    value = float(match[1]) * float(units[match[2]])
    if not math.isfinite(value):
        raise InputError(f"'{text}' is too large for {what}; write it like {example}, or leave it out for no limit")
    if value <= 0:
        raise InputError(f"{what} of '{text}' leaves nothing: it must be above 0, like {example}")
    return value
