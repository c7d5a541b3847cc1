"""Q4_1: x ~ d * code + m: 32 weights, a float16 scale and minimum, 4 bits a weight."""

from __future__ import annotations

from ._simple import asymmetric

TYPE = asymmetric("Q4_1", 3, 4)
