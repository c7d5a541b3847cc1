"""What a kernel is: a C header beside a Python module that says what it serves and how it is called.

A header's function takes, in this order: the input pointers, the output pointer, the tables, the scratch pointer (where
it needs one), `row_begin` and `row_end` (at least one row of the output; rows are dimension 1 of four, one otherwise),
and then constants. The emitter wraps it in one function per distinct call, so the compiler folds all constants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from ..graph.ir import Graph, Node
from ..ops.base import Op, Operand
from ..types import Array, TensorType

# A struct of constants is (type name, fields); a plain constant is an int.
Struct = tuple[str, Mapping[str, "Constant"]]
Constant = int | Struct

# What instruction sets offer to kernels, by the names that targets use; `portable` is any C compiler.
FEATURES: Mapping[str, frozenset[str]] = {
    "portable": frozenset({"multiply", "registers32"}),
    "armv6m": frozenset({"multiply", "thumb"}),
    "armv7m": frozenset({"multiply", "long_multiply"}),
    "armv7em": frozenset({"multiply", "long_multiply", "dsp"}),
    "armv7em_dp": frozenset({"multiply", "long_multiply", "dsp"}),
    "armv8m": frozenset({"multiply", "long_multiply", "dsp"}),
    "armv81m": frozenset({"multiply", "long_multiply", "dsp", "mve"}),
    "rv32im": frozenset({"multiply", "long_multiply", "registers32"}),
    "rv32imc": frozenset({"multiply", "long_multiply", "registers32"}),
    "rv32ec": frozenset(),
    "xtensa": frozenset({"multiply", "long_multiply"}),
}


@dataclass(frozen=True, eq=False)
class Work:
    """A node with everything that a kernel may look at; equal only to itself, so that results can be kept by it."""

    op: Op
    operands: tuple[Operand, ...]
    outputs: tuple[TensorType, ...]
    features: frozenset[str]

    @classmethod
    def of(cls, graph: Graph, node: Node, features: frozenset[str]) -> Work:
        return cls(node.op, graph.operands(node), graph.output_types(node), features)

    @cached_property
    def types(self) -> tuple[TensorType, ...]:
        return tuple(o.type for o in self.operands)

    @property
    def output(self) -> TensorType:
        return self.outputs[0]

    @property
    def rows(self) -> int:
        """Rows of the output that a call can be split into."""
        return self.output.shape[1] if len(self.output.shape) == 4 else 1

    @property
    def row_elements(self) -> int:
        return self.output.elements // self.rows

    @property
    def macs(self) -> int:
        return self.op.macs(self.types, self.outputs)


@dataclass(frozen=True, eq=False)
class Table:
    """A constant array of the emitted program: (n,) or (n, fields) for arrays of structs."""

    role: str  # "weights", "channels", …: the last part of its name
    ctype: str
    data: Array


@dataclass(frozen=True)
class Call:
    """How a kernel is called for one node."""

    function: str
    constants: Mapping[str, Constant]
    tables: tuple[Table, ...] = ()
    scratch_bytes: int | None = None  # None: the function takes no scratch; 0: it takes one, and this call needs none
    inputs_as_array: bool = False  # one array of pointers: the inputs, then the tables that are constant operands


class Kernel(ABC):
    """One way to compute an op. Instances are stateless; `header` is relative to the kernels folder."""

    name: ClassVar[str]
    header: ClassVar[str]
    ops: ClassVar[tuple[type[Op], ...]]
    requires: ClassVar[frozenset[str]] = frozenset()

    def serves(self, work: Work) -> bool:
        """True where the kernel computes `work` exactly on a core with `work.features`."""
        return isinstance(work.op, self.ops) and self.requires <= work.features and self.supports(work)

    def supports(self, work: Work) -> bool:
        """Shapes and attributes that the kernel takes, given its ops and features."""
        return True

    @abstractmethod
    def instructions(self, work: Work) -> float:
        """Estimated instructions, for choosing among kernels; what is reported is counted, not estimated."""

    @abstractmethod
    def call(self, work: Work) -> Call:
        """The call that computes `work`."""

    def in_place(self, work: Work) -> tuple[int, ...]:
        """Operands that the output may lie exactly over, when all rows are computed in one call."""
        return ()
