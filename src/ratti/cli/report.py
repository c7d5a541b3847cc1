"""`ratti report`: one page of HTML from any run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "one self-contained HTML page from a run: verdicts, accuracy, memory over time, layers, energy"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN", help="the folder of a build, a bundle, a compression or a "
                        "search; or a file that `ratti check --json` printed")
    parser.add_argument("--out", metavar="FILE.html", help="where to write (default: report.html in the folder, or "
                        "beside the file)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.report import report

    path = report(arguments.source, Path(arguments.out) if arguments.out else None)
    print(json.dumps({"schema": "ratti.report/1", "page": str(path)}) if arguments.json else path)
    return 0
