"""Post-training quantization: what the program holds, what it costs in accuracy, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

import toys  # noqa: E402
from ratti import compress, train  # noqa: E402
from ratti.compress import Observer, PtqConfig  # noqa: E402
from ratti.data import Kind, score  # noqa: E402
from ratti.errors import InputError, UnsupportedError  # noqa: E402
from ratti.formats.torch_export import import_program  # noqa: E402
from ratti.graph import interpreter  # noqa: E402
from ratti.types import Quant  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = train.TrainConfig(epochs=15, learning_rate=0.01)


@pytest.fixture(scope="module")
def trained() -> train.Trained:
    return train.train(toys.spec(), toys.dataset(), CONFIG, progress=False)


def quantizations(program: torch.fx.GraphModule) -> list[tuple[float, int]]:
    """(scale, zero point) of every quantized activation, in order."""
    return [(float(n.args[1]), int(n.args[2])) for n in program.graph.nodes
            if str(n.target) == "quantized_decomposed.quantize_per_tensor.default"]


@pytest.mark.parametrize("observer", list(Observer))
def test_int8_keeps_the_accuracy_and_the_test_part_sealed(trained: train.Trained, observer: Observer) -> None:
    data = toys.dataset()
    program = compress.quantize(trained.model, data, PtqConfig(observer=observer, threads=1))
    assert data.test_opened == ()
    found = score(train.predict(program, data, data.val), data.val.y)
    assert trained.val.accuracy > 0.9 and found.accuracy >= trained.val.accuracy - 0.05


def test_every_weight_and_bias_is_on_an_integer_grid(trained: train.Trained) -> None:
    program = compress.quantize(trained.model, toys.dataset(), PtqConfig(threads=1))
    constants = {n.target: getattr(program, n.target) for n in program.graph.nodes if n.op == "get_attr"}
    frozen = [v for name, v in constants.items() if name.startswith("_frozen")]
    assert {v.dtype for v in frozen} == {torch.int8, torch.int32}
    weights = [v for v in frozen if v.dtype is torch.int8]
    assert len(weights) == len([v for v in frozen if v.dtype is torch.int32]) == 12
    assert all(int(w.abs().max()) == 127 for w in weights)
    for node in program.graph.nodes:
        if str(node.target) in ("aten.conv2d.default", "aten.linear.default"):
            source, weight, bias = node.args[:3]
            scales = [getattr(program, n.args[1].target) for n in (weight, bias)]
            assert torch.allclose(scales[1], scales[0] * source.args[1], rtol=1e-6)


def test_relu_is_fused_and_pools_share(trained: train.Trained) -> None:
    program = compress.quantize(trained.model, toys.dataset(), PtqConfig(threads=1))
    names = [str(n.target) for n in program.graph.nodes]
    behind = {str(u.target) for n in program.graph.nodes if str(n.target) == "aten.conv2d.default" for u in n.users}
    assert behind == {"aten.relu.default", "aten.hardtanh.default",
                      "quantized_decomposed.quantize_per_tensor.default"}
    quants = quantizations(program)
    assert quants[0] == (1 / 128, 0)
    relu = next(n for n in program.graph.nodes if str(n.target) == "aten.relu.default")
    (quantize,) = relu.users
    assert quantize.args[2] == -128  # no code below zero
    pool = names.index("aten.max_pool2d.default")
    before = next(iter(list(program.graph.nodes)[pool].args)).args
    (after,) = list(program.graph.nodes)[pool].users
    assert before[1:3] == after.args[1:3]


def test_relu6_never_goes_beyond_6() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 1, 1)
            torch.nn.init.constant_(self.conv.weight, 100)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.relu6(self.conv(x))

    program = compress.quantize_program(compress.export(Net(), (4, 4, 1)), [(torch.randn(8, 1, 4, 4),)])
    scale, zero_point = quantizations(program)[-1]
    assert zero_point == -128 and scale == pytest.approx(6 / 255)


def test_the_input_of_signals_is_calibrated() -> None:
    data = toys.dataset(96, Kind.SIGNAL)
    model = train.train(toys.spec(), data, train.TrainConfig(epochs=1, threads=1), progress=False).model
    scale, _ = quantizations(compress.quantize(model, data, PtqConfig(threads=1)))[0]
    real = data.normalization.real(data.val.x)
    assert scale == pytest.approx((real.max() - real.min()) / 255, rel=1e-5)


def test_a_channel_without_weights_keeps_its_bias() -> None:
    """Its weight scale has a floor, or the bias would overflow int32."""
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight[0] = 1e-12
        layer.bias[:] = torch.tensor([5.0, -3.0])
    x = torch.tensor([[0.5, -0.25, 0.75]]).repeat(4, 1)
    exported = torch.export.export(layer.eval(), (x,)).module(check_guards=False)
    program = compress.quantize_program(exported, [(x,)])
    assert np.abs((program(x) - layer(x)).detach().numpy()).max() < 0.05


def test_calibration_repeats_and_takes_so_many_samples(trained: train.Trained) -> None:
    data = toys.dataset()
    first, again, fewer = (quantizations(compress.quantize(trained.model, data, PtqConfig(samples=s, threads=1)))
                           for s in (512, 512, 3))
    assert first == again != fewer


def test_an_op_without_an_int8_form_is_named_with_its_place() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.GELU())
    with pytest.raises(UnsupportedError, match=r"1 \(gelu\): the op aten.gelu.default .*supported: aten"):
        compress.quantize_program(compress.export(model, (4, 4, 1)), [(torch.zeros(1, 1, 4, 4),)])


def test_a_fixed_input_quantization_is_kept() -> None:
    exported = compress.export(torch.nn.Conv2d(1, 2, 1), (4, 4, 1))
    program = compress.quantize_program(exported, [(torch.zeros(1, 1, 4, 4),)], input_quant=Quant.per_tensor(0.25, 7))
    assert quantizations(program)[0] == (0.25, 7)


@pytest.mark.parametrize("name", ["samples", "batch_size", "threads"])
def test_settings_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        PtqConfig(**{name: 0})


@pytest.mark.parametrize("block", ["separable: {width: 16}", "shuffle_unit_v2: {hidden: 4, width: 8, kept: 4}"])
def test_aware_training_exports_the_integers_that_it_saw(tmp_path: Path, block: str) -> None:
    data = toys.dataset()
    spec = toys.spec("conv: {width: 8, kernel: 3, stride: 2, activation: relu}", block, "mean: {}", "fc: {width: 3}")
    trained = train.train(spec, data, train.TrainConfig(epochs=8, learning_rate=0.02), progress=False)
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    config = compress.QatConfig(epochs=3)
    found = compress.qat(trained.model, data, config, run_dir=tmp_path, progress=False)
    assert all((value == before[name]).all() for name, value in trained.model.state_dict().items())
    graph = import_program(found.program, "toy")
    type = graph.type(graph.inputs[0])
    assert type.quant is not None
    (outputs,) = interpreter.run_batch(graph, [type.quant.quantize(data.real(data.val)[0], type.dtype)])
    assert (outputs.argmax(1) == data.val.y).mean() == pytest.approx(found.val.accuracy, abs=0.02)
    assert found.val.accuracy >= trained.val.accuracy - 0.05
    again = compress.qat(trained.model, data, config, run_dir=tmp_path, progress=False)  # from its checkpoint
    assert again.val == found.val and data.test_opened == ()


def test_distillation_learns_from_models_and_from_stored_logits(tmp_path: Path) -> None:
    data = toys.dataset()
    config = train.TrainConfig(epochs=15, learning_rate=0.02)
    teacher = train.train(toys.spec("conv: {width: 16, kernel: 3, activation: relu}", "mean: {}", "fc: {width: 3}"),
                          data, config, progress=False).model
    student = toys.spec("conv: {width: 4, kernel: 3, stride: 2, activation: relu}", "mean: {}", "fc: {width: 3}")
    np.save(tmp_path / "logits.npy", train.predict(teacher, data, data.train))
    stored = train.StoredTeacher.read(tmp_path / "logits.npy", len(data.train), 3)
    goals = [train.Distillation(train.ModelTeacher(teacher)), train.Distillation(stored, share=1.0)]
    wide = toys.spec("conv: {width: 4, kernel: 3, activation: relu}", "mean: {}", "fc: {width: 3}")
    matching = train.FeatureMatching(goals[0], teacher, (("b01.conv", "b01.conv"),))
    for spec, goal in ((student, goals[0]), (student, goals[1]), (wide, matching)):
        found = train.train(spec, data, config, goal=goal, progress=False)
        assert found.val.accuracy > 0.6, goal.identity
    with pytest.raises(InputError, match="the model has no layer 'b09'; it has b01"):
        missing = train.FeatureMatching(goals[0], teacher, (("b09", "b01"),))
        train.train(wide, data, config, goal=missing, progress=False)
    with pytest.raises(InputError, match=r"finite logits of shape \[7, 3\] are needed"):
        train.StoredTeacher.read(tmp_path / "logits.npy", 7, 3)
