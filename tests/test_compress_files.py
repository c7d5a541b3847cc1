"""Float models of other tools enter: they are quantized, trained further and measured like our own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from ratti import cli, models  # noqa: E402
from ratti.compress import export, quantize_program  # noqa: E402
from ratti.formats import tflite, torch_export  # noqa: E402
from ratti.graph import interpreter  # noqa: E402
from ratti.train import TrainConfig  # noqa: E402
from ratti.types import DType  # noqa: E402
from ratti.verbs.compress import compress  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.toolchain]


def layer(i: int, o: int, act: Callable[[], nn.Module] = nn.ReLU, k: int = 3, s: int = 1, g: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), act())


def net(*layers: nn.Module, width: int = 8) -> nn.Module:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


class Excited(nn.Module):
    """Squeeze and excitation with hard sigmoid, as in MobileNetV3."""

    def __init__(self, gate: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Preactivated(nn.Module):
    """Batch normalization in front of a layer, and a scale and an offset of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)
        self.register_buffer("mean", torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1))
        nn.init.normal_(self.norm.running_mean)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first((x - self.mean) * 2.0)
        return x + self.second(F.relu(self.norm(x)))


class Shuffled(nn.Module):
    """A split, a concatenation and a channel shuffle, as in ShuffleNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.branch = layer(3, 8), layer(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, taken = self.first(x).chunk(2, 1)
        x = torch.cat([kept, self.branch(taken)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


NETS: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v3": lambda: net(layer(3, 8, nn.Hardswish), Excited(nn.Hardsigmoid)),
    "efficientnet": lambda: net(layer(3, 8, nn.SiLU), Excited(nn.Sigmoid)),
    "preactivated": lambda: net(Preactivated()),
    "shuffled": lambda: net(Shuffled()),
    "activations": lambda: net(layer(3, 8, lambda: nn.LeakyReLU(0.1)), layer(8, 8, nn.ELU), layer(8, 8, nn.Tanh)),
    "prelu": lambda: net(layer(3, 8, lambda: nn.PReLU(8)), nn.AvgPool2d(3, 2, 1)),
    "upsampled": lambda: net(layer(3, 8, s=2), nn.Upsample(scale_factor=2), layer(8, 8, nn.ReLU6, g=8)),
}


def written(module: nn.Module, path: Path, shape: tuple[int, ...] = (3, 16, 16)) -> Path:
    """`module` as a file of another tool; `.tflite` by our writer, from the ONNX file."""
    x = torch.zeros(2, *shape)
    if path.suffix == ".pt2":
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.export.save(torch.export.export(module, (x,), dynamic_shapes=({0: batch},)), str(path))
        return path
    pytest.importorskip("onnx", reason="onnx is missing (pip install 'ratti[onnx]')")
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(module, (x[:1],), str(path.with_suffix(".onnx")), dynamo=False)
    if path.suffix == ".tflite":
        tflite.write(models.load(path.with_suffix(".onnx")), path)
    return path


@pytest.mark.parametrize("suffix", [".onnx", ".pt2", ".tflite"])
@pytest.mark.parametrize("name", NETS)
def test_what_nets_are_made_of_becomes_int8(name: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = NETS[name]().eval()
    read = torch_export.to_module(models.load(written(module, tmp_path / f"net{suffix}")), logits=True)
    x = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        assert (read(x) - module(x)).abs().max() < 1e-5
    program = quantize_program(export(read, (16, 16, 3)), [(x,), (torch.randn(32, 3, 16, 16),)])
    graph = torch_export.import_program(program, "net")
    assert graph.is_quantized
    (input_,), (output,) = graph.inputs, graph.outputs
    quant, out = graph.type(input_).quant, graph.type(output)
    assert quant is not None
    for k in range(len(x)):
        codes = quant.quantize(x[k : k + 1].permute(0, 2, 3, 1).numpy(), DType.INT8)
        got = (interpreter.run(graph, [codes])[output].astype(np.float64) - out.zero_point) * out.scale
        assert np.abs(got - program(x[k : k + 1]).detach().numpy()).max() < 4.1 * out.scale


@pytest.mark.parametrize(("module", "message"), [
    (nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 10)), "gelu"),
    (nn.Sequential(nn.ConvTranspose2d(1, 4, 2, 2), nn.Flatten(), nn.Linear(1024, 10)), "conv_transpose2d"),
    (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 7)), "answers with 7 numbers; 'digits' has 10"),
])
def test_what_cannot_be_compressed_is_named(module: nn.Module, message: str, tmp_path: Path,
                                            capsys: pytest.CaptureFixture) -> None:
    path = written(module.eval(), tmp_path / "net.pt2", (1, 8, 8))
    words = ["compress", str(path), "--data", "digits", "--target", "stm32f446re", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 2
    error = capsys.readouterr().err.splitlines()
    assert message in error[-1] and not (tmp_path / "out" / "report.json").exists()


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A net for digits that takes pixels from 0 to 1, trained by a loop of its own."""
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images[:1000, None] / 16, dtype=torch.float32)
    y = torch.tensor(digits.target[:1000])
    module = nn.Sequential(layer(1, 12), layer(12, 12, s=2, g=12), layer(12, 24, nn.Hardswish, k=1),
                           nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10))
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(6):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
    return module.eval()


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".pt2"])
def test_a_file_goes_down_the_ladder(suffix: str, trained: nn.Module, tmp_path: Path) -> None:
    path, told = written(trained, tmp_path / f"mine{suffix}", (1, 8, 8)), []
    result = compress(path, "digits", "stm32f446re", out=tmp_path / "out", settings=TrainConfig(epochs=2), minutes=30,
                      say=told.append)
    assert [r.step for r in result.ladder[:3]] == ["float", "ptq", "qat"] and result.fits
    assert any(line.startswith("pixels: unit") for line in told)
    steps = {r.step: r for r in result.ladder}
    assert steps["float"].val > 0.8 and steps["ptq"].val > steps["float"].val - 0.05
    bundle = Path(result.result.bundle)
    assert bundle.name == "mine" and "ratti compress" in (bundle / "model_card.md").read_text()
    graph = models.load(bundle)
    assert graph.is_quantized and graph.metadata["pixels"] == "unit"
    real = models.load_float(bundle)
    assert real is not None and real.is_float and not (bundle / "net.yaml").exists()
    assert "stand for 0 … 1" in (bundle / "model_card.md").read_text()
    assert set(json.loads((tmp_path / "out" / ".work" / "epochs.json").read_text())["epochs"]) == {"qat"}


