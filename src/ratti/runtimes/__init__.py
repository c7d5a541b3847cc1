"""Other people's engines: one module each, found by its name, which exports to it, runs it and says how it rounds.

A module holds four functions, `available`, `supports`, `export` and `run`, and what `Runtime` lists beside them. An
engine is a module (`litert`), or a module and one of its variants (`litert:xnnpack`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast

from ..errors import UnsupportedError
from ..graph.ir import Graph
from ..registry import load, modules, unknown
from ..types import Array, DType

Files = Mapping[str, bytes]  # ending of the file's name -> content; the first is the model
Runner = Callable[[Sequence[Array]], list[Array]]  # one inference: codes in, codes out, in the graph's order


class Runtime(Protocol):
    """What each module offers. `variant` is one of VARIANTS, or one that KINDS names."""

    VARIANTS: tuple[str, ...]  # that run here; "" is what the bare name means
    KINDS: Mapping[str, str]  # what it writes: kind of `ratti export` -> variant
    EXACT: bool  # equal to the interpreter to the last bit, or judged by tolerance
    ROUNDING: str  # the rule by which accumulators become codes

    def available(self, variant: str) -> bool:
        """Whether the packages that it needs are installed; imports nothing heavy."""

    def supports(self, graph: Graph, variant: str) -> str:
        """Why the engine cannot take `graph`; empty where it can."""

    def export(self, graph: Graph, variant: str) -> Files:
        """The files of `graph` for this engine. MissingDependencyError with the install line where it is absent."""

    def run(self, graph: Graph, files: Files, variant: str, threads: int) -> Runner:
        """A function that runs one inference on what `export` gave for `graph`."""


@dataclass(frozen=True)
class Engine:
    """One runtime in one of its variants."""

    name: str
    runtime: Runtime
    variant: str

    @property
    def exact(self) -> bool:
        return self.runtime.EXACT

    @property
    def rounding(self) -> str:
        return self.runtime.ROUNDING

    def available(self) -> bool:
        return self.runtime.available(self.variant)

    def supports(self, graph: Graph) -> str:
        return self.runtime.supports(graph, self.variant)

    def export(self, graph: Graph) -> Files:
        """The files of `graph`. UnsupportedError where the engine cannot take it."""
        self._check(graph)
        return self.runtime.export(graph, self.variant)

    def run(self, graph: Graph, files: Files | None = None, threads: int = 1) -> Runner:
        """A function that runs one inference; `files` are those of `export`, where the caller has them."""
        self._check(graph)
        made = _Exported(self, graph) if files is None else files
        return self.runtime.run(graph, made, self.variant, threads)

    def _check(self, graph: Graph) -> None:
        reason = self.supports(graph)
        if reason:
            raise UnsupportedError(f"{self.name} cannot take model '{graph.name}': {reason}")


class _Exported(Mapping[str, bytes]):
    """The files of a graph, made when they are read: some engines run without."""

    def __init__(self, engine: Engine, graph: Graph) -> None:
        self._engine, self._graph = engine, graph

    @cached_property
    def _files(self) -> Files:
        return self._engine.runtime.export(self._graph, self._engine.variant)

    def __getitem__(self, ending: str) -> bytes:
        return self._files[ending]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def engines() -> tuple[str, ...]:
    """All that can be run on this computer, installed or not."""
    return tuple(f"{m}:{v}" if v else m for m in modules(__name__) for v in _runtime(m).VARIANTS)


def get(name: str) -> Engine:
    """The engine `name`; InputError for an unknown one."""
    if name not in engines():
        raise unknown("runtime", name, engines())
    module, _, variant = name.partition(":")
    return Engine(name, _runtime(module), variant)


def kinds() -> Mapping[str, Engine]:
    """All kinds of files for other engines, and who writes them."""
    return {k: Engine(k, _runtime(m), v) for m in modules(__name__) for k, v in _runtime(m).KINDS.items()}


def beyond_int8(graph: Graph) -> str:
    """Why an engine that takes int8 alone cannot take `graph`; empty where it can."""
    found = sorted({v.type.dtype.value for v in graph.values.values()} & {DType.INT16.value, DType.INT4.value})
    return f"{' and '.join(found)} values; only int8 is written for it here" if found else ""


def _runtime(module: str) -> Runtime:
    return cast(Runtime, load(__name__, module))
