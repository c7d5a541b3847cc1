"""Damaged and hostile ONNX files: nothing but ratti's own errors may come of them, soon, and within memory.

The long form is fuzz.py.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_files import OPS, Builder, helper, net, onnx, quantized, single
from ratti import models
from ratti.errors import FormatError, InputError, UnsupportedError
from ratti.formats import onnx as door
from ratti.graph.passes import run_pipeline
from ratti.graph.text import to_text
from tflite_files import mutations

SECONDS = 2.0  # of processor time, for one file
MEMORY = 512 * 1024  # KiB by which the process may grow


def read(data: bytes) -> str:
    """What became of a file: "graph", or the one line of the error."""
    start = time.process_time()
    try:
        to_text(run_pipeline(door.parse(data)))
        result = "graph"
    except (FormatError, UnsupportedError) as error:
        result = str(error)
        assert result and "\n" not in result and len(result) < 2000
    assert time.process_time() - start < SECONDS
    return result


@pytest.fixture(autouse=True)
def bounded_memory() -> object:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def whole_nets(folder: Path) -> list[bytes]:
    """A float model with a bit of everything, and its quantized forms."""
    forms = [quantized(net(), folder, False), quantized(net(), folder, False, integers=True)]
    return [net(True).SerializeToString(), *(path.read_bytes() for path in forms)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return whole_nets(tmp_path_factory.mktemp("damage"))


def test_truncation(files: list[bytes]) -> None:
    for data in files:
        assert read(data) == "graph"
        results = [read(data[:k]) for k in range(0, len(data), max(1, len(data) // 300))]
        assert results.count("graph") < 0.05 * len(results)


def test_mutations(files: list[bytes]) -> None:
    results = [read(m) for k, data in enumerate(files) for m in mutations(data, 200, seed=k)]
    assert 0.02 * len(results) < results.count("graph") < 0.9 * len(results)
    assert len(set(results)) > 50


def test_mutations_of_every_op() -> None:
    for k, make in enumerate(OPS.values()):
        for data in mutations(single(make).SerializeToString(), 40, seed=100 + k):
            read(data)


def changed(**attributes: Any) -> bytes:
    """A convolution with other attributes."""
    return single(lambda b: b.conv("x", 6, 4, (3, 3), **attributes)).SerializeToString()


def with_constant(**fields: Any) -> bytes:
    """A model whose weights are stored in another way."""
    model = single(OPS["conv"])
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    for name, value in fields.items():
        if isinstance(value, (list, tuple)):
            del getattr(tensor, name)[:]
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return model.SerializeToString()


def chain(op: str, count: int) -> bytes:
    b = Builder()
    x = "x"
    for _ in range(count):
        x = b.node(op, x)
    return b.model((1, 4), x).SerializeToString()


def doubled(count: int) -> bytes:
    """Constants joined to themselves, again and again."""
    b = Builder()
    c = b.constant(np.zeros(1000, np.float32))
    for _ in range(count):
        c = b.node("Concat", c, c, axis=0)
    return b.model((1, 4), b.node("Add", "x", c)).SerializeToString()


REFUSED = {
    "empty": (b"", "no graph"),
    "not protobuf": (b"\xff" * 40, "not an ONNX file"),
    "text": (b"hello world, this is no model", "not an ONNX"),
    "negative dimensions": (with_constant(dims=[-1, 6, 3, 3]), "claims the shape"),
    "huge dimensions": (with_constant(dims=[1 << 40, 1 << 40, 3, 3]), "claims the shape"),
    "too little data": (with_constant(raw_data=b"1234"), "holds 4 bytes"),
    "unknown type": (with_constant(data_type=99), "element type 99"),
    "strings": (with_constant(data_type=8), "element type 8"),
    "huge window": (changed(dilations=[1 << 30, 1 << 30]), "does not fit|must span"),
    "no stride": (changed(strides=[0, 1]), "must be at least 1"),
    "negative stride": (changed(strides=[-1, 1]), "must be at least 1"),
    "negative padding": (changed(pads=[-1, 0, 0, 0]), "by 0 or more"),
    "huge padding": (changed(pads=[1 << 40, 0, 0, 0]), "elements are held"),
    "wrong groups": (changed(group=4), "groups"),
    "no groups": (
        single(lambda b: b.node("Conv", "x", b.random(4, 6, 3, 3), group=0)).SerializeToString(),
        "groups",
    ),
    "huge pad": (single(lambda b: b.node("Pad", "x", b.ints(*[0] * 6, 1 << 40, 1))).SerializeToString(), "held"),
    "huge constant": (
        single(lambda b: b.node("Add", "x", b.node("ConstantOfShape", b.ints(1 << 20, 1 << 20)))).SerializeToString(),
        "a constant of shape",
    ),
    "doubling": (doubled(40), "too large"),
    "unknown op": (single(lambda b: b.node("Einsum", "x", equation="ij->ji")).SerializeToString(), "Einsum"),
    "rank": (single(lambda b: b.conv("x", 3, 4, (3,)), (1, 4)).SerializeToString(), "are supported"),
    "batch": (
        single(lambda b: b.node("Reshape", "x", b.ints(4, -1)), ("n", 3)).SerializeToString(),
        "another batch size",
    ),
    "open size": (single(OPS["conv"], (1, 6, "height", 7)).SerializeToString(), "must be fixed"),
    "cycle": (
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["a"])],
                "g",
                [helper.make_tensor_value_info("x", 1, (1, 4))],
                [helper.make_tensor_value_info("b", 1, None)],
            )
        ).SerializeToString(),
        "not computed before",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_in_one_line(name: str) -> None:
    data, says = REFUSED[name]
    with pytest.raises(InputError, match=says) as caught:
        run_pipeline(door.parse(data))
    assert "\n" not in str(caught.value)


def test_long_chains_are_read() -> None:
    assert read(chain("Relu", 500)) == "graph"
    assert "at most 10,000" in read(chain("Relu", 10_001))


@pytest.mark.parametrize("op", ["Mul", "Add", "Sub"])
def test_numbers_without_a_dimension_are_read(op: str) -> None:
    b = Builder()
    assert read(b.model((), b.node(op, "x", b.constant(np.float32(2)))).SerializeToString()) == "graph"


def external(tmp_path: Path, location: str, **entries: str) -> Path:
    model = single(OPS["conv"])
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 16 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "16", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    graph = models.load(external(tmp_path, "weights.bin"))
    inside = door.parse(single(OPS["conv"]).SerializeToString())
    for a, b in zip(graph.values.values(), inside.values.values(), strict=True):
        assert (a.data is None) == (b.data is None) and (a.data is None or (a.data == b.data).all())


@pytest.mark.parametrize(
    "location, entries, says",
    [
        ("../weights.bin", {}, "own folder"),
        ("/etc/passwd", {}, "own folder"),
        ("sub/weights.bin", {}, "own folder"),
        ("..", {}, "own folder|keeps its data"),
        ("link.bin", {}, "own folder"),
        ("", {}, "own folder"),
        ("missing.bin", {}, "No such file"),
        ("weights.bin", {"offset": "99999999999999999999"}, "claims"),
        ("weights.bin", {"offset": "-4"}, "claims"),
        ("weights.bin", {"offset": "x"}, "no valid place"),
        ("weights.bin", {"length": "12"}, "claims"),
    ],
)
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str, entries: dict[str, str], says: str) -> None:
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=says):
        models.load(external(tmp_path, location, **entries))


def test_bytes_alone_have_no_second_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="save the model in one file"):
        door.parse(external(tmp_path, "weights.bin").read_bytes())
