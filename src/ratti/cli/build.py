"""`ratti build`: data to firmware."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from ._common import add_limits, add_loading, cut, front_end, limit_texts, limits, names, show, teller, whole

HELP = "the whole way: train, quantize, emit C, measure on emulated devices, bundle"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RECIPE.yaml|DATA",
                        help="a recipe; or a folder of pictures, recordings or tables, an .npz, digits")
    parser.add_argument("--target", metavar="ID,ID", help="the devices, where the source is data")
    parser.add_argument("--data", metavar="PATH", help="where the data of a recipe are, if not where it says")
    parser.add_argument("--net", metavar="ID", help="the net, such as micro-1.0-8 (default: the largest that fits)")
    parser.add_argument("--size", type=whole(1), metavar="N", help="size of pictures where --net is left out (64)")
    add_loading(parser)
    parser.add_argument("--epochs", type=whole(1), metavar="N", help="training epochs")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed of weights and order (default 0)")
    parser.add_argument("--out", metavar="DIR", help="where the bundle goes (default: runs/NAME)")
    parser.add_argument("--skip-damaged", action="store_true", help="leave out unreadable pictures, and name them")
    parser.add_argument("--optimize", choices=("auto", "speed", "size"), default=None,
                        help="what the compiler favors (default auto: speed, or size where only that fits)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_limits(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..verbs.build import build

    say = teller(arguments.quiet)
    result = build(_recipe(arguments), say, progress=not arguments.quiet)
    show(result, arguments.json)
    return 0 if result.fits else 1


def _recipe(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    import dataclasses

    from .. import recipe
    from ..targets import load

    source = arguments.source
    train = {k: getattr(arguments, k) for k in ("epochs", "seed") if getattr(arguments, k) is not None}
    if source.endswith((".yaml", ".yml")):
        for said in ("target", "net", "size", "front_end", "window", "hop"):
            if getattr(arguments, said):
                raise InputError(f"a recipe says that itself: leave out --{said.replace('_', '-')}")
        found = recipe.read(Path(source))
        own = ("data", "out", "optimize", "skip_damaged")
        changes = {k: getattr(arguments, k) for k in own if getattr(arguments, k)}
        models = tuple(dataclasses.replace(m, train={**m.train, **train}) for m in found.models)
        limits_given = {**found.limits, **limit_texts(arguments)}
        return dataclasses.replace(found, **changes, models=models, limits=limits_given)
    if arguments.data:
        raise InputError("--data goes with a recipe: the source is data already")
    targets = tuple(names(arguments.target or ""))
    if not targets:
        raise InputError("say for which device: --target ID (ratti targets lists them)")
    for target in targets:
        load(target)
    limits(arguments)  # before anything is loaded
    name = recipe.identifier(source)
    net = arguments.net or _choose(arguments, targets)
    model = recipe.ModelRecipe(net, targets, train)
    out = arguments.out or f"runs/{name}"
    optimize = arguments.optimize or "auto"
    return recipe.Recipe(name, source, (model,), out, limit_texts(arguments), optimize, arguments.skip_damaged,
                         front_end(arguments.front_end), cut(arguments))


def _choose(arguments: argparse.Namespace, targets: tuple[str, ...]) -> str:
    from ..data import Options, load
    from ..verbs.build import SKIPPED_SHARE, default_net

    side = arguments.size or 64
    bad = SKIPPED_SHARE if arguments.skip_damaged else 0.0
    resolution = side if Path(arguments.source).is_dir() or arguments.size else None
    data = load(arguments.source, Options(resolution=resolution, front_end=front_end(arguments.front_end),
                                          max_bad_share=bad, **cut(arguments)))
    net = default_net(data, targets, limits(arguments), data.input_shape[0])
    print(f"net: {net}, the largest stock net that fits", file=sys.stderr)
    return net
