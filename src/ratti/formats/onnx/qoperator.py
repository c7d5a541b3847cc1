"""Operators on integers (QLinearConv and its kin) as what they mean: dequantize, the plain operator, quantize."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...errors import FormatError
from .program import Node


@dataclass(frozen=True)
class Form:
    """Where such an operator has its operands: the plain operator; the places of (tensor, scale, zero point) groups; of
    the output's (scale, zero point); of operands that stay as they are.
    """

    op: str
    groups: tuple[int, ...]
    output: int
    others: tuple[int, ...] = ()


FORMS = {
    "QLinearConv": Form("Conv", (0, 3), 6, (8,)),
    "QLinearMatMul": Form("MatMul", (0, 3), 6),
    "QGemm": Form("Gemm", (0, 3), 7, (6,)),
    "QLinearAdd": Form("Add", (0, 3), 6),
    "QLinearMul": Form("Mul", (0, 3), 6),
    "QLinearAveragePool": Form("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": Form("GlobalAveragePool", (0,), 3),
    "QLinearSigmoid": Form("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": Form("LeakyRelu", (0,), 3),
    "QLinearSoftmax": Form("Softmax", (0,), 3),
}
CONCAT = "QLinearConcat"  # its output comes first, then any number of groups


def expand(nodes: Iterable[Node]) -> Iterator[Node]:
    """`nodes` with every operator on integers in three parts."""
    for node in nodes:
        if node.op in FORMS:
            yield from _expanded(node, FORMS[node.op])
        elif node.op == CONCAT:
            yield from _expanded(node, Form("Concat", tuple(range(2, len(node.inputs), 3)), 0))
        else:
            yield node


def _expanded(node: Node, form: Form) -> Iterator[Node]:
    if len(node.inputs) < form.output + 1 or not node.outputs:
        raise FormatError(f"{node.place} has {len(node.inputs)} inputs; it takes at least {form.output + 1}")
    inputs = []
    for k, at in enumerate(form.groups):
        real = f"{node.outputs[0]}/real{k}"
        # Scales of weights run along the outputs: the first axis of a convolution's and a transposed matrix's.
        axis = 0 if form.op == "Conv" or node.attributes.get("transB", 0) else 1
        yield Node(node.position, "DequantizeLinear", node.name, node.inputs[at : at + 3], (real,), {"axis": axis})
        inputs.append(real)
    inputs += [node.inputs[k] for k in form.others if k < len(node.inputs)]
    real = f"{node.outputs[0]}/real"
    yield Node(node.position, form.op, node.name, tuple(inputs), (real,), node.attributes)
    outputs = node.inputs[form.output : form.output + 2]
    yield Node(node.position, "QuantizeLinear", node.name, (real, *outputs), node.outputs[:1])
