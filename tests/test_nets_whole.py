"""Every family the whole way: a training step, export, int8, C on two emulated cores, equal to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

from ratti import compress, nets, targets  # noqa: E402
from ratti.deploy import deploy, outputs_of  # noqa: E402
from ratti.formats import tflite  # noqa: E402
from ratti.formats.torch_export import import_program  # noqa: E402
from ratti.graph import interpreter  # noqa: E402
from ratti.graph.ir import Graph  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.toolchain]

# Family: width and side of a small member. Signals are (side, 1, 1).
SMALL = {"resnet50": (0.03, 16), "autoencoder": (0.1, 16), "mobilenet_v1": (0.1, 16), "mobilenet_v2": (0.1, 16),
         "mobilenet_v3_small": (0.1, 16), "shufflenet_v1": (0.1, 16), "shufflenet_v2": (0.1, 16), "mcunet": (0.1, 16),
         "ds_cnn": (0.25, 16), "ds_cnn_1d": (0.5, 32), "resnet_1d": (0.25, 32), "resnet8": (0.25, 16),
         "fomo": (0.1, 16)}
FLAT = ("autoencoder", "ds_cnn_1d", "resnet_1d")
CORES = ("stm32f446re", "esp32c3")


def small(family: str, numbers: int = 0) -> nets.NetSpec:
    width, side = SMALL.get(family, (0.5, 8))
    shape = (side, 1, 1) if family in FLAT else (side, side, 1)
    return nets.spec(f"{family}-{width}-{side}", input_shape=shape, classes=3, numbers=numbers)


def quantized(spec: nets.NetSpec) -> tuple[Graph, list[np.ndarray]]:
    """(the int8 graph after a training step, codes of eight samples for each input)."""
    rng = np.random.default_rng(0)
    model = nets.build(spec, seed=0)
    h, w, c = spec.input_shape
    inputs = [torch.from_numpy(rng.normal(0, 0.5, (8, c, h, w)).astype(np.float32))]
    if spec.numbers:
        inputs.append(torch.from_numpy(rng.normal(0, 1, (8, spec.numbers)).astype(np.float32)))
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = torch.nn.functional.cross_entropy(model(*inputs), torch.arange(8) % spec.classes)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    program = compress.quantize_program(compress.export(model, spec.input_shape, spec.numbers), [tuple(inputs)])
    graph = import_program(program, "net")
    reals = [inputs[0].permute(0, 2, 3, 1).numpy(), *(i.numpy() for i in inputs[1:])]
    codes = []
    for name, real in zip(graph.inputs, reals, strict=True):
        type = graph.type(name)
        assert type.quant is not None
        codes.append(type.quant.quantize(real, type.dtype))
    with torch.inference_mode():
        want = program(*inputs).numpy()
    (got,) = interpreter.run_batch(graph, codes)
    out = graph.type(graph.outputs[0])
    error = np.abs((got.astype(np.float64) - out.zero_point) * out.scale - want).max() / out.scale
    assert error <= 24, f"{error} LSB from the quantized program"
    return graph, codes


@pytest.mark.parametrize("family", nets.families())
def test_family(family: str) -> None:
    graph, codes = quantized(small(family))
    check(graph, codes)


def test_a_net_with_two_inputs() -> None:
    graph, codes = quantized(small("ds_cnn_1d", numbers=3))
    assert len(graph.inputs) == 2
    check(graph, codes)


def check(graph: Graph, codes: list[np.ndarray]) -> None:
    """Two samples on each core, and through the .tflite file."""
    rows = [[c[k : k + 1] for c in codes] for k in range(2)]
    want = [interpreter.run(graph, row)[graph.outputs[0]] for row in rows]
    for core in CORES:
        got = outputs_of(deploy(graph, targets.load(core), rows))
        assert all((g[0] == w).all() for g, w in zip(got, want, strict=True)), core
    again = tflite.parse(tflite.serialize(graph))
    assert (interpreter.run(again, rows[0])[again.outputs[0]] == want[0]).all()


@pytest.mark.parametrize("family", nets.families())
def test_random_weights_make_a_graph_of_the_same_work(family: str) -> None:
    spec = small(family)
    graph = nets.random_graph(spec)
    assert graph.macs() == spec.macs and graph.is_quantized


