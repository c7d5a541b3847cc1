"""Compression: post-training quantization to TFLite's int8 through torchao's PT2E and a Quantizer of our own."""

from __future__ import annotations

import logging

from ..errors import MissingDependencyError

# torchao warns of GPU libraries that it cannot load and of its own deprecated calls; neither is of use here.
for _noisy in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)

try:
    from .magnitude import Sparse, Storage, sparsify, storage
    from .ptq import Observer, PtqConfig, export, flattened, quantize, quantize_program
    from .qat import Qat, QatConfig, qat
    from .quantizer import Int8Quantizer
    from .sensitivity import LayerSensitivity, Sensitivity, sensitivity
    from .structured import Importance, Pruned, prune, sliced
    from .timing import epoch_seconds
except ModuleNotFoundError as _error:
    raise MissingDependencyError(_error.name or "torchao", "train", "quantization") from None

__all__ = ["Importance", "Int8Quantizer", "LayerSensitivity", "Observer", "Pruned", "PtqConfig", "Qat", "QatConfig",
           "Sensitivity", "Sparse", "Storage", "epoch_seconds", "export", "flattened", "prune", "qat",
           "quantize", "quantize_program", "sensitivity", "sliced", "sparsify", "storage"]
