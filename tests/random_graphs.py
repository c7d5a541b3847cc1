"""Random graphs through the interpreter, TFLite Micro, C on this computer and C on an emulated core: all equal.

Many graphs make one program, each with a plan and an arena of its own, so that a compiler runs once for all of them.
Every other graph is planned for speed, the rest for the least memory.
Where they differ the graph is looked for, then the fewest of its nodes.

`python tests/random_graphs.py 2000 --state FILE` runs that many; started again, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cases import samples
from graphs import random_graph
from ratti import targets
from ratti.device import cores
from ratti.device.host import HostModel
from ratti.device.measure import measure
from ratti.device.program import Program, Slot
from ratti.emit.c import CSources, emit
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.ops.reshape import Reshape
from ratti.plan import make_plan
from ratti.runtimes.tflm import Session
from ratti.types import Array

TARGETS = ("stm32l4r5zi", "rp2040", "esp32c3", "ch32v003", "thejas32")
PER_BATCH = 10
SAMPLES = 3
ALIGN = 16


@dataclass(frozen=True)
class Case:
    """A graph of `nodes` nodes; the same for the same numbers."""

    seed: int
    nodes: int

    @property
    def graph(self) -> Graph:
        return random_graph(self.seed, self.nodes, f"g{self.seed}")

    @property
    def arena_limit(self) -> int | None:
        """Every other graph runs in as little memory as there is a plan for: in streams."""
        return 0 if self.seed % 2 else None


def case(seed: int) -> Case:
    return Case(seed, 1 + seed * 7 % 16)


def inputs_of(graph: Graph) -> list[list[Array]]:
    """Extremes and random codes."""
    return samples([graph.type(n) for n in graph.inputs], SAMPLES)[-SAMPLES - 2 :]


def wanted(cases: Sequence[Case]) -> list[list[list[Array]]]:
    """What the interpreter makes of each graph as it is: [case][sample][output]."""
    return [[list(interpreter.run(c.graph, x).values()) for x in inputs_of(c.graph)] for c in cases]


def has_work(graph: Graph) -> bool:
    return any(not isinstance(n.op, Reshape) for n in graph.nodes)


def together(cases: Sequence[Case], features: str) -> tuple[Program, list[CSources]]:
    """One program: a step is a whole graph, in an arena of its own."""
    files: dict[str, str] = {}
    calls, all_inputs, all_outputs, emitted, at = [], [], [], [], 0
    for one in cases:
        name = f"g{one.seed}"
        c = emit(make_plan(run_pipeline(one.graph), FEATURES[features], one.arena_limit), name)
        files |= c.files
        calls.append(f"    {c.entry}(arena + {at});")
        all_inputs += [Slot(at + p.offset_bytes, p.type.bytes) for p in c.inputs]
        all_outputs += [Slot(at + p.offset_bytes, p.type.bytes) for p in c.outputs]
        emitted.append(c)
        at += -(-c.arena_bytes // ALIGN) * ALIGN
    lines = ["#include <stdint.h>", *(f'#include "g{c.seed}.h"' for c in cases), "void all_run(int8_t *arena);"]
    files["all.c"] = "\n".join([*lines, "void all_run(int8_t *arena)\n{", *calls, "}\n"])
    steps = tuple(f"g{c.seed}" for c in cases)
    return Program(files, "all_run", at, tuple(all_inputs), tuple(all_outputs), steps), emitted


def split(raw: Sequence[Array], emitted: Sequence[CSources]) -> list[list[Array]]:
    """[case][output] from the outputs of one run of a program."""
    rest = iter(raw)
    return [[np.asarray(next(rest)).view(np.int8).reshape(p.type.shape) for p in c.outputs] for c in emitted]


def engines(cases: Sequence[Case], target_id: str, *flags: str) -> Iterator[tuple[str, list[list[list[Array]]]]]:
    """(engine, [sample][case][output]) of every engine."""
    data = [inputs_of(c.graph) for c in cases]
    rows = [[x for values in data for x in values[k]] for k in range(len(data[0]))]
    sessions = [Session(c.graph) for c in cases]
    yield "tflm", [[s.run(v[k]) for s, v in zip(sessions, data, strict=True)] for k in range(len(rows))]
    program, emitted = together(cases, "portable")
    with HostModel(program, ("-O0",)) as host:
        yield "host:c", [split(host.run(row), emitted) for row in rows]
    target = targets.load(target_id)
    program, emitted = together(cases, target.isa)
    roomy = target if cores.load(target.core).board else target.roomy()
    result = measure(program, roomy, rows, optimize="size", flags=flags, watched=False)
    yield f"emulator:{target_id}", [split(outputs, emitted) for outputs in result.outputs]


def difference(cases: Sequence[Case], target_id: str, *flags: str) -> str:
    """The first engine that does not equal the interpreter, or nothing."""
    want = wanted(cases)
    for engine, got in engines(cases, target_id, *flags):
        for k, row in enumerate(got):
            for c, outputs, expected in zip(cases, row, want, strict=True):
                for number, (a, b) in enumerate(zip(outputs, expected[k], strict=True)):
                    if not np.array_equal(np.asarray(a), b.reshape(np.asarray(a).shape)):
                        return f"{engine}: {c}, sample {k}, output {number}: {np.count_nonzero(a != b)} differ"
    return ""


def smallest(cases: Sequence[Case], target_id: str, *flags: str) -> str:
    """What differs, in as few graphs and nodes as show it."""
    for c in cases:
        for nodes in range(1, c.nodes + 1):
            one = Case(c.seed, nodes)
            if has_work(one.graph) and (said := difference([one], target_id, *flags)):
                return said
    return difference(cases, target_id, *flags)


def check_batch(first: int, count: int, target_id: str, *flags: str) -> str:
    """Runs graphs with the seeds from `first` on; `flags` go to the cross-compiler."""
    cases = [c for c in map(case, range(first, first + count)) if has_work(c.graph)]
    return smallest(cases, target_id, *flags) if difference(cases, target_id, *flags) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--state", type=Path, default=Path("random_graphs.json"), help="what is done")
    arguments = parser.parse_args()
    state = json.loads(arguments.state.read_text()) if arguments.state.exists() else {"done": 0, "found": []}
    while state["done"] < arguments.count:
        start, first = time.monotonic(), state["done"]
        target_id = TARGETS[first // PER_BATCH % len(TARGETS)]
        said = check_batch(first, PER_BATCH, target_id)
        state = {"done": first + PER_BATCH, "found": state["found"] + [said] * bool(said)}
        arguments.state.write_text(json.dumps(state))
        print(f"{state['done']:6} graphs, {target_id}, {time.monotonic() - start:.0f} s {said}", flush=True)
    print(f"{state['done']} graphs, {len(state['found'])} differences", *state["found"], sep="\n")
    raise SystemExit(bool(state["found"]))


if __name__ == "__main__":
    main()
