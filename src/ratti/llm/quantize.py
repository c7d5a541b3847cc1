"""A float GGUF file to a small one: by our own quantizers on all cores, or by llama.cpp's where it is installed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, UnsupportedError
from ..types import Array
from . import gguf, llamacpp, mixes, quants
from .files import replacing
from .gguf.reader import GgufFile, TensorEntry, Value
from .gguf.writer import TensorPlan, pieces, row_count
from .progress import bar

ENGINES = ("auto", "own", "llama.cpp")
CHUNK = 1 << 16  # weights at a time: the arrays of the search stay in the cache
AHEAD = 4  # chunks a worker may be ahead of the writer
UINT32 = 4


@dataclass(frozen=True)
class Quantized:
    """A file made smaller."""

    path: Path
    type: str
    engine: str
    bytes: int
    source_bytes: int
    bits_per_weight: float
    types: dict[str, int]  # tensors of each block type

    def to_json(self) -> dict[str, Any]:
        return {"schema": "ratti.llm.quantize/1", **asdict(self), "path": str(self.path)}


def quantize(source: Path, type: str = "q4_k_m", out: Path | None = None, *,
             importance: Mapping[str, Array] | None = None,
             engine: str = "auto", threads: int = 0, progress: bool = True) -> Quantized:
    """Writes `source` (F32, F16 or BF16) in the file type `type`.

    Args:
        importance: mean squares of each column's activations by tensor (`importance.measure`).
        engine: own (needs nothing else), llama.cpp, or auto: llama.cpp where it is installed. Both give equal bytes.

    Raises:
        InputError, FormatError: no file, a damaged one, an unknown type, a full disk.
        UnsupportedError: a file that is quantized already.
    """
    mix = mixes.load(type)
    if engine not in ENGINES:
        raise InputError(f"engine '{engine}'; known: {', '.join(ENGINES)}")
    file = gguf.open_gguf(source)
    done = [t.name for t in file.tensors if t.type not in (quants.load(f).id for f in ("f32", "f16", "bf16"))]
    if done:
        raise UnsupportedError(f"{source}: is quantized already ('{done[0]}'); quantize the float file")
    _check_importance(file, importance)
    path = out or source.with_name(f"{_stem(source)}-{mix.name}.gguf")
    if path.resolve() == source.resolve():
        raise InputError(f"{path}: is the source itself; name another file")
    workers = threads or os.cpu_count() or 1
    chosen = ("llama.cpp" if llamacpp.installed() else "own") if engine == "auto" else engine
    if chosen == "llama.cpp":
        with replacing(path, _plan_bytes(file, mix, importance is not None)) as part:
            llamacpp.quantize(source, part, mix.file_type, importance, workers)
    else:
        _own(file, mix, path, importance, workers, progress)
    made = gguf.open_gguf(path)
    weights = sum(int(np.prod(t.shape)) for t in made.tensors)
    types: dict[str, int] = {}
    for t in made.tensors:
        found = quants.by_id(t.type)
        types[found.name if found else str(t.type)] = types.get(found.name if found else str(t.type), 0) + 1
    bits = sum(t.bytes for t in made.tensors) * 8 / weights
    return Quantized(path, mix.name, chosen, path.stat().st_size, source.stat().st_size, bits, types)


def _own(file: GgufFile, mix: mixes.Mix, path: Path, importance: Mapping[str, Array] | None, workers: int,
         progress: bool) -> None:
    plans = _plans(file, mix, importance is not None)
    entries = {t.name: t for t in file.tensors}
    metadata: dict[str, Any] = {k: v for k, v in file.metadata.items() if k != "general.alignment"}
    metadata["general.file_type"] = Value(UINT32, mix.file_type)
    metadata["general.quantization_version"] = Value(UINT32, 2)
    with ThreadPoolExecutor(workers) as pool, bar("quantizing", sum(p.bytes for p in plans), progress) as advance:

        def data(plan: TensorPlan) -> Iterator[Array]:
            entry, weigh = entries[plan.name], (importance or {}).get(plan.name)
            waiting: deque[Future[Array]] = deque()
            for part in pieces(row_count(entry.shape), entry.shape[-1], CHUNK):
                waiting.append(pool.submit(_chunk, file, entry, part, plan, weigh))
                if len(waiting) >= workers * AHEAD:
                    yield _step(waiting.popleft(), advance, plan.name)
            while waiting:
                yield _step(waiting.popleft(), advance, plan.name)

        gguf.write(path, metadata, plans, data)


def _step(future: Future[Array], advance: Any, name: str) -> Array:
    found = future.result()
    advance(found.nbytes, name)
    return found


def _chunk(file: GgufFile, entry: TensorEntry, part: slice, plan: TensorPlan, weigh: Array | None) -> Array:
    source = quants.by_id(entry.type)
    assert source is not None  # float types, as checked
    rows = np.asarray(file.raw(entry)[part])
    return rows if source.id == plan.type.id else plan.type.quantize(source.dequantize(rows), weigh)


def _plans(file: GgufFile, mix: mixes.Mix, importance: bool) -> list[TensorPlan]:
    kinds = mix.assign({t.name: t.shape for t in file.tensors}, importance)
    plans = []
    for t in file.tensors:
        kind = kinds[t.name] or quants.by_id(t.type)
        assert kind is not None
        plans.append(TensorPlan(t.name, t.shape, kind))
    return plans


def _plan_bytes(file: GgufFile, mix: mixes.Mix, importance: bool) -> int:
    return sum(p.bytes for p in _plans(file, mix, importance))


def _check_importance(file: GgufFile, importance: Mapping[str, Array] | None) -> None:
    shapes = {t.name: t.shape for t in file.tensors}
    for name, values in (importance or {}).items():
        if name not in shapes or len(values) != shapes[name][-1]:
            raise InputError(f"the importance matrix is of another model: '{name}' with {len(values)} columns")


def _stem(path: Path) -> str:
    """The name without a float type at its end."""
    stem = path.stem
    for kind in ("f32", "f16", "bf16"):
        stem = stem.removesuffix(f"-{kind}")
    return stem
