"""`.tflite` to graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ... import ops
from ...errors import FormatError, UnsupportedError
from ...graph.builder import GraphBuilder
from ...graph.ir import Graph
from ...ops.base import Operand
from ...types import Array, DType, Quant, TensorType
from . import edges, names
from .flatbuffer import Reader
from .schema import TENSOR_TYPES, VERSION, defaults

METADATA_PREFIX = "ratti."
MOST_NAMED = 5  # in a message
MOST_DIMENSIONS = 8
MOST_OPERANDS = 64
MOST_ELEMENTS = 1 << 28  # of one tensor: what a file claims must not decide how much memory is taken


def read(path: Path) -> Graph:
    """The graph in a `.tflite` file.

    FormatError: no such file, no TFLite file, or a damaged one. UnsupportedError: an op or a type that ratti does
    not know; all such ops are named at once, with their places.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot read model '{path}': {error.strerror or error}") from None
    try:
        return parse(data, path.stem)
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None
    except UnsupportedError as error:
        raise UnsupportedError(f"'{path}': {error}") from None


def parse(data: bytes, name: str = "model") -> Graph:
    """The graph in the bytes of a `.tflite` file."""
    model = Reader(data).root("Model")
    if model["version"] != VERSION:
        raise UnsupportedError(f"version {model['version']} of the TFLite schema; ratti reads version {VERSION}")
    subgraphs = model["subgraphs"] or []
    if len(subgraphs) != 1:
        raise UnsupportedError(f"{len(subgraphs)} subgraphs; ratti reads models of one (no control flow)")
    try:
        return _Importer(model, subgraphs[0], name, len(data)).run()
    except ValueError as error:
        raise FormatError(f"damaged model: {error}") from None


