"""Conversions at the edges of a file: what is emitted is the int8 model inside.

Converters wrap int8 models so that they take and give float32 or uint8: QUANTIZE after an input, DEQUANTIZE or QUANTIZE
before an output. A device gains nothing from them: sensors give integers, and scores are compared as integers. So the
reader takes them off: inputs and outputs of the graph are the int8 tensors inside, whose scale and zero point say what
the codes mean. They keep the names of the tensors outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .names import OPERATORS
from .schema import TENSOR_TYPES

OUTSIDE = ("float32", "uint8")  # what a wrapped model takes and gives
INSIDE = ("int8", "int16")
PORTS = ("inputs", "outputs")
CONVERSIONS = tuple(OPERATORS.index(name) for name in ("QUANTIZE", "DEQUANTIZE"))


def strip(subgraph: Mapping[str, Any], code_of: Callable[[dict[str, Any]], int]) -> dict[str, Any]:
    """`subgraph` without the conversions of its inputs and outputs; one whose tensor is used in other ways stays."""
    tensors = list(subgraph["tensors"] or [])
    operators = list(subgraph["operators"] or [])
    ports = {side: [] if isinstance(subgraph[side], int) else [int(i) for i in subgraph[side]] for side in PORTS}
    conversions = [o for o in operators if code_of(o) in CONVERSIONS and len(_ints(o, "inputs")) == 1]
    for side, outer, inner in (("inputs", "inputs", "outputs"), ("outputs", "outputs", "inputs")):
        for operator in [o for o in conversions if len(_ints(o, "outputs")) == 1]:
            outside, inside = _ints(operator, outer)[0], _ints(operator, inner)[0]
            users = sum(outside in _ints(o, s) for o in operators for s in PORTS)
            if (
                ports[side].count(outside) != 1
                or users != 1
                or not 0 <= min(outside, inside) <= max(outside, inside) < len(tensors)
            ):
                continue
            if not (_kind(tensors[outside]) in OUTSIDE and _kind(tensors[inside]) in INSIDE):
                continue
            if any(inside in p for p in ports.values()):
                continue
            ports[side][ports[side].index(outside)] = inside
            tensors[inside] = {**tensors[inside], "name": tensors[outside]["name"]}
            operators = [o for o in operators if o is not operator]
    return {**subgraph, "tensors": tensors, "operators": operators, **ports}


def _ints(operator: Mapping[str, Any], field: str) -> list[int]:
    vector = operator[field]
    return [] if isinstance(vector, int) else [int(v) for v in vector]


def _kind(tensor: Mapping[str, Any]) -> str | None:
    return TENSOR_TYPES.get(tensor["type"])
