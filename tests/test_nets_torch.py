"""The torch side of nets: shapes and parameters as the spec says, weights fixed by the seed."""

from __future__ import annotations

import pytest

from ratti import nets, registry

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

EXAMPLES = [registry.load("ratti.nets", family).EXAMPLE for family in nets.families()]


@pytest.mark.parametrize("net_id", EXAMPLES)
def test_modules_have_the_parameters_and_names_of_the_spec(net_id: str) -> None:
    spec = nets.spec(net_id, classes=7)
    model = nets.build(spec, seed=0).eval()
    height, width, channels = spec.input_shape
    assert model(torch.zeros(2, channels, height, width)).shape == (2, spec.classes)
    weights = sum(p.numel() for n, p in model.named_parameters() if n.endswith("weight") and ".norm." not in n)
    biases = sum(layer.width for _, layer, _ in spec.layers if hasattr(layer, "width"))
    assert weights + biases == spec.parameters
    modules = {name for name, _ in model.named_modules()}
    assert {name for name, _, _ in spec.layers} <= modules


def test_even_kernels_pad_one_more_at_the_end() -> None:
    spec = nets.from_yaml("schema: ratti.net/1\nname: t\ninput: [5, 5, 1]\nblocks:\n  - conv: {width: 1, kernel: 2, "
                          "batch_norm: false}\n  - flatten: {}\n")
    model = nets.build(spec, seed=0)
    torch.nn.init.ones_(model.get_submodule("b01.conv").weight)
    torch.nn.init.zeros_(model.get_submodule("b01.conv").bias)
    y = model(torch.ones(1, 1, 5, 5)).reshape(5, 5)
    assert y[0, 0] == 4 and y[4, 0] == 2 and y[4, 4] == 1


def test_flatten_is_in_nhwc_order() -> None:
    spec = nets.from_yaml("schema: ratti.net/1\nname: t\ninput: [2, 2, 3]\nblocks:\n  - flatten: {}\n")
    x = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert (nets.build(spec)(x.permute(0, 3, 1, 2)) == x.flatten(1)).all()


def test_the_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    spec = nets.spec("micro-1.0-8")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (nets.build(spec, seed).state_dict()["b01.conv.weight"] for seed in (1, 1, 2))
    assert (torch.random.get_rng_state() == before).all()
    assert (first == again).all() and (first != other).any()


def test_residual_blocks_start_as_their_shortcut() -> None:
    spec = nets.from_yaml("schema: ratti.net/1\nname: t\ninput: [4, 4, 3]\nblocks:\n  - inverted_residual: {hidden: 6, "
                          "width: 3, residual: true}\n  - mean: {}\n")
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(nets.build(spec, seed=0).eval()(x), x.mean((2, 3)))
