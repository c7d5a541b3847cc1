"""`ratti export`: files for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..emit.projects import ids
from ._common import names

HELP = "write a model as C, C++ or Rust source, .tflite, or a project for a build system"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--to", metavar="KIND,KIND", help="c, cpp, rust, link, tflite, … (default c)")
    parser.add_argument("--project", default="", metavar="ID,ID", help=f"a folder that builds: {', '.join(ids())}")
    parser.add_argument("--weights", default="linked", metavar="PLACE",
                        help="linked (default), or blob: a block that is flashed and updated by itself")
    parser.add_argument("--target", metavar="ID", help="the device, or instruction set (neon), that C kernels are for")
    parser.add_argument("--out", default=".", metavar="DIR", help="where to write (default: here)")
    parser.add_argument("--name", metavar="NAME", help="prefix of files and functions (default: the model's name)")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.export import export

    projects = names(arguments.project)
    kinds = names(arguments.to) if arguments.to is not None else [] if projects else ["c"]
    out = Path(arguments.out)
    weights = arguments.weights
    for path in export(
        arguments.model, kinds, out, arguments.target, arguments.name, project=projects, weights=weights,
        say=lambda line: print(line, file=sys.stderr),
    ):
        print(path)
    return 0
