"""Options and output that verbs share."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..units import microjoules, milliseconds, size


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
