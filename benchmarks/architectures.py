"""What the papers of small architectures claim, on emulated cores: one table, measured by `ratti check`.

    python benchmarks/architectures.py [--json]

Blocks of equal shapes with random weights, on a Cortex-M4 and on RV32IMC: a depthwise separable convolution beside a
standard one (Howard et al. 2017, section 3.1), an inverted residual beside a residual whose ends are as wide as its
middle (Sandler et al. 2018, section 5.1), grouped and shuffled pointwise convolutions beside dense ones (Zhang et al.
2018, section 3.1).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.ops.add import Add
from ratti.ops.base import Activation
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.reshape import Reshape
from ratti.ops.transpose import Transpose
from ratti.types import DType, TensorType
from ratti.verbs.check import CheckResult, Limits, check

CORTEX_M4, RV32 = "stm32f446re", "esp32c3"
SIDE, WIDTH, NARROW, EXPANSION, GROUPS = 16, 64, 16, 6, 4
SAME = (1, 1, 1, 1)
LOW = 1024  # bytes of RAM that no block has enough of, so that `check` measures what RAM costs
DEARER = 1.1  # instructions for less RAM, at most


@dataclass(frozen=True)
class Row:
    """One block. Instructions on both cores; RAM in bytes on the Cortex-M4, layer by layer and in bands of rows."""

    question: str
    block: str
    macs: int
    cortex_m4: int
    rv32: int
    ram: int
    least_ram: int
    least_instructions: int


class Block:
    """A float graph of one block over a map of `channels`."""

    def __init__(self, channels: int) -> None:
        self.rng, self.builder = np.random.default_rng(0), GraphBuilder("block")
        self.input = self.builder.input("x", TensorType((1, SIDE, SIDE, channels), DType.FLOAT32))

    def _weights(self, *shape: int) -> list[str]:
        spread = 1 / np.sqrt(np.prod(shape[1:]))
        outputs = shape[0] if shape[0] > 1 else shape[3]
        data = self.rng.normal(0, spread, shape), self.rng.normal(0, 0.1, outputs)
        return [self.builder.constant(name, a.astype(np.float32)) for name, a in zip("wb", data, strict=True)]

    def conv(self, x: str, outputs: int, kernel: int, groups: int = 1, act: Activation = Activation.RELU6) -> str:
        inputs = self.builder.shape(x)[3]
        pads = SAME if kernel == 3 else (0, 0, 0, 0)
        op = Conv2D(padding=pads, groups=groups, activation=act)
        return self.builder.float(op, [x, *self._weights(outputs, kernel, kernel, inputs // groups)])

    def depthwise(self, x: str) -> str:
        op = DepthwiseConv2D(padding=SAME, activation=Activation.RELU6)
        return self.builder.float(op, [x, *self._weights(1, 3, 3, self.builder.shape(x)[3])])

    def shuffle(self, x: str, groups: int) -> str:
        n, h, w, c = self.builder.shape(x)
        split = self.builder.float(Reshape((n, h, w, groups, c // groups)), [x])
        return self.builder.float(Reshape((n, h, w, c)), [self.builder.float(Transpose((0, 1, 2, 4, 3)), [split])])

    def added(self, x: str) -> str:
        return self.builder.float(Add(), [x, self.input])


def standard() -> Graph:
    b = Block(WIDTH)
    return b.builder.build([b.conv(b.input, WIDTH, 3)])


def separable() -> Graph:
    b = Block(WIDTH)
    return b.builder.build([b.conv(b.depthwise(b.input), WIDTH, 1)])


def inverted() -> Graph:
    b = Block(NARROW)
    x = b.depthwise(b.conv(b.input, NARROW * EXPANSION, 1))
    return b.builder.build([b.added(b.conv(x, NARROW, 1, act=Activation.NONE))])


def wide() -> Graph:
    b = Block(NARROW * EXPANSION)
    x = b.depthwise(b.conv(b.input, NARROW * EXPANSION, 1))
    return b.builder.build([b.added(b.conv(x, NARROW * EXPANSION, 1, act=Activation.NONE))])


def dense() -> Graph:
    b = Block(WIDTH)
    return b.builder.build([b.conv(b.conv(b.input, WIDTH, 1), WIDTH, 1)])


def shuffled() -> Graph:
    b = Block(WIDTH)
    x = b.shuffle(b.conv(b.input, WIDTH, 1, GROUPS), GROUPS)
    return b.builder.build([b.conv(x, WIDTH, 1, GROUPS)])


PAIRS: dict[str, tuple[tuple[str, Callable[[], Graph]], tuple[str, Callable[[], Graph]]]] = {
    f"3x3 over {SIDE}x{SIDE}, {WIDTH} to {WIDTH} channels": (
        ("standard convolution", standard), ("depthwise separable", separable)),
    f"expansion to {NARROW * EXPANSION} channels over {SIDE}x{SIDE}, with residual": (
        (f"ends of {NARROW * EXPANSION} channels", wide), (f"inverted residual, ends of {NARROW}", inverted)),
    f"two pointwise layers over {SIDE}x{SIDE}, {WIDTH} channels": (
        ("dense", dense), (f"{GROUPS} groups, shuffled", shuffled)),
}


def row(question: str, block: str, make: Callable[[], Graph]) -> Row:
    graph = make()
    arm = check(graph, CORTEX_M4, Limits(ram_bytes=LOW))
    least = min((t for t in arm.tradeoff if t.instructions <= DEARER * arm.tradeoff[0].instructions),
                key=lambda t: t.ram_bytes)
    first = arm.tradeoff[0]
    return Row(question, block, arm.macs, first.instructions, _count(check(graph, RV32)), first.ram_bytes,
               least.ram_bytes, least.instructions)


def _count(result: CheckResult) -> int:
    assert result.instructions is not None, result.absent
    return result.instructions


def table(rows: list[Row]) -> Iterator[str]:
    yield ("| shapes | block | MACs | instructions, Cortex-M4 | instructions, RV32IMC | RAM, B | RAM in bands, B | "
           "instructions in bands |")
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        for r in (before, after):
            yield (f"| {r.question} | {r.block} | {r.macs:,} | {r.cortex_m4:,} | {r.rv32:,} | {r.ram:,} | "
                   f"{r.least_ram:,} | {r.least_instructions:,} |")
        yield (f"| | **ratio** | {before.macs / after.macs:.1f} | {before.cortex_m4 / after.cortex_m4:.1f} | "
               f"{before.rv32 / after.rv32:.1f} | {before.ram / after.ram:.1f} | "
               f"{before.least_ram / after.least_ram:.1f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = [row(question, *block) for question, pair in PAIRS.items() for block in pair]
    print(json.dumps([asdict(r) for r in rows], indent=2) if arguments.json else "\n".join(table(rows)))


if __name__ == "__main__":
    main()
