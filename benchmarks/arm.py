"""Instructions of one inference on Arm application processors, counted by QEMU (user mode, 7.2 or later).

    python benchmarks/arm.py [MODEL ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from instructions import counted, plugin

from ratti import models
from ratti.deploy import prepare
from ratti.device import linux
from ratti.samples import make_inputs

KINDS = {"aarch64": "qemu-aarch64", "aarch64-dotprod": "qemu-aarch64", "armv7l": "qemu-arm"}
RUNS = 10


def main() -> None:
    print("| model | processor | kernels | instructions | instr/MAC |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        counter = plugin(Path(folder))
        for name in sys.argv[1:] or ["ds_cnn-1.0-49", "mobilenet_v2-0.35-96"]:
            graph = models.load(name)
            data = b"".join(x.tobytes() for x in make_inputs(graph, 8)[-1])
            for kind, qemu in KINDS.items():
                for isa in ("portable", linux.instruction_set(kind)):
                    binary = linux.runner(prepare(graph, isa).program, f"{graph.name}.h", kind)
                    totals = [counted(counter, qemu, (binary, str(n), "0"), data)[0] for n in (1, 1 + RUNS)]
                    each = (totals[1] - totals[0]) / RUNS
                    print(f"| {name} | {kind} | {isa} | {each:,.0f} | {each / graph.macs():.2f} |", flush=True)


if __name__ == "__main__":
    main()
