"""Q5_0: x ~ d * (code - 16): 32 weights, a float16 scale, 5 bits a weight."""

from __future__ import annotations

from ._simple import symmetric

TYPE = symmetric("Q5_0", 6, 5)
