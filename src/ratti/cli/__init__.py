"""The command line: one module a verb, found by its name. Exit codes: 0 yes, 1 no, 2 bad input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import DeviceError, InputError, MissingDependencyError, RattiError
from ..registry import load, modules

ORDER = ("targets", "check", "build", "export", "verify")


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    root = argparse.ArgumentParser(
        prog="ratti",
        description="Builds small neural networks and proves that they fit: int8 firmware, measured on the device's "
        "own instruction set.",
        epilog="Exit codes: 0 fits or done, 1 does not fit or differs, 2 bad input.",
    )
    verbs = root.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in sorted(modules(__name__), key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n)):
        verb = load(__name__, name)
        sub = verbs.add_parser(name, help=verb.HELP, description=verb.HELP[0].upper() + verb.HELP[1:] + ".")
        verb.arguments(sub)
        sub.set_defaults(run=verb.run)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; gives its exit code. Errors are one line on stderr."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except InputError as error:
        return _fail(error, 2)
    except (MissingDependencyError, DeviceError) as error:
        return _fail(error, 2)
    except RattiError as error:
        return _fail(error, 3)
    except KeyboardInterrupt:
        print("ratti: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _fail(error: RattiError, code: int) -> int:
    print(f"ratti: {error}", file=sys.stderr)
    return code
