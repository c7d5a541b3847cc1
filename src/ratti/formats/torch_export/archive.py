"""Reading a `.pt2` file without torch's loader, which unpickles.

The file is a zip archive: the program as JSON, each weight as the raw bytes of its elements. Both are data. What is
pickled in such a file (sample inputs, weights of unusual types) is never opened. The program becomes a module of the
ops that the graph knows, and from there a graph. Source: torch 2.13, `torch/_export/serde/schema.py`.
"""

from __future__ import annotations

import json
import math
import operator
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from ...errors import FormatError, UnsupportedError
from ...graph.ir import Graph
from ...types import Array
from .handlers import HANDLERS
from .importer import Importer
from .program import BATCH_NORM, SKIPPED, UNCHANGED

MOST_BYTES = 1 << 31  # that the entries of a file may unpack to
ELEMENTS = {4: np.int32, 5: np.int64, 7: np.float32, 8: np.float64}  # torch's ScalarType as the schema counts it
KNOWN = frozenset({*HANDLERS, *UNCHANGED, *SKIPPED, BATCH_NORM})
PREFIX = "torch.ops."
ATTRIBUTES = ("parameter", "buffer", "tensor_constant")


def read(path: Path) -> Graph:
    """See the package."""
    try:
        with zipfile.ZipFile(path) as file:
            return _Reader(file).graph(path.stem)
    except OSError as error:
        raise FormatError(f"'{path}': {error.strerror or error}") from None
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None
    except UnsupportedError as error:
        raise UnsupportedError(f"'{path}': {error}") from None
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError,
            NotImplementedError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise FormatError(f"'{path}': no program of torch.export, or damaged ({why})") from None


