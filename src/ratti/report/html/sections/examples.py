"""Pictures of validation samples that the int8 model gets wrong, and of some that it gets right."""

from __future__ import annotations

import base64
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ....errors import InputError
from ....types import Array
from ..markup import Markup, join, section, tag
from ..runs import Model

FILE = "examples.npz"
MOST_BYTES = 64 << 20
SHOWN_RIGHT = 6
SIDE = 72  # of a drawing of a signal


def examples(model: Model) -> Markup:
    """Tiles of the bundle's `examples.npz`; nothing where there is no such file."""
    path = model.folder / FILE if model.folder else None
    if path is None or not path.is_file():
        return join()
    x, words, right, marks, looked_at, is_image = _read(path)
    wrong = np.flatnonzero(~right)
    shown = (*wrong, *np.flatnonzero(right)[:SHOWN_RIGHT])
    tiles = [_tile(x[k], str(words[k]), bool(right[k]), marks[marks[:, 0] == k, 1:], is_image) for k in shown]
    about = f"{len(wrong)} mistakes" if len(wrong) != 1 else "1 mistake"
    note = (f"From the validation part, {looked_at:,} samples of which were looked at: {about}, then some that are "
            "right." + (" Rings are where objects are, crosses where the int8 net finds them." if len(marks) else ""))
    return section("What mistakes look like", tag("div", tiles, class_="tiles"), note=note)


def _read(path: Path) -> tuple[Array, Array, Array, Array, int, bool]:
    """Samples (N, H, W, C), words (N,), whether they are right (N,), marks (M, 4: sample, row, column, found), how many
    were looked at, whether they are pictures.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(i.file_size for i in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes")
        with np.load(path, allow_pickle=False) as found:
            x, words, right, marks = (found[k] for k in ("x", "words", "right", "marks"))
            looked_at, kind = int(found["looked_at"]), str(found["kind"])
        if x.ndim != 4 or words.shape != (len(x),) or right.shape != (len(x),) or not len(x):
            raise ValueError(f"x {x.shape}, words {words.shape}, right {right.shape} do not belong together")
        if marks.ndim != 2 or marks.shape[1] != 4 or not np.isfinite(marks).all():
            raise ValueError(f"marks {marks.shape}, or not finite")
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"'{path}' holds no examples of a bundle: {error}") from None
    return x, words, right.astype(bool), marks.astype(np.float64), looked_at, kind == "image"


def _tile(sample: Array, words: str, right: bool, marks: Array, is_image: bool) -> Markup:
    h, w, _ = sample.shape
    if is_image:
        picture = _marked(sample.astype(np.uint8), marks, words) if len(marks) else _image(sample.astype(np.uint8),
                                                                                          words)
    elif min(h, w) > 1:
        picture = _image(_gray(sample[..., 0].T[::-1]), words)
    else:
        picture = _line(sample.reshape(max(h, w), -1), words)
    return tag("figure", picture, tag("figcaption", words), class_="ok" if right else "bad")


def _marked(pixels: Array, marks: Array, about: str) -> Markup:
    """A picture with rings and crosses: marks (M, 3) are row, column and whether it was found."""
    h, w, _ = pixels.shape
    data, size = base64.b64encode(png(pixels)).decode(), max(h, w) / 16
    drawn = [tag("image", href=f"data:image/png;base64,{data}", width=w, height=h)]
    for row, column, found in marks:
        if found:
            arms = f"M{column - size / 2:.1f} {row:.1f}h{size:.1f}M{column:.1f} {row - size / 2:.1f}v{size:.1f}"
            drawn.append(tag("path", d=arms, class_="found"))
        else:
            drawn.append(tag("circle", cx=f"{column:.1f}", cy=f"{row:.1f}", r=f"{size:.1f}", class_="true"))
    return tag("svg", drawn, viewBox=f"0 0 {w} {h}", role="img", aria_label=about, class_="marked")


def _gray(plane: Array) -> Array:
    """(H, W) of any type to pixels (H, W, 1), its least black and its most white."""
    low, high = float(plane.min()), float(plane.max())
    pixels: Array = ((plane.astype(np.float64) - low) / ((high - low) or 1) * 255).astype(np.uint8)
    return pixels[..., None]


def _image(pixels: Array, about: str) -> Markup:
    data = base64.b64encode(png(pixels)).decode()
    return tag("img", src=f"data:image/png;base64,{data}", alt=about)


def _line(samples: Array, about: str) -> Markup:
    """(steps, channels) as curves."""
    low, high = float(samples.min()), float(samples.max())
    scaled = SIDE - 2 - (samples.astype(np.float64) - low) / ((high - low) or 1) * (SIDE - 4)
    x = np.linspace(0, 2 * SIDE, len(samples))
    curves = [tag("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, scaled[:, c], strict=True)))
              for c in range(samples.shape[1])]
    return tag("svg", curves, viewBox=f"0 0 {2 * SIDE} {SIDE}", role="img", aria_label=about, class_="signal")


def png(pixels: Array) -> bytes:
    """(H, W, 1 or 3) uint8 as a PNG file. Source: W3C, Portable Network Graphics (2nd edition), sections 5, 7 and 11.2.
    """
    h, w, channels = pixels.shape
    if channels not in (1, 3):
        pixels = pixels[..., :1]
    rows = np.concatenate([np.zeros((h, 1), np.uint8), pixels.reshape(h, -1)], axis=1)  # filter 0 before each row
    header = struct.pack(">IIBBBBB", w, h, 8, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body
