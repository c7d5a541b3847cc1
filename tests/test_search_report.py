"""What a search prints, and how workers share: no compiler, nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ratti import data
from ratti.search import workers
from ratti.search.learned import Option
from ratti.search.spaces import Task, suited
from ratti.verbs.search import Found, SearchResult, _datasets

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="torch is missing (pip install 'ratti[train]')")


def found(net: str, accuracy: float, val: float, instructions: int, latency: float | None) -> Found:
    return Found(net, f"runs/x/nets/{net}", accuracy, val, 3000, 20_000, instructions, latency, None, {"width": 8})


def result(front: tuple[Found, ...], **changes: object) -> SearchResult:
    given: dict[str, object] = {
        "study": "runs/x", "target": "esp32c3", "space": "tiny", "strategy": "random", "limits": {"ram": 4096},
        "trials": 30, "within_limits": 25, "failed": 2, "minutes": 3.0, "seconds": 150.0,
        "clock": {"preparing": 30.0, "searching": 90.0}, "costs_per_second": 1.5, "front": front, "points": (),
        "options": (Option("width", 8, 0.5, 1.0, 0.91), Option("width", 16, 0.5, 0.0, None)), "ranks": None, "told": {},
    }
    return SearchResult(**{**given, **changes})  # type: ignore[arg-type]


def test_the_table_shows_the_front_and_what_comes_next() -> None:
    text = str(result((found("tiny_3", 0.934, 0.95, 1_234_567, 7.71), found("tiny_9", 0.9, 0.91, 900_000, None))))
    assert "30 candidates, 25 of them within the limits and trained, 2 lost; 2.5 of 3 min" in text
    assert "time: preparing 0.5 min, searching 1.5 min" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("tiny_3"))
    for cell in ("93.4%", "95.0%", "3,000", "20,000", "1,234,567", "7.71"):
        assert cell in row
    assert "no source" in next(line for line in text.splitlines() if line.strip().startswith("tiny_9"))
    assert "8: 100% (50%, 91.0%)" in text
    assert "16: 0% (50%)" in text
    assert "ratti check runs/x/nets/tiny_3 --target esp32c3" in text


def test_few_nets_have_no_table_of_options() -> None:
    assert "what the front chose" not in str(result((found("tiny_3", 0.9, 0.9, 10, None),), within_limits=5))


def test_a_search_without_nets_says_why() -> None:
    text = str(result((), reasons=("no net of the space meets the limit on ram; the nearest takes RAM 900 B",)))
    assert "✗ no net of the space meets the limit on ram" in text
    assert "next:" not in text


def test_ranks_are_told() -> None:
    text = str(result((found("tiny_3", 0.9, 0.9, 10, None),),
                      ranks={"target": "stm32f446re", "nets": 25, "correlation": 0.987,
                             "extra": {"esp32c3": [0.0, 0.02, 0.11], "stm32f446re": [0.0]}}))
    assert "25 nets on esp32c3 and stm32f446re: rank correlation of their work 0.987" in text
    assert "takes 2% more work on esp32c3 in the median of 3 nets, at most 11%" in text


def test_json_has_what_the_interface_promises() -> None:
    content = json.loads(json.dumps(result((found("tiny_3", 0.9, 0.95, 10, None),)).to_json()))
    assert content["schema"] == "ratti.search/1"
    (row,) = content["front"]
    assert {"accuracy", "ram", "flash", "instructions", "latency_ms", "energy_uj", "path"} <= set(row)
    assert content["options"][0]["choice"] == "width"


def test_a_folder_of_recordings_is_a_spectrogram(shared: Path) -> None:
    """What `build` makes of the net's own file is the same data: it is not cut to a square."""
    source = str(shared / "data" / "digits_spoken")
    ((shape, dataset),) = _datasets(source, None).items()
    assert shape == (49, 20, 1)
    task = Task((shape,), dataset.classes)
    assert suited(task, 32 * 1024) == "ds_cnn"
    assert data.load(source, data.Options(size=shape[:2], channels=1)).digest() == dataset.digest()


def test_workers_take_the_next_candidate() -> None:
    assert workers.makespan([3.0, 1.0, 1.0, 1.0], 1) == pytest.approx(6.0)
    assert workers.makespan([3.0, 1.0, 1.0, 1.0], 2) == pytest.approx(3.0)
    assert workers.makespan([1.0, 1.0, 1.0, 3.0], 2) == pytest.approx(4.0)
    assert workers.makespan([2.0, 1.0], 8) == pytest.approx(2.0)
