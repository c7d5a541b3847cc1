"""Ops of one element, or of a pair of them: tables, sums, products, the larger of two."""

from __future__ import annotations

from collections.abc import Callable

from tvm import te, tirx

from ...graph.ir import Graph, Node
from ...ops._binary import Binary
from ...ops._sum import Summing
from ...ops._unary import Unary
from ...ops.add import Add
from ...ops.maximum import Maximum
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.prelu import Prelu
from ...ops.squared_difference import SquaredDifference
from ...ops.sub import Sub
from .integers import Expr, Tensor, broadcast, by, codes, i32
from .lowering import Lowered, write

Pair = Callable[[Expr, Expr], Expr]  # two int32 elements

JOINS: dict[type[Summing], Pair] = {
    Add: lambda a, b: a + b,
    Sub: lambda a, b: a - b,
    SquaredDifference: lambda a, b: (a - b) * (a - b),
}
LARGER: dict[type[Binary], Pair] = {Maximum: tirx.max, Minimum: tirx.min}


@write.register
def _(op: Unary, graph: Graph, node: Node) -> Lowered:
    """A table of 256 codes."""
    out = graph.type(node.outputs[0])
    table = op.table(graph.type(node.inputs[0]), out)
    return Lowered(lambda x, t: te.compute(out.shape, lambda *at: t[i32(x[at]) + i32(128)], "looked_up"), (table,))


@write.register(Add)
@write.register(Sub)
@write.register(SquaredDifference)
def _(op: Summing, graph: Graph, node: Node) -> Lowered:
    first, second, total = op.multipliers(graph.input_types(node), graph.type(node.outputs[0]))
    join = JOINS[type(op)]

    def sums(a: Expr, b: Expr) -> Expr:
        up = i32(op.left_shift(graph.type(node.outputs[0])))
        return by(join(by(a << up, first), by(b << up, second)), total)

    return _pairs(graph, node, op, sums)


@write.register
def _(op: Mul, graph: Graph, node: Node) -> Lowered:
    scale = op.multiplier(graph.input_types(node), graph.type(node.outputs[0]))
    return _pairs(graph, node, op, lambda a, b: by(a * b, scale))


@write.register
def _(op: Prelu, graph: Graph, node: Node) -> Lowered:
    up, down = op.multipliers(graph.input_types(node), graph.type(node.outputs[0]))
    return _pairs(graph, node, op, lambda a, b: tirx.Select(a >= i32(0), by(a, up), by(a * b, down)))


@write.register(Maximum)
@write.register(Minimum)
def _(op: Binary, graph: Graph, node: Node) -> Lowered:
    """All of one quantization, so that what holds for the values holds for the codes."""
    return _pairs(graph, node, op, LARGER[type(op)])


def _pairs(graph: Graph, node: Node, op: Binary, pair: Pair) -> Lowered:
    """`pair` of the elements less their zero points gives the output's code less its own."""
    types, out = graph.input_types(node), graph.type(node.outputs[0])

    def build(a: Tensor, b: Tensor) -> Tensor:
        def element(*at: Expr) -> Expr:
            x, y = (i32(v[broadcast(at, t.shape)]) - i32(t.zero_point) for v, t in zip((a, b), types, strict=True))
            return codes(pair(x, y), out.zero_point, op.fused.code_range(out))

        return te.compute(out.shape, element, "pairs")

    return Lowered(build)
