"""Many damaged files through a reader: only ratti's own errors may come of them, soon, and memory may not grow.

`python tests/fuzz.py tflite 100000` runs that many; started again, it goes on where it was stopped. What the reader
does not withstand is kept beside the state. The quick form, run by pytest, is test_tflite_damage.py and
test_onnx_damage.py.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import test_onnx_damage
import test_tflite_damage
from onnx_files import OPS, single
from tflite_files import mutations, small_model

BATCH = 500  # files of one original
MEMORY = 256 * 1024  # KiB that the process may grow by after the first files


def tflite_files() -> list[bytes]:
    """The small model: one file with a bit of everything."""
    return [small_model()]


def onnx_files() -> list[bytes]:
    """Whole nets, float and quantized, and every operator alone; half of all rounds for either."""
    with tempfile.TemporaryDirectory() as folder:
        nets = test_onnx_damage.whole_nets(Path(folder))
    ops = [single(make).SerializeToString() for make in OPS.values()]
    return [data for k, op in enumerate(ops) for data in (nets[k % len(nets)], op)]


READERS: dict[str, tuple[Callable[[], list[bytes]], Callable[[bytes], str]]] = {
    "tflite": (tflite_files, test_tflite_damage.read),
    "onnx": (onnx_files, test_onnx_damage.read),
}


def batch(number: int, originals: list[bytes], read: Callable[[bytes], str], folder: Path) -> tuple[int, list[str]]:
    """How many files of a batch still make a graph, and what went wrong."""
    graphs, found = 0, []
    for k, data in enumerate(mutations(originals[number % len(originals)], BATCH, seed=10_000 + number)):
        try:
            graphs += read(data) == "graph"
        except Exception as error:  # whatever it is, it is what is looked for
            path = folder / f"{number}_{k}.damaged"
            path.write_bytes(data)
            found.append(f"{path}: {type(error).__name__}: {str(error)[:200]}")
    return graphs, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("count", type=int)
    parser.add_argument("--state", type=Path, default=Path("runs/fuzz"), help="folder of what is done and found")
    arguments = parser.parse_args()
    make, read = READERS[arguments.reader]
    originals = make()
    arguments.state.mkdir(parents=True, exist_ok=True)
    file = arguments.state / f"{arguments.reader}.json"
    state = json.loads(file.read_text()) if file.exists() else {"done": 0, "graphs": 0, "found": []}
    start, first, grown, before = time.monotonic(), state["done"], 0, 0
    while state["done"] < arguments.count:
        graphs, found = batch(state["done"] // BATCH, originals, read, arguments.state)
        done = state["done"] + BATCH
        state = {"done": done, "graphs": state["graphs"] + graphs, "found": state["found"] + found}
        file.write_text(json.dumps(state))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = before or used
        grown = used - before
        left = (time.monotonic() - start) / (done - first) * (arguments.count - done)
        print(f"{done:7} files, {len(state['found'])} found, {grown:,} KiB grown, {left:.0f} s left", flush=True)
    said = f"{state['done']} files, {state['graphs']} still graphs, {len(state['found'])} found"
    print(said, *state["found"], sep="\n")
    raise SystemExit(bool(state["found"]) or grown > MEMORY)


if __name__ == "__main__":
    main()
