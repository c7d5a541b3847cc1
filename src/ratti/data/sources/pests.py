"""Small insects on leaves, composites by a documented process: pictures with the centers of what is on them.

`pests` alone lays insects on leaf-like texture made here; `pests:FOLDER` on real pictures of leaves (`train/<class>/*`
and `test/<class>/*`, such as PlantVillage's), each picture a background of one part only: pictures of `test` are seen
in the test part alone, and those that `groups.csv` names together are never in two parts.

The insects are drawn, not photographed: a beetle is a shiny dark oval with a head, a line between its wings and six
legs, about 11 pixels long at 96x96; a caterpillar is a bent chain of pale green or yellow beads, about 15 long. Size,
color, turn, place and light vary; the drawing is four times finer and brought down with a soft shadow, so that edges
mix with the leaf. A picture holds 0 to 4 of them, their centers at least 2.5 cells of 8 pixels apart, half a cell from
the border. What is found on drawn insects says nothing about how well real ones are found: it shows that the way works.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError, MissingDependencyError
from ...types import Array
from .. import cache, images
from ..dataset import Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group
from ._folders import classes, read_groups, samples

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FORMS = "'pests' or 'pests:FOLDER' (synthetic insects on leaf-like texture, or on a folder of pictures of leaves)"
NAMES = ("background", "beetle", "caterpillar")
COUNTS = {"train": 1200, "val": 200, "test": 300}  # pictures of each part
MOST, CELL, APART, FINER = 4, 8, 2.5, 4
VERSION = 1  # of the drawings: a change makes other pictures
SEED = 20261


def accepts(source: str) -> bool:
    return source == "pests" or source.startswith("pests:")


def load(source: str, options: Options) -> Dataset:
    if options.front_end is not None:
        raise InputError("pests are pictures as they are: leave out the front end")
    side = options.resolution or 96
    size = options.size or (side, side)
    if options.channels not in (None, 3):
        raise InputError(f"pests are pictures with 3 channels, not {options.channels}")
    leaves = _leaves(source.partition(":")[2], options)
    parts = []
    for k, (part, count) in enumerate(COUNTS.items()):
        paths = leaves[part]
        key = ["pests", VERSION, part, count, size, cache.digests(paths), images.version()]
        stored = cache.arrays(key, lambda k=k, count=count, paths=paths: _part(k, count, size, paths))
        groups = np.array([f"{part}:{n}" for n in range(count)])
        parts.append(Part(stored["x"], stored["y"], groups, points=stored["points"]))
    grounds = f"on {sum(map(len, leaves.values()))} pictures of leaves" if leaves["train"] else "on synthetic texture"
    notes = (f"synthetic: drawn insects {grounds}, made by ratti.data.sources.pests; not one real insect is in it",)
    return Dataset.sealed("pests", Kind.IMAGE, NAMES, (parts[0], parts[1], parts[2]), LoadReport(source, (), notes),
                          goal="centroids")


def _leaves(folder: str, options: Options) -> dict[str, list[Path]]:
    """The backgrounds of each part; none: texture."""
    if not folder:
        return {part: [] for part in COUNTS}
    root = Path(folder)
    found: dict[str, list[Path]] = {}
    for part in ("train", "test"):
        names = classes(root / part) if (root / part).is_dir() else []
        found[part] = [p for name in names for p in samples(root / part / name, images.SUFFIXES)[0]]
        if not found[part]:
            raise InputError(f"pests: '{root / part}' holds no folders of pictures; give a folder with train/<class>/ "
                             f"and test/<class>/, or 'pests' alone for backgrounds made here")
    known = read_groups(root)
    names_of = [p.relative_to(root).as_posix() for p in found["train"]]
    groups = np.array([known.get(n, n) for n in names_of])
    val = cut_by_group(np.zeros(len(groups), np.int64), groups, options.val_share, options.seed)
    return {"train": [p for p, v in zip(found["train"], val, strict=True) if not v],
            "val": [p for p, v in zip(found["train"], val, strict=True) if v], "test": found["test"]}


def _part(number: int, count: int, size: tuple[int, int], paths: list[Path]) -> Mapping[str, Array]:
    x, points = zip(*(_picture(np.random.default_rng([SEED, number, k]), size, paths) for k in range(count)),
                    strict=True)
    stacked = np.stack(points)
    return {"x": np.stack(x), "points": stacked, "y": stacked[:, 0, 2].astype(np.int64)}


def _picture(rng: np.random.Generator, size: tuple[int, int], paths: list[Path]) -> tuple[Array, Array]:
    """(H, W, 3) uint8, and (MOST, 3) float32 of centers and classes."""
    ground = images.read(paths[rng.integers(len(paths))], size, 3) if paths else _texture(rng, size)
    if rng.random() < 0.5:
        ground = ground[:, ::-1]
    points = np.zeros((MOST, 3), np.float32)
    layer = _Layer(ground)
    for k in range(int(rng.integers(0, MOST + 1))):
        for _ in range(20):  # a place that is free, or none
            at = rng.uniform(CELL / 2, np.array(size) - CELL / 2)
            if k == 0 or np.abs(points[:k, :2] - at).max(axis=1).min() >= APART * CELL:
                kind = int(rng.integers(1, len(NAMES)))
                (layer.beetle if kind == 1 else layer.caterpillar)(rng, at, min(size) / 96)
                points[k] = (*at, kind)
                break
        else:
            break
    return layer.finished(rng), points


def _texture(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Leaf-like: green of several scales of smooth noise, a midrib with veins, spots."""
    h, w = size
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    noise = np.zeros(size, np.float32)
    for cells in (3, 7, 17, 41):
        knots = rng.normal(size=(cells + 1, cells + 1)).astype(np.float32)
        r, c = rows * cells / h, columns * cells / w
        i, j, a, b = r.astype(int), c.astype(int), r % 1, c % 1
        noise += ((1 - a) * ((1 - b) * knots[i, j] + b * knots[i, j + 1])
                  + a * ((1 - b) * knots[i + 1, j] + b * knots[i + 1, j + 1])) / np.sqrt(cells)
    turn = rng.uniform(0, np.pi)
    along = rows * np.sin(turn) + columns * np.cos(turn)
    across = rows * np.cos(turn) - columns * np.sin(turn) - rng.uniform(-0.3, 0.3) * h
    veins = np.exp(-(across / 1.5) ** 2) + 0.6 * np.exp(-(((along + np.abs(across)) % (h / 5) - h / 10) / 0.8) ** 2)
    base = np.array([rng.uniform(50, 110), rng.uniform(100, 160), rng.uniform(30, 80)], np.float32)
    picture = base + 22 * noise[..., None] + 28 * veins[..., None] + rng.normal(0, 4, (h, w, 3))
    for _ in range(int(rng.integers(0, 5))):  # spots, so that brown alone is no insect
        r, c, radius = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(1.5, 6)
        spot = np.exp(-((((rows - r) ** 2 + (columns - c) ** 2) / radius**2) ** 2))[..., None]
        picture = picture * (1 - 0.7 * spot) + 0.7 * spot * np.array([120, 85, 45], np.float32)
    pixels: Array = np.clip(picture, 0, 255).astype(np.uint8)
    return pixels


