"""C99 from codes to an answer, in whole numbers: `<name>_answer.h` and `<name>_answer.c`, beside the model's files. One
file for each goal of a net (`data.goals`), found by its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from ... import registry
from ...graph.ir import Graph
from ...types import DType, TensorType

CLASSES, GOAL, SETTINGS = "classes", "goal", "settings"  # keys of a graph's metadata


@dataclass(frozen=True)
class Answer:
    """What a header declares, and the code behind it."""

    declarations: str
    code: str


class Module(Protocol):
    """What each module of this package offers."""

    def answer(self, name: str, graph: Graph, classes: list[str], settings: Mapping[str, float]) -> Answer | None:
        """Nothing where the output of `graph` is none of such a net's."""


def of(graph: Graph, name: str) -> Answer | None:
    """What the metadata of `graph` say that its codes mean; nothing where they say nothing, or something unknown."""
    goal = graph.metadata.get(GOAL, "classify")
    if CLASSES not in graph.metadata or goal not in registry.modules(__name__):
        return None
    try:
        classes, settings = json.loads(graph.metadata[CLASSES]), json.loads(graph.metadata.get(SETTINGS, "{}"))
    except json.JSONDecodeError:
        return None
    if not isinstance(classes, list) or not isinstance(settings, dict):
        return None
    module = cast(Module, registry.load(__name__, goal))
    return module.answer(name, graph, [str(c) for c in classes], settings)


def emit(graph: Graph, name: str) -> dict[str, str]:
    """The two files; none where nothing is known about the output."""
    found = of(graph, name)
    if found is None:
        return {}
    guard = f"{name.upper()}_ANSWER_H"
    header = f"""/* {name}: from codes to an answer. No heap, no static data, no floating point. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif
{found.declarations.strip()}
#ifdef __cplusplus
}}
#endif

#endif
"""
    return {f"{name}_answer.h": header,
            f"{name}_answer.c": f'#include "{name}_answer.h"\n\n{found.code.strip()}\n'}


def ends(graph: Graph) -> tuple[TensorType, TensorType] | None:
    """The types of the only output and of the first input, where their codes are of 8 bits."""
    types = graph.type(graph.outputs[0]), graph.type(graph.inputs[0])
    if len(graph.outputs) != 1 or any(t.dtype is not DType.INT8 or t.quant is None for t in types):
        return None
    return types
