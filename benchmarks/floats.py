"""What int8 gains on a device: each net beside itself in floats, both compiled and emulated.

    python benchmarks/floats.py NET.tflite ... [--targets stm32f446re,esp32c3]

The float side is the same net with real weights (`ratti.graph.dequantized`) in C of this file: loops whose sizes are
constants, four output channels at a time so that a value is loaded once for four products, -O3 and fused multiply-adds.
A core without a floating-point unit calls the compiler's own routines (compiler-rt, built for speed). The outputs are
compared with the int8 ones. Both arenas come from one allocator, layer by layer.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np

from ratti import models, targets
from ratti.device import cache, cores, toolchain
from ratti.device.cores import Core
from ratti.device.measure import Measurement, measure
from ratti.device.program import Program, Slot
from ratti.errors import DoesNotFitError
from ratti.graph import interpreter
from ratti.graph.dequantized import dequantized
from ratti.graph.ir import Graph, Node
from ratti.graph.passes import run_pipeline
from ratti.ops.add import Add
from ratti.ops.base import Activation
from ratti.ops.concat import Concat
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.mean import Mean
from ratti.plan.arena import Block, place
from ratti.types import Array
from ratti.verbs.check import check

KERNELS = """
#define INLINE static inline __attribute__((always_inline))
INLINE float clip(float v, float lo, float hi) { return v < lo ? lo : v > hi ? hi : v; }
INLINE void conv(const float *x, int h, int w, int c, const float *k, const float *b, float *y, int oh, int ow, int o,
                 int kh, int kw, int sy, int sx, int top, int left, float lo, float hi)
{
    for (int oy = 0; oy < oh; oy++) for (int ox = 0; ox < ow; ox++) {
        const float *weights = k;
        for (int q = 0; q < o; q += 4) {
            float s0 = b[q], s1 = b[q + 1], s2 = b[q + 2], s3 = b[q + 3];
            for (int ky = 0; ky < kh; ky++) for (int kx = 0; kx < kw; kx++, weights += 4 * c) {
                int iy = oy * sy + ky - top, ix = ox * sx + kx - left;
                if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
                const float *from = x + (iy * w + ix) * c, *m = weights;
                for (int i = 0; i < c; i++, m += 4) {
                    float v = from[i];
                    s0 += v * m[0]; s1 += v * m[1]; s2 += v * m[2]; s3 += v * m[3];
                }
            }
            float *to = y + (oy * ow + ox) * o + q;
            to[0] = clip(s0, lo, hi);
            if (q + 1 < o) to[1] = clip(s1, lo, hi);
            if (q + 2 < o) to[2] = clip(s2, lo, hi);
            if (q + 3 < o) to[3] = clip(s3, lo, hi);
        }
    }
}
INLINE void depthwise(const float *x, int h, int w, int c, const float *k, const float *b, float *y, int oh, int ow,
                      int kh, int kw, int sy, int sx, int top, int left, float lo, float hi)
{
    for (int oy = 0; oy < oh; oy++) for (int ox = 0; ox < ow; ox++) for (int i = 0; i < c; i++) {
        float s = b[i];
        for (int ky = 0; ky < kh; ky++) for (int kx = 0; kx < kw; kx++) {
            int iy = oy * sy + ky - top, ix = ox * sx + kx - left;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            s += x[(iy * w + ix) * c + i] * k[(ky * kw + kx) * c + i];
        }
        y[(oy * ow + ox) * c + i] = clip(s, lo, hi);
    }
}
INLINE void add(const float *a, const float *b, float *y, int n, float lo, float hi)
{
    for (int i = 0; i < n; i++) y[i] = clip(a[i] + b[i], lo, hi);
}
INLINE void mean(const float *x, float *y, int n, int c)
{
    for (int i = 0; i < c; i++) {
        float s = 0;
        for (int p = 0; p < n; p++) s += x[p * c + i];
        y[i] = s * (1.0f / n);
    }
}
INLINE void copy(const float *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = x[i]; }
"""
RANGES = {Activation.NONE: ("-3.4e38f", "3.4e38f"), Activation.RELU: ("0", "3.4e38f"), Activation.RELU6: ("0", "6")}
FLOAT = 4  # bytes


@dataclass
class Writer:
    """A float graph as one C file."""

    graph: Graph
    offsets: dict[str, int]  # in floats
    lines: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)

    def at(self, name: str) -> str:
        return f"arena + {self.offsets[name]}"

    def data(self, name: str) -> Array:
        data = self.graph.values[name].data
        assert data is not None
        return data

    def array(self, name: str, values: Array) -> str:
        body = ",".join(f"{v!r}f" for v in values.ravel().tolist())
        self.lines.append(f"static const float {name}[] = {{{body}}};")
        self.weights.append(name)
        return name

    def node(self, node: Node) -> None:
        op, name = node.op, node.name
        shapes = [self.graph.type(n).shape for n in (*node.inputs, *node.outputs)]
        x, y = shapes[0], shapes[-1]
        to = self.at(node.outputs[0])
        if isinstance(op, Conv2D | FullyConnected):
            weights, bias = self.data(node.inputs[1]), self.data(node.inputs[2])
            if isinstance(op, FullyConnected):
                size, window = (1, 1, weights.shape[1], 1, 1, len(weights), 1, 1), (1, 1, 0, 0)
            else:
                assert op.groups == 1 and op.dilation == (1, 1)
                size = (*x[1:], *y[1:], *weights.shape[1:3])
                window = (*op.stride, op.padding[0], op.padding[2])
            k, b = self.array(f"{name}_w", _by_fours(weights)), self.array(f"{name}_b", _padded(bias))
            h, w, c, *rest = size
            call = f"conv({self.at(node.inputs[0])}, {h}, {w}, {c}, {k}, {b}, {to}, {_list(rest)}, {_list(window)}, " \
                   f"{_list(RANGES[op.activation])});"
        elif isinstance(op, DepthwiseConv2D):
            assert op.multiplier == 1 and op.dilation == (1, 1)
            weights = self.data(node.inputs[1])
            k, b = self.array(f"{name}_w", weights), self.array(f"{name}_b", self.data(node.inputs[2]))
            kernel = weights.shape[1:3]
            call = f"depthwise({self.at(node.inputs[0])}, {_list(x[1:])}, {k}, {b}, {to}, {_list(y[1:3])}, " \
                   f"{_list((*kernel, *op.stride, op.padding[0], op.padding[2]))}, {_list(RANGES[op.activation])});"
        elif isinstance(op, Add):
            assert shapes[0] == shapes[1]
            call = f"add({self.at(node.inputs[0])}, {self.at(node.inputs[1])}, {to}, {np.prod(y)}, " \
                   f"{_list(RANGES[op.activation])});"
        elif isinstance(op, Mean):
            call = f"mean({self.at(node.inputs[0])}, {to}, {x[1] * x[2]}, {x[3]});"
        elif isinstance(op, Concat) and len(y) == 2:
            ends = np.cumsum([0, *(s[1] for s in shapes[:-1])])
            call = " ".join(f"copy({self.at(n)}, {to} + {e}, {s[1]});"
                            for n, e, s in zip(node.inputs, ends, shapes, strict=False))
        else:
            raise SystemExit(f"{name}: this comparison has no float loop for {type(op).__name__}")
        self.lines.append(f"__attribute__((noinline)) static void {name}(float *arena) {{ {call} }}")
        self.steps.append(name)

    def text(self) -> str:
        calls = "\n".join(f"    {s}((float *)arena);" for s in self.steps)
        return "\n".join((KERNELS, *self.lines, f"void run(signed char *arena)\n{{\n{calls}\n}}\n"))


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _padded(values: Array) -> Array:
    """With rows of zeros up to a whole number of fours."""
    return np.pad(values, [(0, -len(values) % 4), *[(0, 0)] * (values.ndim - 1)])


def _by_fours(weights: Array) -> Array:
    """(O, ..., I) -> (O / 4, ..., I, 4)."""
    four = _padded(weights).reshape(-1, 4, *weights.shape[1:])
    return np.moveaxis(four, 1, -1)


def program(graph: Graph) -> Program:
    """The float C of an int8 graph."""
    real = dequantized(graph)
    last = {n: k for k, node in enumerate(real.nodes) for n in node.inputs}
    last |= dict.fromkeys(real.outputs, len(real.nodes))
    born = dict.fromkeys(real.inputs, 0) | {n: k for k, node in enumerate(real.nodes) for n in node.outputs}
    sizes = {n: real.type(n).bytes for n in born}
    offsets, arena = place([Block(n, sizes[n], born[n], last[n]) for n in born])
    writer = Writer(real, {n: o // FLOAT for n, o in offsets.items()})
    for node in real.nodes:
        writer.node(node)
    inputs, outputs = (tuple(Slot(offsets[n], sizes[n]) for n in names) for names in (real.inputs, real.outputs))
    return Program({"net.c": writer.text()}, "run", arena, inputs, outputs, tuple(writer.steps), tuple(writer.weights))


def sample(graph: Graph) -> tuple[list[Array], Array]:
    """Random values for each input that codes stand for, and the values of the int8 answer."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(-128, 128, graph.type(n).shape).astype(np.int8) for n in graph.inputs]
    answer = interpreter.run_batch(graph, codes)[0]
    quants = [graph.type(n).quant for n in (*graph.inputs, graph.outputs[0])]
    *values, wanted = (q.dequantize(c) for c, q in zip([*codes, answer], quants, strict=True) if q is not None)
    return values, wanted


