"""Every stock net family through every installed engine: a table of the largest difference of an operator, in LSB.

`python benchmarks/families.py` takes the smallest net of each family; `--nets ID,ID` others, `--runtimes NAME,NAME`
some engines. `exact`: equal to the interpreter to the last bit, end to end. Weights are random.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ratti import nets, runtimes
from ratti.errors import RattiError
from ratti.verbs.verify import verify

WIDTH, RESOLUTIONS = "0.25", (8, 16, 32, 48, 49, 64, 96, 224)
INPUTS = 6


def smallest() -> Iterator[str]:
    """The id of the smallest net of each family."""
    for family in nets.families():
        for resolution in RESOLUTIONS:
            net = f"{family}-{WIDTH}-{resolution}"
            try:
                nets.random_graph(nets.spec(net))
            except (RattiError, ValueError):
                continue
            yield net
            break


def cell(net: str, name: str) -> str:
    """What one engine does with one net."""
    graph, engine = nets.random_graph(nets.spec(net)), runtimes.get(name)
    reason = engine.supports(graph)
    if reason:
        return f"refused: {reason}"
    result = verify(graph, runtimes=[name], count=INPUTS)
    row = result.rows[1]
    if row.operator_lsb is None:
        return "exact" if row.differ == 0 else f"{row.differ} of {row.elements} differ"
    return f"{row.operator_lsb} LSB" if result.passes else f"{row.operator_lsb} LSB: too far"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default="", metavar="ID,ID")
    parser.add_argument("--runtimes", default="", metavar="NAME,NAME")
    arguments = parser.parse_args()
    names = arguments.runtimes.split(",") if arguments.runtimes else list(runtimes.engines())
    engines = [n for n in names if runtimes.get(n).available()]
    print(f"| net | {' | '.join(engines)} |\n|{' --- |' * (len(engines) + 1)}")
    for net in arguments.nets.split(",") if arguments.nets else smallest():
        print(f"| {net} | {' | '.join(cell(net, name) for name in engines)} |", flush=True)


if __name__ == "__main__":
    main()
