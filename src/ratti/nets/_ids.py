"""Net ids, `family-width-resolution`, and the specs that they stand for. A family is a module of this package."""

from __future__ import annotations

import re
from typing import Protocol, cast

from .. import registry
from ..errors import InputError
from ..types import Shape
from ._blocks import Block, Join
from ._layers import Fc
from ._spec import NetSpec

PACKAGE = "ratti.nets"
ID = re.compile(r"(?P<family>[a-z][a-z0-9_]*)-(?P<width>\d+(\.\d+)?)-(?P<resolution>\d+)")
MAX_WIDTH, MAX_RESOLUTION = 4.0, 1024
JOIN_HIDDEN, JOIN_WIDTH = 16, 32


class Family(Protocol):
    """What the module of a family offers."""

    DEFAULT_CLASSES: int
    EXAMPLE: str

    def input_shape(self, resolution: int) -> Shape:
        """(H, W, C) of the paper's data at this resolution."""

    def blocks(self, width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
        """The net for an input of `shape` under a width multiplier."""


def families() -> tuple[str, ...]:
    """Names of the known families."""
    return registry.modules(PACKAGE)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a net id (its family need not exist)."""
    return ID.fullmatch(text) is not None


def resolution(net_id: str) -> int:
    """The resolution in an id: the height of its input; InputError where it is no id."""
    return _parse(net_id)[2]


def spec(net_id: str, *, input_shape: Shape | None = None, classes: int | None = None, numbers: int = 0) -> NetSpec:
    """The net that `net_id` stands for.

    Args:
        net_id: such as `mobilenet_v2-0.35-96`.
        input_shape: (H, W, C) of the data; H must be the id's resolution. None: the family's own.
        classes: how many the data has. None: the family's own.
        numbers: how many numbers stand beside each sample; they join the features before the last layer.

    Raises:
        InputError: an unknown family, a malformed id, or an input that does not go with it.
    """
    name, width, height = _parse(net_id)
    family = cast(Family, registry.load(PACKAGE, name))
    shape = input_shape or family.input_shape(height)
    if shape[0] != height:
        raise InputError(f"{net_id} takes inputs of height {height}, the data has {shape}: resize the data, "
                         f"or take {name}-{width:g}-{shape[0]}")
    classes = family.DEFAULT_CLASSES if classes is None else classes
    if classes < 2:
        raise InputError(f"{net_id}: {classes} classes; at least 2 are needed")
    blocks = family.blocks(width, tuple(shape), classes)
    if numbers:
        if not isinstance(blocks[-1], Fc):
            raise InputError(f"{net_id} takes no numbers beside its input")
        blocks = (*blocks[:-1], Join(JOIN_HIDDEN, JOIN_WIDTH), blocks[-1])
    return NetSpec(net_id, tuple(shape), blocks, numbers)


def _parse(net_id: str) -> tuple[str, float, int]:
    match = ID.fullmatch(net_id)
    if match is None:
        known = ", ".join(families())
        raise InputError(f"'{net_id}' is no net id; ids are family-width-resolution, such as mobilenet_v2-0.35-96; "
                         f"families: {known}")
    if match["family"] not in families():
        raise registry.unknown("net family", match["family"], families())
    width, height = float(match["width"]), int(match["resolution"])
    if not 0 < width <= MAX_WIDTH or not 1 <= height <= MAX_RESOLUTION:
        raise InputError(f"{net_id}: width must be above 0 and at most {MAX_WIDTH:g}, "
                         f"resolution 1 to {MAX_RESOLUTION}")
    return match["family"], width, height
