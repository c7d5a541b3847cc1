"""llama.cpp through its Python binding: an optional extra. Loading, logits, text, its own quantizer; quiet.

The low-level interface is used, since it lets the flags be set that decide memory: repacking, batch, cache type.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, InputError, MissingDependencyError, RattiError
from ..types import Array

CACHE_TYPES = {"f16": 1, "q8_0": 8}
LOG_ERROR = 4  # ggml's level


@dataclass(frozen=True)
class Flags:
    """How llama.cpp runs a model. The defaults are its own, but for the threads."""

    context: int = 2048
    batch: int = 512  # tokens of a prompt at a time
    cache: str = "f16"  # type of the key-value cache
    repack: bool = True  # keep a second copy of 4-bit weights in an order that its kernels like
    threads: int = 0  # 0: all cores

    def __post_init__(self) -> None:
        if self.cache not in CACHE_TYPES:
            raise InputError(f"cache type '{self.cache}'; known: {', '.join(CACHE_TYPES)}")
        if min(self.context, self.batch) < 1 or self.threads < 0:
            raise InputError("context and batch must be at least 1, threads at least 0")

    def line(self) -> str:
        """The same as options of llama.cpp's programs."""
        parts = [f"--ctx-size {self.context}"]
        if self.batch != 512:
            parts.append(f"--batch-size {self.batch} --ubatch-size {self.batch}")
        if self.cache != "f16":
            parts.append(f"--cache-type-k {self.cache} --cache-type-v {self.cache} --flash-attn on")
        if not self.repack:
            parts.append("--no-repack")
        if self.threads:
            parts.append(f"--threads {self.threads}")
        return " ".join(parts)


@functools.cache
def library() -> Any:
    """The binding, quiet and started. MissingDependencyError where it is not installed."""
    try:
        import llama_cpp
    except ImportError:
        raise MissingDependencyError("llama-cpp-python", "llama", "running a GGUF file") from None
    llama_cpp.llama_log_set(_log, None)
    llama_cpp.llama_backend_init()
    return llama_cpp


def installed() -> bool:
    """Whether the binding is there."""
    try:
        library()
    except MissingDependencyError:
        return False
    return True


_messages: list[str] = []


def _keep(level: int, text: bytes | None, data: Any) -> None:
    if level == LOG_ERROR and text:
        _messages.append(text.decode("utf-8", "replace").strip())


_log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_keep)  # kept alive for the library


class Engine:
    """A model that is loaded, with one sequence in its cache."""

    def __init__(self, path: Path, flags: Flags) -> None:
        """Loads `path`; FormatError where llama.cpp refuses it, InputError where there is none."""
        if not path.is_file():
            raise InputError(f"{path}: no file; give a .gguf (ratti llm convert makes one)")
        self.lib, self.flags, self.path = library(), flags, path
        self._model: Any = None
        self._context: Any = None
        _messages.clear()
        wanted = self.lib.llama_model_default_params()
        wanted.use_extra_bufts = flags.repack
        self._model = self.lib.llama_model_load_from_file(str(path).encode(), wanted)
        if not self._model:
            raise FormatError(f"{path}: llama.cpp cannot load it ({_last()})")
        self.vocab = self.lib.llama_model_get_vocab(self._model)
        c = self.lib.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch = flags.context, flags.batch, flags.batch
        c.n_threads = c.n_threads_batch = flags.threads or os.cpu_count() or 1
        c.type_k = c.type_v = CACHE_TYPES[flags.cache]
        self._context = self.lib.llama_init_from_model(self._model, c)
        if not self._context:
            raise RattiError(f"{path}: llama.cpp makes no context of {flags.context} tokens ({_last()})")
        self.vocabulary = int(self.lib.llama_vocab_n_tokens(self.vocab))
        self.begin = int(self.lib.llama_vocab_bos(self.vocab))
        self.used = 0  # tokens in the cache

    def close(self) -> None:
        """Frees the model."""
        if self._context:
            self.lib.llama_free(self._context)
        if self._model:
            self.lib.llama_model_free(self._model)
        self._context = self._model = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    @property
    def context(self) -> int:
        return int(self.lib.llama_n_ctx(self._context))

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Token ids of `text`; `special`: control tokens in it count as such, and the begin token is added."""
        data = text.encode()
        room = len(data) + 8
        ids = (ctypes.c_int32 * room)()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, room, special, special)
        if count < 0:
            raise RattiError(f"llama.cpp cannot tokenize a text of {len(data)} bytes")
        return list(ids[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of a token; control tokens have none."""
        room = ctypes.create_string_buffer(256)
        count = self.lib.llama_token_to_piece(self.vocab, token, room, len(room), 0, False)
        return room.raw[: max(count, 0)]

    def ends(self, token: int) -> bool:
        """Whether the model says with `token` that it is done."""
        return bool(self.lib.llama_vocab_is_eog(self.vocab, token))

    def clear(self) -> None:
        """Forgets what it has read."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self._context), True)
        self.used = 0

    def logits(self, tokens: Array | list[int], every: bool = True) -> Array:
        """Reads `tokens` after what it has read; logits (T, vocabulary) float32, or of the last one alone (1, …)."""
        found = []
        for at in range(0, len(tokens), self.flags.batch):
            part = tokens[at : at + self.flags.batch]
            batch = self.lib.llama_batch_init(len(part), 0, 1)
            try:
                batch.n_tokens = len(part)
                for i, token in enumerate(part):
                    batch.token[i], batch.pos[i] = int(token), self.used + i
                    batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                    batch.logits[i] = every or at + i == len(tokens) - 1
                status = self.lib.llama_decode(self._context, batch)
            finally:
                self.lib.llama_batch_free(batch)
            if status:
                raise InputError(f"the context of {self.context} tokens is full; ask for more with --context")
            self.used += len(part)
            wanted = len(part) if every else int(at + len(part) == len(tokens))
            if wanted:
                data = self.lib.llama_get_logits(self._context)
                found.append(np.ctypeslib.as_array(data, (wanted, self.vocabulary)).copy())
        return np.concatenate(found)

    def template(self) -> str | None:
        """The chat template in the file, if any."""
        found = self.lib.llama_model_chat_template(self._model, None)
        return found.decode("utf-8", "replace") if found else None


def quantize(source: Path, target: Path, file_type: int, importance: Mapping[str, Array] | None, threads: int) -> None:
    """llama.cpp's own quantizer. FormatError where it refuses."""
    lib = library()
    _messages.clear()
    p = lib.llama_model_quantize_default_params()
    p.ftype, p.nthread = file_type, threads
    keep: list[Any] = []
    if importance:
        entries = (lib.llama_model_imatrix_data * (len(importance) + 1))()
        for entry, (name, values) in zip(entries, importance.items(), strict=False):
            data = np.ascontiguousarray(values, np.float32)
            keep.append(data)
            entry.name, entry.size = name.encode(), data.size
            entry.data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        p.imatrix = entries
    with _quiet_descriptors():
        status = lib.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(p))
    if status:
        raise FormatError(f"{source}: llama.cpp's quantizer refuses it ({_last()})")


def _last() -> str:
    return _messages[-1][:200] if _messages else "no reason given"


@contextlib.contextmanager
def _quiet_descriptors() -> Iterator[None]:
    """Standard output and error of the C library, away for a while: the quantizer prints a table."""
    saved = [os.dup(1), os.dup(2)]
    away = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(away, 1)
        os.dup2(away, 2)
        yield
    finally:
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for number in (*saved, away):
            os.close(number)
