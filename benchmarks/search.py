"""What a search must show: `python benchmarks/search.py WHAT --out DIR` prints one table and keeps what it found.

    costs     composed costs beside whole firmware, over random nets, by target
    compare   searches by several strategies beside a uniformly scaled net in the same time, by seed, on the test part
    ranks     the same nets on two targets: rank correlation (`compare` on two tells what a front gains at home)
    workers   time to evaluate the same candidates by the number of workers; beyond this computer, simulated

Every command goes on where it was when it is started again with the same --out; what searches found is kept in
--results.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kept
import numpy as np

from ratti import models, nets, targets
from ratti.data import Dataset, Options, load
from ratti.deploy import prepare
from ratti.device.measure import measure
from ratti.graph import interpreter
from ratti.meter import LayerMeter
from ratti.samples import make_inputs
from ratti.search import learned, spaces
from ratti.search.bench import Bench, Evaluate
from ratti.search.budget import Budget
from ratti.search.cost import CostModel
from ratti.search.spaces import Space, Task
from ratti.search.workers import LocalPool, makespan
from ratti.targets import Target
from ratti.train import TrainConfig
from ratti.types import Array
from ratti.units import milliseconds, size
from ratti.verbs.check import Limits
from ratti.verbs.search import Request, search

GOALS = {"median": 0.03, "worst": 0.08}
SHAPES = ((32, 32, 3), (48, 48, 3), (64, 64, 3))
SMALL = ((8, 8, 1), (16, 16, 1))  # what a part with 2 KB of RAM can hold
CLASSES = 10
MOST_WEIGHTS = 150_000  # of a random net: the parts have 256 KB of flash and more
TOGETHER = 8  # nets whose new layers are compiled together
SECONDS = 120.0  # for one run
SIMULATED = (4, 8, 16)
RESAMPLED = 2000
FIGURES = ("val_accuracy", "accuracy", "instructions", "ram", "flash", "latency_ms")
TOLD = ("trials", "within_limits", "clock", "costs_per_second", "ranks")


def rows(path: Path) -> list[dict[str, Any]]:
    """What was found so far, a line each; a line that a kill cut off does not count."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def keep(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _space(name: str) -> Space:
    return spaces.load(name, Task(SMALL if name == "tiny" else SHAPES, CLASSES))


def random_nets(space: Space, count: int) -> Iterator[nets.NetSpec]:
    """The same nets in every run."""
    rng = np.random.default_rng(2020)
    while count:
        spec = space.spec(space.sample(rng))
        if spec.parameters <= MOST_WEIGHTS:
            count -= 1
            yield spec


def model_of(target: str, folder: Path, watched: bool = False) -> CostModel:
    device = targets.load(target)
    return CostModel(device, LayerMeter(device, watched=watched), folder / "layers.sqlite")


def costs(arguments: argparse.Namespace) -> None:
    space = _space(arguments.space)
    print(f"{'target':14} {'nets':>5} {'figure':>12} {'median':>8} {'worst':>8} {'goal':>12} {'costs/s':>9}")
    for target in arguments.target.split(","):
        path = arguments.out / f"costs-{space.id}-{target}.jsonl"
        done = rows(path)
        composed = model_of(target, arguments.out)
        waiting = list(enumerate(random_nets(space, arguments.nets)))[len(done) :]
        for k in range(0, len(waiting), TOGETHER):
            whole_beside_composed(waiting[k : k + TOGETHER], composed, path)
        found = rows(path)[: arguments.nets]
        for figure in ("instructions", "cycles", "ram", "flash"):
            off = [abs(r["composed"][figure] / r["whole"][figure] - 1) for r in found if r["whole"][figure]]
            if off:
                goal = "3 % / 8 %" if figure in ("instructions", "cycles") else ""
                rate = len(found) / sum(r["seconds"] for r in found)
                print(f"{target:14} {len(off):5} {figure:>12} {np.median(off):8.2%} {max(off):8.2%} {goal:>12} "
                      f"{rate if figure == 'instructions' else 0:9.2f}")
        again = time.monotonic()
        sample = list(random_nets(space, min(arguments.nets, 20)))
        composed.many(sample)
        again = time.monotonic()
        composed.many(sample)
        print(f"{target:14} {len(sample)} nets whose layers are known: {len(sample) / (time.monotonic() - again):.1f} "
              "costs/s, one process")