def arithmetic(core: Core) -> tuple[str, ...]:
    """Flags that link floating-point routines where `core` has no unit of its own."""
    if "fp" in core.mcpu:
        return ()
    options = ["-OReleaseFast", "-fno-compiler-rt", "-ffunction-sections", "-fdata-sections"]

    def make(work: Path) -> None:
        source = str(files("ziglang") / "lib" / "compiler_rt.zig")
        built = toolchain.zig(["build-lib", source, "-target", core.triple, f"-mcpu={core.mcpu}", *options,
                               "-femit-bin=library.a"], work)
        assert built.returncode == 0, built.stderr

    name = cache.key({"zig": toolchain.zig_version(), "core": [core.triple, core.mcpu], "options": options})
    return (str(cache.publish("compiler-rt", name, make, "library.a") / "library.a"),)


def floats(graph: Graph, target: str) -> Measurement:
    """The float net on `target`; SystemExit where its answer is not that of the int8 one, but for rounding."""
    values, wanted = sample(graph)
    chip = targets.load(target)
    flags = ("-O3", "-ffast-math", "-ffp-contract=fast", *arithmetic(cores.load(chip.core)))
    found = measure(program(graph), chip, [values], seconds=600, flags=flags, watched=False)
    answer = found.outputs[0][0].view(np.float32)
    error = np.abs(answer - wanted.ravel()).max() / np.ptp(wanted)
    if error > 0.1:
        raise SystemExit(f"{graph.name}: the float answer {answer} is not the int8 one {wanted.ravel()}")
    return found


