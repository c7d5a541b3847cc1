"""Structured pruning: what is taken away was tied together rightly, and the net that remains is a smaller NetSpec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import toys  # noqa: E402
from ratti import nets, train  # noqa: E402
from ratti.compress.structured import Importance, prune, sliced  # noqa: E402
from ratti.errors import InputError  # noqa: E402
from ratti.train import TrainConfig  # noqa: E402
from ratti.types import Array  # noqa: E402

pytestmark = pytest.mark.torch

FAMILIES = nets.families()


def randomized(spec: nets.NetSpec) -> Any:
    """A module whose batch normalizations do something."""
    model = nets.build(spec, 0).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, 0, 0.3)
                torch.nn.init.normal_(module.running_mean, 0, 0.1)
    return model


def silence(model: Any, found: nets.Units, gone: Array) -> None:
    """Sets every channel of the units `gone` to 0, where it is made."""
    with torch.no_grad():
        for name, channels in found.outputs.items():
            layer, index = model.get_submodule(name), np.flatnonzero(np.isin(channels, gone))
            norm = getattr(layer, "norm", None)
            for module in (layer, norm) if isinstance(norm, torch.nn.BatchNorm2d) else (layer,):
                module.weight[index] = 0
                if module.bias is not None:
                    module.bias[index] = 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("shape", "numbers"), [((16, 16, 3), 0), ((24, 1, 2), 2)])
def test_removing_silent_channels_changes_nothing(family: str, shape: tuple[int, int, int], numbers: int) -> None:
    if family in ("autoencoder", "fomo"):  # they have no numbers beside their input
        numbers = 0
    spec = nets.spec(f"{family}-0.5-{shape[0]}", input_shape=shape, classes=5, numbers=numbers)
    model, found, rng = randomized(spec), nets.units(spec), np.random.default_rng(1)
    gone = np.concatenate([
        rng.permutation(members)[: rng.integers(0, len(members))] for members in found.families().values()])
    smaller = sliced(spec, model, gone)
    silence(model, found, gone)
    x = [torch.randn(3, shape[2], *shape[:2])] + ([torch.randn(3, numbers)] if numbers else [])
    want, got = model(*x), smaller(*x)
    assert nets.without(spec, gone).macs < spec.macs
    assert (want - got).abs().max() <= 1e-5 * want.abs().max()


def test_what_belongs_together() -> None:
    spec = toys.spec("conv: {width: 8, kernel: 3}", "inverted_residual: {hidden: 12, width: 8, residual: true}",
                     "separable: {width: 6}", "mean: {}", "fc: {width: 3}")
    found = nets.units(spec)
    assert (found.outputs["b01.conv"] == found.outputs["b02.project"]).all()  # added
    assert (found.outputs["b02.expand"] == found.outputs["b02.depthwise"]).all()
    assert (found.outputs["b03.depthwise"] == found.outputs["b01.conv"]).all()
    assert [len(m) for m in found.families().values()] == [8, 12, 6]  # the answer stays
    smaller = nets.without(spec, np.concatenate([found.outputs["b01.conv"][:3], found.outputs["b02.expand"][:5]]))
    assert nets.to_yaml(smaller) == nets.to_yaml(toys.spec(
        "conv: {width: 5, kernel: 3}", "inverted_residual: {hidden: 7, width: 5, residual: true}",
        "separable: {width: 6}", "mean: {}", "fc: {width: 3}"))


def test_groups_and_shuffles_tie_channels() -> None:
    spec = toys.spec("conv: {width: 12}", "shuffle_unit: {hidden: 6, width: 12, groups: 3}", "mean: {}",
                     "fc: {width: 3}")
    found = nets.units(spec)
    stem = found.outputs["b01.conv"].reshape(3, 4)
    assert (stem == stem[0]).all()  # the groups of the first 1x1 stay equally large
    hidden = found.outputs["b02.reduce"].reshape(3, 2)
    assert (hidden == hidden[0]).all() and (found.outputs["b02.depthwise"] == hidden.T.ravel()).all()


@pytest.mark.parametrize("importance", list(Importance))
def test_half_of_the_cost_goes_and_the_rest_learns_on(importance: Importance) -> None:
    data = toys.dataset()
    spec = toys.spec("conv: {width: 16, kernel: 3, stride: 2, activation: relu}", "separable: {width: 32}", "mean: {}",
                     "fc: {width: 3}")
    config = TrainConfig(epochs=8, learning_rate=0.02)
    trained = train.train(spec, data, config, progress=False)
    pruned = prune(spec, trained.model, lambda s: float(s.macs), 0.5, importance=importance, dataset=data)
    assert pruned.cost == pruned.spec.macs <= 0.5 * spec.macs and pruned.cost_before == spec.macs
    assert pruned.cost > 0.2 * spec.macs  # steps of four channels are coarse in so small a net
    tuned = train.train(pruned.spec, data, config, initial=pruned.model, progress=False)
    assert tuned.val.accuracy >= trained.val.accuracy - 0.05
    assert data.test_opened == ()


def test_no_layer_becomes_a_bottleneck() -> None:
    """Filters next to nothing would all go first; their family keeps a part, unless the share cannot do without."""
    spec = toys.spec("conv: {width: 16, kernel: 3, activation: relu}", "conv: {width: 64, kernel: 1}", "mean: {}",
                     "fc: {width: 3}")
    model = nets.build(spec, 0)
    wide = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.out_channels == 64)
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter[4:] *= 1e-6

    def widths(fixed: int, share: float) -> list[int]:
        left = prune(spec, model, lambda s: float(s.macs + fixed), share).spec
        return [len(v) for v in nets.build(left, 0).state_dict().values() if v.ndim == 4]

    assert widths(0, 0.3)[1] == 12
    assert widths(spec.macs, 0.55)[1] == 4  # the half that is fixed leaves no other way


def test_requests_that_cannot_be_met() -> None:
    spec = toys.spec("conv: {width: 8, kernel: 3}", "mean: {}", "fc: {width: 3}")
    model = nets.build(spec, 0)
    with pytest.raises(InputError, match="it must be between 0 and 1"):
        prune(spec, model, lambda s: float(s.macs), 1.0)
    with pytest.raises(InputError, match=r"even without all that can go it costs more than 0\.01"):
        prune(spec, model, lambda s: float(s.macs), 0.01)
    with pytest.raises(InputError, match="'taylor' needs data"):
        prune(spec, model, lambda s: float(s.macs), 0.5, importance=Importance.TAYLOR)
