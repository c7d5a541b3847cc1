"""From PyTorch: an exported program (torch.export), float or quantized by PT2E, becomes a graph.

Torch's NCHW becomes NHWC: weights are permuted, and so are the columns of a fully connected layer behind a flattened
map. Batch normalization is folded, padding and activations move into the op that they belong to.

Quantized programs hold quantize and dequantize ops around float ops, as `ratti.compress` makes them; a pair of them
becomes the quantization of a value. Source: the ATen operator definitions of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...graph.ir import Graph
from .handlers import HANDLERS
from .importer import Importer

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule

__all__ = ["import_program"]


def import_program(program: GraphModule | ExportedProgram, name: str, batch: int = 1,
                   metadata: Mapping[str, str] | None = None) -> Graph:
    """The graph of an exported program: int8 where the program is quantized, float32 otherwise.

    Args:
        program: what `torch.export.export` gives, or its module; of a quantized one, what `convert_pt2e` gives.
        batch: rows of the graph's inputs and outputs; 1 for deployment, more to interpret many samples at once.

    Raises:
        UnsupportedError: an op or an attribute that the graph cannot express; it is named, with its place.
    """
    from torch.export import ExportedProgram

    module = program.module(check_guards=False) if isinstance(program, ExportedProgram) else program
    return Importer(module, name, batch, HANDLERS).run(metadata or {})
