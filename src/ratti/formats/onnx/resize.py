"""Resizes. ONNX has many ways to place the samples; those that the graph has too are found by where they fall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...errors import UnsupportedError
from ...ops._resize import LARGEST_SIDE
from ...ops.resize_bilinear import ResizeBilinear
from ...ops.resize_nearest import ResizeNearest
from ...types import Array, DType, TensorType
from .importer import Handler, Importer
from .program import Node

ALIGNMENTS: tuple[dict[str, bool], ...] = ({"half_pixel_centers": True}, {"align_corners": True}, {})
# Where output index i of n_out falls in an input of n_in, at a scale.
COORDINATES: dict[bytes, Callable[[Array, int, int, float], Array]] = {
    b"half_pixel": lambda i, n_in, n_out, scale: (i + 0.5) / scale - 0.5,
    b"pytorch_half_pixel": lambda i, n_in, n_out, scale: (i + 0.5) / scale - 0.5 if n_out > 1 else 0 * i,
    b"align_corners": lambda i, n_in, n_out, scale: i * (n_in - 1) / max(n_out - 1, 1),
    b"asymmetric": lambda i, n_in, n_out, scale: i / scale,
}
ROUNDINGS: dict[bytes, Callable[[Array], Array]] = {
    b"round_prefer_floor": lambda x: np.ceil(x - 0.5),
    b"round_prefer_ceil": lambda x: np.floor(x + 0.5),
    b"floor": np.floor,
    b"ceil": np.ceil,
}


def resize(importer: Importer, node: Node) -> None:
    """Resize, and Upsample of older operator sets."""
    old = node.op == "Upsample" or importer.program.opset < 11
    x = importer.activation(node, 0)
    shape = importer.shape(x)
    if len(shape) != 4 or node.attributes.get("antialias", 0) or "axes" in node.attributes:
        raise UnsupportedError(f"{node.place} of {shape}; (N, C, H, W) without antialias and axes is supported")
    scales = _numbers(importer, node, 1 if old else 2, "scales")
    sizes = _numbers(importer, node, 3, "sizes") if not old else None
    if sizes is not None:
        scales = [n / old_n for n, old_n in zip(sizes, shape, strict=True)]
    if scales is None:
        raise UnsupportedError(f"{node.place} has neither scales nor sizes")
    out = [int(n) for n in (sizes or [np.floor(n * s) for n, s in zip(shape, scales, strict=True)])]
    if tuple(out[:2]) != shape[:2] or not 0 < min(out[2:]) <= max(out[2:]) <= LARGEST_SIDE:
        raise UnsupportedError(f"{node.place}: {shape} to {tuple(out)}; only height and width may change")
    placed = node.attributes.get("coordinate_transformation_mode", b"asymmetric" if old else b"half_pixel")
    mode = node.attributes.get("mode", b"nearest")
    way = node.attributes.get("nearest_mode", b"floor" if old else b"round_prefer_floor")
    if placed not in COORDINATES or way not in ROUNDINGS or mode not in (b"nearest", b"linear"):
        raise UnsupportedError(f"{node.place}: a resize by {mode!r}, placed by {placed!r}, rounded by {way!r}")
    at = [
        COORDINATES[placed](np.arange(n), n_in, n, s)
        for n, n_in, s in zip(out[2:], shape[2:], scales[2:], strict=True)
    ]
    op = _nearest(node, out, shape, at, ROUNDINGS[way]) if mode == b"nearest" else _linear(node, out, shape, at)
    importer.emit(node, op, [importer.map(node, 0)], importer.unmap(4), keep=True)


def _nearest(
    node: Node, out: list[int], shape: tuple[int, ...], at: list[Array], way: Callable[[Array], Array]
) -> ResizeNearest:
    wanted = [np.clip(way(a), 0, n - 1) for a, n in zip(at, shape[2:], strict=True)]
    for alignment in ALIGNMENTS:
        op = ResizeNearest((out[2], out[3]), **alignment)
        if all(np.array_equal(op.positions(k, n), w) for k, (n, w) in enumerate(zip(shape[2:], wanted, strict=True))):
            return op
    raise UnsupportedError(f"{node.place}: nearest positions that TFLite's resize does not have")


def _linear(node: Node, out: list[int], shape: tuple[int, ...], at: list[Array]) -> ResizeBilinear:
    for alignment in ALIGNMENTS:
        op = ResizeBilinear((out[2], out[3]), **alignment)
        if all(np.allclose(_places(op, k, n), np.clip(a, 0, n - 1)) for k, (a, n) in enumerate(_paired(at, shape))):
            return op
    raise UnsupportedError(f"{node.place}: positions that TFLite's resize does not have")


def _places(op: ResizeBilinear, axis: int, size: int) -> Array:
    """Where the op's samples lie along an axis, in real numbers: what it makes of a ramp."""
    ramp = np.arange(size, dtype=np.float32).reshape((1, size, 1, 1) if axis == 0 else (1, 1, size, 1))
    line = replace(op, size=(op.size[0], 1) if axis == 0 else (1, op.size[1]))
    type = TensorType(ramp.shape, DType.FLOAT32)
    (out,) = line.evaluate([ramp], [type], [TensorType((1, *line.size, 1), DType.FLOAT32)])
    return out.ravel()


def _paired(at: list[Array], shape: tuple[int, ...]) -> list[tuple[Array, int]]:
    return list(zip(at, shape[2:], strict=True))


def _numbers(importer: Importer, node: Node, k: int, name: str) -> list[float] | None:
    given = node.attributes.get(name) or importer.optional(node, k, name)
    if given is None or not len(given):
        return None
    values = [float(v) for v in np.asarray(given).ravel()]
    if len(values) != 4 or not all(0 < v < 1 << 20 for v in values):
        raise UnsupportedError(f"{node.place}: {name} {values[:4]}; one above 0 for each of 4 dimensions")
    return values


HANDLERS: dict[str, Handler] = {"Resize": resize, "Upsample": resize}
