"""Sizes, times and energies as people write them."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from ..errors import InputError

_BYTES = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20}
_MILLISECONDS = {"": 1.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "s": 1e3}
_MICROJOULES = {"": 1.0, "uj": 1.0, "µj": 1.0, "mj": 1e3, "j": 1e6}


def size(text: str) -> int:
    """Bytes: 65536, 64K, 64KB and 64KiB are the same."""
    return round(_number(text, _BYTES, "a size", "64KiB"))


def milliseconds(text: str) -> float:
    return _number(text, _MILLISECONDS, "a time", "50ms")


def microjoules(text: str) -> float:
    return _number(text, _MICROJOULES, "an energy", "200uJ")


def _number(text: str, units: dict[str, Any], what: str, example: str) -> float:
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-zµ]*)\s*", text.lower())
    if not match or match[2] not in units:
        raise InputError(f"'{text}' is not {what}; write it like {example}")
    value = float(match[1]) * float(units[match[2]])
    if value <= 0:
        raise InputError(f"{what} of '{text}' leaves nothing; it must be above 0, like {example}")
    return value


def add_limits(parser: argparse.ArgumentParser) -> None:
    """--max-ram, --max-flash, --max-latency, --max-energy."""
    parser.add_argument("--max-ram", metavar="SIZE", help="limit on RAM, such as 64KiB (default: the device's)")
    parser.add_argument("--max-flash", metavar="SIZE", help="limit on flash (default: the device's)")
    parser.add_argument("--max-latency", metavar="TIME", help="limit on one inference, such as 50ms")
    parser.add_argument("--max-energy", metavar="ENERGY", help="limit on one inference, such as 200uJ")


def limits(arguments: argparse.Namespace) -> Any:
    """The `Limits` of `add_limits`."""
    from ..verbs.check import Limits

    return Limits(
        size(arguments.max_ram) if arguments.max_ram else None,
        size(arguments.max_flash) if arguments.max_flash else None,
        milliseconds(arguments.max_latency) if arguments.max_latency else None,
        microjoules(arguments.max_energy) if arguments.max_energy else None,
    )


def show(result: Any, as_json: bool) -> None:
    """Prints a result as JSON or as its table."""
    print(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if as_json else result)
