"""What the linear layers of a model see on a text, layer by layer: one layer's weights are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import DataError, InputError
from ..train.loop import threads
from . import model as models
from . import text, tokenizer
from .folder import Folder

SAMPLES, LENGTH = 32, 256  # windows of the text, tokens each


@dataclass(frozen=True)
class Seen:
    """The linear layers of a layer, by module name relative to it, with statistics of what they took in.

    `moments`: sum of x xᵀ (columns, columns) where `full`, else sum of x² (columns,), float64; over `count` tokens.
    """

    index: int  # of the layer; the number of layers for the output matrix
    linears: dict[str, models.Linear]
    moments: dict[str, Tensor]
    count: int


def tokens(folder: Folder, path: Path, samples: int = SAMPLES, length: int = LENGTH) -> Tensor:
    """Windows (samples, length) spread over the text at `path`, each begun with the begin token."""
    if not (folder.path / "tokenizer.model").is_file():
        raise InputError(f"{folder.path}: calibration reads tokenizer.model, which is not there")
    processor = tokenizer.load((folder.path / "tokenizer.model").read_bytes())
    ids = np.array(processor.encode(text.read(path)), np.int64)
    length = min(length, folder.shape.context)
    if len(ids) < length:
        raise DataError(f"{path}: {len(ids)} tokens are too few to calibrate with; give {length} or more")
    starts = np.linspace(0, len(ids) - length + 1, samples).astype(np.int64)
    begin = max(processor.bos_id(), 0)
    return torch.from_numpy(np.stack([np.concatenate(([begin], ids[s : s + length - 1])) for s in starts]))


def stream(folder: Folder, ids: Tensor, full: bool, cores: int = 1) -> Iterator[Seen]:
    """Yields each layer with its statistics, then the output matrix. Weights of the layer that the caller changes are
    what the next layer's inputs come from.
    """
    shape = folder.shape
    with threads(cores):
        table = torch.from_numpy(folder.weights("model.embed_tokens.weight"))
        hidden = functional.embedding(ids, table)
        turn = models.rotation(shape, ids.shape[1])
        for index in range(shape.layers):
            layer: nn.Module = models.Layer(shape, folder.architecture.fused).eval()
            prefix = f"model.layers.{index}."
            layer.load_state_dict({t.name.removeprefix(prefix): torch.from_numpy(folder.weights(t.name))
                                   for t in folder.architecture.layer_tensors(shape, index)})
            moments: dict[str, Tensor] = {}
            linears = {name: m for name, m in layer.named_modules() if isinstance(m, models.Linear)}
            hooks = [m.register_forward_pre_hook(partial(_collect, moments, name, full)) for name, m in linears.items()]
            after = _forward(layer, hidden, turn)
            for hook in hooks:
                hook.remove()
            yield Seen(index, linears, moments, ids.numel())
            hidden = _forward(layer, hidden, turn) if full else after
        norm = models.Norm(shape.hidden, shape.norm_epsilon)
        norm.load_state_dict({"weight": torch.from_numpy(folder.weights("model.norm.weight"))})
        head = models.Linear(shape.hidden, shape.vocabulary)
        head.weight = nn.Parameter(table if shape.tied else torch.from_numpy(folder.weights("lm_head.weight")))
        moments = {}
        with torch.inference_mode():
            _collect(moments, "lm_head", full, head, (norm(hidden),))
        yield Seen(shape.layers, {"lm_head": head}, moments, ids.numel())


def _forward(layer: nn.Module, hidden: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([layer(hidden[i : i + 1], turn) for i in range(len(hidden))])


def _collect(moments: dict[str, Tensor], name: str, full: bool, module: nn.Module, inputs: Any) -> None:
    x = inputs[0].flatten(0, -2)
    found = (x.T @ x if full else (x * x).sum(0)).double()
    moments[name] = moments[name] + found if name in moments else found
