"""A float net made to fit a device: distilled, pruned, quantized, with its accuracy at every step.

Everything that selects looks at the validation part; the test part is opened once, when the firmware stands.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import targets
from ._budget import Budget
from ._built import ModelResult
from ._ladder import Ladder, Rung
from .build import Say, write_json
from .check import CheckResult, Limits
from .export import check_folder
from .report import report

if TYPE_CHECKING:
    from ..compress import Sensitivity
    from ..data import Options
    from ..train import TrainConfig

SCHEMA = "ratti.compress/1"


@dataclass(frozen=True)
class CompressResult:
    """What `compress` made: the ladder, the bundle of its last net, and that net's figures. `before` are those of the
    whole net in int8.
    """

    model: str
    target: str
    balanced: bool  # scores are balanced accuracies
    ladder: tuple[Rung, ...]
    chosen: str
    before: CheckResult
    result: ModelResult
    notes: tuple[str, ...]
    sensitivity: Sensitivity | None
    max_drop: float | None  # points
    seconds: float

    @property
    def drop(self) -> float:
        """Points of the validation score that the chosen step lost against the best float one."""
        scores = {r.step: r.val for r in self.ladder}
        return 100 * (max(scores["float"], scores.get("distilled", 0.0)) - scores[self.chosen])

    @property
    def fits(self) -> bool:
        """Whether the device's limits and the loss that was allowed are kept."""
        return all(c.fits for c in self.result.checks) and (self.max_drop is None or self.drop <= self.max_drop)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {
            **self.result.to_json(), "schema": SCHEMA, "model": self.model, "before": self.before.to_json(),
            "target": self.target, "fits": self.fits, "drop": self.drop,
            "max_drop": self.max_drop, "balanced": self.balanced,
            "ladder": [vars(r) for r in self.ladder], "chosen": self.chosen,
            "notes": list(self.notes), "seconds": self.seconds,
            "sensitivity": None if self.sensitivity is None else self.sensitivity.to_json(),
        }

    def __str__(self) -> str:
        from ..report import ladder

        return ladder.compress(self)


def compress(model: str | Path, data: str, target: str, limits: Limits | None = None, *, out: str | Path,
             settings: TrainConfig | None = None, options: Options | None = None, teacher: str | Path | None = None,
             sensitivity: bool = False, max_drop: float | None = None, zeros: float | None = None,
             pixels: str | None = None, minutes: float | None = None, say: Say = lambda line: None,
             progress: bool = False) -> CompressResult:
    """Makes `model` fit `target` under `limits` with as little loss as it can, and writes a bundle into `out`.

    The way: the float net (trained first where `model` is an id), taught by `teacher` where there is one; quantized
    with the ranges and the methods that are best on validation; where that does not fit, channels are pruned until it
    does, and the smaller net learns from the larger; quantization-aware training; of PTQ and QAT the better on
    validation. Channels of a model from a file stay: pruning takes the net.yaml of one of ours.

    Args:
        model: a folder that `train` or `build` wrote, a net's id, or a float `.onnx`, `.tflite` or `.pt2` file.
        settings: of training from scratch; what is trained further takes shares of its epochs and rate.
        sensitivity: also a table of what each layer alone costs in int8.
        max_drop: points of the validation score that may be lost; what loses more is written, and does not fit.
        zeros: also the steps of a net with this share of single weights at 0, and what firmware gains by them.
        pixels: how a model from a file was fed pictures (`verbs._float.PIXELS`); None: what is best on validation.
        minutes: what all of it may take; epochs shrink to fit, and are kept for a run that goes on.

    Raises:
        InputError: a model, data or limits that cannot work; limits that no net with fewer channels meets either.
    """
    from ..train import TrainConfig

    start = time.monotonic()
    device = targets.load(target)
    check_folder(Path(out))
    folder = Path(out) / ".work"
    budget = Budget(folder / "epochs.json", minutes, say)
    settings = settings or TrainConfig()
    work = Ladder(data, device.id, limits or Limits(), settings, folder, say, progress, options, budget)
    work.begin(model, teacher, pixels)
    work.fit()
    if zeros is not None:
        work.sparse(zeros)
    if sensitivity:
        from ..compress import sensitivity as table

        work.table = table(work.current.model, work.dataset)
    ladder, chosen, made = work.report(str(model), Path(out))
    result = CompressResult(str(model), device.id, work.settings.balanced, ladder, chosen, work.before, made,
                            tuple(work.notes), work.table, max_drop, round(time.monotonic() - start, 1))
    write_json(Path(out) / "report.json", result.to_json())
    report(out)
    return result
