"""`.onnx` to graph: float models, and int8 ones in either form (QDQ, or operators on integers).

Maps become (N, H, W, C). Inputs and outputs are given in whichever order leaves less to be moved: a net that was
written for (N, C, H, W) takes and gives (N, H, W, C), and `metadata["channels_last"]` names those that changed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import FormatError, UnsupportedError
from ...graph.ir import Graph
from ...graph.passes import drop_identities, fold_constants, fold_movement
from . import linear, moves, parts, pointwise, pools, resize
from .importer import Handler, Importer
from .program import Program, listed, load, short
from .qoperator import expand

HANDLERS: dict[str, Handler] = {
    **moves.HANDLERS,
    **parts.HANDLERS,
    **linear.HANDLERS,
    **pools.HANDLERS,
    **resize.HANDLERS,
    **pointwise.HANDLERS,
}
PASSES = (fold_constants, drop_identities, fold_movement)


def read(path: Path) -> Graph:
    """The graph in an `.onnx` file.

    FormatError: no such file, no ONNX file, or a damaged one. UnsupportedError: an op, a type or a shape that ratti
    does not hold; all unknown ops are named at once. MissingDependencyError without the package onnx.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot read model '{path}': {error.strerror or error}") from None
    try:
        return parse(data, path.stem, path.parent)
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None
    except UnsupportedError as error:
        raise UnsupportedError(f"'{path}': {error}") from None


def parse(data: bytes, name: str = "model", folder: Path | None = None) -> Graph:
    """The graph in the bytes of an `.onnx` file; `folder` is where a second file with its weights lies."""
    program = load(data, folder)
    program = replace(program, nodes=tuple(expand(program.nodes)))
    _reject_unsupported(program)
    try:
        graphs = [_imported(program, name, True, True)]
        if graphs[0].metadata:  # something was put into another order
            graphs += [_imported(program, name, *order) for order in ((True, False), (False, True), (False, False))]
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise FormatError(f"damaged model: {' '.join(str(error).split())[:200]}") from None
    return min(graphs, key=fold_movement.cost)


def _imported(program: Program, name: str, inputs_last: bool, outputs_last: bool) -> Graph:
    with np.errstate(all="ignore"):  # a float model may hold any numbers
        graph = Importer(program, name, HANDLERS, inputs_last, outputs_last).run()
        for step in PASSES:
            graph = step.run(graph)
    return graph


def _reject_unsupported(program: Program) -> None:
    places: dict[str, list[str]] = {}
    for node in program.nodes:
        if node.op not in HANDLERS:
            places.setdefault(short(node.op) or "an op without a name", []).append(node.place)
    if places:
        found = [f"{op} ({listed(at, 2)})" for op, at in places.items()]
        raise UnsupportedError(f"unsupported: {listed(found)}. Supported: {', '.join(sorted(HANDLERS))}")
