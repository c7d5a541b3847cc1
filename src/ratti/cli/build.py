"""`ratti build`: data to firmware."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from ..errors import InputError
from ._common import add_limits, limits, show

HELP = "the whole way: train, quantize, emit C, measure on emulated devices, bundle"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RECIPE.yaml|DATA", help="a recipe; or a folder of pictures, an .npz, digits")
    parser.add_argument("--target", metavar="ID,ID", help="the devices, where the source is data")
    parser.add_argument("--net", metavar="ID", help="the net, such as mobilenet_v2-0.35-64 (default: the largest that fits)")
    parser.add_argument("--size", type=int, metavar="N", help="height and width of pictures where --net is left out (64)")
    parser.add_argument("--epochs", type=int, metavar="N", help="training epochs")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of weights and order (default 0)")
    parser.add_argument("--out", metavar="DIR", help="where the bundle goes (default: runs/NAME)")
    parser.add_argument("--optimize", choices=("auto", "speed", "size"), default=None)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_limits(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.build import build

    def say(line: str) -> None:
        if not arguments.quiet:
            print(line, file=sys.stderr, flush=True)

    result = build(_recipe(arguments), say, progress=not arguments.quiet)
    show(result, arguments.json)
    return 0 if result.fits else 1


def _recipe(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    import dataclasses

    from .. import recipe

    source = arguments.source
    if source.endswith((".yaml", ".yml")):
        if arguments.target or arguments.net:
            raise InputError("a recipe names its own nets and targets: leave out --target and --net")
        found = recipe.read(Path(source))
        changes = {k: getattr(arguments, k) for k in ("out", "optimize") if getattr(arguments, k)}
        if arguments.epochs is not None:
            models = tuple(
                dataclasses.replace(m, train={**m.train, "epochs": arguments.epochs}) for m in found.models
            )
            changes["models"] = models
        return dataclasses.replace(found, **changes)
    if not arguments.target:
        raise InputError("say for which device: --target ID (ratti targets lists them)")
    targets = tuple(t.strip() for t in arguments.target.split(",") if t.strip())
    name = re.sub(r"\W+", "_", Path(source).stem).strip("_") or "model"
    name = name if not name[0].isdigit() else f"model_{name}"
    train = {"seed": arguments.seed}
    if arguments.epochs is not None:
        train["epochs"] = arguments.epochs
    given = {"ram": "max_ram", "flash": "max_flash", "latency": "max_latency", "energy": "max_energy"}
    limit_texts = {k: getattr(arguments, a) for k, a in given.items() if getattr(arguments, a)}
    net = arguments.net or _choose(arguments, targets)
    model = recipe.ModelRecipe(net, targets, train)
    out = arguments.out or f"runs/{name}"
    return recipe.Recipe(name, source, (model,), out, limit_texts, arguments.optimize or "auto")


def _choose(arguments: argparse.Namespace, targets: tuple[str, ...]) -> str:
    from ..data import Options, load
    from ..verbs.build import default_net

    side = arguments.size or 64
    is_folder = Path(arguments.source).is_dir()
    data = load(arguments.source, Options(size=(side, side)) if is_folder else None)
    net = default_net(data, targets, limits(arguments), data.input_shape[0])
    print(f"net: {net}, the largest stock net that fits", file=sys.stderr)
    return net
