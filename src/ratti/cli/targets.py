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
    from ..report import devices, llm
    from ..targets import hosts

    if arguments.id in hosts.ids():
        host = hosts.load(arguments.id)
        print(json.dumps([llm.host_json(host)], indent=2, ensure_ascii=False) if arguments.json else llm.host(host))
        return 0
    known = [targets.load(arguments.id)] if arguments.id else [targets.load(i) for i in targets.ids()]
    others = [] if arguments.id else [hosts.load(i) for i in hosts.ids()]
    if arguments.json:
        found = [*map(devices.to_json, known), *map(llm.host_json, others)]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif arguments.id:
        print(devices.one(known[0]))
    else:
        print(devices.many(known), llm.hosts(others), sep="\n\n")
    return 0
