"""What nets are for beside classes: anomalies by reconstruction, and centers of objects on a grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toys
from ratti import data, recipe
from ratti.data import Augment, Dataset, Flip, Options, Part, goals
from ratti.data.goals import centroids, reconstruct
from ratti.data.sources import motor, pests
from ratti.errors import DataError, InputError


@pytest.mark.parametrize("name", goals.goals())
def test_every_goal_says_what_it_is(name: str) -> None:
    goal = goals.load(name)
    assert goal.METRIC and goal.USE and goal.LIMIT and goal.WHAT.format(classes=3)
    assert goal.outputs(3, (16, 16, 1)) > 0


# ---- anomalies


def test_auc_by_hand() -> None:
    faulty = np.array([False, False, True, True])
    assert reconstruct.auc(np.array([1.0, 2, 3, 4]), faulty) == 1
    assert reconstruct.auc(np.array([1.0, 3, 2, 4]), faulty) == 0.75
    assert reconstruct.auc(np.array([1.0, 1, 1, 1]), faulty) == 0.5
    assert reconstruct.auc(np.array([1.0, 1]), np.array([False, False])) == 0.5


def test_auc_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    values, faulty = rng.integers(0, 20, 200).astype(float), rng.random(200) < 0.3
    assert reconstruct.auc(values, faulty) == pytest.approx(metrics.roc_auc_score(faulty, values))


def _signals(errors: list[float], labels: list[int]) -> tuple[Part, np.ndarray, np.ndarray]:
    """(a part, outputs whose squared errors are `errors`, inputs)."""
    n = len(errors)
    part = Part(np.zeros((n, 2, 1, 1), np.int16), np.array(labels), np.array([str(k) for k in range(n)]))
    return part, np.sqrt(np.array(errors))[:, None].repeat(2, 1), np.zeros((n, 2, 1, 1))


def test_the_threshold_parts_normal_from_faulty_as_well_as_it_can() -> None:
    part, outputs, inputs = _signals([1, 2, 6, 3, 8, 9], [0, 0, 0, 1, 2, 2])
    settings = reconstruct.settle(lambda: (outputs, inputs), part)
    assert settings["threshold"] == pytest.approx(7)  # 3 of 3 normal, 2 of 3 faults; 2.5 gives 2 of 3 and 3 of 3
    found = reconstruct.score(outputs, part, inputs, 3, settings)
    assert found.recall == (1.0, 0.0, 1.0)
    assert found.details == {"anomalies found": pytest.approx(2 / 3), "false alarms": 0.0}
    assert found.accuracy == pytest.approx(8 / 9)
    looks = reconstruct.looks(outputs, part, inputs, "abc", settings)
    assert [look.right for look in looks] == [True, True, True, False, True, True] and "under 7.00" in looks[3].words


def test_training_for_reconstruction_sees_the_first_class_alone() -> None:
    whole = toys.dataset(kind=data.Kind.SIGNAL)
    found = whole.made_for("reconstruct")
    assert set(found.train.y.tolist()) == {0} and len(set(found.val.y.tolist())) == 3
    assert found.normalization.mean[0] == pytest.approx(found.train.x.astype(float).mean())
    assert found.outputs == 64 and found.targets(found.val).shape == (len(found.val), 64)
    assert found.digest() != whole.digest() and "are learned from" in found.report.lines()[-1]


def test_the_class_named_normal_leads() -> None:
    whole = toys.dataset(kind=data.Kind.SIGNAL)
    named = replace(whole, class_names=("bent", "normal", "broken"))
    found = named.made_for("reconstruct")
    assert found.class_names == ("normal", "bent", "broken") and "those of normal" in found.report.lines()[-1]
    assert (found.train.x == whole.train.x[whole.train.y == 1]).all() and set(found.train.y.tolist()) == {0}
    assert (found.val.y == np.array([1, 0, 2])[whole.val.y]).all() and found.test_opened == ()
    assert (found.open_test("a test").y == np.array([1, 0, 2])[whole.open_test("a test").y]).all()


def test_settling_leaves_the_test_part_shut() -> None:
    found = toys.dataset(kind=data.Kind.SIGNAL).made_for("reconstruct")
    rng = np.random.default_rng(0)

    def answers(part: Part) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(len(part), 64)), found.normalization.real(part.x)

    assert found.settled(answers).settings["threshold"] > 0 and found.test_opened == ()


# ---- centers


def test_cells_that_touch_are_one_object() -> None:
    kinds = np.array([[0, 1, 1, 0], [0, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 1]])
    outputs = np.eye(3)[kinds].ravel()
    found = centroids.decode(outputs, (4, 4))
    assert [(round(r, 3), round(c, 3), k) for r, c, k in found] == [(0.833, 2.167, 1), (2.5, 0.5, 2), (3.5, 3.5, 1)]


def test_each_true_center_counts_once_within_a_cell_and_of_its_class() -> None:
    true = [(2.0, 2.0, 1), (6.0, 6.0, 2)]
    found = [(2.5, 2.5, 1), (1.5, 1.5, 1), (6.0, 7.1, 2), (6.0, 6.0, 1)]
    assert [j for _, j in centroids.matched(found, true)] == [0]
    assert len(centroids.matched([(3.0, 1.0, 1)], true)) == 1


def _small(monkeypatch: pytest.MonkeyPatch, source: str = "pests", side: int = 64) -> Dataset:
    monkeypatch.setattr(pests, "COUNTS", {"train": 40, "val": 12, "test": 12})
    return data.load(source, Options(resolution=side))


def test_perfect_answers_score_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _small(monkeypatch)
    targets = found.targets(found.train)
    assert targets.shape == (40, 64) and found.outputs == 64 * 3
    perfect = np.eye(3)[targets].reshape(40, -1)
    right = found.score(perfect, found.train)
    assert right.accuracy == 1 and right.details == {"precision": 1.0, "recall": 1.0}
    assert found.score(-perfect, found.train).accuracy < 0.5
    empty = np.eye(3)[np.zeros_like(targets)].reshape(40, -1)
    assert found.score(empty, found.train).accuracy == 0


def test_pests_are_the_same_for_everyone_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _small(monkeypatch)
    again, points = pests._picture(np.random.default_rng([pests.SEED, 0, 3]), (64, 64), [])
    assert (found.train.x[3] == again).all() and found.goal == "centroids" and found.train.points is not None
    assert (found.train.points[3] == points).all()
    for sample in found.train.points:
        at = sample[sample[:, 2] > 0, :2]
        gaps = np.abs(at[:, None] - at[None]).max(axis=2) + 100 * np.eye(len(at))
        assert gaps.min(initial=100) >= 19.9 and ((at > 0) & (at < 64)).all()
    bare, _ = pests._picture(np.random.default_rng([pests.SEED, 0, 3]), (64, 64), [])
    assert (bare == again).all() and "not one real insect" in found.report.lines()[0]


def test_pests_on_pictures_of_leaves_keep_the_parts_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(InputError, match="holds no folders of pictures"):
        data.load(f"pests:{tmp_path}")
    for part, level in (("train", 60), ("test", 220)):
        (tmp_path / part / "leaf").mkdir(parents=True)
        for k in range(6):
            image.new("RGB", (70, 70), (level, level, k)).save(tmp_path / part / "leaf" / f"{k}.png")
    found = _small(monkeypatch, f"pests:{tmp_path}")
    assert np.median(found.train.x) < 80 and np.median(found.open_test("test").x) > 160


def test_objects_are_not_moved_without_their_centers(monkeypatch: pytest.MonkeyPatch) -> None:
    found, rng = _small(monkeypatch), np.random.default_rng(0)
    light = Augment.light(found)
    assert light.flip is Flip.NONE and not light.shift_px
    light.part(found, found.train, rng)
    for moves in (replace(light, flip=Flip.HORIZONTAL), replace(light, shift_px=1)):
        with pytest.raises(InputError, match="would move them"):
            moves.part(found, found.train, rng)


def test_data_without_centers_have_none() -> None:
    with pytest.raises(DataError, match="say where objects are"):
        toys.dataset().made_for("centroids")


# ---- the motor


def test_the_motor_is_the_same_for_everyone() -> None:
    x, y, groups = motor.windows(1)
    again, *_ = motor.windows(1)
    other, *_ = motor.windows(2)
    assert (x == again).all() and (x != other).any() and x.dtype == np.int16
    assert len(set(groups.tolist())) == motor.MACHINES and set(y.tolist()) == {0, 1, 2, 3}
    assert np.abs(x.astype(int)).max() < 32767  # nothing is clipped
    power = [np.square(x[y == c].astype(float)).mean() for c in range(4)]
    assert min(power[1:]) > power[0]


def test_the_motor_splits_by_machine() -> None:
    found = data.load("motor", Options(resolution=1, front_end={"name": "statistics"}, goal="reconstruct"))
    groups = [set(p.groups.tolist()) for p in (found.train, found.val, found.open_test("test"))]
    assert not groups[0] & groups[1] and not (groups[0] | groups[1]) & groups[2]
    assert set(found.train.y.tolist()) == {0}


# ---- the way through


def test_a_recipe_with_an_unknown_goal(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a\ndata: motor\ngoal: reconstuct\nmodels: [{net: micro-1.0-8, targets: [rp2040]}]\n")
    with pytest.raises(InputError, match="did you mean reconstruct"):
        recipe.read(path)


@pytest.mark.torch
@pytest.mark.parametrize("goal", goals.goals())
def test_every_goal_has_a_loss_that_falls_towards_its_targets(goal: str) -> None:
    torch = pytest.importorskip("torch")
    from ratti.train import LOSSES

    assert set(LOSSES) == set(goals.goals())
    targets = {"classify": torch.tensor([0, 2]), "centroids": torch.tensor([[0, 1, 0], [2, 0, 0]]),
               "reconstruct": torch.tensor([[0.5, -1.0], [2.0, 0.0]])}[goal]
    ideal = targets if goal == "reconstruct" else 9.0 * torch.nn.functional.one_hot(targets, 3).flatten(1).float()
    loss = LOSSES[goal]
    assert float(loss.of(ideal, targets)) < 0.01 < float(loss.of(torch.zeros_like(ideal), targets))


@pytest.mark.torch
def test_a_net_for_another_goal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from ratti import nets
    from ratti.train import TrainConfig, train

    found = _small(monkeypatch, side=16)
    spec = nets.spec("micro-1.0-16", input_shape=found.input_shape, classes=found.classes)
    with pytest.raises(InputError, match=r"needs 12 to centroids; families made for it: fomo"):
        train(spec, found, TrainConfig(epochs=1), progress=False)


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.toolchain
@pytest.mark.parametrize(("name", "metric", "answer", "words"), [
    ("vibration_anomaly", "AUC", "#define VIBRATION_ANOMALY_THRESHOLD",
     ("Threshold, chosen on validation", "| bearing |", "one kind of normal")),
    ("pest_centroids", "F1", "int32_t pest_centroids_centers(",
     ("| int8, precision |", "| beetle |", "centers, not outlines")),
])
def test_recipes_of_other_goals_in_one_epoch(name: str, metric: str, answer: str, words: tuple[str, ...],
                                             tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ratti.verbs.build import build
    from ratti.verbs.verify import verify

    monkeypatch.setattr(pests, "COUNTS", {"train": 40, "val": 12, "test": 12})
    whole = recipe.read(EXAMPLES / f"{name}.yaml")
    (model,) = whole.models
    short = replace(model, targets=model.targets[:1], train={**model.train, "epochs": 1})
    result = build(replace(whole, models=(short,), out=str(tmp_path)))
    (made,) = result.models
    assert made.metric == metric and 0 <= made.accuracy_int8 <= 1 and not made.confusion
    assert all(d.differ == 0 for d in made.device) and made.device
    bundle = Path(made.bundle)
    card = (bundle / "model_card.md").read_text()
    for text in (*words, metric, "synthetic", "Battery life"):
        assert text in card, text
    page = (bundle / "report.html").read_text()
    assert f"<h3>{metric}</h3>" in page and "What is right of each class" in page
    assert f"{metric} on" in str(result)
    assert answer in (bundle / "c" / "portable" / f"{name}_answer.h").read_text()
    assert verify(bundle, runtimes=["host:c"]).passes
