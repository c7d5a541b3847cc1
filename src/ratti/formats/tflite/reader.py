"""`.tflite` to graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ... import ops
from ...errors import FormatError, UnsupportedError
from ...graph.builder import GraphBuilder
from ...graph.ir import Graph
from ...ops.base import Operand
from ...types import Array, DType, Quant, TensorType
from .flatbuffer import Reader
from .schema import TENSOR_TYPES, defaults

METADATA_PREFIX = "ratti."


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
    subgraphs = model["subgraphs"] or []
    if len(subgraphs) != 1:
        raise UnsupportedError(f"{len(subgraphs)} subgraphs; ratti reads models of one (no control flow)")
    try:
        return _Importer(model, subgraphs[0], name).run()
    except ValueError as error:
        raise FormatError(f"damaged model: {error}") from None


class _Importer:
    def __init__(self, model: dict[str, Any], subgraph: dict[str, Any], name: str) -> None:
        self._model = model
        self._tensors: list[dict[str, Any]] = subgraph["tensors"] or []
        self._subgraph = subgraph
        self._builder = GraphBuilder(name)
        self._names: dict[int, str] = {}

    def run(self) -> Graph:
        operators = self._subgraph["operators"] or []
        self._reject_unsupported(operators)
        inputs = _ints(self._subgraph["inputs"])
        for index in inputs:
            self._names[index] = self._builder.input(_short(self._tensor(index)["name"] or "input"), self._type(index))
        for position, operator in enumerate(operators):
            self._node(position, operator)
        outputs = _ints(self._subgraph["outputs"])
        if not inputs or not outputs:
            raise FormatError("the model has no inputs or no outputs")
        return self._builder.build([self._operand_name(i) for i in outputs], self._metadata())

    def _code(self, operator: dict[str, Any]) -> int:
        codes = self._model["operator_codes"] or []
        index = operator["opcode_index"]
        if index >= len(codes):
            raise FormatError(f"an operator names code {index} of {len(codes)}")
        # Old files fill only the deprecated byte, new ones both; codes above 127 fit only the new field.
        return max(int(codes[index]["deprecated_builtin_code"]), int(codes[index]["builtin_code"]))

    def _reject_unsupported(self, operators: list[dict[str, Any]]) -> None:
        known = ops.by_tflite_code()
        places: dict[int, list[str]] = {}
        for position, operator in enumerate(operators):
            code = self._code(operator)
            if code not in known:
                places.setdefault(code, []).append(str(position))
        if places:
            found = "; ".join(f"TFLite op {code} at operator {', '.join(at[:5])}" for code, at in places.items())
            raise UnsupportedError(f"unsupported: {found}. Supported: {', '.join(ops.names())}")

    def _node(self, position: int, operator: dict[str, Any]) -> None:
        op_class = ops.by_tflite_code()[self._code(operator)]
        where = f"{op_class.name} at operator {position}"
        indices = [i for i in _ints(operator["inputs"]) if i >= 0]
        operands = [Operand(self._type(i), self._data(i)) for i in indices]
        outputs = _ints(operator["outputs"])
        types = [self._type(i) for i in outputs]
        options = operator.get("builtin_options")
        if options is None and op_class.tflite_options:
            options = defaults(op_class.tflite_options)
        try:
            op, kept = op_class.from_tflite(options or {}, operands, types)
        except KeyError as error:
            raise FormatError(f"{where} carries the options of another op (no {error})") from None
        except IndexError:
            raise FormatError(f"{where} has only {len(operands)} inputs") from None
        except ValueError as error:
            raise UnsupportedError(f"{where}: {error}") from None
        names = self._builder.node(op, [self._operand_name(indices[k]) for k in kept], types, f"{op.name}_{position}")
        self._names.update(zip(outputs, names, strict=True))

    def _tensor(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self._tensors):
            raise FormatError(f"tensor {index} of {len(self._tensors)}")
        return self._tensors[index]

    def _type(self, index: int) -> TensorType:
        tensor = self._tensor(index)
        kind = TENSOR_TYPES.get(tensor["type"])
        if kind is None:
            raise UnsupportedError(f"tensor '{_short(tensor['name'])}' has the element type {tensor['type']}")
        if tensor["is_variable"]:
            raise UnsupportedError(f"tensor '{_short(tensor['name'])}' is a variable (stateful models)")
        return TensorType(tuple(_ints(tensor["shape"])), DType(kind), _quant(tensor["quantization"]))

    def _data(self, index: int) -> Array | None:
        tensor, buffers = self._tensor(index), self._model["buffers"] or []
        if tensor["buffer"] >= len(buffers):
            raise FormatError(f"tensor '{_short(tensor['name'])}' names buffer {tensor['buffer']} of {len(buffers)}")
        raw = buffers[tensor["buffer"]]["data"]
        if tensor["buffer"] == 0 or isinstance(raw, int) or not len(raw):
            return None
        type = self._type(index)
        if raw.nbytes != type.bytes:
            raise FormatError(f"tensor '{_short(tensor['name'])}' holds {raw.nbytes} bytes, its shape says {type.bytes}")
        return np.frombuffer(raw.tobytes(), type.dtype.numpy).reshape(type.shape)

    def _operand_name(self, index: int) -> str:
        if index not in self._names:
            data = self._data(index)
            if data is None:
                raise FormatError(f"tensor {index} '{_short(self._tensor(index)['name'])}' is read before it is computed")
            self._names[index] = self._builder.constant(
                _short(self._tensor(index)["name"] or "constant"), data, self._type(index).quant
            )
        return self._names[index]

    def _metadata(self) -> dict[str, str]:
        """Entries that ratti wrote; those of other tools are not kept."""
        buffers = self._model["buffers"] or []
        out = {}
        for entry in self._model["metadata"] or []:
            if str(entry["name"]).startswith(METADATA_PREFIX) and entry["buffer"] < len(buffers):
                raw = buffers[entry["buffer"]]["data"]
                text = b"" if isinstance(raw, int) else raw.tobytes()
                out[entry["name"][len(METADATA_PREFIX) :]] = text.decode("utf-8", "replace")
        return out


def _ints(vector: Any) -> list[int]:
    return [] if isinstance(vector, int) else [int(v) for v in vector]


def _short(name: Any) -> str:
    """The last part of a converter's long tensor name."""
    return (str(name or "").split(";")[-1].split("/")[-1] or "tensor")[-48:]


def _quant(fields: Any) -> Quant | None:
    if not isinstance(fields, dict) or isinstance(fields["scale"], int) or not len(fields["scale"]):
        return None
    scales = tuple(float(s) for s in fields["scale"])
    zeros = tuple(_ints(fields["zero_point"])) or (0,) * len(scales)
    return Quant(scales, zeros, int(fields["quantized_dimension"]) if len(scales) > 1 else None)
