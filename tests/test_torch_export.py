"""Import of PyTorch programs: float graphs equal torch, int8 graphs equal the simulation up to rounding."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

from torch import nn  # noqa: E402

import toys  # noqa: E402
from ratti import compress, nets, registry, train  # noqa: E402
from ratti.data import score  # noqa: E402
from ratti.errors import UnsupportedError  # noqa: E402
from ratti.formats.torch_export import import_program  # noqa: E402
from ratti.graph import interpreter  # noqa: E402
from ratti.ops.base import Activation  # noqa: E402
from ratti.types import Array  # noqa: E402

pytestmark = pytest.mark.torch

EXAMPLES = [registry.load("ratti.nets", family).EXAMPLE for family in nets.families()]


def randomized(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms and biases away from their neutral start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
    return model.eval()


def nhwc(x: torch.Tensor) -> Array:
    return np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()) if x.ndim == 4 else x.numpy()


def run(graph, x: Array) -> Array:  # type: ignore[no-untyped-def]
    (y,) = interpreter.run(graph, [x]).values()
    return y


def float_difference(model: nn.Module, shape: tuple[int, int, int]) -> float:
    torch.manual_seed(1)
    x = torch.randn(2, shape[2], *shape[:2])
    with torch.no_grad():
        expected = nhwc(model.eval()(x))
    graph = import_program(compress.export(model, shape), "net", batch=2)
    assert not graph.is_quantized
    return float(np.abs(run(graph, nhwc(x)) - expected).max() / max(1, np.abs(expected).max()))


def int8_difference(model: nn.Module, shape: tuple[int, int, int], n: int = 8) -> Array:
    """LSB by which the graph's outputs differ from the simulation's, on random inputs; not of constant outputs."""
    torch.manual_seed(1)
    x = torch.randn(n, shape[2], *shape[:2])
    program = compress.quantize_program(compress.export(model, shape), [(x,)])
    graph = import_program(program, "net", batch=n)
    assert graph.is_quantized
    source, result = graph.type(graph.inputs[0]), graph.type(graph.outputs[0])
    assert source.quant is not None and result.quant is not None
    codes = run(graph, source.quant.quantize(nhwc(x), source.dtype)).astype(int)
    with torch.no_grad():
        simulated = np.rint(nhwc(program(x)) / result.scale).astype(int) + result.zero_point
    assert codes.std() > 5
    return np.abs(codes - simulated)


@pytest.mark.parametrize("net_id", EXAMPLES)
def test_every_family_imports_as_float_and_equals_torch(net_id: str) -> None:
    family, width, _ = net_id.split("-")
    spec = nets.spec(f"{family}-{width}-32", input_shape=(32, 32, 1), classes=5)
    model = randomized(nets.build(spec, seed=0))
    assert float_difference(model, (32, 32, 1)) < 1e-4


def test_names_macs_and_constants_are_those_of_the_spec() -> None:
    spec = toys.spec()
    graph = import_program(compress.export(randomized(nets.build(spec, 0)), spec.input_shape), "toy")
    assert graph.macs() == spec.macs and graph.constant_elements() == spec.parameters
    names = {node.name for node in graph.nodes}
    assert {name.replace(".", "_") for name, _, _ in spec.layers} <= names
    assert [n.name for n in graph.nodes[:3]] == ["b01_conv", "b02_expand", "b02_depthwise"]
    assert graph.nodes[0].op.padding == (1, 2, 1, 2)  # type: ignore[attr-defined]
    assert graph.nodes[1].op.activation is Activation.RELU6  # type: ignore[attr-defined]


def test_int8_outputs_equal_the_simulation_up_to_rounding() -> None:
    """Twelve layers deep, the two rounding rules differ by a few LSB of 256, and nothing else does."""
    difference = int8_difference(randomized(nets.build(toys.spec(), 0)), (8, 8, 1), 64)
    assert difference.max() <= 6 and difference.mean() < 1.5


@pytest.mark.parametrize(
    ("label", "model"),
    [
        ("conv", nn.Conv2d(3, 6, 3, 2, 1)),
        ("no bias", nn.Conv2d(3, 6, 3, bias=False)),
        ("groups", nn.Conv2d(4, 6, 3, groups=2)),
        ("dilated", nn.Conv2d(3, 4, (3, 2), dilation=(2, 3), padding=(2, 1))),
        ("multiplier", nn.Conv2d(3, 9, 3, groups=3, padding=1)),
        ("relu", nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU())),
    ],
)
def test_single_ops_differ_by_one_lsb_in_a_few_elements(label: str, model: nn.Module) -> None:
    channels = model[0].in_channels if isinstance(model, nn.Sequential) else model.in_channels
    difference = int8_difference(model, (9, 8, int(channels)))  # type: ignore[arg-type]
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01, label


class Foreign(nn.Module):
    """What other people's models do: NCHW flattening, odd padding, adaptive pooling, functional calls."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end
        self.conv = nn.Conv2d(2, 4, 3, padding="same")
        self.norm = nn.BatchNorm2d(4)
        self.deep = nn.Conv2d(4, 4, 3, groups=4)
        self.fc = nn.Linear({"flatten": 4 * 4 * 3, "view": 4 * 4 * 3}.get(end, 4), 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(x, (1, 0, 2, 1))
        x = nn.functional.relu(self.norm(self.conv(x)))
        y = nn.functional.pad(x, (3, 3, 0, 0))  # more than the next kernel reaches: stays an op
        x = nn.functional.max_pool2d(nn.functional.relu6(self.deep(y)), 3, 2, 1)
        x = nn.functional.dropout(x, training=False)
        if self.end == "flatten":
            x = torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1) + x[:, :, :, :], 1)
        elif self.end == "view":
            x = x.reshape(x.shape[0], -1)
        elif self.end == "adaptive":
            x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        else:
            x = x.mean(dim=(-1, -2), keepdim=True).squeeze((2, 3))
        return self.fc(x)


