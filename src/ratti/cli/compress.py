"""`ratti compress`: a float net made to fit a device."""

from __future__ import annotations

import argparse

from ._common import add_limits, limits, show, teller
from .train import add_training, loading, training

HELP = "make a trained net fit a device: distill, prune, quantize, with the accuracy at every step"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL",
                        help="a folder from `ratti train` or `build`, a net's id, or a float .onnx, .tflite or .pt2")
    parser.add_argument("--data", metavar="DATA", required=True, help="what the net was trained on")
    parser.add_argument("--target", metavar="ID", required=True, help="the device (ratti targets lists them)")
    parser.add_argument("--teacher", metavar="FOLDER|LOGITS.npy", help="a trained net to learn from, or its logits")
    parser.add_argument("--pixels", metavar="HOW",
                        help="how a model file was fed pictures: signed (-1 to 1), unit (0 to 1), bytes (0 to 255), "
                             "imagenet (default: what is best on validation)")
    parser.add_argument("--minutes", type=float, metavar="N", help="what all of it may take: epochs shrink to fit")
    parser.add_argument("--sensitivity", action="store_true", help="also a table of what each layer costs in int8")
    parser.add_argument("--max-drop", type=float, metavar="POINTS",
                        help="points of the validation score that may be lost, such as 1.0")
    parser.add_argument("--zeros", type=float, metavar="SHARE",
                        help="also pruning of single weights to this share of zeros: what it costs, and gains in flash")
    parser.add_argument("--out", metavar="DIR", help="where the bundle goes (default: runs/DATA-MODEL-compressed)")
    add_limits(parser)
    add_training(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    from ..recipe import identifier
    from ..verbs.compress import compress

    say = teller(arguments.quiet)
    out = arguments.out or f"runs/{identifier(arguments.data)}-{identifier(arguments.model)}-compressed"
    result = compress(arguments.model, arguments.data, arguments.target, limits(arguments), out=out,
                      settings=training(arguments), options=loading(arguments), teacher=arguments.teacher,
                      sensitivity=arguments.sensitivity, max_drop=arguments.max_drop, zeros=arguments.zeros,
                      pixels=arguments.pixels, minutes=arguments.minutes, say=say, progress=not arguments.quiet)
    show(result, arguments.json)
    return 0 if result.fits else 1
