"""How ops that only move elements enter the graph: most of them change torch's view and nothing that is stored."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UnsupportedError
from ...ops.concat import Concat
from ...ops.reshape import Reshape
from ...ops.slice import Slice
from ...ops.transpose import Transpose
from .importer import NHWC, ROWS, Importer, Tensor
from .program import arguments, place, target

if TYPE_CHECKING:
    from torch.fx import Node

SPLIT = (0, 3, 4, 1, 2)  # (N, G, K, H, W) in the order in which a map of G * K channels is stored
SWAPPED = (0, 3, 4, 2, 1)  # the same after torch exchanged G and K


def flatten(importer: Importer, node: Node) -> None:
    """Any op that gives the same elements as (N, C)."""
    source = importer.tensor(node, 0)
    shape, rank = importer.builder.shape(source.value), len(node.meta["val"].shape)
    if len(shape) == 2 and rank == 2:
        importer.rename(node, source)
        return
    if rank == 5 and source.order == NHWC:
        _split_channels(importer, node, source)
        return
    if rank == 4 and source.groups is not None:
        _join_channels(importer, node, source)
        return
    if rank != 2 or len(shape) != 4 or source.order[0] != 0:
        _reshape(importer, node, source)
        return
    # Torch counts the elements in its own order of axes, the value in the stored one.
    axes = [source.order.index(a) - 1 for a in (1, 2, 3)]
    stored_of_torch = np.arange(int(np.prod(shape[1:]))).reshape(shape[1:]).transpose(axes).ravel()
    torch_of_stored = np.argsort(stored_of_torch)
    same = bool((torch_of_stored == np.arange(len(torch_of_stored))).all())
    op = Reshape((importer.batch, len(torch_of_stored)))
    importer.emit(node, node, op, [source.value], ROWS, None if same else torch_of_stored)


def _reshape(importer: Importer, node: Node, source: Tensor) -> None:
    """Any other reshape: the elements are brought into torch's order first."""
    after = (importer.batch, *(int(d) for d in node.meta["val"].shape[1:]))
    if source.columns is not None or source.groups is not None or source.order[0] != 0 or math.prod(
            after) != math.prod(importer.builder.shape(source.value)):
        raise UnsupportedError(f"{place(node)}: {target(node)} of {importer.builder.shape(source.value)} to {after}; "
                               f"the samples must stay apart")
    plain = importer.arranged(source, tuple(range(len(source.order))))
    value = importer.same(Reshape(after), [plain.value], node.name)
    importer.rename(node, Tensor(value, tuple(range(len(after)))))


def permute(importer: Importer, node: Node) -> None:
    """Only the order of the axes changes in torch; the stored value stays as it is."""
    rank = len(importer.seen(node, 0).order)
    _permuted(importer, node, [d % rank for d in arguments(node, ("input", "dims"))["dims"]])


def _permuted(importer: Importer, node: Node, dims: list[int]) -> None:
    source = importer.tensor(node, 0)
    importer.rename(node, dataclasses.replace(source, order=tuple(dims.index(a) for a in source.order)))


def _split_channels(importer: Importer, node: Node, source: Tensor) -> None:
    """(N, G * K, H, W) seen as (N, G, K, H, W): half of a channel shuffle; nothing moves yet."""
    _, h, w, c = importer.builder.shape(source.value)
    groups, per_group, *size = (int(d) for d in node.meta["val"].shape[1:])
    if groups * per_group != c or size != [h, w]:
        _reshape(importer, node, source)
        return
    importer.rename(node, Tensor(source.value, SPLIT, groups=groups))


