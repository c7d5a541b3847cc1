"""`ratti verify`: the same inputs everywhere."""

from __future__ import annotations

import argparse

from ..units import size
from ._common import names, show, whole

HELP = "run the same inputs through interpreter, runtimes and emulated devices, and count what differs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a bundle folder, or a net's id")
    parser.add_argument("--targets", default="", metavar="ID,ID", help="devices to emulate")
    parser.add_argument("--runtimes", default="tflm,host:c", metavar="NAME,NAME",
                        help="engines on this computer (tflm, host:c, host:cpp, host:rust, litert, litert:xnnpack, "
                        "onnxruntime, onnxruntime:uint8, executorch, tvm), or all that are there (default tflm,host:c)")
    parser.add_argument("--inputs", type=whole(1), default=24, metavar="N", help="how many inputs (default 24)")
    parser.add_argument("--samples", metavar="DATA",
                        help="real samples: a folder of pictures, recordings or tables, an .npz, or digits")
    parser.add_argument("--optimize", choices=("speed", "size"), default="speed")
    parser.add_argument("--max-ram", metavar="SIZE", help="RAM of the devices, such as 24KiB: verifies that plan")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    from .. import models
    from ..verbs.verify import labelled_samples, verify

    graph = models.load(arguments.model)
    real, labels, samples = labelled_samples(graph, arguments.model, arguments.samples, arguments.inputs)
    result = verify(
        graph,
        names(arguments.targets),
        names(arguments.runtimes),
        arguments.inputs,
        real,
        arguments.optimize,
        labels,
        None if arguments.max_ram is None else size(arguments.max_ram),
        samples,
    )
    show(result, arguments.json)
    return 0 if result.passes else 1
