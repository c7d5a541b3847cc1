"""Pictures as a camera on the device would give them, and what its front end makes of them."""

from __future__ import annotations

import numpy as np

from .. import features
from ..errors import InputError
from ..features import FrontEnd, Window
from ..features.image import Image
from ..types import Array
from .options import Options


def chosen(options: Options, size: tuple[int, int], frame: tuple[int, int] = (0, 0)) -> Image | None:
    """The front end of a camera, where one is asked for: from its frames, of the size `frame` unless it says another,
    to pictures of `size`. InputError for another front end, or settings that cannot be met.
    """
    given = options.front_end
    if given is None:
        return None
    if not isinstance(given, FrontEnd):
        if given.get("name") in set(features.front_ends()) - {Image.name}:
            raise InputError(f"front end {given['name']} does not take pictures; {Image.name} does")
        shape = {"rows": size[0], "columns": size[1], **({"channels": options.channels} if options.channels else {})}
        given = features.make({**shape, **given}, Window((*frame, 3)), None)
    if not isinstance(given, Image):
        raise InputError(f"front end {given.name} does not take pictures; {Image.name} does")
    return given


def channels(front: Image) -> int:
    """Of the pictures that become its frames."""
    return 1 if front.format == "gray" else 3


def pictures(front: Image, frames: Array) -> Array:
    """uint8 (N, height, width, channels) to uint8 (N, rows, columns, channels): encoded, and through the front end."""
    return front.compute(front.encode(frames)).astype(np.uint8)
