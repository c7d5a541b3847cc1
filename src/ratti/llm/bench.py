"""Quality, speed and memory of GGUF files here, the float file against each smaller one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import gguf, mixes
from . import text as texts
from .convert import convert
from .llamacpp import Flags, library
from .measure import measure
from .quantize import quantize


@dataclass(frozen=True)
class Row:
    """One file. `against_float` is the rise of perplexity over the first row, 0.01 for 1 %."""

    name: str
    bytes: int
    bits_per_weight: float
    perplexity: float | None
    against_float: float | None
    bits_per_character: float | None
    tokens_per_s: float
    prompt_tokens_per_s: float
    peak_rss_bytes: int
    process_bytes: int


@dataclass(frozen=True)
class BenchResult:
    """One row a file; everything measured on this computer."""

    rows: tuple[Row, ...]
    text: str | None
    context: int  # of perplexity
    threads: int

    def to_json(self) -> dict[str, Any]:
        return {"schema": "ratti.llm.bench/1", "how": "measured", "text": self.text, "context": self.context,
                "threads": self.threads, "rows": [vars(row) for row in self.rows]}


def bench(model: Path | Sequence[Path], types: Sequence[str] = (), text: Path | None = None, flags: Flags | None = None,
          window: int = 256, say: Callable[[str], None] = lambda line: None) -> BenchResult:
    """Measures the files `model`; of a folder or one float file, also each of `types` made from it.

    InputError for an unknown type, a file that is not there; DataError for a text that cannot be read.
    """
    library()
    flags = flags or Flags(context=window)
    models = [model] if isinstance(model, Path) else list(model)
    for name in types:
        mixes.load(name)
    if text is not None:
        texts.read(text)
    if types and len(models) != 1:
        raise InputError("give one model to make --types of, or several files without --types")
    with ExitStack() as stack:
        if types or models[0].is_dir():
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ratti-")))
            source = models[0]
            if source.is_dir():
                say(f"converting {source}")
                source = convert(source, place / f"{source.resolve().name}-f32.gguf", "f32", progress=False).path
            models = [source]
            for name in types:
                say(f"quantizing to {name}")
                models.append(quantize(source, name, place / f"{source.stem}-{name}.gguf", progress=False).path)
        rows: list[Row] = []
        for path in models:
            say(f"measuring {path.name}")
            rows.append(_row(path, flags, text, window, rows[0] if rows else None))
    return BenchResult(tuple(rows), str(text) if text else None, window, flags.threads)


def _row(path: Path, flags: Flags, text: Path | None, window: int, first: Row | None) -> Row:
    file = gguf.open_gguf(path)
    weights = sum(_count(t.shape) for t in file.tensors)
    flags = replace(flags, context=max(flags.context, 96))
    found = measure(path, flags, text_path=text, window=window)
    perplexity = found.score.perplexity if found.score else None
    base = first.perplexity if first else perplexity
    return Row(
        path.stem,
        path.stat().st_size,
        sum(t.bytes for t in file.tensors) * 8 / weights,
        perplexity,
        perplexity / base - 1 if perplexity and base else None,
        found.score.bits_per_character if found.score else None,
        found.tokens_per_s,
        found.prompt_tokens_per_s,
        found.peak_rss_bytes,
        found.process_bytes,
    )


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for extent in shape:
        total *= extent
    return total
