"""What a plan is: plain data that an emitter turns into calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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


    @property
    def saved_bytes(self) -> int:
        """What a kernel that stores weights compressed saves of their bytes in flash."""
        if not self.kernel.compresses:
            return 0
        return self.work.operands[1].type.bytes - sum(t.bytes for t in self.call.tables if t.role != "channels")


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

    kind: ClassVar[str] = "stream"

    @property
    def words(self) -> str:
        return f"{self.bands} bands"

    @property
    def layers(self) -> int:
        return self.end - self.begin

    @property
    def bands(self) -> int:
        return len(self.ends[0]) - 1


@dataclass(frozen=True)
class Patches:
    """Steps [begin, end) of the plan compute `layers` layers, the last of which is `last`, patch by patch."""

    begin: int
    end: int
    layers: int
    last: str
    count: int

    kind: ClassVar[str] = "patches"

    @property
    def words(self) -> str:
        return f"{self.count} patches"


@dataclass(frozen=True)
class Plan:
    """How a graph is computed in one arena. Offsets and sizes in bytes.

    Steps run in order, each on all rows in one call, but for those in `streams`. Where there are `patches`, `graph` is
    the model's with slices of maps in place of maps. `make_plan(streaming=False)` makes a
    plan without streams.
    """

    graph: Graph
    steps: tuple[Step, ...]
    streams: tuple[Stream, ...]
    patches: Patches | None
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

    @property
    def saved_bytes(self) -> int:
        """What compressed storage saves of the model's weights in flash; those of several steps count once."""
        return sum({id(s.work.operands[1].data): s.saved_bytes for s in self.steps if s.kernel.compresses}.values())

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
    def groups(self) -> tuple[Stream | Patches, ...]:
        """Steps that are called together."""
        return (*([self.patches] if self.patches else []), *self.streams)

    def ends_of(self, group: Stream | Patches) -> tuple[str, str]:
        """The names of the first and the last layer of a group."""
        first = self.steps[group.begin].node.name
        if isinstance(group, Patches):
            first = next(s.node.name for s in self.steps if s.node.op.name != "slice")
            return first, group.last
        return first, self.steps[group.end - 1].node.name

    @property
    def how(self) -> str:
        """In words."""
        names = [" to ".join(self.ends_of(g)) + f" in {g.words}" for g in self.groups]
        return ", ".join(names) or "layer by layer"

    @property
    def calls(self) -> tuple[tuple[Stream | Patches | None, tuple[Step, ...]], ...]:
        """What the emitted program calls, in order: single steps, and groups with their steps."""
        found: list[tuple[Stream | Patches | None, tuple[Step, ...]]] = []
        starts = {g.begin: g for g in self.groups}
        at = 0
        while at < len(self.steps):
            group = starts.get(at)
            end = group.end if group else at + 1
            found.append((group, self.steps[at:end]))
            at = end
        return tuple(found)
