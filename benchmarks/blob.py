"""What it costs to keep the weights apart: flash and instructions on emulated cores, beside weights that are linked.

    python benchmarks/blob.py [MODEL ...]
"""

from __future__ import annotations

import sys

from ratti import models, targets
from ratti.deploy import apart_program, prepare
from ratti.device import emulator, toolchain
from ratti.samples import make_inputs

TARGETS = ("stm32l4r5zi", "rp2040", "esp32c3")


def main() -> None:
    flash = "block, B | flash linked, B | more apart, B"
    print(f"| model | core | {flash} | opening, instructions | running: linked | apart |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or ["ds_cnn-1.0-49"]:
        graph = models.load(name)
        for target_id in TARGETS:
            target = targets.load(target_id)
            linked = toolchain.build(prepare(graph, target.isa).program, target)
            sources = prepare(graph, target.isa, weights_apart=True).sources
            assert sources.weights is not None
            apart = toolchain.build(apart_program(sources, graph.name, sources.weights), target)
            rows = make_inputs(graph, 1)
            plain = sum(emulator.run(linked, rows, watched=False).instructions[0])
            run = emulator.run(apart, rows, watched=False)
            assert run.outputs[0][-1][0] == 0, "the block was refused"
            opening, running = run.instructions[0]
            more = apart.image.flash_bytes - linked.image.flash_bytes
            figures = (len(sources.weights), linked.image.flash_bytes, more, opening, plain, running)
            print(f"| {name} | {target.id} | " + " | ".join(f"{f:,}" for f in figures) + " |")


if __name__ == "__main__":
    main()