class _Layer:
    """Drawings four times finer than the picture under them, with how far they cover it."""

    def __init__(self, ground: Array) -> None:
        try:
            from PIL import Image, ImageDraw
        except ImportError:
            raise MissingDependencyError("pillow", "train", "drawing pests") from None
        self._ground = ground
        h, w, _ = ground.shape
        self._ink = Image.new("RGBA", (FINER * w, FINER * h))
        self._draw: ImageDraw = ImageDraw.Draw(self._ink)

    def beetle(self, rng: np.random.Generator, at: Array, scale: float) -> None:
        length, turn = 5.5 * scale * rng.uniform(0.8, 1.25), rng.uniform(0, 2 * np.pi)
        dark = np.array(rng.choice([(25, 20, 18), (95, 30, 15), (30, 35, 60)])) + rng.integers(-10, 11, 3)
        for side in (-1, 1):
            for place in (-0.45, 0.0, 0.45):
                self._line(at, turn, [(place * length, 0), (place * length * 1.5, side * length)], dark, 0.35)
        self._oval(at, turn, (0, 0), (length, 0.62 * length), dark)
        self._oval(at, turn, (length, 0), (0.35 * length, 0.35 * length), dark * 0.7)
        self._line(at, turn, [(-0.9 * length, 0), (0.6 * length, 0)], dark * 0.4, 0.3)
        self._oval(at, turn, (0.1 * length, 0.25 * length), (0.3 * length, 0.1 * length), dark + 90)

    def caterpillar(self, rng: np.random.Generator, at: Array, scale: float) -> None:
        length, turn = 7.5 * scale * rng.uniform(0.8, 1.25), rng.uniform(0, 2 * np.pi)
        pale = np.array(rng.choice([(205, 215, 120), (225, 200, 110), (190, 225, 170)])) + rng.integers(-12, 13, 3)
        bend = rng.uniform(-0.5, 0.5)
        for k in range(7):
            u = k / 3 - 1
            place = (u * length * 0.9, bend * length * (1 - u * u) - bend * length * 0.55)
            radius = (0.26 if k < 6 else 0.3) * length
            self._oval(at, turn, place, (radius, radius), pale * (0.88 if k % 2 else 1.0) if k < 6 else pale * 0.45)

    def finished(self, rng: np.random.Generator) -> Array:
        """The picture: shadow, drawings, light, and the camera's noise."""
        from PIL import Image, ImageFilter

        h, w, _ = self._ground.shape
        small = np.asarray(self._ink.resize((w, h), Image.Resampling.BOX), np.float32)
        cover = small[..., 3:] / 255
        soft = self._ink.getchannel("A").resize((w, h)).filter(ImageFilter.GaussianBlur(1.2))
        shadow = np.roll(np.asarray(soft, np.float32)[..., None] / 255, (1, 1), (0, 1))
        picture = self._ground * (1 - 0.35 * shadow) * (1 - cover) + small[..., :3] * cover
        lit = picture * rng.uniform(0.75, 1.2) + rng.normal(0, 3, picture.shape)
        pixels: Array = np.clip(lit, 0, 255).astype(np.uint8)
        return pixels

    def _oval(self, at: Array, turn: float, middle: tuple[float, float], radii: tuple[float, float],
              color: Array) -> None:
        angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        shape = [(middle[0] + radii[0] * np.cos(a), middle[1] + radii[1] * np.sin(a)) for a in angle]
        self._draw.polygon(self._placed(at, turn, shape), fill=_rgb(color))

    def _line(self, at: Array, turn: float, shape: list[tuple[float, float]], color: Array, width: float) -> None:
        self._draw.line(self._placed(at, turn, shape), fill=_rgb(color), width=max(1, round(FINER * width)))

    def _placed(self, at: Array, turn: float, shape: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Points (along, aside) in pixels around `at`, turned, in the finer drawing's (x, y)."""
        c, s = np.cos(turn), np.sin(turn)
        return [(FINER * (at[1] + u * c - v * s), FINER * (at[0] + u * s + v * c)) for u, v in shape]


def _rgb(color: Array) -> tuple[int, int, int, int]:
    r, g, b = (int(np.clip(v, 0, 255)) for v in color)
    return r, g, b, 255
