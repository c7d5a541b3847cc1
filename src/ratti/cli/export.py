"""`ratti export`: files for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import names

HELP = "write a model as C, C++ or Rust source, or .tflite"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--to", default="c", metavar="KIND,KIND", help="c, cpp, rust, tflite (default c)")
    parser.add_argument("--target", metavar="ID", help="the device whose instruction set the C kernels use")
    parser.add_argument("--out", default=".", metavar="DIR", help="where to write (default: here)")
    parser.add_argument("--name", metavar="NAME", help="prefix of files and functions (default: the model's name)")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.export import export

    for path in export(arguments.model, names(arguments.to), Path(arguments.out), arguments.target, arguments.name):
        print(path)
    return 0