def whole_beside_composed(numbered: Sequence[tuple[int, nets.NetSpec]], composed: CostModel, path: Path) -> None:
    """Costs of nets, whose new layers are compiled together; and each net compiled and run whole, with other weights,
    on the part with larger memories where it is too large.
    """
    start = time.monotonic()
    found = composed.many([spec for _, spec in numbered])
    seconds = (time.monotonic() - start) / len(numbered)
    target = composed.target
    for (number, spec), cost in zip(numbered, found, strict=True):
        graph = nets.random_graph(spec, seed=1000 + number)
        program = prepare(graph, target.isa).program
        m = measure(program, target.roomy(), make_inputs(graph, 6)[-1:], seconds=SECONDS, watched=False)
        keep(path, {
            "net": number, "seconds": seconds,
            "composed": {"instructions": cost.instructions, "cycles": cost.cycles, "ram": cost.ram_bytes,
                         "flash": cost.flash_bytes},
            "whole": {"instructions": m.instructions, "cycles": m.cycles.low if m.cycles else None,
                      "ram": m.ram_bytes, "flash": m.flash_total_bytes},
        })


def ranks(arguments: argparse.Namespace) -> None:
    one, other = arguments.target.split(",")[:2]
    space = _space(arguments.space)
    path = arguments.out / f"ranks-{space.id}-{one}-{other}.jsonl"
    pair = [model_of(t, arguments.out) for t in (one, other)]
    done = len(rows(path))
    for number, spec in enumerate(random_nets(space, arguments.nets)):
        if number >= done:
            keep(path, {"net": number, "instructions": [m(spec).instructions for m in pair]})
    work = np.array([r["instructions"] for r in rows(path)[: arguments.nets]], np.float64)
    print(f"{len(work)} nets of {space.id} on {one} and {other}: rank correlation of instructions "
          f"{learned.rank_correlation(work[:, 0].tolist(), work[:, 1].tolist()):.4f}")
    ratio = work[:, 1] / work[:, 0]
    print(f"instructions on {other} over {one}: {ratio.min():.2f} to {ratio.max():.2f}, median {np.median(ratio):.2f}")


def compare(arguments: argparse.Namespace) -> None:
    """Searches and their yardsticks, each with the same minutes, workers and limits; what each found is kept in
    `--results` and not searched again.
    """
    limits = Limits(size(arguments.max_ram), size(arguments.max_flash),
                    milliseconds(arguments.max_latency) if arguments.max_latency else None)
    case = "-".join(filter(None, (Path(arguments.data).stem, arguments.target, arguments.max_ram, arguments.max_latency,
                                  f"{arguments.minutes:g}min")))
    runs = [(s, None) for s in arguments.strategies.split(",")] + [("random", "uniform")]
    for seed in map(int, arguments.seeds.split(",")):
        for strategy, space in runs:
            name = f"{space or strategy}-{seed}"
            file = arguments.results / case / f"{name}.json"
            folder = arguments.out / case / name
            if not file.exists() and not (folder / "report.json").exists():
                request = Request(
                    minutes=arguments.minutes, space=space or arguments.space, strategy=strategy, seed=seed,
                    resume=(folder / "study.db").exists(), out=folder, size=arguments.size, workers=arguments.workers,
                    epochs=arguments.epochs, finalists=arguments.finalists, compare=arguments.other or None)
                search(arguments.data, arguments.target, limits, request, lambda line: print(line, flush=True))
            if not file.exists():
                told = kept.read(folder / "report.json")
                kept.write(file, {"made": kept.made(), "search": space or strategy, "seed": seed,
                                  **{k: told[k] for k in TOLD},
                                  "front": [{**{k: net[k] for k in FIGURES}, **_right(arguments.data, net["path"])}
                                            for net in told["front"]]})
    report(arguments.results / case, arguments.data, limits)


def report(folder: Path, data: str, limits: Limits) -> None:
    """What every search of a case found, and what it gains over the yardsticks of its seed."""
    found = {(r["search"], r["seed"]): r["front"] for r in map(kept.read, sorted(folder.glob("*.json")))}
    print(f"{'search':14} {'seed':>4} {'val':>6} {'test':>6} {'instructions':>13} {'RAM B':>7} {'flash B':>8} "
          f"{'ms':>7}")
    for (name, seed), front in found.items():
        for net in front:
            latency = net["latency_ms"]
            used = f" {latency / limits.latency_ms:.1%} of what is allowed" if limits.latency_ms and latency else ""
            print(f"{name:14} {seed:4} {net['val_accuracy']:6.1%} {net['accuracy']:6.1%} {net['instructions']:13,} "
                  f"{net['ram']:7,} {net['flash']:8,} {f'{latency:.1f}' if latency else '':>7}{used}")
    names = list(dict.fromkeys(name for name, _ in found))
    print(f"\n{'search':14} {'against':14} {'seeds':>8} {'points':>8}  95 % interval (paired, by groups and seeds)")
    groups = _groups(data)
    for yardstick in ("uniform", "random"):
        for name in names:
            if name in ("uniform", yardstick):
                continue
            both = [seed for n, seed in found if n == name and (yardstick, seed) in found]
            pairs = {seed: pair for seed in both if (pair := _at_equal_work(found[name, seed], found[yardstick, seed]))}
            for seeds in [*([s] for s in pairs), *([list(pairs)] if len(pairs) > 1 else [])]:
                gain, low, high = _paired([pairs[s] for s in seeds], groups)
                print(f"{name:14} {yardstick:14} {','.join(map(str, seeds)):>8} {gain:+8.1%}  "
                      f"{low:+.1%} to {high:+.1%}")


