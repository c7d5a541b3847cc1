"""Run by the Python of another environment (`cortex_m.py` says which). This file imports nothing of ratti.

`export PROGRAM.pt2 CPU MODEL.pte` lowers a Q/DQ program with ExecuTorch's Cortex-M passes, writes the model and prints,
as one line of JSON, how often it calls each kernel. `run PROGRAM.pt2 CPU` runs the lowered program in Python, by
ExecuTorch's own definitions of the kernels: codes come in and go out as bytes, one inference after the other.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# Moves codes, where one quantization reaches through: the passes then take away what dequantizes and quantizes.
MOVES = ("cat", "constant_pad_nd", "permute_copy", "select_copy", "slice_copy", "squeeze_copy", "unsqueeze_copy",
         "view_copy")
PAIRS = ("add", "sub", "mul", "minimum", "maximum")  # computed on two operands of one shape
COMPUTES = ("convolution", "linear", "avg_pool2d", "max_pool2d", "sigmoid", "tanh", "_softmax", *PAIRS)
SAME = ("avg_pool2d", "max_pool2d", "minimum", "maximum", *MOVES)  # keep the quantization of what they read
FULL = ("avg_pool2d", "mul", "minimum", "maximum", "sigmoid", "tanh", "_softmax", *MOVES)  # know no narrower codes
SOFTMAX = (1 / 256, -128)  # the only output that CMSIS-NN's softmax has
QUANTIZED = {"_arm_annotation_info": {"quantized": True}}


def export(program: str, cpu: str, path: str) -> None:
    edge = _lowered(program, cpu)
    nodes = edge.exported_program().graph.nodes
    calls = Counter(str(n.target._schema.name) for n in nodes if hasattr(n.target, "_schema"))
    Path(path).write_bytes(edge.to_executorch().buffer)
    print(json.dumps(dict(sorted(calls.items()))))


def run(program: str, cpu: str) -> None:
    import torch

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what torch prints is no answer
    lowered = _lowered(program, cpu).exported_program()
    names = lowered.graph_signature.user_inputs
    shapes = {n.name: n.meta["val"].shape for n in lowered.graph.nodes if n.name in names}
    module = lowered.module()
    while True:
        codes = [sys.stdin.buffer.read(shapes[name].numel()) for name in names]
        if not codes[0]:
            return
        flat = [torch.from_numpy(np.frombuffer(c, np.int8).copy()) for c in codes]
        for y in module(*(x.reshape(shapes[name]) for x, name in zip(flat, names, strict=True))):
            answers.write(y.contiguous().numpy().tobytes())
        answers.flush()


def _lowered(program: str, cpu: str) -> Any:
    """ExecuTorch's edge program. Spatial ops are NHWC, as ratti's are: no transposes stay around them."""
    import torch
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
    from executorch.backends.cortex_m.target_config import CortexMTargetConfig
    from executorch.exir import EdgeCompileConfig, to_edge
    from executorch.exir.passes.remove_unused_parameters_pass import remove_unused_parameters_pass

    config = EdgeCompileConfig(preserve_ops=[torch.ops.aten.linear.default], _check_ir_validity=False)
    edge = to_edge(torch.export.load(program), compile_config=config)
    target = CortexMTargetConfig.from_target_string(cpu)
    first, *rest = CortexMPassManager.explicit_layout_pass_list  # the first makes one node of max pools
    for passes in ([first], rest):
        manager = CortexMPassManager(edge.exported_program(), passes, target_config=target)
        edge._edge_programs["forward"] = manager.transform()
        if passes is not rest:
            _mark(edge.exported_program().graph)
    edge._edge_programs["forward"] = remove_unused_parameters_pass(edge.exported_program())  # weights in torch's order
    return edge


def _mark(graph: Any) -> None:
    """What the backend's quantizer does for a program that it quantized: says which nodes are of integers."""
    for node in graph.nodes:
        if node.op == "call_function" and _is_integer(node):
            node.meta["custom"] = {**node.meta.get("custom", {}), **QUANTIZED}


def _is_integer(node: Any) -> bool:
    """Whether CMSIS-NN computes this node on codes: its operands are dequantized, its result quantized as it can."""
    name, after = _name(node), list(node.users)
    if name not in COMPUTES and name not in MOVES:
        return False
    operands = node.args[0] if name == "cat" else [a for a in node.args if hasattr(a, "meta")]
    if not operands or not all(_name(n).startswith("dequantize") for n in operands):
        return False
    if not after or not all(_name(n) == "quantize_per_tensor" and n.args[1:] == after[0].args[1:] for n in after):
        return False
    scale, zero, low, high, _ = after[0].args[1:]
    if name in FULL and (low, high) != (-128, 127):
        return False
    if name in SAME and any(n.args[1:3] != (scale, zero) for n in operands):
        return False
    if name in PAIRS and (len(operands) != 2 or len({tuple(n.meta["val"].shape) for n in operands}) != 1):
        return False
    return name != "_softmax" or (scale, zero) == SOFTMAX


def _name(node: Any) -> str:
    """`permute_copy` of `aten.permute_copy.default`; of a placeholder its own."""
    parts = str(getattr(node.target, "__name__", node.target)).split(".")
    return parts[-2] if len(parts) > 1 else parts[0]


if __name__ == "__main__":
    try:
        (export if sys.argv[1] == "export" else run)(*sys.argv[2:])
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        sys.exit(f"{type(cause).__name__}: {cause}".replace("\n", " "))