def _join_channels(importer: Importer, node: Node, source: Tensor) -> None:
    """Back to (N, C, H, W); where the groups were exchanged, the channels are shuffled now."""
    n, h, w, c = importer.builder.shape(source.value)
    if source.order == SPLIT:
        importer.rename(node, Tensor(source.value, NHWC))
        return
    if source.order != SWAPPED or source.groups is None:
        raise UnsupportedError(f"{place(node)}: {target(node)} of axes in the order {source.order}; only a channel "
                               f"shuffle exchanges parts of an axis")
    split = importer.same(Reshape((n, h, w, source.groups, c // source.groups)), [source.value], f"{node.name}_split")
    swapped = importer.same(Transpose((0, 1, 2, 4, 3)), [split], f"{node.name}_shuffle")
    importer.rename(node, Tensor(importer.same(Reshape((n, h, w, c)), [swapped], f"{node.name}_join"), NHWC))


def transpose(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "first", "second"))
    rank = len(importer.seen(node, 0).order)
    dims = list(range(rank))
    first, second = given["first"] % rank, given["second"] % rank
    dims[first], dims[second] = second, first
    _permuted(importer, node, dims)


def slice_(importer: Importer, node: Node) -> None:
    """Some channels of a map, or some columns of (N, C)."""
    given = arguments(node, ("input", "dim", "start", "end", "step"))
    source = importer.tensor(node, 0)
    shape = importer.builder.shape(source.value)
    axis = source.order.index(given.get("dim", 0) % len(source.order))
    begin, end = given.get("start", 0), min(given.get("end", shape[axis]), shape[axis])
    if given.get("step", 1) != 1 or begin < 0 or end < 0 or source.columns is not None or axis == 0:
        raise UnsupportedError(f"{place(node)}: {target(node)} {given}; only a range of channels, rows or columns")
    starts = tuple(begin if a == axis else 0 for a in range(len(shape)))
    size = tuple(end - begin if a == axis else d for a, d in enumerate(shape))
    importer.rename(node, dataclasses.replace(
        source, value=importer.same(Slice(starts, size, (1,) * len(shape)), [source.value], node.name)))


def split(importer: Importer, node: Node) -> None:
    """Parts of one axis; each that is taken becomes a slice."""
    given = arguments(node, ("input", "parts", "dim"))
    source = importer.tensor(node, 0)
    shape = importer.builder.shape(source.value)
    axis = source.order.index(given.get("dim", 0) % len(source.order))
    if source.columns is not None or axis == 0:
        raise UnsupportedError(f"{place(node)}: {target(node)} of samples or of a flattened map; only of channels, "
                               f"rows or columns")
    sizes = [int(v.shape[source.order[axis]]) for v in node.meta["val"]]
    for user in node.users:
        part = int(user.args[1])  # type: ignore[arg-type]
        starts = tuple(sum(sizes[:part]) if a == axis else 0 for a in range(len(shape)))
        size = tuple(sizes[part] if a == axis else d for a, d in enumerate(shape))
        value = importer.same(Slice(starts, size, (1,) * len(shape)), [source.value], user.name)
        importer.rename(user, dataclasses.replace(source, value=value))
        importer.done.add(user)


def concat(importer: Importer, node: Node) -> None:
    given = arguments(node, ("tensors", "dim"))
    sources = [importer.settled(importer.activation(n, node)) for n in given["tensors"]]
    orders = {s.order for s in sources}
    if len(orders) != 1 or any(s.columns is not None for s in sources):
        raise UnsupportedError(f"{place(node)}: a concatenation of tensors in different orders of axes")
    (order,) = orders
    axis = order.index(given.get("dim", 0) % len(order))
    importer.emit(node, node, Concat(axis), [s.value for s in sources], order)


MOVES: dict[str, Callable[[Importer, Node], None]] = {
    "aten.permute.default": permute,
    "aten.transpose.int": transpose,
    "aten.flatten.using_ints": flatten,
    "aten.view.default": flatten,
    "aten.reshape.default": flatten,
    "aten.unflatten.int": flatten,
    "aten.squeeze.dims": flatten,
    "aten.squeeze.dim": flatten,
    "aten.slice.Tensor": slice_,
    "aten.chunk.default": split,
    "aten.split.Tensor": split,
    "aten.split_with_sizes.default": split,
    "aten.unsqueeze.default": flatten,
    "aten.cat.default": concat,
}
