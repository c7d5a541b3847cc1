"""What zeros in weights are worth on each core: the compressed kernel beside the dense one, on one layer at a time.

    python benchmarks/sparse.py [--json]

Instructions are counted on the emulated core and flash is that of the linked image less what both have in common: the
layer's tables. Both kernels give the same codes, which is checked first.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np

from ratti import targets
from ratti.device.measure import measure
from ratti.device.program import Program, Slot
from ratti.emit.c import emit
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.kernels import FEATURES, Kernel, Work, candidates
from ratti.ops.base import Op
from ratti.ops.conv2d import Conv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.plan import make_plan
from ratti.types import Array, DType, Quant, TensorType

TARGETS = ("stm32f446re", "rp2040", "esp32c3", "ch32v003")
ZEROS = (0.5, 0.8, 0.9)
LAYERS = {"pointwise 64 to 64 of 8x8": (8, 64, 64), "fully connected 256 to 64": (1, 256, 64)}


@dataclass(frozen=True)
class Row:
    """One layer on one target. Bytes of weights in flash (padding and counts included), instructions."""

    layer: str
    target: str
    zeros: float
    dense_kernel: str
    dense_bytes: int
    dense_instructions: int
    sparse_bytes: int | None  # None: the kernel does not serve so few zeros
    sparse_instructions: int | None
    chosen: str  # by the planner, for speed

    @property
    def verdict(self) -> str:
        if self.sparse_bytes is None or self.sparse_instructions is None:
            return "no gain on this core: as large as dense"
        saved = 1 - self.sparse_bytes / self.dense_bytes
        faster = self.dense_instructions / self.sparse_instructions
        if faster < 1:
            return f"{saved:.0%} less flash; no gain in speed on this core: {1 / faster:.2f}x slower"
        return f"{saved:.0%} less flash, {faster:.2f}x faster"


def layer(side: int, inputs: int, outputs: int, zeros: float) -> Graph:
    """One layer of random weights, the smallest of them 0."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 1, (outputs, inputs))
    weights[np.abs(weights) < np.quantile(np.abs(weights), zeros)] = 0
    codes = np.clip(np.rint(weights * 40), -127, 127).astype(np.int8)
    builder = GraphBuilder("layer")
    map_ = (1, side, side, inputs) if side > 1 else (1, inputs)
    x = builder.input("x", TensorType(map_, DType.INT8, Quant.per_tensor(0.05, -128)))
    shape = (outputs, 1, 1, inputs) if side > 1 else codes.shape
    scales = np.full(outputs, 0.01, np.float32)
    w = builder.constant("w", codes.reshape(shape), Quant.per_channel(scales, 0))
    grid = Quant.per_channel(scales * np.float32(0.05), 0)
    b = builder.constant("b", rng.integers(-500, 500, outputs).astype(np.int32), grid)
    op: Op = Conv2D() if side > 1 else FullyConnected()
    return builder.build([builder.quantized(op, [x, w, b], 0.2, -5, "layer")])


def run(graph: Graph, target: str, kernel: Kernel) -> tuple[int, int, Array]:
    """(bytes of weights, instructions, codes) of the layer with `kernel`."""
    device = targets.load(target)
    plan = make_plan(graph, FEATURES[device.isa], kernels={graph.nodes[0].name: kernel})
    c = emit(plan)
    slots = [tuple(Slot(p.offset_bytes, p.type.bytes) for p in ports) for ports in (c.inputs, c.outputs)]
    program = Program(c.files, c.entry, c.arena_bytes, *slots, c.steps)
    x = np.random.default_rng(1).integers(-128, 128, graph.type(graph.inputs[0]).shape).astype(np.int8)
    result = measure(program, device.roomy(), [[x]])
    stored = sum(t.bytes for t in plan.steps[0].call.tables if t.role != "channels")
    return stored, result.instructions, np.asarray(result.outputs[0][0])


def row(name: str, target: str, zeros: float) -> Row:
    graph = layer(*LAYERS[name], zeros)
    options = candidates(Work.of(graph, graph.nodes[0], FEATURES[targets.load(target).isa]))
    dense = next(k for k in options if not k.compresses)
    sparse = next((k for k in options if k.compresses), None)
    bytes_, instructions, codes = run(graph, target, dense)
    found: tuple[int | None, int | None] = (None, None)
    if sparse is not None:
        *found, same = run(graph, target, sparse)  # type: ignore[assignment]
        assert np.array_equal(codes, same)
    return Row(name, target, zeros, dense.name, bytes_, instructions, *found, options[0].name)


def table(rows: list[Row]) -> str:
    lines = ["| layer | target | zeros | dense B | compressed B | dense instructions | compressed | what it gives | "
             "for speed |", "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        bytes_, instructions = ("–" if n is None else f"{n:,}" for n in (r.sparse_bytes, r.sparse_instructions))
        lines.append(f"| {r.layer} | {r.target} | {r.zeros:.0%} | {r.dense_bytes:,} | {bytes_} | "
                     f"{r.dense_instructions:,} | {instructions} | {r.verdict} | {r.chosen} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = [row(name, target, zeros) for name in LAYERS for target in TARGETS for zeros in ZEROS]
    print(json.dumps([asdict(r) for r in rows], indent=2) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
