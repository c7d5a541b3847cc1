"""`ratti train`: data to a float net."""

from __future__ import annotations

import argparse
from typing import Any

from ._common import add_loading, cut, front_end, show, teller, whole

HELP = "train a float net on data, alone or taught by another; compress and build go on from it"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help="a folder of pictures, recordings or tables, an .npz, digits")
    parser.add_argument("--net", metavar="ID", required=True, help="the net, such as micro-1.0-8, or a net.yaml")
    parser.add_argument("--teacher", metavar="FOLDER|LOGITS.npy",
                        help="a trained net to learn from, or its logits of the train part")
    parser.add_argument("--temperature", type=float, default=4.0, help="of the teacher's answers (default 4)")
    parser.add_argument("--share", type=float, default=0.7, help="of the teacher in the loss (default 0.7)")
    parser.add_argument("--out", metavar="DIR", help="where the net goes (default: runs/NAME-train)")
    add_training(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def add_training(parser: argparse.ArgumentParser) -> None:
    """Options of training and of loading data."""
    parser.add_argument("--epochs", type=whole(1), metavar="N", help="training epochs")
    parser.add_argument("--batch-size", type=whole(1), metavar="N", help="samples in a step")
    parser.add_argument("--learning-rate", type=float, metavar="RATE")
    parser.add_argument("--balanced", action="store_true",
                        help="classes of unequal size: weigh them, and select by balanced accuracy")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="seed of weights and order (default 0)")
    add_loading(parser)


def training(arguments: argparse.Namespace) -> Any:
    """The TrainConfig of `add_training`."""
    from ..errors import InputError
    from ..train import TrainConfig

    names = ("epochs", "batch_size", "learning_rate", "seed")
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    try:
        return TrainConfig(**given, balanced=arguments.balanced, class_weights=arguments.balanced)
    except ValueError as error:
        raise InputError(str(error)) from None


def loading(arguments: argparse.Namespace) -> Any:
    """The data's Options of `add_training`."""
    from ..data import Options

    return Options(front_end=front_end(arguments.front_end), **cut(arguments))


def run(arguments: argparse.Namespace) -> int:
    from ..recipe import identifier
    from ..verbs.train import train

    say = teller(arguments.quiet)
    out = arguments.out or f"runs/{identifier(arguments.data)}-train"
    result = train(arguments.data, arguments.net, out, training(arguments), options=loading(arguments),
                   teacher=arguments.teacher, temperature=arguments.temperature, share=arguments.share, say=say,
                   progress=not arguments.quiet)
    show(result, arguments.json)
    return 0
