"""Handwritten digits for a learning app on a budget phone: training, int8, and an Android project with its libraries.

    python examples/handwriting_phone.py [--out DIR] [--epochs N]

Data: scikit-learn's real scans. Needs the extras `train`, `device` and `litert`; QEMU's user mode, where it is
installed, runs the phones' programs. About two minutes of one core.
"""

import argparse
import subprocess
from pathlib import Path

from ratti import export, quantize
from ratti.data import score
from ratti.deploy import prepare
from ratti.device import linux
from ratti.formats.torch_export import import_program
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.train import TrainConfig, train
from ratti.verbs.bench import bench
from ratti.verbs.build import load_data

NAME, NET = "handwriting", "mobilenet_v2_tiny-2.0-8"
QEMU = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}
CARD = """# handwriting: digits on a budget phone

Reads one digit of 8x8 gray pixels, 0 to 255, bright on dark, so that a child's answer is checked without a network.
{net}: {parameters:,} parameters, {macs:,} multiply-accumulates. `handwriting-android/` is a Gradle module.

## Limits
- Accuracy {accuracy:.1%} in int8 on {tested} scans that nothing was trained or chosen on; worst class {worst:.1%}.
  They are forms filled in by 43 people in Turkey before 1998, upright and shrunk to 8x8: collect your pupils' own.
- Every drawing gets one of ten digits, letters and scribbles included. Let a person see and correct each answer.

## Size, memory, time, and how each was obtained
{sizes}
- Memory: {ram:,} B of arena (the plan of the compiled code), and the library.
- Time on a phone was not measured (`ratti bench {tflite} --on adb` does); on this computer it was:
```text
{bench}
```
"""


def under_qemu(graph: Graph, kind: str) -> str:
    """Runs the static program for a phone's kind of processor; its first bytes are the outputs."""
    rows = make_inputs(graph, 8)
    want = b"".join(v.tobytes() for row in rows for v in interpreter.run(graph, row).values())
    program = linux.runner(prepare(graph, "portable").program, f"{graph.name}.h", kind)
    data = b"".join(x.tobytes() for row in rows for x in row)
    try:
        printed = subprocess.run([QEMU[kind], program, "1", "0"], input=data, capture_output=True, check=True).stdout
    except FileNotFoundError:
        return f"not run: {QEMU[kind]} is missing"
    return "outputs equal the definition's under QEMU" if printed.startswith(want) else "OUTPUTS DIFFER under QEMU"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/handwriting_phone"))
    parser.add_argument("--epochs", type=int, default=60)
    a = parser.parse_args()
    spec, data = load_data("digits", NET)
    trained = train(spec, data, TrainConfig(epochs=a.epochs), run_dir=a.out / ".work")
    graph = import_program(quantize(trained.model, data), NAME)
    export(graph, ("tflite", "onnx"), a.out, project=("android",))
    test = data.open_test("final report")
    (outputs,) = interpreter.run_batch(graph, data.codes(test, [graph.type(n).quant for n in graph.inputs]))
    found, tflite = score(outputs, test.y), a.out / f"{NAME}.tflite"
    made = (*sorted(a.out.rglob("*.so")), *sorted(a.out.glob(f"{NAME}.*")))
    sizes = [f"- {p.relative_to(a.out)}: {p.stat().st_size:,} B" for p in made]
    sizes += [f"- program for {kind}: {under_qemu(graph, kind)}" for kind in QEMU]
    worst, ram = min(r for r in found.recall if r is not None), prepare(graph, "portable").plan.arena_bytes
    card = CARD.format(net=NET, parameters=spec.parameters, macs=graph.macs(), accuracy=found.accuracy, worst=worst,
                       tested=len(test), sizes="\n".join(sizes), ram=ram, tflite=tflite, bench=bench(tflite, ("host",), ("host:c", "litert")))
    (a.out / "model_card.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
