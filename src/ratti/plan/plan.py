"""What a plan is: plain data that an emitter turns into calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..graph.ir import Graph, Node
from ..kernels import Call, Kernel, Work


@dataclass(frozen=True)
class Step:
    """One kernel on one node."""

    node: Node
    kernel: Kernel
    work: Work
    call: Call
    inputs: tuple[str, ...]  # activations, in the kernel's order
    output: str
    scratch_offset: int
    scratch_bytes: int
    live: tuple[tuple[str, int], ...]  # names and bytes of the activations that exist while the step runs
    shared_bytes: int  # of them, what the result shares with operands

    @property
    def live_bytes(self) -> int:
        """Activations and scratch that exist while the step runs."""
        return sum(size for _, size in self.live) - self.shared_bytes + self.scratch_bytes


@dataclass(frozen=True)
class Window:
    """A value of a stream that exists as a few rows. In band b its place in the arena begins with row `first[b]`, below
    zero in padding; so row r lies at offsets[name] + (r - first[b]) * row_bytes.

    Where `slides`, the rows from first[b] on that are there already move to the begin before band b; other windows keep
    no row, or share the place of one that slides.
    """

    name: str
    row_bytes: int
    first: tuple[int, ...]  # by band
    slides: bool


@dataclass(frozen=True)
class Stream:
    """Steps [begin, end) of the plan, run one after the other on a band of rows at a time.

    In band b the k-th of them computes rows ends[k][b] to ends[k][b + 1] - 1 (of its output, or as `Kernel.rows` says);
    none where the two are equal. Values of `windows` are addressed as `Window` says, all others as ever.
    """

    begin: int
    end: int
    ends: tuple[tuple[int, ...], ...]  # by step: bands + 1 numbers, the first 0
    windows: Mapping[str, Window]

    @property
    def bands(self) -> int:
        return len(self.ends[0]) - 1


@dataclass(frozen=True)
class Plan:
    """How a graph is computed in one arena. Offsets and sizes in bytes.

    Steps run in order, each on all rows in one call, but for those in `streams`. `make_plan(streaming=False)` makes a
    plan without streams.
    """

    graph: Graph
    steps: tuple[Step, ...]
    streams: tuple[Stream, ...]
    offsets: Mapping[str, int]  # of every activation; of one in a stream's windows, where its window begins
    arena_bytes: int
    activation_bytes: int  # what the arena would take without scratch
    lower_bound_bytes: int  # of the activations of any plan that computes layer by layer, in any order

    @property
    def scratch_bytes(self) -> int:
        """What scratch adds to the arena."""
        return self.arena_bytes - self.activation_bytes

    @property
    def parameter_bytes(self) -> int:
        """What the tables of channels take in flash beyond the model's biases: how to scale an accumulator."""
        return self._beyond("channels", 2)

    @property
    def transformed_bytes(self) -> int:
        """What the tables of weights take in flash beyond the model's weights: transforms and padding."""
        return self._beyond("weights", 1)

    def _beyond(self, role: str, operand: int) -> int:
        """Bytes of tables, equal ones once, beyond those of the operand that they hold."""
        found: dict[tuple[str, bytes], int] = {}
        for step in self.steps:
            held = sum(o.type.bytes for o in step.work.operands[operand : operand + 1])
            for table in step.call.tables:
                if table.role == role:
                    found[table.ctype, table.data.tobytes()] = max(table.bytes - held, 0)
        return sum(found.values())

    @property
    def peak(self) -> Step:
        """The step that needs the most memory."""
        return max(self.steps, key=lambda s: s.live_bytes)

    @property
    def how(self) -> str:
        """In words."""
        names = [(self.steps[s.begin].node.name, self.steps[s.end - 1].node.name, s.bands) for s in self.streams]
        return ", ".join(f"{a} to {b} in {n} bands" for a, b, n in names) or "layer by layer"

    @property
    def calls(self) -> tuple[tuple[Stream | None, tuple[Step, ...]], ...]:
        """What the emitted program calls, in order: single steps, and streams with their steps."""
        found: list[tuple[Stream | None, tuple[Step, ...]]] = []
        starts = {s.begin: s for s in self.streams}
        at = 0
        while at < len(self.steps):
            stream = starts.get(at)
            end = stream.end if stream else at + 1
            found.append((stream, self.steps[at:end]))
            at = end
        return tuple(found)
