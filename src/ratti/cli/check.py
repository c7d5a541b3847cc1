"""`ratti check`: does a model fit a device, and why not?"""

from __future__ import annotations

import argparse

from ._common import add_limits, limits, show

HELP = "does MODEL fit a device: RAM, flash, instructions, time, layer by layer"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--target", required=True, metavar="ID", help="the device (ratti targets lists them)")
    parser.add_argument("--optimize", choices=("speed", "size"), default="speed", help="what the compiler favors")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_limits(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.check import check

    result = check(arguments.model, arguments.target, limits(arguments), arguments.optimize)
    show(result, arguments.json)
    return 0 if result.fits else 1
