"""The methods of post-training quantization: what each leaves as it is, and what it makes smaller."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import toys

pytest.importorskip("torch")

import torch
from torch.fx import GraphModule

from ratti import compress, nets, registry, train
from ratti.compress import Observer, PtqConfig
from ratti.compress._folded import Layer, fold, rounded
from ratti.compress.bias import correct_biases
from ratti.compress.equalize import equalize
from ratti.compress.rounding import learn_rounding
from ratti.formats.torch_export import import_program
from ratti.graph import interpreter

pytestmark = pytest.mark.torch
EXAMPLES = [registry.load("ratti.nets", family).EXAMPLE for family in nets.families()]
RELU = ("conv: {width: 8, kernel: 3, stride: 2, activation: relu}", "separable: {width: 16}", "mean: {}",
        "fc: {width: 3}")


def folded(*blocks: str, seed: int = 0) -> tuple[GraphModule, tuple[Layer, ...]]:
    program = compress.export(nets.build(toys.spec(*blocks), seed), toys.dataset().input_shape)
    return program, fold(program)


def samples() -> list[tuple[torch.Tensor, ...]]:
    data = toys.dataset()
    return [train.tensors(data, part) for part in data.val.batches(16)]


def outputs(program: GraphModule) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([program(*b).numpy() for b in samples()])


def test_equalizing_keeps_the_function_and_evens_the_ranges() -> None:
    program, layers = folded(*RELU)
    layers[0].weight[0] *= 50  # a channel far from the others
    before = outputs(program)
    spread = [float((y := layer.weight.abs().flatten(1).amax(1)).max() / y.min()) for layer in layers]
    assert equalize(program, layers) == 3
    assert np.abs(outputs(program) - before).max() < 1e-4 * np.abs(before).max()
    after = layers[0].weight.abs().flatten(1).amax(1)
    assert float(after.max() / after.min()) < 0.5 * spread[0]


def test_relu6_lets_no_factor_pass() -> None:
    program, layers = folded("conv: {width: 8, kernel: 3, activation: relu6}", "separable: {width: 8}", "mean: {}",
                             "fc: {width: 3}")
    equalize(program, layers)
    assert not [n for n in program.graph.nodes if "hardtanh" in str(n.target)]


def test_a_residual_is_no_pair() -> None:
    program, layers = folded("conv: {width: 8, kernel: 3, activation: relu}",
                             "inverted_residual: {hidden: 16, width: 8, residual: true}", "mean: {}", "fc: {width: 3}")
    assert equalize(program, layers) == 2  # expand and depthwise, depthwise and project


def test_corrected_biases_have_the_mean_of_float() -> None:
    program, layers = folded(*RELU)
    layers[-1].weight.copy_(layers[-1].weight.abs())  # inputs behind ReLU have a mean, too: errors do not cancel
    exact = outputs(program)

    def error_of_means(correct: bool) -> float:
        tried = copy.deepcopy(program)
        last = fold(tried)[-1:]
        if correct:
            assert correct_biases(tried, last, samples()) == 1
        last[0].weight.copy_(rounded(last[0].weight))
        return float(np.abs((outputs(tried) - exact).mean(0)).max())

    assert error_of_means(correct=True) < 0.1 * error_of_means(correct=False)


def test_learned_rounding_leaves_grids_and_smaller_errors() -> None:
    program, layers = folded(*RELU)
    nearest = copy.deepcopy(program)
    for layer in fold(nearest):
        layer.weight.copy_(rounded(layer.weight))
    exact = outputs(program)
    learn_rounding(program, layers, samples())
    for layer in layers:
        assert torch.allclose(rounded(layer.weight), layer.weight, atol=1e-6)
    error, plain = (float(np.square(outputs(p) - exact).mean()) for p in (program, nearest))
    assert error < plain


def test_percentiles_leave_outliers_outside() -> None:
    values = torch.cat([torch.linspace(-1, 1, 200_000), torch.tensor([100.0])])
    made = Observer.PERCENTILE.constructor(dtype=torch.int8, quant_min=-128, quant_max=127,
                                           qscheme=torch.per_tensor_affine)
    made(values)  # type: ignore[operator]
    scale, _ = made.calculate_qparams()  # type: ignore[attr-defined]
    assert float(scale) < 3 / 255


@pytest.mark.parametrize("net", EXAMPLES)
def test_every_family_takes_every_method(net: str) -> None:
    """The integers that come out compute what the program says."""
    family, _, side = net.split("-")
    small = net if family in ("ds_cnn", "mlp", "autoencoder") or family.endswith("1d") else (
        f"{family}-{0.25 if family != 'shufflenet_v2' else 0.5}-{min(int(side), 32)}")
    spec = nets.spec(small, classes=4 if family == "resnet50" else None)
    x = torch.randn(6, spec.input_shape[2], *spec.input_shape[:2], generator=torch.Generator().manual_seed(0))
    program = compress.export(nets.build(spec, 0), spec.input_shape)
    layers = fold(program)
    equalize(program, layers)
    correct_biases(program, layers, [(x,)])
    quantized = compress.quantize_program(program, [(x,)], Observer.PERCENTILE)
    graph = import_program(quantized, "net")
    type = graph.type(graph.inputs[0])
    assert type.quant is not None
    codes = type.quant.quantize(x.permute(0, 2, 3, 1).numpy(), type.dtype)
    got = interpreter.run_batch(graph, [codes])[0]
    quant = graph.type(graph.outputs[0]).quant
    assert quant is not None
    with torch.no_grad():
        want = quantized(x).numpy()
    assert np.abs(quant.dequantize(got) - want.reshape(got.shape)).max() <= 4 * quant.scalar[0] + 1e-5


def test_the_sensitivity_table_names_the_layer_that_costs() -> None:
    data = toys.dataset()
    trained = train.train(toys.spec(*RELU), data, train.TrainConfig(epochs=6, learning_rate=0.02), progress=False)
    table = compress.sensitivity(trained.model, data, PtqConfig(samples=64))
    assert [y.layer for y in table.layers] == ["b01.conv", "b02.depthwise", "b02.pointwise", "b04.fc"]
    assert table.samples == min(64, len(data.val)) and data.test_opened == ()
    assert all(y.noise_db > 20 for y in table.layers)
    with torch.no_grad():  # a channel that eats the range of its layer's output
        trained.model.get_submodule("b02.pointwise").norm.weight[0] *= 300
    spoiled = compress.sensitivity(trained.model, data, PtqConfig(samples=64))
    assert spoiled.worst.layer in ("b02.pointwise", "b04.fc")


@pytest.mark.parametrize("method", ["equalize", "learn_rounding", "correct_biases"])
def test_a_method_leaves_the_net_and_most_of_its_accuracy(method: str) -> None:
    data = toys.dataset()
    trained = train.train(toys.spec(*RELU), data, train.TrainConfig(epochs=8, learning_rate=0.02), progress=False)
    before = {k: v.clone() for k, v in trained.model.state_dict().items()}
    program = compress.quantize(trained.model, data, PtqConfig(**{method: True}))
    assert all((v == before[k]).all() for k, v in trained.model.state_dict().items())
    assert train.evaluate(program, data, data.val).accuracy >= trained.val.accuracy - 0.1


def test_channels_that_hold_one_value_do_not_spoil_int8() -> None:
    """A filter of zeros, and one that reads nothing else: batch norm divides by next to nothing behind both."""
    model = nets.build(toys.spec("conv: {width: 8, kernel: 3, activation: relu}", "conv: {width: 8}",
                                 "conv: {width: 8, activation: relu}", "mean: {}", "fc: {width: 3}"), 0)
    convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        convs[1].weight[0] = 0.0
        convs[2].weight[0] = 0.0
        convs[2].weight[0, 0] = 1.0
        norms[1].running_mean[0], norms[1].running_var[0], norms[1].bias[0] = 0.0, 1e-12, 0.7
        norms[2].running_mean[0], norms[2].running_var[0], norms[2].bias[0] = 0.7, 1e-12, 0.3
    kept = copy.deepcopy(model.state_dict())
    program = compress.export(model, toys.dataset().input_shape)
    with torch.no_grad():
        before = np.concatenate([model.eval()(*b).numpy() for b in samples()])
    assert np.abs(outputs(program) - before).max() < 1e-3
    assert all(torch.equal(v, kept[k]) for k, v in model.state_dict().items())
    largest = max(float(layer.weight.abs().max()) for layer in fold(program))
    assert largest < 20  # not 1 / sqrt(1e-5)
