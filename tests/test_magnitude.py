"""Weight pruning by magnitude: zeros where they were asked for, held to the last integer, and what they save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchao")

from ratti import compress, data, nets, train  # noqa: E402
from ratti.compress import Storage, magnitude, sparsify, storage  # noqa: E402
from ratti.errors import InputError  # noqa: E402
from ratti.formats.torch_export import import_program  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits", data.Options())


@pytest.fixture(scope="module")
def trained(digits: data.Dataset) -> train.Trained:
    spec = nets.spec("micro-1.0-8", input_shape=digits.input_shape, classes=digits.classes)
    return train.train(spec, digits, train.TrainConfig(epochs=10, learning_rate=0.01), progress=False)


def test_zeros_stay_through_training_and_aware_training(digits: data.Dataset, trained: train.Trained,
                                                        tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    config = train.TrainConfig(epochs=10, learning_rate=0.005)
    sparse = sparsify(trained.model, digits, 0.6, config, run_dir=tmp_path, progress=False)
    assert all((value == before[name]).all() for name, value in trained.model.state_dict().items())
    pruned = [layer.weight for layer in magnitude.prunable(sparse.model)]
    assert sum(int((w == 0).sum()) for w in pruned) == pytest.approx(0.6 * sum(w.numel() for w in pruned), abs=2)
    shares = [float((w == 0).float().mean()) for w in pruned]
    assert max(shares) < 1 and max(shares) - min(shares) > 0.01  # each layer gives another share
    assert 0.4 < sparse.share < 0.6  # first and depthwise layers are dense
    assert sparse.val.accuracy > trained.val.accuracy - 0.1
    again = sparsify(trained.model, digits, 0.6, config, run_dir=tmp_path, progress=False)  # from its checkpoints
    assert again.val == sparse.val
    found = compress.qat(sparse.model, digits, compress.QatConfig(epochs=2), progress=False)
    graph = import_program(found.program, "sparse")
    weights = [v.data for v in graph.values.values() if v.data is not None and v.data.dtype == np.int8]
    assert sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights) >= sparse.share
    assert storage(weights).dense == sum(w.size for w in weights) and digits.test_opened == ()


@pytest.mark.parametrize(("share", "epochs", "message"), [(1.0, 20, "between 0 and 1"), (0.5, 9, "at least 10 epochs")])
def test_requests_that_cannot_be_met(digits: data.Dataset, trained: train.Trained, share: float, epochs: int,
                                     message: str) -> None:
    with pytest.raises(InputError, match=message):
        sparsify(trained.model, digits, share, train.TrainConfig(epochs=epochs))


def test_storage_by_hand() -> None:
    row = np.zeros((1, 64), np.int8)
    assert storage([row]) == Storage(64, 8, 0)
    row[0, [0, 40]] = 5  # 39 zeros between them: two fillers
    assert storage([row]) == Storage(64, 10, 6) and storage([row]).saved == 58
    assert storage([np.ones((2, 16), np.int8)]) == Storage(32, 36, 48) and storage([np.ones((2, 16))]).saved == 0


@pytest.mark.slow
def test_aware_training_is_no_worse_than_ptq_over_three_seeds(digits: data.Dataset) -> None:
    spec = nets.spec("micro-1.0-8", input_shape=digits.input_shape, classes=digits.classes)
    gain = []
    for seed in range(3):
        net = train.train(spec, digits, train.TrainConfig(epochs=20, learning_rate=0.01, seed=seed), progress=False)
        ptq = train.evaluate(compress.quantize(net.model, digits), digits, digits.val).accuracy
        config = compress.QatConfig(epochs=5, seed=seed)
        gain.append(compress.qat(net.model, digits, config, progress=False).val.accuracy - ptq)
    assert float(np.mean(gain)) >= -0.005, gain
