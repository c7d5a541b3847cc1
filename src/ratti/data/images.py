"""Reading and resizing pictures with Pillow: everything becomes uint8 (H, W, C), gray or RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingDependencyError
from ..types import Array

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"})
MODES = {1: "L", 3: "RGB"}  # Pillow's mode by number of channels
EIGHT_BIT = frozenset({"1", "L", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LA", "PA", "La", "RGBa", "HSV", "LAB"})


class BadImageError(Exception):
    """A picture that cannot be used; the message is the reason."""


def read(path: Path, size: tuple[int, int], channels: int) -> Array:
    """The picture at `path` as uint8 (H, W, C) of `size` = (H, W): turned upright by its EXIF tag, cut to the aspect
    ratio from its center, resized with antialiasing. Raises BadImageError."""
    pillow = _pillow()
    data = path.read_bytes()
    if not data:
        raise BadImageError("the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            image = pillow.Image.open(io.BytesIO(data))
            image.draft(MODES[channels], (2 * size[1], 2 * size[0]))  # JPEG: decode no larger than needed
            image.load()
    except pillow.UnidentifiedImageError:
        raise BadImageError("not a picture, or damaged") from None
    except (pillow.Image.DecompressionBombError, pillow.Image.DecompressionBombWarning):
        raise BadImageError("too many pixels") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error, ...
        raise BadImageError(f"damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from None
    if image.mode not in EIGHT_BIT:
        raise BadImageError(f"pixels of mode {image.mode}; 8 bits a channel are needed")
    return _fit(pillow.ImageOps.exif_transpose(image), size, channels)


def resize(x: Array, size: tuple[int, int], channels: int) -> Array:
    """Images x (N, H, W, C) uint8 as (N, *size, channels); the same array where nothing changes."""
    if x.shape[1:] == (*size, channels):
        return x
    pillow = _pillow()
    images = (pillow.Image.fromarray(sample[:, :, 0] if sample.shape[2] == 1 else sample) for sample in x)
    return np.stack([_fit(image, size, channels) for image in images])


def version() -> str:
    """Of what decodes and resizes: another one may give other pixels."""
    return str(_pillow().__version__)


def _fit(image: Image, size: tuple[int, int], channels: int) -> Array:
    pillow = _pillow()
    image = image.convert(MODES[channels])
    if (image.height, image.width) != size:
        image = pillow.ImageOps.fit(image, (size[1], size[0]), pillow.Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(*size, channels)


def _pillow() -> Any:
    try:
        import PIL
        import PIL.Image
        import PIL.ImageOps
    except ImportError:
        raise MissingDependencyError("pillow", "train", "reading pictures") from None
    return PIL
