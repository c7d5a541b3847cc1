"""From PyTorch: an exported program (torch.export), float or quantized by PT2E, becomes a graph.

Torch's NCHW becomes NHWC: weights are permuted, and so are the columns of a fully connected layer behind a flattened
map. Batch normalization is folded, padding and activations move into the op that they belong to.

Quantized programs hold quantize and dequantize ops around float ops, as `ratti.compress` makes them; a pair of them
becomes the quantization of a value. Source: the ATen operator definitions of torch 2.13.

And back: `to_module` makes a torch module of any float graph, wherever it came from. `read` reads a `.pt2` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MissingDependencyError
from ...graph.ir import Graph
from .handlers import HANDLERS
from .importer import Importer

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import GraphModule
    from torch.nn import Module

__all__ = ["import_program", "read", "to_module"]


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


def to_module(graph: Graph, logits: bool = False) -> Module:
    """The torch module of a float graph, in eval mode: (N, C, H, W) where the graph has (1, H, W, C), any N.

    `logits` leaves out a softmax at the end: what losses and quantization take. UnsupportedError names what has no
    torch form.
    """
    _need_torch()
    from .module import to_module as make

    return make(graph, logits)


def read(path: Path) -> Graph:
    """The graph of a `.pt2` file, as `torch.export.save` writes it; nothing in it is unpickled or run.

    FormatError where it is none or damaged, UnsupportedError where it holds pickled weights or ops without a meaning
    here.
    """
    _need_torch()
    from .archive import read as read_archive

    return read_archive(path)


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingDependencyError("torch", "train", "reading and making torch programs") from None
