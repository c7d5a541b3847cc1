"""A net as data: the list of its blocks with every width. Families, pruned nets and search candidates are all this."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..types import Shape
from ._blocks import BLOCKS, Block
from ._layers import INPUT, NUMBERS, Layer, SpecError, Wire

KIND_OF = {cls: kind for kind, cls in BLOCKS.items()}


@dataclass(frozen=True)
class NetSpec:
    """An architecture: input (H, W, C), and `numbers` beside it where there are any, to (classes,) logits.

    InputError where the blocks do not fit together.
    """

    name: str
    input_shape: Shape
    blocks: tuple[Block, ...]
    numbers: int = 0

    def __post_init__(self) -> None:
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise InputError(f"{self.name}: an input is (H, W, C), each at least 1, not {self.input_shape}")
        if self.numbers < 0:
            raise InputError(f"{self.name}: {self.numbers} numbers beside the input; 0 or more are allowed")
        if not self.blocks:
            raise InputError(f"{self.name}: a net needs at least one block")
        if len(self.output_shape) != 1:
            raise InputError(f"{self.name}: the output is {self.output_shape}; "
                             f"end the net with mean or flatten, and fc")
        uses = any(NUMBERS in w.inputs for b, s in zip(self.blocks, self.shapes, strict=False) for w in b.wires(s))
        if self.numbers and not uses:
            raise InputError(f"{self.name}: no block reads the {self.numbers} numbers; put a join before the last fc")

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape, and the shape after each block."""
        shapes = [self.input_shape]
        for number, block in enumerate(self.blocks, 1):
            try:
                wires = block.wires(shapes[-1])
                shapes.append(wired(wires, shapes[-1], self.numbers)[wires[-1].name])
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
    def layers(self) -> tuple[tuple[str, Layer, tuple[Shape, ...]], ...]:
        """(name, primitive layer, the shapes that it takes) for every one, in order.

        The names, `b<block from 1>.<layer>`, are those of the torch module and of the graph's nodes.
        """
        found: list[tuple[str, Layer, tuple[Shape, ...]]] = []
        for number, (block, shape) in enumerate(zip(self.blocks, self.shapes, strict=False), 1):
            wires = block.wires(shape)
            shapes = wired(wires, shape, self.numbers)
            found += [(f"b{number:02d}.{w.name}", w.layer, tuple(shapes[i] for i in w.inputs)) for w in wires]
        return tuple(found)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; convolutions and fully connected layers, padding included."""
        return sum(layer.macs(*shapes) for _, layer, shapes in self.layers)

    @property
    def parameters(self) -> int:
        """Weights and biases as deployed: batch normalization folded into the convolutions, a bias a channel."""
        return sum(layer.parameters(*shapes) for _, layer, shapes in self.layers)


def wired(wires: tuple[Wire, ...], shape: Shape, numbers: int) -> dict[str, Shape]:
    """The shape of everything in a block by its name, on an input of `shape`."""
    shapes: dict[str, Shape] = {INPUT: shape}
    if numbers:
        shapes[NUMBERS] = (numbers,)
    for wire in wires:
        if NUMBERS in wire.inputs and not numbers:
            raise SpecError("it reads numbers beside the input, and the net has none: give the net 'numbers'")
        shapes[wire.name] = wire.layer.output_shape(*(shapes[i] for i in wire.inputs))
    return shapes
