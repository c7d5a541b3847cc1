"""The torchao PT2E Quantizer for TFLite's int8: what the integer engines compute, and nothing else.

- Activations: int8 per tensor, asymmetric; each has one quantization, given by the op that makes it.
- Weights: int8 per output channel, symmetric, codes -127 to 127.
- Biases: int32 on the grid input scale * weight scale, so that the float simulation adds what the integers add.
- ReLU and ReLU6 belong to the op before them: only the activation's output is quantized, no code is wasted on what
  it cuts off.
- Pooling, flattening, padding and permutation keep the quantization of their input.
- Sigmoid, tanh and softmax have the ranges that TFLite gives them.
- What is concatenated has one quantization, and so has the result: bytes are copied, not rescaled.

An op that is not listed here is refused by name: it would silently stay float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    DerivedQuantizationSpec,
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from ..errors import UnsupportedError
from ..types import Quant

aten = torch.ops.aten

CODE_MIN, CODE_MAX = -128, 127
WEIGHT_MIN, WEIGHT_MAX = -127, 127
BIAS_MIN, BIAS_MAX = -(1 << 31), (1 << 31) - 1
# A channel whose weights are nearly 0 would have so fine a grid that its bias overflows int32.
SMALLEST_WEIGHT_SCALE = 2.0**-20
# Weight ranges of all zeros get this floor too, so that every scale is above zero.

LINEAR = frozenset({aten.conv2d.default, aten.conv2d.padding, aten.linear.default})
BINARY = frozenset({aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor, aten.mul_.Tensor, aten.sub.Tensor})
REAL = frozenset({  # an output range of their own
    aten.mean.dim, aten.adaptive_avg_pool2d.default, aten.hardswish.default, aten.hardswish_.default,
    aten.leaky_relu.default, aten.elu.default, aten.abs.default, aten.prelu.default,
})
FIXED = {  # an output range that is always the same
    aten.sigmoid.default: Quant.per_tensor(1 / 256, -128), aten.softmax.int: Quant.per_tensor(1 / 256, -128),
    aten.tanh.default: Quant.per_tensor(1 / 128, 0),
}
CONCATENATIONS = frozenset({aten.cat.default})
ACTIVATIONS = frozenset({
    aten.relu.default, aten.relu_.default, aten.relu6.default, aten.hardtanh.default, aten.hardtanh_.default,
})
SHARING = frozenset({
    aten.max_pool2d.default, aten.avg_pool2d.default, aten.flatten.using_ints, aten.view.default, aten.reshape.default,
    aten.permute.default, aten.pad.default, aten.constant_pad_nd.default, aten.squeeze.dims, aten.squeeze.dim,
    aten.dropout.default, aten.clone.default, aten.contiguous.default, aten.transpose.int, aten.slice.Tensor,
    aten.upsample_nearest2d.vec,
})
IGNORED = frozenset({aten.sym_size.int})


WEIGHT_OBSERVER: Callable[..., object] = PerChannelMinMaxObserver.with_args(eps=SMALLEST_WEIGHT_SCALE)


@dataclass(frozen=True)
class Int8Quantizer(Quantizer):  # type: ignore[misc]
    """Annotates an exported program for int8.

    Attributes:
        observer: makes the observer (or fake quantizer) of an activation.
        input_quant: the fixed quantization of the program's first input; None where it is observed.
        weight_observer: makes that of weights.
    """

    observer: Callable[..., object]
    input_quant: Quant | None = None
    weight_observer: Callable[..., object] = WEIGHT_OBSERVER

    def annotate(self, model: GraphModule) -> GraphModule:
        fixed = self.input_quant
        for node in model.graph.nodes:
            if node.op == "placeholder":
                _set(node, {}, self._activation_spec() if fixed is None else _fixed_spec(fixed))
                fixed = None  # of the first input alone
            elif node.op == "call_function" and node.target not in IGNORED:
                self._annotate_call(node)
        _share_concatenated(model)
        return model

    def validate(self, model: GraphModule) -> None:
        """Every activation that an op takes must have a quantization by now."""
        for node in model.graph.nodes:
            annotation = node.meta.get(Q_ANNOTATION_KEY)
            for source in annotation.input_qspec_map if annotation else ():
                if source.op == "call_function" and _output_spec(source) is None:
                    raise UnsupportedError(f"{node.name} takes {source.name} ({source.target}), which is not quantized")

    def _annotate_call(self, node: Node) -> None:
        if node.target in LINEAR:
            _set(node, self._linear_inputs(node), None if _fused(node) else self._activation_spec())
        elif node.target in BINARY:
            _set(node, self._operands(node), None if _fused(node) else self._activation_spec())
        elif node.target in ACTIVATIONS:
            source = node.all_input_nodes[0]
            if _fused(source):
                _set(node, {}, self._activation_spec())
            else:
                _set(node, {source: None}, SharedQuantizationSpec(source))
        elif node.target in REAL:
            _set(node, self._operands(node), self._activation_spec())
        elif node.target in FIXED:
            _set(node, dict.fromkeys(node.all_input_nodes), _fixed_spec(FIXED[node.target]))
        elif node.target in SHARING:
            source = node.all_input_nodes[0]
            _set(node, {source: None}, SharedQuantizationSpec(source))
        elif node.target in CONCATENATIONS:
            sources = node.all_input_nodes
            _set(node, dict.fromkeys(sources), SharedQuantizationSpec(sources[0]))
        else:
            known = LINEAR | BINARY | REAL | FIXED.keys() | ACTIVATIONS | SHARING | CONCATENATIONS
            raise UnsupportedError(f"{place(node)}: the op {node.target} cannot be quantized; "
                                   f"supported: {', '.join(sorted(str(k) for k in known))}")

    def _operands(self, node: Node) -> dict[Node, object]:
        """Constants among them have a range of their own; activations have that of what makes them."""
        return {s: self._activation_spec() if s.op == "get_attr" else None for s in node.all_input_nodes}

    def _linear_inputs(self, node: Node) -> dict[Node, object]:
        source, weight, *rest = node.args
        assert isinstance(source, Node) and isinstance(weight, Node)
        inputs: dict[Node, object] = {source: None, weight: self._weight_spec()}
        bias = rest[0] if rest else node.kwargs.get("bias")
        if isinstance(bias, Node):
            inputs[bias] = DerivedQuantizationSpec(
                derived_from=[(source, node), (weight, node)], derive_qparams_fn=_bias_grid, dtype=torch.int32,
                quant_min=BIAS_MIN, quant_max=BIAS_MAX, qscheme=torch.per_channel_symmetric, ch_axis=0)
        return inputs

    def _activation_spec(self) -> QuantizationSpec:
        return QuantizationSpec(dtype=torch.int8, observer_or_fake_quant_ctr=self.observer, quant_min=CODE_MIN,
                                quant_max=CODE_MAX, qscheme=torch.per_tensor_affine)

    def _weight_spec(self) -> QuantizationSpec:
        return QuantizationSpec(dtype=torch.int8, quant_min=WEIGHT_MIN, quant_max=WEIGHT_MAX, ch_axis=0,
                                qscheme=torch.per_channel_symmetric,
                                observer_or_fake_quant_ctr=self.weight_observer)


def _fixed_spec(quant: Quant) -> FixedQParamsQuantizationSpec:
    scale, zero_point = quant.scalar
    return FixedQParamsQuantizationSpec(dtype=torch.int8, scale=scale, zero_point=zero_point, quant_min=CODE_MIN,
                                        quant_max=CODE_MAX, qscheme=torch.per_tensor_affine)


def _share_concatenated(model: GraphModule) -> None:
    """Gives everything that meets in a concatenation the quantization of what was computed first.

    Those that give an output its range are found through the ops that keep it.
    """
    order = {node: k for k, node in enumerate(model.graph.nodes)}
    leader: dict[Node, Node] = {}

    def origin(node: Node) -> Node:
        while node.target in SHARING | CONCATENATIONS or (node.target in ACTIVATIONS and not _makes_range(node)):
            node = node.all_input_nodes[0]
        return node

    def find(node: Node) -> Node:
        while node in leader:
            node = leader[node]
        return node

    for node in model.graph.nodes:
        if node.target in CONCATENATIONS:
            roots = sorted({find(origin(source)) for source in node.all_input_nodes}, key=order.__getitem__)
            for other in roots[1:]:
                leader[other] = roots[0]
    for node in leader:
        node.meta[Q_ANNOTATION_KEY].output_qspec = SharedQuantizationSpec(find(node))


def _makes_range(activation: Node) -> bool:
    """Whether an activation belongs to the op before it, so that its output has a range of its own."""
    return _fused(activation.all_input_nodes[0])


def place(node: Node) -> str:
    """Where a node stands: the path of its module, and its name."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return f"{paths[-1]} ({node.name})" if paths else node.name


def _bias_grid(observers: list) -> tuple[Tensor, Tensor]:
    """(scales, zero points) of a bias from the observers of its layer's input and weights."""
    (input_scale, _), (weight_scales, zero_points) = (o.calculate_qparams() for o in observers)
    return input_scale * weight_scales, torch.zeros_like(zero_points)


def _fused(node: Node) -> bool:
    """Whether an activation takes this node's output, and nothing else does."""
    users = list(node.users)
    return node.target in LINEAR | BINARY and len(users) == 1 and users[0].target in ACTIVATIONS


def _output_spec(node: Node) -> object | None:
    annotation = node.meta.get(Q_ANNOTATION_KEY)
    return annotation.output_qspec if annotation else None


def _set(node: Node, inputs: dict, output: object | None) -> None:
    """Annotates `node`. An input without a spec of its own (None) has the quantization of the node that makes it."""
    specs = {source: SharedQuantizationSpec(source) if spec is None else spec for source, spec in inputs.items()}
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
        input_qspec_map=specs, output_qspec=output, allow_implicit_sharing=False, _annotated=True)
