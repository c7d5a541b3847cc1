"""Every op as integer loops in TVM's tensor expressions. No float type occurs anywhere; maps are NHWC."""

from . import elementwise, layers, moves, reductions  # they register their ops
from .lowering import ACCUMULATOR, RESCALED, Lowered, supported, write

__all__ = ["ACCUMULATOR", "RESCALED", "Lowered", "elementwise", "layers", "moves", "reductions", "supported", "write"]
