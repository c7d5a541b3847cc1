"""What patches with halo bring beyond streams: bytes of the arena on a Cortex-M4, by the planner's own plans.

`python benchmarks/patches.py MODEL ...` prints, for each model, the arena layer by layer, with streams and with
patches, each the smallest that is found, and the estimated instructions of the last two beside the first.
"""

from __future__ import annotations

import sys

from ratti import models
from ratti.graph.assume import assume_int8
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.plan import Plan
from ratti.plan.layout import Unit, instructions, lay_out
from ratti.plan.patches import cuts
from ratti.plan.planner import front_of, fronts, in_patches, make_layers

ISA = "armv7em"


def work(plan: Plan) -> float:
    return sum(s.kernel.instructions(s.work) for s in plan.steps)


def load(model: str) -> Graph:
    graph = run_pipeline(models.load(model))
    return graph if graph.is_quantized else run_pipeline(assume_int8(graph))


def row(model: str) -> str:
    graph = load(model)
    layers = make_layers(graph, FEATURES[ISA], {})
    single = lay_out(layers, [Unit(k, k + 1) for k in range(len(layers.items))])
    once = sum(instructions(layers, Unit(k, k + 1)) for k in range(len(layers.items)))
    plans = [(lay_out(layers, units), sum(instructions(layers, u) for u in units)) for _, units in fronts(layers)]
    streams, cost = min(plans, key=lambda p: p[0].arena_bytes)
    cut = [p for c in front_of(cuts(graph)) for p in in_patches(graph, FEATURES[ISA], (), c, 0)[-1:]]
    inputs = sum(graph.type(n).bytes for n in graph.inputs)
    sizes = [f"{n:,}" for n in (inputs, single.arena_bytes, streams.arena_bytes)]
    cells = [model.split("/")[-1], *sizes, f"{cost / once:.2f}"]
    if cut:
        best = min(cut, key=lambda p: p.arena_bytes)
        cells += [f"{best.arena_bytes:,}", f"{work(best) / once:.2f}", best.how]
    return " | ".join(cells)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(row(name), flush=True)