HEAD = ("net", "target", "int8 instructions", "float", "times", "int8 RAM B", "float", "times", "int8 flash B", "float",
        "times")


def row(name: str, model: Graph, target: str) -> list[str]:
    graph = run_pipeline(model)
    ours = check(graph, target)
    cells = [name, target]
    try:
        real = floats(graph, target)
    except DoesNotFitError:
        return [*cells, f"{ours.instructions:,}", "does not fit", "", f"{ours.ram['total']:,}", "", "",
                f"{ours.flash['total']:,}", "", ""]
    pairs = ((ours.instructions or 0, real.instructions), (ours.ram["total"], real.ram_bytes),
             (ours.flash["total"], real.flash_total_bytes))
    return [*cells, *(text for a, b in pairs for text in (f"{a:,}", f"{b:,}", f"{b / a:.1f}"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="+", metavar="NET.tflite", help="int8 models")
    parser.add_argument("--targets", default="stm32f446re,esp32c3")
    chosen = parser.parse_args()
    for cells in (HEAD, ["---"] * len(HEAD)):
        print(f"| {' | '.join(cells)} |")
    for path in chosen.nets:
        for target in chosen.targets.split(","):
            print(f"| {' | '.join(row(path, models.load(path), target))} |", flush=True)


if __name__ == "__main__":
    main()