class _Importer:
    def __init__(self, model: dict[str, Any], subgraph: dict[str, Any], name: str, file_bytes: int) -> None:
        self._model = model
        self._subgraph = edges.strip(subgraph, lambda operator: self._code(operator)[0])
        self._tensors: list[dict[str, Any]] = self._subgraph["tensors"]
        self._buffers: list[dict[str, Any]] = model["buffers"] or []
        self._builder = GraphBuilder(name)
        self._names: dict[int, str] = {}
        self._types: dict[int, TensorType] = {}
        self._bytes_left = 8 * file_bytes  # of data that tensors may share; keeps a small file from filling memory

    def run(self) -> Graph:
        operators = self._subgraph["operators"] or []
        self._reject_unsupported(operators)
        inputs, outputs = _ints(self._subgraph["inputs"]), _ints(self._subgraph["outputs"])
        if not inputs or not outputs:
            raise FormatError("the model has no inputs or no outputs")
        for index in inputs:
            if index in self._names:
                raise FormatError(f"{self._place(index)} is listed twice among the inputs")
            self._names[index] = self._builder.input(_short(self._tensor(index)["name"] or "input"), self._type(index))
        for position, operator in enumerate(operators):
            self._node(position, operator)
        return self._builder.build([self._operand_name(i) for i in outputs], self._metadata())

    def _code(self, operator: dict[str, Any]) -> tuple[int, str]:
        """The operator's code, and its name."""
        codes = self._model["operator_codes"] or []
        index = operator["opcode_index"]
        if index >= len(codes):
            raise FormatError(f"an operator names code {index} of {len(codes)}")
        # Old files fill only the deprecated byte, new ones both; codes above 127 fit only the new field.
        code = max(int(codes[index]["deprecated_builtin_code"]), int(codes[index]["builtin_code"]))
        custom = codes[index]["custom_code"]
        return code, f"the custom op '{_short(custom)}'" if code == names.CUSTOM and custom else names.operator(code)

    def _reject_unsupported(self, operators: list[dict[str, Any]]) -> None:
        known = ops.by_tflite_code()
        places: dict[str, list[int]] = {}
        for position, operator in enumerate(operators):
            code, name = self._code(operator)
            if code not in known:
                places.setdefault(name, []).append(position)
        if places:
            found = [f"{n} (operator {_places(at)})" for n, at in list(places.items())[:MOST_NAMED]]
            if len(places) > MOST_NAMED:
                found.append(f"and {len(places) - MOST_NAMED} more")
            supported = ", ".join(sorted(names.operator(code) for code in known))
            raise UnsupportedError(f"unsupported: {', '.join(found)}. Supported: {supported}")

    def _node(self, position: int, operator: dict[str, Any]) -> None:
        op_class = ops.by_tflite_code()[self._code(operator)[0]]
        where = f"{op_class.name} at operator {position}"
        indices, outputs = self._indices(operator, where)
        operands = [Operand(self._type(i), self._data(i)) for i in indices]
        types = [self._type(i) for i in outputs]
        options = operator.get("builtin_options")
        if options is None and op_class.tflite_options:
            options = defaults(op_class.tflite_options)
        try:
            op, kept = op_class.from_tflite(options or {}, operands, types)
            indices = [indices[k] for k in kept]
        except KeyError as error:
            raise FormatError(f"{where} carries the options of another op (no {error})") from None
        except IndexError:
            raise FormatError(f"{where} has only {len(operands)} inputs") from None
        except ValueError as error:
            raise UnsupportedError(f"{where}: {error}") from None
        inputs = [self._operand_name(i) for i in indices]
        self._names.update(zip(outputs, self._builder.node(op, inputs, types, f"{op.name}_{position}"), strict=True))

    def _indices(self, operator: dict[str, Any], where: str) -> tuple[list[int], list[int]]:
        """Tensors that an operator reads and writes; an optional operand (-1) may only be missing at the end."""
        lists = []
        for field in ("inputs", "outputs"):
            vector = operator[field]
            if not isinstance(vector, int) and len(vector) > MOST_OPERANDS:
                raise UnsupportedError(f"{where} has {len(vector)} {field}; at most {MOST_OPERANDS} are supported")
            lists.append(_ints(vector))
        inputs, outputs = lists
        while inputs and inputs[-1] == -1:
            inputs.pop()
        if not inputs or not outputs:
            raise FormatError(f"{where} has no {'inputs' if outputs else 'outputs'}")
        for index in outputs:
            if index in self._names or self._data(index) is not None or outputs.count(index) > 1:
                raise FormatError(f"{where} writes {self._place(index)}, which already has a value")
        return inputs, outputs

    def _place(self, index: int) -> str:
        return f"tensor {index} '{_short(self._tensor(index)['name'])}'"

    def _tensor(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self._tensors):
            raise FormatError(f"damaged model: it names tensor {index} of {len(self._tensors)}")
        return self._tensors[index]

    def _type(self, index: int) -> TensorType:
        if index not in self._types:
            try:
                self._types[index] = self._read_type(self._tensor(index))
            except ValueError as error:
                raise FormatError(f"{self._place(index)}: {error}") from None
            except UnsupportedError as error:
                raise UnsupportedError(f"{self._place(index)} {error}") from None
        return self._types[index]

    def _read_type(self, tensor: dict[str, Any]) -> TensorType:
        kind = TENSOR_TYPES.get(tensor["type"])
        if kind is None:
            known = ", ".join(k.upper() for k in TENSOR_TYPES.values())
            raise UnsupportedError(f"is {names.tensor_type(tensor['type'])}; supported: {known}")
        if tensor["is_variable"]:
            raise UnsupportedError("is a variable; models with state are not supported")
        if isinstance(tensor["sparsity"], dict):
            raise UnsupportedError("is stored sparse; only dense tensors are supported")
        if not isinstance(tensor["shape"], int) and len(tensor["shape"]) > MOST_DIMENSIONS:
            raise UnsupportedError(f"has {len(tensor['shape'])} dimensions; at most {MOST_DIMENSIONS} are supported")
        shape = tuple(_ints(tensor["shape"]))
        if min(shape, default=1) < 1:
            raise UnsupportedError(f"has the shape {shape}; every dimension must be fixed when the model is exported")
        if math.prod(shape) > MOST_ELEMENTS:
            raise UnsupportedError(f"has {math.prod(shape):,} elements; at most {MOST_ELEMENTS:,} are supported")
        dtype = DType(kind)
        return TensorType(shape, dtype, self._quant(tensor["quantization"], dtype))

    def _quant(self, fields: Any, dtype: DType) -> Quant | None:
        if not isinstance(fields, dict) or dtype is DType.FLOAT32:
            return None
        if isinstance(fields["scale"], int) or not len(fields["scale"]):
            return None
        self._spend(fields["scale"].nbytes)
        scales = tuple(float(s) for s in fields["scale"])
        zeros = tuple(_ints(fields["zero_point"])) or (0,) * len(scales)
        low, high = dtype.limits
        if not low <= min(zeros) <= max(zeros) <= high:
            raise ValueError(f"a zero point outside {low} to {high}")
        return Quant(scales, zeros, int(fields["quantized_dimension"]) if len(scales) > 1 else None)

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise FormatError("damaged model: tensors claim the same bytes over and over")

    def _data(self, index: int) -> Array | None:
        """The tensor's constant data, without copying; None where it has none."""
        tensor = self._tensor(index)
        if tensor["buffer"] >= len(self._buffers):
            raise FormatError(f"{self._place(index)} names buffer {tensor['buffer']} of {len(self._buffers)}")
        buffer = self._buffers[tensor["buffer"]]
        if buffer["offset"] > 1:
            raise UnsupportedError(f"{self._place(index)} keeps its data behind the model (a file above 2 GB)")
        raw = buffer["data"]
        if tensor["buffer"] == 0 or isinstance(raw, int) or not len(raw):
            return None
        type = self._type(index)
        if raw.nbytes != type.bytes:
            raise FormatError(f"{self._place(index)} holds {raw.nbytes} bytes, its shape says {type.bytes}")
        if type.dtype is DType.INT4:
            self._spend(type.elements)
            return unpack_nibbles(raw, type.elements).reshape(type.shape)
        data: Array = raw.view(type.dtype.numpy).reshape(type.shape)
        return data

    def _operand_name(self, index: int) -> str:
        if index not in self._names:
            data = self._data(index)
            if data is None:
                raise FormatError(f"{self._place(index)} is read before it is computed")
            self._spend(data.nbytes)
            name = _short(self._tensor(index)["name"] or "constant")
            type = self._type(index)
            self._names[index] = self._builder.constant(name, data, type.quant, type.dtype)
        return self._names[index]

    def _metadata(self) -> dict[str, str]:
        """Entries that ratti wrote; those of other tools are not kept."""
        out = {}
        for entry in self._model["metadata"] or []:
            if str(entry["name"]).startswith(METADATA_PREFIX) and entry["buffer"] < len(self._buffers):
                raw = self._buffers[entry["buffer"]]["data"]
                text = b"" if isinstance(raw, int) else raw.tobytes()
                self._spend(len(text))
                out[entry["name"][len(METADATA_PREFIX) :]] = text.decode("utf-8", "replace")
        return out


def unpack_nibbles(raw: Array, count: int) -> Array:
    """`count` signed 4-bit codes, the low half of each byte first: (count,) int8."""
    pairs = np.stack([raw.astype(np.uint8) << 4, raw & 0xF0], axis=1).astype(np.uint8).view(np.int8)
    codes: Array = (pairs.ravel() >> 4)[:count]
    return codes


def _ints(vector: Any) -> list[int]:
    return [] if isinstance(vector, int) else [int(v) for v in vector]


def _places(positions: list[int]) -> str:
    return ", ".join(map(str, positions[:MOST_NAMED])) + (", …" if len(positions) > MOST_NAMED else "")


def _short(name: Any) -> str:
    """The last part of a converter's long tensor name, fit to be printed."""
    last = (str(name or "").split(";")[-1].split("/")[-1] or "tensor")[-48:]
    return "".join(c if c.isprintable() else "?" for c in last)
