"""`ratti bench`: time and memory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..units import seconds
from ._common import names, show, whole

PLACES = "host, emulator:ID, serial:PORT, serial:emulator:ID, ssh:USER@HOST, adb, adb:SERIAL"
HELP = "time a model in the engines of this computer, on emulated devices, boards, phones and gateways"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--on", default="host", metavar="PLACE,PLACE", help=f"{PLACES} (default host)")
    parser.add_argument("--runtimes", default="", metavar="NAME,NAME", help="engines on this computer (default: all)")
    parser.add_argument("--threads", type=whole(1), default=1, metavar="N", help="threads that an engine may use")
    parser.add_argument("--rounds", type=whole(1), default=20, metavar="N", help="turns of each model (default 20)")
    parser.add_argument("--target", default="", metavar="ID", help="serial: the device on the board")
    parser.add_argument("--board", metavar="FILE.c", help="serial: build firmware with these functions, and flash it")
    parser.add_argument("--flash", metavar="FILE", help="serial: flash this .elf, .hex, .bin or .uf2 first")
    parser.add_argument("--baud", type=whole(300), default=115200, metavar="N", help="serial: bits a second (115200)")
    parser.add_argument("--sustain", metavar="TIME", help="ssh, adb: keep on for this long, such as 5m")
    parser.add_argument("--ssh-option", action="append", default=[], metavar="OPT", help="ssh: an option, as ssh -o")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.bench import Options, bench

    engines = names(arguments.runtimes)
    options = Options(
        arguments.target,
        Path(arguments.board) if arguments.board else None,
        Path(arguments.flash) if arguments.flash else None,
        arguments.baud,
        seconds(arguments.sustain) if arguments.sustain else 0.0,
        tuple(arguments.ssh_option),
        None if arguments.json else lambda line: print(line, file=sys.stderr, flush=True),
    )
    result = bench(arguments.model, names(arguments.on), engines, arguments.threads, arguments.rounds, options)
    show(result, arguments.json)
    return 0
