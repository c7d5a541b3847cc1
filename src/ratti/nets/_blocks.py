"""Blocks shared by the families: which layers each is made of, and how they are wired. Every width is explicit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ..types import Shape
from ._joins import Add, Channels, Concat, GlobalMean, Scale, Shuffle
from ._layers import (
    INPUT,
    NUMBERS,
    Activation,
    Conv,
    Fc,
    Flatten,
    Layer,
    Mean,
    Pair,
    Pool,
    PoolKind,
    SpecError,
    Wire,
    chain,
)


class Block(Protocol):
    """What `NetSpec` holds: the blocks of this module and the layers of `_layers`."""

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        """The layers on an input of `shape`, each behind those that it reads; the last one gives the output."""

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Block:
        """The block with other widths, by layer, when it (INPUT) and its layers take so many channels."""


def depthwise(shape: Shape, kernel: Pair, stride: Pair, activation: Activation = Activation.NONE) -> Conv:
    """A depthwise convolution on an input of `shape`."""
    channels = shape[-1]
    return Conv(channels, kernel, stride, groups=channels, activation=activation)


def added(body: Mapping[str, Layer], shortcut: Mapping[str, Layer], activation: Activation) -> tuple[Wire, ...]:
    """The sum of two chains; an empty shortcut is the identity."""
    wires, other = chain(body), chain(shortcut)
    return (*wires, *other, Wire("add", Add(activation), (wires[-1].name, other[-1].name if other else INPUT)))


@dataclass(frozen=True)
class Separable:
    """Depthwise, then pointwise convolution (Howard et al. 2017)."""

    width: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    activation: Activation = Activation.RELU

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        return chain({
            "depthwise": depthwise(shape, self.kernel, self.stride, self.activation),
            "pointwise": Conv(self.width, activation=self.activation),
        })

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Separable:
        return replace(self, width=widths["pointwise"])


@dataclass(frozen=True)
class InvertedResidual:
    """Expansion to `hidden`, depthwise, linear projection to `width` (Sandler et al. 2018).

    `hidden` None leaves the expansion out (t = 1 in the paper). `residual` adds the input, which needs stride 1 and
    an input of `width` channels; it is said, not inferred, so that pruning one width cannot add an addition elsewhere.

    `squeeze` puts squeeze and excitation of that width behind the depthwise convolution (Howard et al. 2019, section
    5.2). Its gate is ReLU6 of a layer whose bias starts at 3, which is the paper's hard sigmoid times 6; the factor
    disappears in the batch normalization of the projection.
    """

    hidden: int | None
    width: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    residual: bool = False
    activation: Activation = Activation.RELU6
    squeeze: int | None = None

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        inner = (*shape[:-1], self.hidden or shape[-1])
        expansion = {} if self.hidden is None else {"expand": Conv(self.hidden, activation=self.activation)}
        body = chain({**expansion, "depthwise": depthwise(inner, self.kernel, self.stride, self.activation)})
        if self.squeeze is not None:
            gate = {
                "mean": GlobalMean(),
                "squeeze": Conv(self.squeeze, activation=Activation.RELU, batch_norm=False),
                "gate": Conv(inner[-1], activation=Activation.RELU6, batch_norm=False, bias_start=3.0),
            }
            body = (*body, *chain(gate, "depthwise"), Wire("scale", Scale(), ("depthwise", "gate")))
        body = (*body, Wire("project", Conv(self.width), (body[-1].name,)))
        return (*body, Wire("add", Add(), ("project", INPUT))) if self.residual else body

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> InvertedResidual:
        return replace(self, hidden=widths.get("expand"), width=widths["project"], squeeze=widths.get("squeeze"))


@dataclass(frozen=True)
class Residual:
    """Two convolutions and an addition (He et al. 2016); `projection` puts a strided 1x1 on the shortcut."""

    hidden: int
    width: int
    stride: Pair = (1, 1)
    projection: bool = False
    activation: Activation = Activation.RELU
    kernel: Pair = (3, 3)

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        body = {
            "first": Conv(self.hidden, self.kernel, self.stride, activation=self.activation),
            "second": Conv(self.width, self.kernel),
        }
        return added(body, _projection(self.projection, self.width, self.stride), self.activation)

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Residual:
        return replace(self, hidden=widths["first"], width=widths["second"])


@dataclass(frozen=True)
class Bottleneck:
    """1x1 to `hidden`, 3x3 to `middle` (None: `hidden`), 1x1 to `width`, and an addition (He et al. 2016, figure 5)."""

    hidden: int
    width: int
    stride: Pair = (1, 1)
    projection: bool = False
    activation: Activation = Activation.RELU
    middle: int | None = None

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        body = {
            "reduce": Conv(self.hidden, activation=self.activation),
            "middle": Conv(self.middle or self.hidden, (3, 3), self.stride, activation=self.activation),
            "restore": Conv(self.width),
        }
        return added(body, _projection(self.projection, self.width, self.stride), self.activation)

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Bottleneck:
        return replace(self, hidden=widths["reduce"], middle=widths["middle"], width=widths["restore"])


def _projection(projection: bool, width: int, stride: Pair) -> dict[str, Layer]:
    return {"shortcut": Conv(width, stride=stride, batch_norm=False)} if projection else {}


@dataclass(frozen=True)
class ShuffleUnit:
    """Grouped 1x1, shuffle, depthwise, grouped 1x1 (Zhang et al. 2018, figure 2 b and c).

    With stride 1 the input is added; with a larger stride its average is put beside the output, `width` in all.
    `first_groups` are the groups of the first 1x1 (1 behind the stem, where the input is thin).
    """

    hidden: int
    width: int
    groups: int
    stride: Pair = (1, 1)
    first_groups: int | None = None

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        beside = self.stride != (1, 1)
        body = chain({
            "reduce": Conv(self.hidden, groups=self.first_groups or self.groups, activation=Activation.RELU),
            "shuffle": Shuffle(self.groups),
            "depthwise": depthwise((*shape[:-1], self.hidden), (3, 3), self.stride),
            "restore": Conv(self.width - shape[-1] if beside else self.width, groups=self.groups),
        })
        if not beside:
            return (*body, Wire("add", Add(Activation.RELU), ("restore", INPUT)))
        return (*body, Wire("shortcut", _average(shape, self.stride)),
                Wire("concat", Concat(Activation.RELU), ("shortcut", "restore")))

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> ShuffleUnit:
        beside = taken[INPUT] if self.stride != (1, 1) else 0
        return replace(self, hidden=widths["reduce"], width=widths["restore"] + beside)


def _average(shape: Shape, stride: Pair) -> Pool:
    """The average that halves a map as a 3x3 convolution with pads does; 2 wide where the size is even."""
    kernel = tuple(s if size % s == 0 else 3 for size, s in zip(shape, stride, strict=False))
    pads = tuple(1 if k == 3 else 0 for k in kernel for _ in range(2))
    return Pool(PoolKind.AVERAGE, (kernel[0], kernel[1]), stride, (pads[0], pads[1], pads[2], pads[3]))


@dataclass(frozen=True)
class ShuffleUnitV2:
    """Half of the channels stay, the others pass 1x1, depthwise, 1x1; then a shuffle (Ma et al. 2018, figure 3 c, d).

    With a stride above 1 both halves see the whole input, and the first passes a depthwise and a 1x1 too.
    `kept` channels of the output come from the first half.
    """

    hidden: int
    width: int
    kept: int
    stride: Pair = (1, 1)
    kernel: Pair = (3, 3)

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        if not 0 < self.kept < self.width:
            raise SpecError(f"{self.kept} channels kept of {self.width}; at least 1 must be kept and 1 computed")
        relu, inner = Activation.RELU, (*shape[:-1], self.hidden)
        body: dict[str, Layer] = {
            "reduce": Conv(self.hidden, activation=relu),
            "depthwise": depthwise(inner, self.kernel, self.stride),
            "restore": Conv(self.width - self.kept, activation=relu),
        }
        if self.stride == (1, 1):
            kept = chain({"keep": Channels(0, self.kept)})
            computed = chain({"take": Channels(self.kept, shape[-1]), **body})
        else:
            side = {"side": depthwise(shape, self.kernel, self.stride), "keep": Conv(self.kept, activation=relu)}
            kept, computed = chain(side), chain(body)
        groups = 2 if self.width % 2 == 0 else 1
        return (*kept, *computed, Wire("concat", Concat(), ("keep", "restore")),
                Wire("shuffle", Shuffle(groups), ("concat",)))

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> ShuffleUnitV2:
        kept = taken[INPUT] - taken["reduce"] if self.stride == (1, 1) else widths["keep"]
        return replace(self, hidden=widths["reduce"], width=kept + widths["restore"], kept=kept)


@dataclass(frozen=True)
class Join:
    """The net's second input, some numbers beside the picture or signal, joins the features (C,).

    The numbers pass a layer of `hidden`, lie beside the features, and a layer of `width` mixes both.
    """

    hidden: int
    width: int

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        return (
            Wire("lift", Fc(self.hidden, Activation.RELU), (NUMBERS,)),
            Wire("concat", Concat(), (INPUT, "lift")),
            Wire("mix", Fc(self.width, Activation.RELU), ("concat",)),
        )

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Join:
        return replace(self, hidden=widths["lift"], width=widths["mix"])


BLOCKS: dict[str, type] = {
    "conv": Conv,
    "separable": Separable,
    "inverted_residual": InvertedResidual,
    "residual": Residual,
    "bottleneck": Bottleneck,
    "shuffle_unit": ShuffleUnit,
    "shuffle_unit_v2": ShuffleUnitV2,
    "pool": Pool,
    "mean": Mean,
    "flatten": Flatten,
    "join": Join,
    "fc": Fc,
}
