"""A Hugging Face folder to GGUF: tensors renamed, rotary rows reordered for Llama, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..types import Array
from . import architectures, gguf, quants, vocabulary
from .architectures import Tensor
from .folder import Folder, open_folder
from .gguf.writer import TensorPlan, pieces
from .progress import bar
from .shape import Shape

FLOATS = {"f32": 0, "f16": 1, "bf16": 32}  # GGUF's general.file_type
STORED = {"F32": "f32", "F16": "f16", "BF16": "bf16"}


@dataclass(frozen=True)
class Converted:
    """A GGUF file made from a folder."""

    path: Path
    architecture: str
    parameters: int
    bytes: int
    type: str

    def to_json(self) -> dict[str, Any]:
        return {"schema": "ratti.llm.convert/1", **asdict(self), "path": str(self.path)}


def convert(folder: Path, out: Path | None = None, type: str = "auto", progress: bool = True) -> Converted:
    """Writes the model of `folder` as GGUF, tensor by tensor from the mapped files, so that memory holds one piece.

    Args:
        out: the file; default: the folder's name with the type, beside it.
        type: f32, f16, bf16, or auto: as most of the folder's weights are stored.

    Raises:
        InputError, FormatError, UnsupportedError: see `open_folder`; a file that exists is replaced.
    """
    model = open_folder(folder)
    if type == "auto":
        stored = [model.entries[t.name].dtype for t in model.tensors if t.is_linear]
        type = STORED.get(max(set(stored), key=stored.count), "f32")
    if type not in FLOATS:
        raise InputError(f"type '{type}': conversion writes {', '.join(FLOATS)} or auto; quantize makes the others")
    path = out or folder.parent / f"{model.name}-{type}.gguf"
    matrix, vector = quants.load(type), quants.load("f32")
    factors = model.architecture.factors(model.shape)
    plans = [TensorPlan(name, (len(values),), vector) for name, values in factors.items()]
    sources: dict[str, Tensor] = {}
    for tensor in model.tensors:
        plans.append(TensorPlan(tensor.gguf, tensor.shape, matrix if len(tensor.shape) > 1 else vector))
        sources[tensor.gguf] = tensor
    total = sum(p.bytes for p in plans)
    with bar("converting", total, progress) as advance:

        def data(plan: TensorPlan) -> Iterator[Array]:
            if plan.name in factors:
                yield plan.type.quantize(np.array([factors[plan.name]], np.float32))
                return
            for piece in _rows(model, sources[plan.name]):
                found = plan.type.quantize(piece)
                advance(found.nbytes, plan.name)
                yield found

        gguf.write(path, metadata(model, FLOATS[type]), plans, data)
    count = model.architecture.parameters(model.shape)
    return Converted(path, model.architecture.id, count, path.stat().st_size, type)


def metadata(model: Folder, file_type: int) -> dict[str, Any]:
    """GGUF's metadata of a model."""
    found: dict[str, Any] = {
        "general.architecture": model.architecture.id,
        "general.type": "model",
        "general.name": _name(model),
        "general.file_type": file_type,
        "general.quantization_version": 2,
    }
    return found | sizes(model.shape) | vocabulary.metadata(model.path, model.shape.vocabulary)


def sizes(s: Shape) -> dict[str, Any]:
    """GGUF's metadata of a shape."""
    found: dict[str, Any] = {
        "block_count": s.layers,
        "context_length": s.context,
        "embedding_length": s.hidden,
        "feed_forward_length": s.feed_forward,
        "attention.head_count": s.heads,
        "attention.head_count_kv": s.kv_heads,
        "attention.layer_norm_rms_epsilon": float(s.norm_epsilon),
        "rope.dimension_count": s.head_size,
        "rope.freq_base": float(s.rope.theta),
        **architectures.load(s.architecture).metadata(s),
    }
    return {f"{s.architecture}.{key}": value for key, value in found.items()}


def _name(model: Folder) -> str:
    """The folder's name. llama.cpp takes a name with `phi-3` for Microsoft's model and expects its `<|end|>` tokens, so
    a model without them must not be called so.
    """
    lower = model.name.lower()
    if "phi-3" not in lower and "phi3" not in lower:
        return model.name
    tokens = vocabulary.metadata(model.path, model.shape.vocabulary)["tokenizer.ggml.tokens"]
    return model.name if "<|endoftext|>" in tokens else lower.replace("phi-3", "phi").replace("phi3", "phi")


def _rows(model: Folder, tensor: Tensor) -> Iterator[Array]:
    """A tensor as float32 (rows, columns) in pieces, its rotary rows interleaved."""
    entry = model.entries[tensor.name]
    if len(tensor.shape) == 1:
        yield entry.float32()[None]
        return
    rows, columns = tensor.shape
    order = interleaved(rows, tensor.rotary_heads) if tensor.rotary_heads else None
    for part in pieces(rows, columns):
        mapped = entry.raw()  # mapped anew for each piece: pages that were read do not pile up
        taken = np.asarray(mapped[part] if order is None else mapped[order[part]])
        del mapped
        yield (taken.astype(np.uint32) << 16).view(np.float32) if entry.dtype == "BF16" else taken.astype(np.float32)


def interleaved(rows: int, heads: int) -> Array:
    """Order of rows in which each head's two halves alternate: GGUF's Llama turns neighbors (2i, 2i + 1), Hugging
    Face's turns (i, i + half).
    """
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
