"""Q4_0's rounding in PyTorch with a straight-through gradient, for quantization-aware training.

The forward pass sees the weights that a Q4_0 file will hold; the backward pass takes the rounding for the identity
(Bengio et al. 2013; Jacob et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 32


def q4_0(weight: Tensor) -> Tensor:
    """`weight` (rows, columns), columns a multiple of 32, as `quants/q4_0.py` stores it (where two weights of a block
    are equally large and of opposite sign, the negative one gives the sign).
    """
    with torch.no_grad():
        blocks = weight.reshape(-1, BLOCK)
        low, high = torch.aminmax(blocks, dim=1, keepdim=True)
        scale = torch.where(high > -low, high, low) / -8
        inverse = torch.where(scale == 0, 0.0, 1 / scale)
        codes = (blocks * inverse + 8.5).floor_().clamp_(0, 15) - 8
        rounded = (codes * scale.half().float()).reshape(weight.shape)
    return weight + (rounded - weight).detach()
