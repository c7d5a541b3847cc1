"""`ratti bench`: time and memory."""

from __future__ import annotations

import argparse

from ._common import names, show, whole

HELP = "time a model in the engines of this computer, int8 beside float, or on emulated devices"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--on", default="host", metavar="PLACE,PLACE", help="host, emulator:ID (default host)")
    parser.add_argument("--runtimes", default="", metavar="NAME,NAME", help="engines on this computer (default: all)")
    parser.add_argument("--threads", type=whole(1), default=1, metavar="N", help="threads that an engine may use")
    parser.add_argument("--rounds", type=whole(1), default=20, metavar="N", help="turns of each model (default 20)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.bench import bench

    engines = names(arguments.runtimes)
    result = bench(arguments.model, names(arguments.on), engines, arguments.threads, arguments.rounds)
    show(result, arguments.json)
    return 0