@pytest.mark.parametrize("end", ["view", "adaptive", "mean"])
def test_foreign_models(end: str) -> None:
    torch.manual_seed(0)
    model = Foreign(end)
    if end == "view":
        model.fc = nn.Linear(4 * 4 * 5, 6)
    randomized(model)
    shape = (6, 5, 2)
    assert float_difference(model, shape) < 1e-5
    difference = int8_difference(model, shape, 32)
    assert difference.max() <= 2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.GELU()), r"1 \(gelu\): the op aten.gelu.default .*supported: "),
        (nn.AvgPool2d(3, 1, ceil_mode=True), r"avg_pool2d: average pooling with ceil_mode"),
        (nn.MaxPool2d(3, ceil_mode=True), "max pooling with dilation or ceil_mode"),
        (nn.Hardtanh(-1, 1), "only 0 to 6 is supported"),
        (nn.AdaptiveAvgPool2d(2), "only to 1x1 is supported"),
        (nn.ZeroPad2d(-1), "by 0 or more"),
        (nn.ConstantPad2d(1, 3.0), "only padding with zeros"),
        (nn.Flatten(), "an output flattened in NCHW order"),
        (nn.Unflatten(0, (1, -1)), "the samples must stay apart"),
        (nn.Linear(8, 3), "a fully connected layer on 4 dimensions"),
        (nn.Softmax(2), "softmax over dimension 2"),
    ],
)
def test_what_the_graph_cannot_express_is_named(model: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message) as caught:
        import_program(compress.export(model, (8, 8, 1 if not isinstance(model, nn.Flatten) else 2)), "net")
    assert "\n" not in str(caught.value)


def test_a_program_with_a_float_bias_is_refused() -> None:
    """As ExecuTorch's quantizers leave it: no integer engine can add it."""
    program = compress.quantize_program(compress.export(nn.Conv2d(1, 2, 1), (4, 4, 1)), [(torch.randn(4, 1, 4, 4),)])
    for node in program.graph.nodes:
        if str(node.target) == "aten.conv2d.default":
            program.register_buffer("plain", torch.zeros(2))
            with program.graph.inserting_before(node):
                node.update_arg(2, program.graph.get_attr("plain"))
    program.recompile()
    with pytest.raises(UnsupportedError, match="bias are float or not symmetric in a quantized program"):
        import_program(program, "net")


def test_an_exported_program_is_taken_as_it_is() -> None:
    program = torch.export.export(nn.Conv2d(1, 2, 1).eval(), (torch.zeros(1, 1, 4, 4),))
    graph = import_program(program, "net", metadata={"made by": "a test"})
    assert graph.metadata["made by"] == "a test" and [n.op.name for n in graph.nodes] == ["conv2d"]


@pytest.mark.slow
def test_digits_end_to_end_within_half_a_point() -> None:
    """Data to int8 graph: the interpreter's accuracy is the simulation's, and the float net's."""
    pytest.importorskip("sklearn")
    from ratti import data as sources

    data = sources.load("digits")
    spec = nets.spec("micro-1.0-8", input_shape=data.input_shape, classes=data.classes)
    trained = train.train(spec, data, train.TrainConfig(epochs=40, learning_rate=1e-2), progress=False)
    program = compress.quantize(trained.model, data)
    assert data.test_opened == ()
    test = data.open_test("final report")
    graph = import_program(program, spec.name, batch=len(test))
    assert data.input_quant == graph.type(graph.inputs[0]).quant
    codes = run(graph, (test.x ^ 0x80).view(np.int8))
    accuracies = [
        train.evaluate(trained.model, data, test).accuracy,
        score(train.predict(program, data, test), test.y).accuracy,
        score(codes, test.y).accuracy,
    ]
    assert min(accuracies) > 0.9 and max(accuracies) - min(accuracies) < 0.012
