"""Phone accelerators that no computer here has: QDQ files and torch programs held against their published lists.

What a list says is not a run: a driver may still refuse a node, or round otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SHARED = """Add AveragePool BatchNormalization Cast Clip Concat Conv DepthToSpace DequantizeLinear Div Elu Exp Flatten
Floor Gather Gemm GlobalAveragePool LRN LeakyRelu Log MatMul Max MaxPool Min Mul Neg Pad Pow QuantizeLinear ReduceMean
Relu Resize Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze"""
NNAPI = "Abs GlobalMaxPool Identity PRelu QLinearConv QLinearMatMul Reshape"
QNN = """Abs And ArgMax ArgMin Asin Atan ConvTranspose Cos Equal Expand Gelu Greater GreaterOrEqual GridSample HardSwish
InstanceNormalization LayerNormalization Less LessOrEqual LogSoftmax LpNormalization Not Or ReduceMax ReduceMin
ReduceProd ReduceSum Round Sign SpaceToDepth Tile TopK Where"""

INT8 = 3  # onnx.TensorProto.INT8
Rule = Callable[[Any, Mapping[str, int]], str]  # (node, ONNX types of the constants) -> what is wrong, or nothing


@dataclass(frozen=True)
class Delegate:
    """One accelerator's interface: the operators that its list names, and rules beside them."""

    name: str
    source: str
    operators: frozenset[str]
    rules: tuple[Rule, ...]

    def obstacles(self, model: bytes) -> list[str]:
        """What the list does not allow in an ONNX file; empty where it takes every node."""
        import onnx

        graph = onnx.load_from_string(model).graph
        constants = {i.name: i.data_type for i in graph.initializer}
        real = [n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
        constants.update({n.output[0]: onnx.TensorProto.FLOAT for n in real})
        found = {f"{n.op_type} is not in the list" for n in graph.node if n.op_type not in self.operators}
        found |= {reason for n in graph.node for rule in self.rules if (reason := rule(n, constants))}
        return sorted(found)


def _constant_weights(node: Any, constants: Mapping[str, int]) -> str:
    wrong = node.op_type == "Conv" and any(i not in constants for i in node.input[1:])
    return "Conv with weights or bias that are no constants" if wrong else ""


def _constant_scales(node: Any, constants: Mapping[str, int]) -> str:
    wrong = node.op_type in ("QuantizeLinear", "DequantizeLinear") and any(i not in constants for i in node.input[1:])
    return f"{node.op_type} with scales that are no constants" if wrong else ""


def _positive_indices(node: Any, constants: Mapping[str, int]) -> str:
    """ratti's tables of int8 codes are read with negative indices; those of uint8 codes are not."""
    wrong = node.op_type == "Gather" and constants.get(node.input[0]) == INT8
    return "Gather with negative indices (the uint8 form has none)" if wrong else ""


def _list(own: str) -> frozenset[str]:
    return frozenset(f"{SHARED} {own}".split())


DELEGATES = (
    Delegate("nnapi", "ONNX Runtime 1.31.1, tools/mobile_helpers/nnapi_supported_ops.md", _list(NNAPI),
             (_constant_weights, _constant_scales)),
    Delegate("qnn", "ONNX Runtime, docs/execution-providers/QNN-ExecutionProvider.md", _list(QNN),
             (_constant_weights, _constant_scales, _positive_indices)),
)

# Behind ExecuTorch: the operators that its QNN backend has a builder for. It has no NNAPI delegate.
QNN_PROGRAM = "ExecuTorch 1.5.1, backends/qualcomm/builders"
QNN_CALLS = """_softmax abs add amax argmax argmin avg_pool2d bmm cat clamp constant_pad_nd convolution
dequantize_per_channel dequantize_per_tensor div elu embedding expand_copy flip gather gelu getitem hardsigmoid
hardswish hardtanh index_select linear log matmul max max_pool2d_with_indices maximum mean minimum mm mul neg
permute_copy pixel_shuffle pixel_unshuffle pow prelu quantize_per_channel quantize_per_tensor relu repeat select_copy
sigmoid sign slice_copy split_with_sizes_copy sqrt squeeze_copy stack sub sum tanh unbind unsqueeze_copy
upsample_bilinear2d upsample_nearest2d view_copy where _to_dim_order_copy"""


def missing_calls(calls: Iterable[str]) -> list[str]:
    """Which of a torch program's operators that backend does not take, by their names without overloads."""
    return sorted({name for name in calls if name not in QNN_CALLS.split()})
