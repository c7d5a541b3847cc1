"""Options and output that verbs share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..units import microjoules, milliseconds, size

LIMITS = ("ram", "flash", "latency", "energy")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """--max-ram, --max-flash, --max-latency, --max-energy."""
    parser.add_argument("--max-ram", metavar="SIZE", help="limit on RAM, such as 64KiB (default: the device's)")
    parser.add_argument("--max-flash", metavar="SIZE", help="limit on flash (default: the device's)")
    parser.add_argument("--max-latency", metavar="TIME", help="limit on one inference, such as 50ms")
    parser.add_argument("--max-energy", metavar="ENERGY", help="limit on one inference, such as 200uJ")


def limit_texts(arguments: argparse.Namespace) -> dict[str, str]:
    """The limits that were given, as they were written."""
    given = {name: getattr(arguments, f"max_{name}") for name in LIMITS}
    return {name: text for name, text in given.items() if text is not None}


def limits(arguments: argparse.Namespace) -> Any:
    """The `Limits` of `add_limits`."""
    from ..verbs.check import Limits

    texts = limit_texts(arguments)
    return Limits(
        size(texts["ram"]) if "ram" in texts else None,
        size(texts["flash"]) if "flash" in texts else None,
        milliseconds(texts["latency"]) if "latency" in texts else None,
        microjoules(texts["energy"]) if "energy" in texts else None,
    )


def whole(least: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least` up."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least {least}")
        return value

    return read


def names(text: str) -> list[str]:
    """The names in a list with commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def add_loading(parser: argparse.ArgumentParser) -> None:
    """--front-end, --window, --hop: what makes samples of recordings and tables."""
    parser.add_argument("--front-end", metavar="NAME,KEY=VALUE",
                        help="between sensor and net: log_mel,mels=40,coefficients=10; statistics; image,height=120,…")
    parser.add_argument("--window", type=whole(1), metavar="ROWS", help="rows of a table that are one sample")
    parser.add_argument("--hop", type=whole(1), metavar="ROWS", help="rows from one window to the next (a window's)")


def cut(arguments: argparse.Namespace) -> dict[str, Any]:
    """How tables are cut, as `add_loading` was told: fields of the data's `Options`."""
    return {k: getattr(arguments, k) for k in ("window", "hop") if getattr(arguments, k)}


def front_end(text: str | None) -> dict[str, Any] | None:
    """The settings in `log_mel,mels=40,coefficients=10`; values are whole numbers or words, several joined by `+`."""
    if text is None:
        return None
    name, *pairs = names(text)
    settings: dict[str, Any] = {"name": name}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not value:
            raise InputError(f"--front-end '{text}': '{pair}' is no setting; write name,key=value,key=value")
        values = [int(v) if v.lstrip("-").isdigit() else v for v in value.split("+")]
        settings[key] = values if len(values) > 1 else values[0]
    return settings


def teller(quiet: bool) -> Callable[[str], None]:
    """Says lines of progress on stderr, or nothing."""

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    return say


def show(result: Any, as_json: bool) -> None:
    """Prints a result as JSON or as its table."""
    show_as(result, as_json, str)


def show_as(result: Any, as_json: bool, table: Callable[[Any], str]) -> None:
    """The same for a result whose table is made elsewhere."""
    print(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if as_json else table(result))
