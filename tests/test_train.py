"""Training: it learns, repeats, resumes where it was cut off, and never opens the test part."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")


import toys  # noqa: E402
from ratti import train  # noqa: E402
from ratti.data import Augment, Kind  # noqa: E402
from ratti.errors import FormatError, InputError  # noqa: E402
from ratti.train import Optimizer, TrainConfig  # noqa: E402
from ratti.train.loop import CHECKPOINT  # noqa: E402
from ratti.train.selection import improves, weight  # noqa: E402

pytestmark = pytest.mark.torch

NET = toys.spec("conv: {width: 8, kernel: 3, stride: 2, activation: relu}", "separable: {width: 16}", "mean: {}",
                "fc: {width: 3}")
CONFIG = TrainConfig(epochs=4, learning_rate=0.02, threads=1)


class Stop(BaseException):
    """What a Ctrl-C does to a run."""


def weights(trained: train.Trained) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in trained.model.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all((a[name] == b[name]).all() for name in a) and set(a) == set(b)


def test_it_learns_and_leaves_the_test_part_sealed() -> None:
    data = toys.dataset()
    trained = train.train(NET, data, dataclasses.replace(CONFIG, epochs=12), progress=False)
    assert trained.val.accuracy > 0.9
    assert data.test_opened == ()
    assert train.evaluate(trained.model, data, data.open_test("final report")).accuracy > 0.85
    best, peak = trained.history[trained.best_epoch - 1], max(e.val_accuracy for e in trained.history)
    assert trained.val.accuracy == best.val_accuracy > peak - 0.1
    assert not trained.model.training


def test_signals_train_too() -> None:
    data = toys.dataset(kind=Kind.SIGNAL)
    assert train.train(NET, data, dataclasses.replace(CONFIG, epochs=12), progress=False).val.accuracy > 0.8


@pytest.mark.parametrize("config", [
    CONFIG,
    dataclasses.replace(CONFIG, ema_decay=0.9),
    dataclasses.replace(CONFIG, optimizer=Optimizer.SGD, class_weights=True, balanced=True),
])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, config: TrainConfig) -> None:
    data = toys.dataset(96)

    def cut_off(epoch: train.Epoch) -> None:
        if epoch.number == 2:
            raise Stop

    whole = train.train(NET, data, config, progress=False)
    with pytest.raises(Stop):
        train.train(NET, data, config, run_dir=tmp_path, progress=False, on_epoch=cut_off)
    seen: list[int] = []
    resumed = train.train(NET, data, config, run_dir=tmp_path, progress=False, on_epoch=lambda e: seen.append(e.number))
    assert seen == [3, 4]
    assert same(weights(whole), weights(resumed))
    assert [e.train_loss for e in whole.history] == [e.train_loss for e in resumed.history]
    again = train.train(NET, data, config, run_dir=tmp_path, progress=False, on_epoch=lambda e: seen.append(e.number))
    assert seen == [3, 4] and same(weights(again), weights(whole))


def test_another_seed_gives_other_weights() -> None:
    data = toys.dataset(96)
    configs = (dataclasses.replace(CONFIG, epochs=1, seed=s) for s in (0, 1))
    first, other = (train.train(NET, data, config, progress=False) for config in configs)
    assert not same(weights(first), weights(other))


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    data = toys.dataset(96)
    config = dataclasses.replace(CONFIG, epochs=1)
    train.train(NET, data, config, run_dir=tmp_path, progress=False)
    with pytest.raises(InputError, match=r"checkpoint of another run \(other settings\)"):
        train.train(NET, data, dataclasses.replace(config, learning_rate=0.01), run_dir=tmp_path, progress=False)
    with pytest.raises(InputError, match="other data"):
        train.train(NET, toys.dataset(96, seed=1), config, run_dir=tmp_path, progress=False)
    other = toys.spec("conv: {width: 4, stride: 2}", "mean: {}", "fc: {width: 3}")
    with pytest.raises(InputError, match="other net"):
        train.train(other, data, config, run_dir=tmp_path, progress=False)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    data = toys.dataset(96)
    (tmp_path / CHECKPOINT).write_bytes(b"x" * 100)
    with pytest.raises(FormatError, match="cannot be read as safetensors"):
        train.train(NET, data, CONFIG, run_dir=tmp_path, progress=False)
    (tmp_path / CHECKPOINT).unlink()
    train.save_weights(train.train(NET, data, dataclasses.replace(CONFIG, epochs=1), progress=False).model,
                       tmp_path / CHECKPOINT)
    with pytest.raises(FormatError, match="not a checkpoint"):
        train.train(NET, data, CONFIG, run_dir=tmp_path, progress=False)


def test_selection_takes_the_lowest_loss_among_scores_within_one_standard_error() -> None:
    def epochs(*pairs: tuple[float, float]) -> list[int]:
        """The best epoch after each, from (accuracy, loss) on 100 samples: one standard error is 2 to 4 points."""
        history: list[train.Epoch] = []
        found: list[int] = []
        for number, (accuracy, loss) in enumerate(pairs, 1):
            epoch = train.Epoch(number, 0, loss, accuracy, 0, 0)
            found.append(number if improves(epoch, history, found[-1] if found else 0, False, 100) else found[-1])
            history.append(epoch)
        return found

    assert epochs((0.5, 2.0), (0.8, 1.0), (0.79, 0.9), (0.79, 0.95), (0.7, 0.1)) == [1, 2, 3, 3, 3]
    assert epochs((0.9, 0.5), (0.96, 0.6), (0.99, 0.7), (1.0, 0.65)) == [1, 2, 3, 4]


def test_balanced_accuracy_is_as_sure_as_its_smallest_classes() -> None:
    assert weight(np.repeat([0, 1, 2], 50)) == pytest.approx(150)  # equal classes: as accuracy
    rare = np.repeat([0, 1, 3], [4000, 400, 4])  # a class without samples does not count
    rng = np.random.default_rng(0)
    drawn = np.mean([rng.binomial(n, 0.6, 20_000) / n for n in (4000, 400, 4)], axis=0)
    assert weight(rare) == pytest.approx(0.6 * 0.4 / drawn.var(), rel=0.05)


def test_patience_stops_early() -> None:
    config = dataclasses.replace(CONFIG, epochs=50, learning_rate=1e-6, patience_epochs=2, augment=Augment())
    trained = train.train(NET, toys.dataset(96), config, progress=False)
    assert trained.stopped_early and len(trained.history) == trained.best_epoch + 2


def test_divergence_is_said() -> None:
    config = dataclasses.replace(CONFIG, learning_rate=1e30, optimizer=Optimizer.SGD)
    with pytest.raises(InputError, match="diverged in epoch 1"):
        train.train(NET, toys.dataset(96), config, progress=False)


def test_a_net_that_does_not_take_the_data() -> None:
    data = toys.dataset(96)
    with pytest.raises(InputError, match=r"takes inputs of \(16, 8, 1\), toy has \(8, 8, 1\)"):
        train.train(dataclasses.replace(NET, input_shape=(16, 8, 1)), data, CONFIG, progress=False)
    with pytest.raises(InputError, match="5 outputs, toy needs 3 to classify"):
        train.train(toys.spec("mean: {}", "fc: {width: 5}"), data, CONFIG, progress=False)


def test_weights_round_trip_and_mismatches(tmp_path: Path) -> None:
    data = toys.dataset(96)
    trained = train.train(NET, data, dataclasses.replace(CONFIG, epochs=1), progress=False)
    path = tmp_path / "weights.safetensors"
    train.save_weights(trained.model, path)
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]
    loaded = train.load_weights(NET, path)
    assert (train.predict(loaded, data, data.val) == train.predict(trained.model, data, data.val)).all()
    with pytest.raises(FormatError, match=r"b01.conv.weight has shape \[8, 1, 3, 3\], toy takes \[16, 1, 3, 3\]"):
        train.load_weights(toys.spec("conv: {width: 16, kernel: 3, stride: 2}", "separable: {width: 16}", "mean: {}",
                                     "fc: {width: 3}"), path)
    with pytest.raises(FormatError, match="not the weights of toy: it has b02"):
        train.load_weights(toys.spec("conv: {width: 8, kernel: 3}", "mean: {}", "fc: {width: 3}"), path)
    with pytest.raises(FormatError, match="cannot be read"):
        train.load_weights(NET, tmp_path / "nowhere")


def test_starting_weights_are_taken_over() -> None:
    data = toys.dataset(96)
    first = train.train(NET, data, CONFIG, progress=False)
    tiny = dataclasses.replace(CONFIG, epochs=1, learning_rate=1e-12, weight_decay=0, augment=Augment())
    tuned = train.train(NET, data, tiny, initial=first.model, progress=False)
    name = "b02.pointwise.weight"
    assert np.allclose(weights(first)[name], weights(tuned)[name], atol=1e-6)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_share=0.1)
    rates = [config.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[-1] < 0.001
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"learning_rate": 0.0}, {"ema_decay": 1.0}, {"warmup_share": 1.0},
                                    {"patience_epochs": 0}, {"weight_decay": -1.0}, {"batch_size": 0}])
def test_settings_are_checked(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        TrainConfig(**change)  # type: ignore[arg-type]


def test_progress_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    train.train(NET, toys.dataset(96), dataclasses.replace(CONFIG, epochs=2))
    out, err = capfd.readouterr()
    assert out == "" and "2/2" in err and "best: epoch" in err


def test_the_last_training_learns_from_validation_and_keeps_its_last_epoch() -> None:
    data = toys.dataset(96, kind=Kind.SIGNAL)
    joined = data.joined()
    assert len(joined.train) == len(data.train) + len(data.val)
    assert joined.normalization == data.normalization and joined.digest() != data.digest()
    np.testing.assert_array_equal(joined.train.x[len(data.train) :], data.val.x)
    config = dataclasses.replace(CONFIG, learning_rate=1.0, patience_epochs=1)  # far too much: no epoch is better
    assert train.train(NET, data, config, progress=False).best_epoch < 4
    assert train.train(NET, joined, config, progress=False).best_epoch == 4
    assert data.test_opened == joined.test_opened == ()
