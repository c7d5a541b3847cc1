"""`ratti doctor`: what is installed."""

from __future__ import annotations

import argparse

from ._common import show

HELP = "what is installed and what is missing, and the lines that install it"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.doctor import doctor

    show(doctor(), arguments.json)
    return 0
