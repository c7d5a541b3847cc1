"""What running a layer gives: the figures that costs of nets are composed of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .plan import Step


@dataclass(frozen=True)
class LayerFigures:
    """One layer, compiled for a target and run there. Cycles at zero wait states, and with the part's own (None where
    no table or no description of the flash was read). `code_bytes` is what its function takes in flash without its
    tables, `shared_bytes` the flash and `beside_bytes` the RAM (stack, other static data) that the firmware
    in which it was measured takes beside its layers and their arena.
    """

    instructions: int
    cycles_low: float | None
    cycles_high: float | None
    code_bytes: int
    shared_bytes: int
    beside_bytes: int


class Meter(Protocol):
    """Measures layers on one target, wherever that is done."""

    @property
    def identity(self) -> str:
        """What figures depend on beside the layer itself: equal identities measure the same."""

    def __call__(self, steps: Sequence[Step]) -> list[LayerFigures]:
        """Figures of layers, which may come from the plans of different nets."""
