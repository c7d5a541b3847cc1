"""What an ONNX file says, checked and in plain Python: inputs, nodes, constants.

The file is untrusted. Protocol buffers keep within the file by themselves; here every shape is held against the bytes
that it claims, every count against a limit, and weights in a second file are taken only from beside the model.
Format: https://onnx.ai/onnx/repo-docs/IR.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FormatError, MissingDependencyError, UnsupportedError
from ...types import Array, Shape

MOST_NODES = 10_000
MOST_NAMES = 1 << 20  # of all nodes' inputs, outputs and attributes
MOST_DIMENSIONS = 8
MOST_ELEMENTS = 1 << 28  # of one constant
REUSE = 8  # how many times the bytes of a second file may be claimed
STANDARD = ("", "ai.onnx")

# Element types by TensorProto's code: (numpy's type in raw data, the field that holds values otherwise).
ELEMENTS = {
    1: ("<f4", "float_data"),
    2: ("<u1", "int32_data"),
    3: ("<i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
}
# AttributeProto's types that are read: (code, field).
ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


@dataclass(frozen=True, eq=False)
class Node:
    """One operator. Operands that are left out have empty names."""

    position: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{short(self.op)} " + (f"'{short(self.name)}'" if self.name else f"at node {self.position}")


@dataclass(frozen=True)
class Port:
    """An input of the model: its element type in numpy's name, and its shape with None where it is open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """A model of one graph."""

    opset: int
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]


