"""The command line: one module a verb, found by its name. Exit codes: 0 yes, 1 no, 2 bad input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import DeviceError, InputError, MissingDependencyError, RattiError
from ..registry import load, modules, unknown

ORDER = (
    "targets", "check", "build", "train", "compress", "search", "export", "verify", "bench", "report", "llm", "doctor",
    "completion",
)


class _Parser(argparse.ArgumentParser):
    """Errors in one line, like all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help)\n")


def verbs() -> list[str]:
    """All verbs in the order in which people meet them."""
    return sorted(modules(__name__), key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n))


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    root = _Parser(
        prog="ratti",
        description="Builds small neural networks and proves that they fit: int8 firmware, measured on the device's "
        "own instruction set.",
        epilog="Exit codes: 0 fits or done, 1 does not fit or differs, 2 bad input. Try: ratti targets",
    )
    root.add_argument("--version", action="version", version=f"ratti {__version__}")
    children = root.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    for name in verbs():
        verb = load(__name__, name)
        sub = children.add_parser(name, help=verb.HELP, description=verb.HELP[0].upper() + verb.HELP[1:] + ".")
        verb.arguments(sub)
        sub.set_defaults(run=verb.run)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; gives its exit code. Errors are one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except (InputError, MissingDependencyError, DeviceError) as error:
        return _fail(str(error), 2)
    except RattiError as error:
        return _fail(str(error), 3)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # whoever read has enough; what is still buffered must go somewhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, a folder without permission
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 2)


def _run(words: list[str]) -> int:
    if not words:
        parser().print_help(sys.stderr)
        return 2
    if not words[0].startswith("-") and words[0] not in verbs():
        raise unknown("verb", words[0], verbs())
    try:
        arguments = parser().parse_args(words)
    except SystemExit as end:  # argparse has said what is wrong, or what was asked for
        return int(end.code or 0)
    return int(arguments.run(arguments))


def _fail(message: str, code: int) -> int:
    print(f"ratti: {message}", file=sys.stderr)
    return code
