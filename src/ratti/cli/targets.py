"""`ratti targets`: the devices known."""

from __future__ import annotations

import argparse
import json

HELP = "the devices known, or one in full with the source of each number"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this one in full")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from .. import targets
    from ..report import devices

    known = [targets.load(arguments.id)] if arguments.id else [targets.load(i) for i in targets.ids()]
    if arguments.json:
        print(json.dumps([devices.to_json(t) for t in known], indent=2, ensure_ascii=False))
    else:
        print(devices.one(known[0]) if arguments.id else devices.many(known))
    return 0