def test_files_out_of_reach_say_that_channels_stay(trained: nn.Module, tmp_path: Path) -> None:
    from ratti.verbs.check import Limits

    path = written(trained, tmp_path / "mine.pt2", (1, 8, 8))
    result = compress(path, "digits", "stm32f446re", Limits(flash_bytes=1000), out=tmp_path / "out",
                      settings=TrainConfig(epochs=1), pixels="unit")
    assert not result.fits and any("channels are not pruned" in note for note in result.notes)


def test_the_minutes_decide_the_epochs(tmp_path: Path) -> None:
    from ratti import nets
    from ratti.verbs._budget import Budget
    from toys import dataset

    spec, settings = nets.spec("micro-1.0-8", input_shape=(8, 8, 1), classes=3), TrainConfig(epochs=10_000)
    model, data, told = nets.build(spec, 0), dataset(), []
    budget = Budget(tmp_path / "epochs.json", 0.05, told.append)
    few = budget.epochs("qat", 10_000, 2, model, data, settings, None)
    assert 2 <= few < 10_000 and "of 10000 epochs" in told[0]
    assert Budget(tmp_path / "epochs.json", 0.05, told.append).epochs("qat", 9, 2, model, data, settings, None) == few
    assert Budget(tmp_path / "none.json", None, told.append).epochs("qat", 9, 2, model, data, settings, None) == 9
    with pytest.raises(Exception, match="must be above 0"):
        Budget(tmp_path / "epochs.json", -1.0, told.append)
