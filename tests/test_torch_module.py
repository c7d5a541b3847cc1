"""Any float model enters: from its graph comes a torch module with the same outputs, which trains and becomes int8."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cases import all_cases, label
from ratti import models, nets, ops, registry
from ratti.errors import FormatError, UnsupportedError
from ratti.formats import onnx, tflite
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.dequantized import dequantized
from ratti.graph.ir import Graph
from ratti.ops.base import Case
from ratti.types import Array, DType

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from ratti.formats import torch_export  # noqa: E402

WITHOUT = {"arg_max"}  # an index: nothing to train
CASES = [c for c in all_cases() if c.op.name not in WITHOUT and c.outputs[0].dtype is DType.INT8
         and c.operands[0].data is None]
EXAMPLES = [registry.load("ratti.nets", family).EXAMPLE for family in nets.families()]


def graph_of(case: Case) -> Graph:
    """One node in float, whose weights and constants are what the int8 case has."""
    builder = GraphBuilder("one")
    names = []
    for k, operand in enumerate(case.operands):
        if operand.data is None:
            names.append(builder.input(f"x{k}", operand.type))
        else:
            names.append(builder.constant(f"c{k}", operand.data, operand.type.quant, operand.type.dtype))
    return dequantized(builder.build(builder.node(case.op, names, case.outputs)))


def torch_outputs(graph: Graph, inputs: list[Array], logits: bool = False) -> list[Array]:
    """What the module gives, as the graph stores it."""
    module = torch_export.to_module(graph, logits)
    given = [torch.from_numpy(x) for x in inputs]
    with torch.no_grad():
        found = module(*(x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in given))
    results = found if isinstance(found, tuple) else (found,)
    return [(y.permute(0, 2, 3, 1) if y.ndim == 4 else y).numpy() for y in results]


def real_inputs(graph: Graph, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 1, graph.type(n).shape).astype(np.float32) for n in graph.inputs]


@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_op_computes_what_the_graph_says(case: Case) -> None:
    graph = graph_of(case)
    inputs = real_inputs(graph)
    for want, got in zip(interpreter.run(graph, inputs).values(), torch_outputs(graph, inputs), strict=True):
        assert got.shape == want.shape and np.abs(got - want).max() <= 1e-4 * max(1.0, float(np.abs(want).max()))


def test_every_op_has_a_torch_form() -> None:
    from ratti.formats.torch_export.functions import has_torch_form
    from ratti.formats.torch_export.module import LAYERS

    layers = {op.name for op in LAYERS}
    without = {n for n in ops.names() if n not in layers and not has_torch_form(object.__new__(ops.get(n)))}
    assert without == WITHOUT


def float_graph(net: str) -> Graph:
    return dequantized(nets.random_graph(nets.spec(net)))


@pytest.mark.parametrize("net", EXAMPLES)
def test_nets_survive_the_way_through_files_and_torch(net: str, tmp_path: Path) -> None:
    if net == "resnet50-1.0-224":
        net = "resnet50-0.25-32"
    graph = float_graph(net)
    tflite.write(graph, tmp_path / "net.tflite")
    read = models.load(tmp_path / "net.tflite")
    inputs = real_inputs(read)
    want = next(iter(interpreter.run(read, inputs).values()))
    (got,) = torch_outputs(read, inputs)
    assert np.abs(got - want).max() <= 1e-4 * max(1.0, float(np.abs(want).max()))
    shape = read.type(read.inputs[0]).shape
    program = torch.export.export(torch_export.to_module(read), (torch.zeros(2, shape[3], *shape[1:3]),))
    back = torch_export.import_program(program, "back")
    again = next(iter(interpreter.run(back, inputs).values()))
    assert np.abs(again - want).max() <= 1e-4 * max(1.0, float(np.abs(want).max()))


def test_batches_of_any_size() -> None:
    graph = float_graph("shufflenet_v1-0.25-32")
    module = torch_export.to_module(graph)
    x = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        together, apart = module(x), torch.cat([module(x[k : k + 1]) for k in range(5)])
    assert (together - apart).abs().max() < 1e-5 * together.abs().max()


def test_two_inputs_are_exported() -> None:
    from ratti.compress import export

    spec = nets.spec("ds_cnn_1d-0.25-32", classes=4, numbers=2)
    program = export(torch_export.to_module(dequantized(nets.random_graph(spec))), (32, 1, 1), 2)
    assert program(torch.zeros(3, 1, 32, 1), torch.zeros(3, 2)).shape == (3, 4)


def test_all_weights_can_be_trained() -> None:
    module = torch_export.to_module(float_graph("mobilenet_v2_tiny-1.0-8"))
    module(torch.randn(4, 3, 8, 8)).square().mean().backward()
    named = dict(module.named_parameters())
    assert len(named) > 20 and all(p.grad is not None and bool((p.grad != 0).any()) for n, p in named.items()
                                   if n.endswith("weight"))


@pytest.mark.oracle
def test_litert_and_onnx_runtime_agree(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing (pip install 'ratti[runtimes]')")
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is missing")
    graph = float_graph("ds_cnn-0.5-49")
    (x,) = real_inputs(graph)
    (got,) = torch_outputs(graph, [x])
    data = onnx.serialize(graph)
    (want,) = runtime.InferenceSession(data).run(None, {graph.inputs[0]: x})
    assert np.abs(got - want).max() < 1e-4
    engine = litert.Interpreter(model_content=tflite.serialize(graph))
    engine.allocate_tensors()
    engine.set_tensor(engine.get_input_details()[0]["index"], x)
    engine.invoke()
    assert np.abs(got - engine.get_tensor(engine.get_output_details()[0]["index"])).max() < 1e-4


def saved(path: Path, module: torch.nn.Module, *shape: int) -> Path:
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module.eval(), (torch.zeros(2, *shape),), dynamic_shapes=({0: batch},))
    torch.export.save(program, str(path))
    return path


def test_pt2_files_are_read_without_unpickling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nets.build(nets.spec("shufflenet_v1-0.25-32"), seed=3)
    path = saved(tmp_path / "net.pt2", model, 3, 32, 32)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    monkeypatch.setattr("pickle.loads", lambda *_, **__: pytest.fail("unpickled"))
    graph = models.load(path)
    x = np.random.default_rng(0).normal(0, 1, (1, 32, 32, 3)).astype(np.float32)
    with torch.no_grad():
        want = model(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    assert np.abs(next(iter(interpreter.run(graph, [x]).values())) - want).max() < 1e-4
    assert np.abs(torch_outputs(graph, [x])[0] - want).max() < 1e-4


def rewritten(source: Path, target: Path, name: str, change) -> Path:  # type: ignore[no-untyped-def]
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.namelist():
            data = old.read(entry)
            new.writestr(entry, change(data) if entry.endswith(name) else data)
    return target


def test_damaged_and_dangerous_pt2_files(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.pt2", torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()), 1, 6, 6)

    def pickled(data: bytes) -> bytes:
        table = json.loads(data)
        for entry in table["config"].values():
            entry["use_pickle"] = True
        return json.dumps(table).encode()

    config = "model_weights_config.json"
    with pytest.raises(UnsupportedError, match="is pickled, which is never read"):
        models.load(rewritten(good, tmp_path / "a.pt2", config, pickled))
    with pytest.raises(FormatError, match="reaches beyond its 4 bytes"):
        models.load(rewritten(good, tmp_path / "b.pt2", "weight_0", lambda data: data[:4]))
    with pytest.raises(UnsupportedError, match=r"the op aten\.system\.default is not supported here"):
        models.load(rewritten(good, tmp_path / "c.pt2", "model.json",
                              lambda data: data.replace(b"aten.relu.default", b"aten.system.default")))
    for k in range(0, 3000, 200):
        with pytest.raises((FormatError, UnsupportedError)):
            models.load(rewritten(good, tmp_path / "d.pt2", "model.json", lambda data, k=k: data[:k]))
    (tmp_path / "e.pt2").write_bytes(good.read_bytes()[:900])
    with pytest.raises(FormatError, match="or damaged"):
        models.load(tmp_path / "e.pt2")


def _quantized_again(net: str) -> tuple[Graph, Graph, list[Array]]:
    from ratti.compress import export, quantize_program

    graph = float_graph(net)
    module = torch_export.to_module(graph, logits=True)
    height, width, channels = graph.type(graph.inputs[0]).shape[1:]
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (32, height, width, channels)).astype(np.float32)
    batches = [(torch.from_numpy(x).permute(0, 3, 1, 2),)]
    program = quantize_program(export(module, (height, width, channels)), batches)
    return graph, torch_export.import_program(program, "again"), [x]


@pytest.mark.toolchain
@pytest.mark.parametrize("net", ["ds_cnn-0.25-49", "shufflenet_v1-0.25-32", "mobilenet_v2-0.2-32", "mlp-1.0-8"])
def test_a_float_model_becomes_int8_and_c(net: str) -> None:
    from ratti.verbs.verify import verify

    graph, int8, (x,) = _quantized_again(net)
    (real,) = interpreter.run_batch(graph, [x])
    type = int8.type(int8.inputs[0])
    assert int8.is_quantized and type.quant is not None
    (codes,) = interpreter.run_batch(int8, [type.quant.quantize(x, type.dtype)])
    out = int8.type(int8.outputs[0])
    assert out.quant is not None
    error = out.quant.dequantize(codes) - real
    assert np.sqrt((error**2).mean()) < 0.15 * np.sqrt((real**2).mean())  # random weights are the hardest case
    assert verify(int8, ("stm32f446re",), ("host:c",), 8).passes


def test_a_trained_net_of_another_tool_keeps_its_accuracy(tmp_path: Path) -> None:
    from ratti import data
    from ratti.compress import QatConfig, export, qat, quantize
    from ratti.train import TrainConfig, evaluate, train

    digits = data.load("digits")
    spec = nets.spec("micro-1.0-8", classes=10, input_shape=(8, 8, 1))
    trained = train(spec, digits, TrainConfig(epochs=4, learning_rate=1e-2), progress=False)
    own = torch_export.import_program(export(trained.model, (8, 8, 1)), "own")
    for name, write in (("own.tflite", tflite.serialize), ("own.onnx", onnx.serialize)):
        (tmp_path / name).write_bytes(write(own))
        module = torch_export.to_module(models.load(tmp_path / name), logits=True)
        before = evaluate(module, digits, digits.val).accuracy
        assert before == trained.val.accuracy > 0.7
        after = evaluate(quantize(module, digits), digits, digits.val).accuracy
        assert abs(after - before) < 0.05
    tuned = qat(module, digits, QatConfig(epochs=1), progress=False)
    assert evaluate(tuned.program, digits, digits.val).accuracy > before - 0.05
