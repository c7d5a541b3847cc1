"""Q4_0: x ~ d * (code - 8): 32 weights, a float16 scale, 4 bits a weight."""

from __future__ import annotations

from ._simple import symmetric

TYPE = symmetric("Q4_0", 2, 4)
