"""A graph as text: one line an input, a node and an output. Stable, so that passes can be tested before and after."""

from __future__ import annotations

import enum
from dataclasses import fields
from typing import Any

from ..ops.base import Op
from ..types import Quant, TensorType
from .ir import Graph


def to_text(graph: Graph) -> str:
    """For example `conv2d_0: conv2d(stride=(2, 2)) x, w int8[8,3,3,1] -> y int8[1,5,5,8] 0.05@-128`.

    A type is dtype[shape]; a quantization is scale@zero point, or the number of its scales where they are many.
    Attributes that have their default value are left out. Constants carry their type where they are read.
    """
    lines = [f"graph {graph.name}"]
    lines += [f"  input {name} {_type(graph.type(name))}" for name in graph.inputs]
    for node in graph.nodes:
        reads = ", ".join(_operand(graph, name) for name in node.inputs)
        writes = ", ".join(f"{name} {_type(graph.type(name))}" for name in node.outputs)
        lines.append(f"  {node.name}: {_op(node.op)} {reads} -> {writes}")
    lines += [f"  output {_operand(graph, name)}" for name in graph.outputs]
    return "\n".join(lines) + "\n"


def _operand(graph: Graph, name: str) -> str:
    value = graph.values[name]
    return f"{name} {_type(value.type)}" if value.is_constant else name


def _op(op: Op) -> str:
    attributes: list[str] = []
    for field in fields(op):  # type: ignore[arg-type]
        value = getattr(op, field.name)
        if value != field.default:
            attributes.append(f"{field.name}={_attribute(value)}")
    return f"{op.name}({', '.join(attributes)})"


def _attribute(value: Any) -> str:
    return value.name if isinstance(value, enum.Enum) else repr(value)


def _type(type: TensorType) -> str:
    shape = ",".join(map(str, type.shape))
    return f"{type.dtype.value}[{shape}]" + ("" if type.quant is None else f" {_quant(type.quant)}")


def _quant(quant: Quant) -> str:
    if quant.axis is not None:
        return f"{len(quant.scale)} scales"
    scale, zero_point = quant.scalar
    return f"{scale:.6g}@{zero_point}"
