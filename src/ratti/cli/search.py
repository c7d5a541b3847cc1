"""`ratti search`: data and limits to the best nets that a device can run."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._common import add_limits, limits, show, teller, whole

HELP = "find the best nets for data on a device within limits, by measurements of the code that ships"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="a folder of pictures or recordings, an .npz, digits")
    parser.add_argument("--target", metavar="ID", required=True, help="the device")
    parser.add_argument("--minutes", type=float, default=20.0, metavar="N", help="for all of it (default 20)")
    parser.add_argument("--space", metavar="ID", help="what may be built (default: what suits data and RAM)")
    parser.add_argument("--strategy", metavar="ID", default="tiny_nas", help="how to search (default tiny_nas)")
    parser.add_argument("--workers", metavar="N|ray|ADDRESS", default="2",
                        help="local processes, or a Ray cluster (default 2)")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="default 0")
    parser.add_argument("--resume", action="store_true", help="go on with the search in the folder")
    parser.add_argument("--out", metavar="DIR", help="where the search and its nets go (default: runs/search-NAME-ID)")
    parser.add_argument("--size", type=whole(8), metavar="N",
                        help="of a folder: pictures up to this side (64), frames of recordings (49)")
    parser.add_argument("--epochs", type=whole(1), default=6, metavar="N", help="to judge a candidate (default 6)")
    parser.add_argument("--finalists", type=whole(1), default=3, metavar="N", help="nets to finish (default 3)")
    parser.add_argument("--trials", type=whole(1), metavar="N", help="try no more candidates than that")
    parser.add_argument("--max-instructions", type=whole(1), metavar="N", help="limit on one inference")
    parser.add_argument("--compare", metavar="ID", help="another device: rank the nets that were tried there too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_limits(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.search import Request, search

    say = teller(arguments.quiet)
    request = Request(
        minutes=arguments.minutes, space=arguments.space, strategy=arguments.strategy, workers=arguments.workers,
        seed=arguments.seed, resume=arguments.resume, out=Path(arguments.out) if arguments.out else None,
        size=arguments.size, epochs=arguments.epochs, finalists=arguments.finalists, trials=arguments.trials,
        max_instructions=arguments.max_instructions, compare=arguments.compare,
    )
    result = search(arguments.data, arguments.target, limits(arguments), request, say)
    show(result, arguments.json)
    return 0 if result.front else 1
