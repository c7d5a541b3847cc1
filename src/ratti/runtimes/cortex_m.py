"""ExecuTorch on Cortex-M: the Q/DQ program lowered to CMSIS-NN's kernels by ExecuTorch's own passes. No core runs it.

The passes need packages of other versions than ratti's, so they live in an environment of their own; `INSTALL` makes
it. Run in Python there, by ExecuTorch's definitions of the kernels, the program shows whether its codes are right.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MissingDependencyError, UnsupportedError
from ..graph.ir import Graph
from ..graph.passes import separate_outputs
from ..types import Array
from . import Files, Runner, beyond_int8, executorch

VARIANTS: tuple[str, ...] = ()  # no core and no kernels here: `run` is for tests
DEFAULT = "cortex-m4"
CPUS = tuple(f"cortex-m{n}" for n in ("0", "0plus", "3", "4", "7", "23", "33", "35p", "55", "85"))
KINDS = {"executorch:cortex-m": DEFAULT, **{f"executorch:{cpu}": cpu for cpu in CPUS}}
EXACT = False
ROUNDING = "CMSIS-NN: TFLite's double rounding; run by ExecuTorch's Python definitions, not on a core"
VARIABLE = "RATTI_CORTEX_M"
INSTALL = (
    "python -m venv cortexm && cortexm/bin/pip install executorch==1.5.1 torch==2.13.0 tosa-tools==2026.5.0, "
    f"then set {VARIABLE}=cortexm/bin/python"
)
DRIVER = Path(__file__).with_name("_cortex_m_driver.py")
NO_MODULE = 3  # what the driver exits with where that environment lacks a package


def available(variant: str = DEFAULT) -> bool:
    return _python() is not None and executorch.available()


def supports(graph: Graph, variant: str = DEFAULT) -> str:
    if not graph.is_quantized:
        return "it takes int8 models, not float ones"
    if not executorch.available():
        return ""  # `export` says what to install
    from ._torch_cortex_m import refusal

    nodes = separate_outputs.run(graph).nodes
    return next(filter(None, (refusal(node.op) for node in nodes)), "") or beyond_int8(graph)


def export(graph: Graph, variant: str = DEFAULT) -> Files:
    """The program, and as JSON the kernels that firmware must link. UnsupportedError where a pass refuses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [*_command(graph, folder, "export", variant), "model.pte"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if result.returncode:
            raise _refused(graph, result.returncode, result.stderr)
        calls = json.loads(result.stdout.splitlines()[-1])
        said = json.dumps({"cpu": variant, "how": "not run on a core", "calls": calls}, indent=2) + "\n"
        return {f"_{variant}.pte": (folder / "model.pte").read_bytes(), f"_{variant}.json": said.encode()}


def run(graph: Graph, files: Files, variant: str = DEFAULT, threads: int = 1) -> Runner:
    """The lowered program in the Python of the other environment; a `.pte` itself would want a core and its kernels."""
    return _Session(graph, variant).run


class _Session:
    """A process that has lowered the program and runs one inference after the other until the session is collected."""

    def __init__(self, graph: Graph, cpu: str) -> None:
        self._graph, self._outputs = graph, [graph.type(n) for n in graph.outputs]
        folder = tempfile.TemporaryDirectory()
        self._said = Path(folder.name, "said")
        with self._said.open("w") as said:
            command = _command(graph, Path(folder.name), "run", cpu)
            self._process = subprocess.Popen(command, cwd=folder.name, stdin=-1, stdout=-1, stderr=said)
        self._end = weakref.finalize(self, _end, self._process, folder)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        assert self._process.stdin is not None and self._process.stdout is not None
        sizes = [t.elements * t.dtype.bytes for t in self._outputs]
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"".join(np.ascontiguousarray(x).tobytes() for x in inputs))
            self._process.stdin.flush()
        result = self._process.stdout.read(sum(sizes))
        if len(result) != sum(sizes):
            raise _refused(self._graph, self._process.wait(), self._said.read_text(encoding="utf-8"))
        parts = np.split(np.frombuffer(result, np.uint8), np.cumsum(sizes)[:-1])
        return [p.view(t.dtype.numpy).reshape(t.shape) for p, t in zip(parts, self._outputs, strict=True)]


def _end(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()
    folder.cleanup()


def _command(graph: Graph, folder: Path, task: str, cpu: str) -> list[str]:
    """Writes the torch program of `graph` and gives the start of the driver's command line."""
    python = _python()
    if python is None:
        raise MissingDependencyError("tosa-tools", "", "lowering for Cortex-M", INSTALL)
    program = executorch.exported(graph, cortex_m=True)
    with executorch.quiet():
        import torch

        torch.export.save(program, folder / "program.pt2")
    return [python, "-I", "-W", "ignore", str(DRIVER), task, "program.pt2", cpu]


def _refused(graph: Graph, code: int, said: str) -> Exception:
    """What the driver ended with, as one line."""
    last = (said.strip().splitlines() or ["no reason given"])[-1]
    if code == NO_MODULE:
        return MissingDependencyError(f"that its Python lacks ({last})", "", "lowering for Cortex-M", INSTALL)
    return UnsupportedError(f"ExecuTorch's Cortex-M passes refuse model '{graph.name}': {last}")


def _python() -> str | None:
    """The Python that RATTI_CORTEX_M names; made absolute without following the link that a venv's Python is."""
    found = shutil.which(os.environ.get(VARIABLE) or "")
    return str(Path(found).absolute()) if found else None