Net = dict[str, Any]


def _at_equal_work(front: Sequence[Net], base: Sequence[Net]) -> tuple[Net, Net] | None:
    """The search's best net by validation that takes no more instructions than the yardstick's best, and that one."""
    for rival in sorted(base, key=lambda n: -n["val_accuracy"]):
        able = [n for n in front if n["instructions"] <= rival["instructions"]]
        if able:
            return max(able, key=lambda n: n["val_accuracy"]), rival
    return None


def _paired(pairs: Sequence[tuple[Net, Net]], groups: Array) -> tuple[float, float, float]:
    """Mean difference of the shares that are right on the test part, with its bootstrap interval: groups of samples are
    drawn again, the same for both nets; seeds are drawn again too.
    """
    names, member = np.unique(groups, return_inverse=True)
    counts = np.bincount(member)
    each = [kept.bits(one["right"], len(groups)).astype(np.float64) - kept.bits(other["right"], len(groups))
            for one, other in pairs]
    sums = np.stack([np.bincount(member, difference) for difference in each])
    rng = np.random.default_rng(0)

    def draw() -> float:
        chosen = rng.integers(len(pairs), size=len(pairs))
        drawn = rng.integers(len(names), size=(len(pairs), len(names)))
        return float(np.mean([sums[k][d].sum() / counts[d].sum() for k, d in zip(chosen, drawn, strict=True)]))

    low, high = np.quantile([draw() for _ in range(RESAMPLED)], (0.025, 0.975))
    return float(np.mean(each)), float(low), float(high)


def _groups(data: str) -> Array:
    """Of the test samples."""
    return load(data).open_test("groups of the test samples").groups


def _right(data: str, bundle: str) -> dict[str, str]:
    """Which test samples the int8 net of a bundle has right."""
    graph = models.load(bundle)
    type = graph.type(graph.inputs[0])
    shape = type.shape[1:]
    dataset: Dataset = load(data, Options((shape[0], shape[1]), shape[2] if shape[2] in (1, 3) else None))
    test = dataset.open_test("paired comparison of finished nets")
    codes = []
    for name, real in zip(graph.inputs, dataset.real(test), strict=True):
        quant = graph.type(name).quant
        assert quant is not None
        codes.append(quant.quantize(real, graph.type(name).dtype))
    (outputs,) = interpreter.run_batch(graph, codes)
    return {"right": kept.packed(outputs.reshape(len(test), -1).argmax(1) == test.y)}


def workers(arguments: argparse.Namespace) -> None:
    dataset = load(arguments.data)
    space = spaces.load(arguments.space, Task((dataset.input_shape,), dataset.classes, dataset.numbers))
    device: Target = targets.load(arguments.target.split(",")[0])
    rng = np.random.default_rng(0)
    choices = [space.sample(rng) for _ in range(arguments.nets)]
    path = arguments.out / f"workers-{space.id}-{device.id}.jsonl"
    known = {r["workers"]: r for r in rows(path)}
    for count in (1, 2):
        if count not in known:
            cold = arguments.out / f"workers-{count}.sqlite"  # each begins with nothing measured
            cold.unlink(missing_ok=True)
            bench = Bench(space, CostModel(device, LayerMeter(device, watched=False), cold),
                          Budget(device.ram_bytes, device.flash_bytes), {dataset.input_shape: dataset},
                          TrainConfig(epochs=arguments.epochs), arguments.out)
            start = time.monotonic()
            with LocalPool(count, bench) as pool:
                each = [o.seconds for o in pool.map([Evaluate(c, 0) for c in choices])]
            known[count] = {"workers": count, "seconds": time.monotonic() - start, "each": each}
            keep(path, known[count])
        print(f"{count:3} workers: {known[count]['seconds']:8.1f} s for {len(choices)} candidates, measured")
    for count in SIMULATED:
        print(f"{count:3} workers: {makespan(known[1]['each'], count):8.1f} s, simulated from the times by one worker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("costs", "compare", "ranks", "workers"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("docs/results/search"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--target", default="stm32f446re,esp32c3")
    parser.add_argument("--space", default=None)
    parser.add_argument("--nets", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--strategies", default="tiny_nas,proxyless_nas,nsga2,random")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--size", type=int)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--finalists", type=int, default=3)
    parser.add_argument("--max-ram", default="64KiB")
    parser.add_argument("--max-flash", default="256KiB")
    parser.add_argument("--max-latency")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.what == "compare":
        arguments.target, _, arguments.other = arguments.target.partition(",")
    else:
        arguments.space = arguments.space or "mobilenet"
    {"costs": costs, "compare": compare, "ranks": ranks, "workers": workers}[arguments.what](arguments)


if __name__ == "__main__":
    main()
