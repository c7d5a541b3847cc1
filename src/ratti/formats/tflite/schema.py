"""The part of the published TFLite schema (schema.fbs, version 3) that ratti reads and writes.

A table is an ordered list of fields; its position is the field's slot. A field is (name, kind, default). Kinds: a
scalar ("i8" … "f32", "bool"), "string", a table's name, "union" (the field before it holds the member), or a
vector of any of these in brackets. A "skip" field is not looked at.
"""

from __future__ import annotations

from typing import Any

Field = tuple[str, str, Any]

FILE_IDENTIFIER = b"TFL3"
VERSION = 3


def _f(name: str, kind: str, default: Any = 0) -> Field:
    return (name, kind, default)


_CONV = [
    _f("padding", "i8"),
    _f("stride_w", "i32"),
    _f("stride_h", "i32"),
]
_ACTIVATION = _f("fused_activation_function", "i8")
_DILATION = [_f("dilation_w_factor", "i32", 1), _f("dilation_h_factor", "i32", 1)]

TABLES: dict[str, list[Field]] = {
    "Model": [
        _f("version", "u32"),
        _f("operator_codes", "[OperatorCode]"),
        _f("subgraphs", "[SubGraph]"),
        _f("description", "string"),
        _f("buffers", "[Buffer]"),
        _f("metadata_buffer", "[i32]"),
        _f("metadata", "[Metadata]"),
    ],
    "OperatorCode": [
        _f("deprecated_builtin_code", "i8"),
        _f("custom_code", "string"),
        _f("version", "i32", 1),
        _f("builtin_code", "i32"),
    ],
    "SubGraph": [
        _f("tensors", "[Tensor]"),
        _f("inputs", "[i32]"),
        _f("outputs", "[i32]"),
        _f("operators", "[Operator]"),
        _f("name", "string"),
    ],
    "Tensor": [
        _f("shape", "[i32]"),
        _f("type", "i8"),
        _f("buffer", "u32"),
        _f("name", "string"),
        _f("quantization", "QuantizationParameters"),
        _f("is_variable", "bool", False),
        _f("sparsity", "SparsityParameters"),
    ],
    "QuantizationParameters": [
        _f("min", "[f32]"),
        _f("max", "[f32]"),
        _f("scale", "[f32]"),
        _f("zero_point", "[i64]"),
        _f("details_type", "u8"),
        _f("details", "skip"),
        _f("quantized_dimension", "i32"),
    ],
    "SparsityParameters": [],  # ratti needs to know only whether it is there
    "Operator": [
        _f("opcode_index", "u32"),
        _f("inputs", "[i32]"),
        _f("outputs", "[i32]"),
        _f("builtin_options_type", "u8"),
        _f("builtin_options", "union"),
    ],
    "Buffer": [_f("data", "[u8]"), _f("offset", "u64"), _f("size", "u64")],
    "Metadata": [_f("name", "string"), _f("buffer", "u32")],
    "Conv2DOptions": [*_CONV, _ACTIVATION, *_DILATION],
    "DepthwiseConv2DOptions": [*_CONV, _f("depth_multiplier", "i32"), _ACTIVATION, *_DILATION],
    "Pool2DOptions": [*_CONV, _f("filter_width", "i32"), _f("filter_height", "i32"), _ACTIVATION],
    "FullyConnectedOptions": [_ACTIVATION, _f("weights_format", "i8"), _f("keep_num_dims", "bool", False)],
    "SoftmaxOptions": [_f("beta", "f32", 0.0)],
    "AddOptions": [_ACTIVATION],
    "ReshapeOptions": [_f("new_shape", "[i32]")],
    "PadOptions": [],
    "ReducerOptions": [_f("keep_dims", "bool", False)],
    "QuantizeOptions": [],
    "ConcatenationOptions": [_f("axis", "i32"), _ACTIVATION],
    "MulOptions": [_ACTIVATION],
    "SubOptions": [_ACTIVATION],
    "ResizeBilinearOptions": [
        _f("new_height", "skip"),
        _f("new_width", "skip"),
        _f("align_corners", "bool", False),
        _f("half_pixel_centers", "bool", False),
    ],
    "ResizeNearestNeighborOptions": [_f("align_corners", "bool", False), _f("half_pixel_centers", "bool", False)],
    "SpaceToDepthOptions": [_f("block_size", "i32")],
    "DepthToSpaceOptions": [_f("block_size", "i32")],
    "StridedSliceOptions": [
        _f("begin_mask", "i32"),
        _f("end_mask", "i32"),
        _f("ellipsis_mask", "i32"),
        _f("new_axis_mask", "i32"),
        _f("shrink_axis_mask", "i32"),
        _f("offset", "bool", False),
    ],
    "SliceOptions": [],
    "SplitOptions": [_f("num_splits", "i32")],
    "SplitVOptions": [_f("num_splits", "i32")],
    "PackOptions": [_f("values_count", "i32"), _f("axis", "i32")],
    "UnpackOptions": [_f("num", "i32"), _f("axis", "i32")],
    "TransposeOptions": [],
    "SqueezeOptions": [_f("squeeze_dims", "[i32]")],
    "ExpandDimsOptions": [],
    "TransposeConvOptions": [_f("padding", "i8"), _f("stride_w", "i32"), _f("stride_h", "i32"), _ACTIVATION],
    "ArgMaxOptions": [_f("output_type", "i8")],
    "LeakyReluOptions": [_f("alpha", "f32", 0.0)],
    "BatchMatMulOptions": [_f("adj_x", "bool", False), _f("adj_y", "bool", False)],
    "MaximumMinimumOptions": [],
}

# Members of the union BuiltinOptions.
OPTIONS: dict[int, str] = {
    1: "Conv2DOptions",
    2: "DepthwiseConv2DOptions",
    5: "Pool2DOptions",
    8: "FullyConnectedOptions",
    9: "SoftmaxOptions",
    10: "ConcatenationOptions",
    11: "AddOptions",
    15: "ResizeBilinearOptions",
    17: "ReshapeOptions",
    19: "SpaceToDepthOptions",
    21: "MulOptions",
    22: "PadOptions",
    26: "TransposeOptions",
    27: "ReducerOptions",
    28: "SubOptions",
    30: "SqueezeOptions",
    32: "StridedSliceOptions",
    35: "SplitOptions",
    39: "MaximumMinimumOptions",
    40: "ArgMaxOptions",
    48: "SliceOptions",
    49: "TransposeConvOptions",
    52: "ExpandDimsOptions",
    59: "PackOptions",
    64: "UnpackOptions",
    74: "ResizeNearestNeighborOptions",
    75: "LeakyReluOptions",
    79: "SplitVOptions",
    89: "QuantizeOptions",
    94: "DepthToSpaceOptions",
    101: "BatchMatMulOptions",
}

# TensorType codes that ratti holds.
TENSOR_TYPES: dict[int, str] = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8", 17: "int4"}


def defaults(table: str) -> dict[str, Any]:
    """A table with no field present."""
    return {name: default for name, kind, default in TABLES[table] if kind not in ("skip", "union")}
