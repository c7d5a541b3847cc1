"""A net as data: the list of its blocks with every width. Families, pruned nets and search candidates are all this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..types import Shape
from ._blocks import BLOCKS, Block
from ._layers import Layer, SpecError

KIND_OF = {cls: kind for kind, cls in BLOCKS.items()}


@dataclass(frozen=True)
class NetSpec:
    """An architecture: input (H, W, C) to (classes,) logits. InputError where the blocks do not fit together."""

    name: str
    input_shape: Shape
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise InputError(f"{self.name}: an input is (H, W, C), each at least 1, not {self.input_shape}")
        if not self.blocks:
            raise InputError(f"{self.name}: a net needs at least one block")
        if len(self.output_shape) != 1:
            raise InputError(f"{self.name}: the output is {self.output_shape}; "
                             f"end the net with mean or flatten, and fc")

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape, and the shape after each block."""
        shapes = [self.input_shape]
        for number, block in enumerate(self.blocks, 1):
            try:
                shapes.append(_block_output(block, shapes[-1]))
            except SpecError as error:
                kind = KIND_OF.get(type(block), type(block).__name__)
                raise InputError(f"{self.name}: block {number} ({kind}) after {shapes[-1]}: {error}") from None
        return tuple(shapes)

    @property
    def output_shape(self) -> Shape:
        return self.shapes[-1]

    @property
    def classes(self) -> int:
        return self.output_shape[0]

    @property
    def layers(self) -> tuple[tuple[str, Layer, Shape], ...]:
        """(name, primitive layer, the shape that it takes) for every one; bodies before shortcuts.

        The names, `b<block from 1>.<layer>`, are those of the torch module and of the graph's nodes.
        """
        found: list[tuple[str, Layer, Shape]] = []
        for number, (block, shape) in enumerate(zip(self.blocks, self.shapes, strict=False), 1):
            found += _walk(f"b{number:02d}", block.body(shape), shape)
            found += _walk(f"b{number:02d}", block.shortcut(shape) or {}, shape)
        return tuple(found)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; convolutions and fully connected layers, padding included."""
        return sum(layer.macs(shape) for _, layer, shape in self.layers)

    @property
    def parameters(self) -> int:
        """Weights and biases as deployed: batch normalization folded into the convolutions, a bias a channel."""
        return sum(layer.parameters(shape) for _, layer, shape in self.layers)


def _walk(block: str, layers: Mapping[str, Layer], shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    for name, layer in layers.items():
        yield f"{block}.{name}", layer, shape
        shape = layer.output_shape(shape)


def _block_output(block: Block, shape: Shape) -> Shape:
    output = _chain(block.body(shape), shape)
    shortcut = block.shortcut(shape)
    if shortcut is not None and _chain(shortcut, shape) != output:
        raise SpecError(f"the shortcut gives {_chain(shortcut, shape)}, the body {output}; they are added")
    return output


def _chain(layers: Mapping[str, Layer], shape: Shape) -> Shape:
    for layer in layers.values():
        shape = layer.output_shape(shape)
    return shape