class _Reader:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self.file = file
        self.names = {name.partition("/")[2]: name for name in file.namelist()}
        if sum(entry.file_size for entry in file.infolist()) > MOST_BYTES:
            raise UnsupportedError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        self.module = nn.Module()
        self.nodes: dict[str, fx.Node] = {}

    def graph(self, name: str) -> Graph:
        if "models/model.json" not in self.names:
            raise FormatError("no program of torch.export: models/model.json is missing")
        if self._text("byteorder", "little") != "little":
            raise UnsupportedError("weights in big-endian order")
        program = json.loads(self._bytes("models/model.json"))["graph_module"]
        weights = self._tensors("weights") | self._tensors("constants")
        graph, source = fx.Graph(), program["graph"]
        types = source["tensor_values"]
        for entry, spec in zip(source["inputs"], program["signature"]["input_specs"], strict=True):
            self._input(graph, entry["as_tensor"]["name"], spec, weights, types)
        for node in source["nodes"]:
            self._call(graph, node, types)
        outputs = [self.nodes[o["as_tensor"]["name"]] for o in source["outputs"]]
        graph.output(tuple(outputs))
        return Importer(fx.GraphModule(self.module, graph), name, 1, HANDLERS).run({})

    def _input(self, graph: fx.Graph, name: str, spec: Mapping[str, Any], weights: Mapping[str, Array],
               types: Mapping[str, Any]) -> None:
        (kind, content), = spec.items()
        if kind == "user_input":
            node = graph.placeholder(name)
            node.meta["val"] = _empty(types[name])
        elif kind in ATTRIBUTES:
            key = content.get("parameter_name") or content.get("buffer_name") or content.get("tensor_constant_name")
            if key not in weights:
                raise FormatError(f"no weights of '{key}'")
            attribute = f"weight_{len(self.nodes)}"
            self.module.register_buffer(attribute, torch.from_numpy(weights[key]))
            node = graph.get_attr(attribute)
        else:
            raise UnsupportedError(f"an input of kind {kind}; tensors, parameters and buffers are supported")
        self.nodes[name] = node

    def _call(self, graph: fx.Graph, entry: Mapping[str, Any], types: Mapping[str, Any]) -> None:
        label = str(entry["target"]).removeprefix(PREFIX)
        if label not in KNOWN:
            raise UnsupportedError(f"the op {label} is not supported here; supported: {', '.join(sorted(KNOWN))}")
        packet, overload = label.removeprefix("aten.").split(".")
        arguments = [(a["name"], self._value(a["arg"]), a["kind"]) for a in entry["inputs"]]
        positional = tuple(value for _, value, kind in arguments if kind == 1)
        named = {key: value for key, value, kind in arguments if kind != 1}
        node = graph.call_function(getattr(getattr(torch.ops.aten, packet), overload), positional, named)
        path = str(entry.get("metadata", {}).get("nn_module_stack", ""))
        if path:
            node.meta["nn_module_stack"] = {"0": (_module(path), "")}
        for output in entry["outputs"]:
            if "as_tensor" in output:
                name = output["as_tensor"]["name"]
                node.meta["val"], self.nodes[name] = _empty(types[name]), node
            elif "as_tensors" in output:  # several parts, each by its own name
                parts = [part["name"] for part in output["as_tensors"]]
                node.meta["val"] = [_empty(types[name]) for name in parts]
                for k, name in enumerate(parts):
                    self.nodes[name] = graph.call_function(operator.getitem, (node, k))
                    self.nodes[name].meta["val"] = node.meta["val"][k]

    def _value(self, argument: Mapping[str, Any]) -> Any:
        (kind, content), = argument.items()
        if kind == "as_none":
            return None
        if kind == "as_tensor":
            return self.nodes[content["name"]]
        if kind == "as_tensors":
            return [self.nodes[c["name"]] for c in content]
        if kind in ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools"):
            return content
        if kind in ("as_sym_int", "as_sym_ints"):  # of the number of samples alone: which one is the graph's own
            return [_whole(c) for c in content] if kind == "as_sym_ints" else _whole(content)
        raise UnsupportedError(f"an argument of kind {kind}")

    def _tensors(self, folder: str) -> dict[str, Array]:
        """Weights or constants by name."""
        config = f"data/{folder}/model_{folder}_config.json"
        if config not in self.names:
            return {}
        found = {}
        for name, entry in json.loads(self._bytes(config))["config"].items():
            if entry["use_pickle"]:
                raise UnsupportedError(f"the tensor '{name}' is pickled, which is never read; save the program with "
                                       f"ordinary contiguous float32 tensors")
            found[name] = self._tensor(name, entry["tensor_meta"], self._bytes(f"data/{folder}/{entry['path_name']}"))
        return found

    def _tensor(self, name: str, meta: Mapping[str, Any], data: bytes) -> Array:
        dtype = ELEMENTS.get(meta["dtype"])
        if dtype is None:
            raise UnsupportedError(f"the tensor '{name}' has elements of kind {meta['dtype']}; float32 is supported")
        shape = [d["as_int"] for d in meta["sizes"]]
        strides = [d["as_int"] for d in meta["strides"]]
        elements = np.frombuffer(data[: len(data) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize], dtype)
        start = meta["storage_offset"]["as_int"]
        last = start + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if min([0, *shape, *strides, start]) < 0 or (math.prod(shape) and last >= len(elements)):
            raise FormatError(f"the tensor '{name}' of shape {shape} reaches beyond its {len(data)} bytes")
        view = np.lib.stride_tricks.as_strided(elements[start:], shape, [s * elements.itemsize for s in strides])
        return np.array(view, np.float32 if np.dtype(dtype).kind == "f" else dtype)

    def _bytes(self, name: str) -> bytes:
        if name not in self.names:
            raise FormatError(f"{name} is missing")
        return self.file.read(self.names[name])

    def _text(self, name: str, default: str) -> str:
        return self._bytes(name).decode() if name in self.names else default


def _empty(type: Mapping[str, Any]) -> torch.Tensor:
    """A tensor without data of the shape that a value has; a size that may vary counts as 1."""
    return torch.empty([d.get("as_int", 1) for d in type["sizes"]], device="meta")


def _whole(content: Mapping[str, Any]) -> int:
    return int(content["as_int"]) if "as_int" in content else -1


def _module(stack: str) -> str:
    """The innermost path in `key,path,class;key,path,class`, or nothing."""
    parts = [entry.split(",") for entry in stack.split(";")]
    paths = [p[1] for p in parts if len(p) >= 3]
    return paths[-1] if paths else ""
