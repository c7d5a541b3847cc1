"""What each front end costs on two cores, as the table of docs/data.md: python benchmarks/front_ends.py [TARGET …]"""

from __future__ import annotations

import sys

import numpy as np

from ratti import targets
from ratti.deploy import front_end_program
from ratti.device.measure import Measurement, measure
from ratti.emit import features as emit
from ratti.features import Codes, FrontEnd
from ratti.features.image import Image
from ratti.features.log_mel import LogMel
from ratti.features.signal import Signal
from ratti.features.statistics import Statistics
from ratti.samples import make_samples
from ratti.types import Quant

FRONT_ENDS: dict[str, FrontEnd] = {
    "log-mel, 1 s at 8 kHz, 49 x 20": LogMel(8000, 49, 256, 161, 20),
    "log-mel, 1 s at 16 kHz, 49 x 40": LogMel(16000, 49, 512, 322, 40),
    "MFCC, 1 s at 16 kHz, 49 x 10 of 40": LogMel(16000, 49, 512, 322, 40, coefficients=10),
    "statistics, 128 x 3, all, 4 octaves": Statistics(1, 128, 3),
    "statistics, 128 x 3, mean and deviation": Statistics(1, 128, 3, ("mean", "deviation"), 0),
    "signal, 128 x 1": Signal((128, 1, 1)),
    "image, 160x120 RGB565 to 96x96 RGB": Image(120, 160, "rgb565", 96, 96, 3),
    "image, 160x120 RGB565 to 48x48 gray": Image(120, 160, "rgb565", 48, 48, 1),
    "image, 160x120 gray to 48x48": Image(120, 160, "gray", 48, 48, 1),
}
DEFAULT = ("stm32f446re", "rp2040")


def cost(front_end: FrontEnd, target: str) -> tuple[Measurement, emit.FeatureSources]:
    """Measured on noise of middling strength, with the target's memories enlarged where a frame does not fit."""
    sources = emit.emit(front_end, Codes.fit(np.zeros(1), np.ones(1), Quant.per_tensor(1 / 128, 0)), "model")
    samples = make_samples(front_end, 12)[-1:]
    return measure(front_end_program(sources), targets.load(target).roomy(), [[samples]]), sources


def main(names: list[str]) -> None:
    wanted = names or list(DEFAULT)
    print("| front end | samples of a step, B | work, B | tables, B |", " | ".join(f"{t}, instructions | ms"
                                                                                 for t in wanted), "|")
    print("| --- | --- | --- | --- |" + " --- | --- |" * len(wanted))
    for label, front_end in FRONT_ENDS.items():
        cells = []
        for target in wanted:
            found, sources = cost(front_end, target)
            span = found.latency_ms
            ends = "no source" if span is None else f"{span.low:.3g} or more" if span.high is None else (
                f"{span.low:.3g} … {span.high:.3g}")
            cells += [f"{found.instructions:,}", ends]
        tables = sum(t.data.nbytes for t in front_end.program().tables)
        print(f"| {label} | {sources.step_bytes:,} | {sources.work_bytes:,} | {tables:,} | {' | '.join(cells)} |",
              flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
