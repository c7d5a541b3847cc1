"""Measures one GGUF file in a process of its own, so that peak memory is its alone: `python -m ratti.llm.measure`.

Reads a JSON object on standard input (path, flags, what to measure) and writes one on standard output.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, InputError, MissingDependencyError, RattiError
from . import text
from .llamacpp import Engine, Flags

KINDS = {kind.__name__: kind for kind in (InputError, FormatError, RattiError)}
TIME_LIMIT_S = 3600


@dataclass(frozen=True)
class Measured:
    """What one file took. Memory in bytes, speed in tokens per second."""

    peak_rss_bytes: int  # while it ran, the process itself included
    process_bytes: int  # of that, before the model was loaded
    prompt_tokens_per_s: float
    tokens_per_s: float
    score: text.Score | None


def measure(path: Path, flags: Flags, prompt: int = 64, generate: int = 16, text_path: Path | None = None,
            window: int = 256) -> Measured:
    """Loads `path` in a new process, reads a prompt, generates, and measures perplexity on a text where one is given.

    Args:
        prompt, generate: tokens; their sum must fit the context.
        window: tokens of context for perplexity.
    """
    job = {"path": str(path), "flags": dataclasses.asdict(flags), "prompt": prompt, "generate": generate,
           "text": str(text_path) if text_path else None, "window": window}
    try:
        done = subprocess.run([sys.executable, "-m", __name__], input=json.dumps(job), capture_output=True, text=True,
                              timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise RattiError(f"{path}: not measured within {TIME_LIMIT_S} s") from None
    if done.returncode or not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RattiError(f"{path}: llama.cpp stopped ({last[:200]})")
    found = json.loads(done.stdout)
    if "error" in found:
        raise KINDS.get(found["kind"], RattiError)(found["error"])
    score = text.Score(**found.pop("score")) if found.get("score") else None
    return Measured(**{**found, "score": score})


def peak_rss() -> int:
    """Largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts from the parent's
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    path, flags = Path(job["path"]), Flags(**job["flags"])
    content = text.read(Path(job["text"])) if job["text"] else None
    before = peak_rss()
    rng = np.random.default_rng(0)
    with Engine(path, flags) as engine:
        tokens = rng.integers(0, engine.vocabulary, job["prompt"]).tolist()
        engine.logits(tokens[:1], every=False)  # the first call allocates
        engine.clear()
        started = time.perf_counter()
        last = engine.logits(tokens, every=False)
        read = time.perf_counter() - started
        started = time.perf_counter()
        for _ in range(job["generate"]):
            last = engine.logits([int(last[-1].argmax())], every=False)
        made = time.perf_counter() - started
    out = {"peak_rss_bytes": peak_rss(), "process_bytes": before, "prompt_tokens_per_s": job["prompt"] / read,
           "tokens_per_s": job["generate"] / made, "score": None}
    if content is not None:
        window = job["window"]
        with Engine(path, dataclasses.replace(flags, context=window, batch=window)) as engine:
            ids = np.array(engine.tokenize(content), np.int64)

            def logits_of(part: Any) -> Any:
                engine.clear()
                return engine.logits(part)

            out["score"] = dataclasses.asdict(text.score(ids, len(content), window, engine.begin, logits_of))
    return out


if __name__ == "__main__":
    try:
        print(json.dumps(_run(json.load(sys.stdin))))
    except (RattiError, MissingDependencyError) as error:
        print(json.dumps({"error": str(error), "kind": type(error).__name__}))
