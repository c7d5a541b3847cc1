"""What users call MODEL: a `.tflite`, `.onnx` or `.pt2` file, a bundle folder, or a net's id."""

from __future__ import annotations

from pathlib import Path

from .errors import FormatError, InputError
from .formats import onnx, tflite, torch_export
from .graph.ir import Graph

BUNDLE_MODEL, BUNDLE_NET, BUNDLE_WEIGHTS = "model.tflite", "net.yaml", "weights.safetensors"
READERS = {".tflite": tflite.read, ".onnx": onnx.read, ".pt2": torch_export.read}
BUNDLE_FLOAT = "float.tflite"  # of a model that came from a file
WHAT = "a .tflite, .onnx or .pt2 file, a bundle folder or a net's id"


def load(model: str | Path | Graph) -> Graph:
    """The graph of `model`. InputError where it is neither a file, a bundle nor a net's id."""
    if isinstance(model, Graph):
        return model
    if not str(model):
        raise InputError(f"no model given: give {WHAT} (mobilenet_v2-0.35-96)")
    path = Path(model)
    if path.is_dir():
        inside = path / BUNDLE_MODEL
        if not inside.is_file():
            raise FormatError(f"'{path}' is a folder without {BUNDLE_MODEL}: a bundle from `ratti build` has one")
        return tflite.read(inside)
    if path.is_file():
        reader = READERS.get(path.suffix)
        if reader is None:
            raise FormatError(f"'{path}' is no .tflite, .onnx or .pt2 file; ratti reads {WHAT}")
        return reader(path)
    return _from_id(str(model))


def load_float(model: str | Path | Graph) -> Graph | None:
    """The float net that a bundle was quantized from: `float.tflite`, or by its `net.yaml` and weights; None where
    `model` has neither.

    MissingDependencyError without PyTorch, which the latter takes.
    """
    folder = Path() if isinstance(model, Graph) else Path(model)
    if not isinstance(model, Graph) and (folder / BUNDLE_FLOAT).is_file():
        return tflite.read(folder / BUNDLE_FLOAT)
    spec, weights = folder / BUNDLE_NET, folder / BUNDLE_WEIGHTS
    if isinstance(model, Graph) or not (spec.is_file() and weights.is_file()):
        return None
    from . import compress, nets
    from .formats.torch_export import import_program
    from .train.weights import load as load_weights

    net = nets.read(spec)
    program = compress.export(load_weights(net, weights), net.input_shape, net.numbers)
    return import_program(program, net.name)


def _from_id(text: str) -> Graph:
    from . import nets

    if not nets.is_id(text):
        raise InputError(
            f"model '{text}' not found: give {WHAT} "
            f"such as mobilenet_v2-0.35-96 (families: {', '.join(nets.families())})"
        )
    return nets.random_graph(nets.spec(text))
