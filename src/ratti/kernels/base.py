"""What a kernel is: a C header beside a Python module that says what it serves and how it is called.

A header's function takes, in this order: the input pointers, the output pointer, the tables, the scratch pointer (where
it needs one), `row_begin` and `row_end` (at least one row of the output; rows are dimension 1 of four, one otherwise),
and then constants. The emitter wraps it in one function per distinct call, so the compiler folds all constants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

from ..graph.ir import Graph, Node
from ..ops.base import Op, Operand
from ..types import Array, DType, TensorType

# A struct of constants is (type name, fields); a plain constant is an int.
Struct = tuple[str, Mapping[str, "Constant"]]
Constant = int | Struct

ELEMENT_BYTES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2}  # of tables; all others have four
RECORD_BYTES = {"ratti_wide_channel": 16}

# Beside what an instruction set offers: flash may be spent on speed. Plans for size go without it.
SPARE_FLASH = "spare_flash"
# Flash is short: what stores weights compressed comes first. Plans for size are made with it.
SCARCE_FLASH = "scarce_flash"
# Weights will be replaced by others: tables must not change their sizes with what is in them.
FIXED_SIZES = "fixed_sizes"

# What instruction sets offer to kernels, by the names that targets use; `portable` is any C compiler.
FEATURES: Mapping[str, frozenset[str]] = {
    "portable": frozenset({"multiply", "registers32"}),
    "armv6m": frozenset({"multiply", "thumb"}),
    "armv7m": frozenset({"multiply", "long_multiply"}),
    "armv7em": frozenset({"multiply", "long_multiply", "dsp", SPARE_FLASH}),
    "armv7em_dp": frozenset({"multiply", "long_multiply", "dsp", SPARE_FLASH}),
    "armv8m": frozenset({"multiply", "long_multiply", "dsp", SPARE_FLASH}),
    "armv81m": frozenset({"multiply", "long_multiply", "dsp", "mve"}),
    "rv32im": frozenset({"multiply", "long_multiply", "registers32"}),
    "rv32imc": frozenset({"multiply", "long_multiply", "registers32"}),
    "rv32ec": frozenset(),
    "xtensa": frozenset({"multiply", "long_multiply"}),
    "neon": frozenset({"multiply", "registers32", "neon"}),  # application processors of Arm, 32 and 64 bits
}


def lean_features(features: frozenset[str]) -> frozenset[str]:
    """`features` for code that is to take little flash."""
    return features - {SPARE_FLASH} | {SCARCE_FLASH}


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
    known: bool = False  # to the compiler, which builds its values in: a function of its own for each such table

    @property
    def bytes(self) -> int:
        """What the array takes in flash; the fields of structs are int32, but for biases of 64 bits."""
        if self.ctype in RECORD_BYTES:
            return RECORD_BYTES[self.ctype] * len(self.data)
        return ELEMENT_BYTES.get(self.ctype, 4) * self.data.size


@dataclass(frozen=True)
class Call:
    """How a kernel is called for one node."""

    function: str
    constants: Mapping[str, Constant]
    tables: tuple[Table, ...] = ()
    scratch_bytes: int | None = None  # None: the function takes no scratch; 0: it takes one, and this call needs none
    inputs_as_array: bool = False  # one array of pointers: the inputs, then the tables that are constant operands


@dataclass(frozen=True)
class Reach:
    """Row y of a call reads `window` rows of each operand, from y * stride - before on, as far as they exist."""

    stride: int = 1
    before: int = 0
    window: int = 1

    def first(self, row: int) -> int:
        """The first operand row that `row` reads; below zero in padding."""
        return row * self.stride - self.before

    def end(self, row: int) -> int:
        """Behind the last operand row that rows below `row` read."""
        return self.first(row - 1) + self.window


@dataclass(frozen=True)
class Overlap:
    """An output that begins at address a may share bytes with an operand that begins at a + `distance`, or at any
    multiple of `step` behind that, if the operand is not needed afterwards. Bytes; 0 is exactly in place.
    """

    distance: int
    step: int = 1

    def allows(self, output: int, operand: int) -> bool:
        """True for an output and an operand that begin at these addresses."""
        return operand - output >= self.distance and (operand - output - self.distance) % self.step == 0


class Kernel(ABC):
    """One way to compute an op. Instances are stateless; `header` is relative to the kernels folder."""

    name: ClassVar[str]
    header: ClassVar[str]
    ops: ClassVar[tuple[type[Op], ...]]
    requires: ClassVar[frozenset[str]] = frozenset()
    activations: ClassVar[tuple[DType, ...]] = (DType.INT8,)  # element types of the data
    weights: ClassVar[DType] = DType.INT8  # that of constant weights
    compresses: ClassVar[bool] = False  # weights take less flash than dense ones do

    def serves(self, work: Work) -> bool:
        """True where the kernel computes `work` exactly on a core with `work.features`."""
        known = isinstance(work.op, self.ops) and self.requires <= work.features
        if self.compresses and FIXED_SIZES in work.features:
            return False
        return known and self._takes_types(work) and self.supports(work)

    def _takes_types(self, work: Work) -> bool:
        data = work.op.activations
        return all(t.dtype in self.activations for t in work.types[:data]) and all(
            t.dtype is self.weights for t in work.types[data : data + 1]
        )

    def supports(self, work: Work) -> bool:
        """Shapes and attributes that the kernel takes, given its ops and features."""
        return True

    @abstractmethod
    def instructions(self, work: Work) -> float:
        """Estimated instructions, for choosing among kernels; what is reported is counted, not estimated."""

    @abstractmethod
    def call(self, work: Work) -> Call:
        """The call that computes `work`."""

    def rows(self, work: Work) -> int:
        """How many rows `row_begin` and `row_end` count: the output's, for all kernels but those that sum up."""
        return work.rows

    def reach(self, work: Work) -> Reach | None:
        """The rows of its operands that a row reads; None where rows do not follow rows."""
        return None

    def scratch_bytes(self, work: Work, rows: int) -> int | None:
        """Scratch for calls of at most `rows` rows; as in `Call`."""
        return call_of(self, work).scratch_bytes

    def banding(self, work: Work, rows: int) -> float:
        """Estimated instructions that calls of `rows` rows each take more than one call."""
        return -(-self.rows(work) // rows) * 80

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        """Where the output may lie over the operand, when all rows are computed in one call; None: nowhere."""
        return None


@lru_cache(maxsize=256)
def call_of(kernel: Kernel, work: Work) -> Call:
    """A kernel's call; kept, since it packs the weights, and plans ask for it thousands of times."""
    return kernel.call(work)