def load(data: bytes, folder: Path | None = None) -> Program:
    """The program in the bytes of an ONNX file; `folder` is where a second file with weights may lie.

    FormatError: no ONNX file, or a damaged one. UnsupportedError: something that ratti does not hold.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto
    except ImportError:
        raise MissingDependencyError("onnx", "onnx", "reading .onnx files") from None
    try:
        model = ModelProto.FromString(data)
        return _Loader(model, folder).run()
    except (DecodeError, UnicodeDecodeError):
        raise FormatError("not an ONNX file, or a damaged one: it is no protocol buffer of a model") from None


class _Loader:
    def __init__(self, model: Any, folder: Path | None) -> None:
        self._model, self._graph, self._folder = model, model.graph, folder
        self._names_left = MOST_NAMES
        self._external: dict[str, tuple[Array, int]] = {}  # second files, and the bytes of each that may be claimed

    def run(self) -> Program:
        graph = self._graph
        if not graph.node and not graph.output:
            raise FormatError("not an ONNX model: it has no graph")
        opsets = {o.domain: int(o.version) for o in self._model.opset_import if o.domain in STANDARD}
        if not opsets:
            raise FormatError("the model names no operator set")
        if len(graph.node) > MOST_NODES:
            raise UnsupportedError(f"{len(graph.node)} nodes; at most {MOST_NODES:,} are supported")
        if len(graph.sparse_initializer):
            raise UnsupportedError("sparse constants; only dense ones are supported")
        constants = {_text(t.name): self._tensor(t) for t in graph.initializer}
        nodes = tuple(self._node(k, n) for k, n in enumerate(graph.node))
        inputs = tuple(self._port(v) for v in graph.input if _text(v.name) not in constants)
        outputs = tuple(_text(v.name) for v in graph.output)
        if not inputs or not outputs:
            raise FormatError("the model has no inputs or no outputs")
        return Program(max(opsets.values()), inputs, outputs, nodes, constants)

    def _node(self, position: int, node: Any) -> Node:
        self._spend(len(node.input) + len(node.output) + len(node.attribute))
        here = Node(position, _text(node.op_type), _text(node.name), _texts(node.input), _texts(node.output))
        attributes = {}
        for attribute in node.attribute:
            kind = ATTRIBUTES.get(attribute.type)
            if kind is None:
                label = short(_text(attribute.name))
                raise UnsupportedError(f"{here.place}: attribute '{label}' of type {attribute.type}")
            value = getattr(attribute, kind)
            if kind == "t":
                value = self._tensor(value)
            elif kind in ("ints", "floats", "strings"):
                self._spend(len(value))
                value = tuple(value)
            attributes[_text(attribute.name)] = value
        return replace(here, attributes=attributes)

    def _spend(self, names: int) -> None:
        self._names_left -= names
        if self._names_left < 0:
            raise UnsupportedError(f"more than {MOST_NAMES:,} operands and attributes")

    def _port(self, value: Any) -> Port:
        tensor = value.type.tensor_type
        name = short(_text(value.name))
        if not value.type.HasField("tensor_type") or tensor.elem_type not in ELEMENTS:
            raise UnsupportedError(f"input '{name}' is no tensor of numbers")
        dims = tensor.shape.dim
        if not tensor.HasField("shape") or len(dims) > MOST_DIMENSIONS:
            raise UnsupportedError(f"input '{name}' has no shape of at most {MOST_DIMENSIONS} dimensions")
        shape = tuple(int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
        return Port(_text(value.name), np.dtype(ELEMENTS[tensor.elem_type][0]).name, shape)

    def _tensor(self, tensor: Any) -> Array:
        name = f"constant '{short(_text(tensor.name))}'"
        if tensor.data_type not in ELEMENTS:
            raise UnsupportedError(f"{name} has the element type {tensor.data_type}, which is not supported")
        if len(tensor.dims) > MOST_DIMENSIONS:
            raise UnsupportedError(f"{name} has {len(tensor.dims)} dimensions; at most {MOST_DIMENSIONS} are supported")
        shape = tuple(int(d) for d in tensor.dims)
        elements = math.prod(shape)
        if min(shape, default=0) < 0 or elements > MOST_ELEMENTS:
            raise FormatError(f"{name} claims the shape {shape}")
        code, values = ELEMENTS[tensor.data_type]
        dtype = np.dtype(code)
        if tensor.data_location == 1:
            return self._from_file(tensor, name, shape, dtype)
        if tensor.raw_data:
            if len(tensor.raw_data) != elements * dtype.itemsize:
                raise FormatError(f"{name} holds {len(tensor.raw_data)} bytes, its shape says {shape}")
            return _native(np.frombuffer(tensor.raw_data, dtype).reshape(shape))
        held = getattr(tensor, values)
        if len(held) != elements:
            raise FormatError(f"{name} holds {len(held)} values, its shape says {shape}")
        numbers = np.array(held, np.int64 if values.startswith("int") else dtype)
        if dtype.kind == "f" and values == "int32_data":  # float16 is kept as its bits
            return _native(numbers.astype(np.uint16).view(np.float16).reshape(shape))
        return _native(numbers.astype(dtype).reshape(shape))

    def _from_file(self, tensor: Any, name: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
        """Data in a second file, which must lie beside the model."""
        entries = {_text(e.key): _text(e.value) for e in tensor.external_data[:16]}
        location = entries.get("location", "")
        if self._folder is None:
            raise UnsupportedError(f"{name} keeps its data in another file; save the model in one file")
        raw = self._file(location, name)
        size = math.prod(shape) * dtype.itemsize
        try:
            start, length = int(entries.get("offset", "0")), int(entries.get("length", str(size)))
        except ValueError:
            raise FormatError(f"{name} has no valid place in '{short(location)}'") from None
        if length != size or start < 0 or start + size > len(raw):
            raise FormatError(f"{name} claims {length} bytes at {start} of '{short(location)}', its shape says {shape}")
        whole, left = self._external[location]
        if size > left:
            raise FormatError(f"constants claim the same bytes of '{short(location)}' over and over")
        self._external[location] = (whole, left - size)
        return _native(np.frombuffer(raw[start : start + size].tobytes(), dtype).reshape(shape))

    def _file(self, location: str, name: str) -> Array:
        assert self._folder is not None
        if location not in self._external:
            path = self._folder / location
            plain = location and Path(location).name == location and "\0" not in location
            if not plain or path.is_symlink():
                raise UnsupportedError(
                    f"{name} keeps its data in '{short(location)}'; only a file in the model's own folder is read"
                )
            try:
                raw = np.memmap(path, np.uint8, "r")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise FormatError(f"{name} keeps its data in '{short(location)}': {reason}") from None
            self._external[location] = (raw, REUSE * len(raw))
        return self._external[location][0]


def _native(data: Array) -> Array:
    """Half and double precision as float32."""
    if data.dtype.kind == "f" and data.dtype != np.float32:
        with np.errstate(over="ignore"):
            return data.astype(np.float32)
    return data


def _text(value: str | bytes) -> str:
    """A string of the file; protocol buffers give bytes where it is damaged."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _texts(values: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple(_text(v) for v in values)


def short(name: str) -> str:
    """The end of a long name, fit to be printed."""
    return "".join(c if c.isprintable() else "?" for c in name[-48:])


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names for a message, the first ones."""
    known = list(dict.fromkeys(names))
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
