"""Handwritten digits for a learning app on a budget phone: training, int8, and an Android project with its libraries.

    python examples/handwriting_phone.py [--out DIR] [--epochs N]

Data: scikit-learn's scans. Needs the extras `train`, `device`, `litert`; QEMU, where installed, runs phones' programs.
"""

import argparse
import subprocess
from pathlib import Path

from ratti import export, quantize
from ratti.data import score
from ratti.deploy import prepare
from ratti.device import linux
from ratti.formats.torch_export import import_program
from ratti.graph import interpreter, ir
from ratti.samples import make_inputs
from ratti.train import TrainConfig, train
from ratti.verbs.bench import bench
from ratti.verbs.build import load_data

NAME, NET = "handwriting", "mobilenet_v2_tiny-2.0-8"
QEMU = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}
CARD = """# handwriting: digits on a budget phone

Reads one digit of 8x8 gray pixels, bright on dark, so that a child's answer is checked without a network.
{net}: {parameters:,} parameters, {macs:,} multiply-accumulates. `handwriting-android/` is a Gradle module.
## Limits
- Accuracy {accuracy:.1%} in int8 on {tested} scans that nothing was trained or chosen on; worst class {worst:.1%}.
  They are forms filled in by 43 people in Turkey before 1998, upright and shrunk to 8x8: collect your pupils' own.
- Every drawing gets one of ten digits, letters and scribbles included. Let a person see and correct each answer.

## Size, memory, time, and how each was obtained
{sizes}
- memory: {ram:,} B of arena; time on a phone: not measured (`ratti bench {tflite} --on adb` does). On this computer:
```text
{bench}
```
"""


def under_qemu(graph: ir.Graph, kind: str) -> str:  # the program prints the outputs first
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
    ram, timed = prepare(graph, "portable").plan.arena_bytes, bench(tflite, ("host",), ("host:c", "litert"))
    card = CARD.format(net=NET, parameters=spec.parameters, macs=graph.macs(), accuracy=found.accuracy,
                       tested=len(test), worst=min(found.recall), sizes="\n".join(sizes), ram=ram,
                       tflite=tflite, bench=timed)
    (a.out / "model_card.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
