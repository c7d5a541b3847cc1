"""Q5_1: x ~ d * code + m: 32 weights, a float16 scale and minimum, 5 bits a weight."""

from __future__ import annotations

from ._simple import asymmetric

TYPE = asymmetric("Q5_1", 7, 5)
