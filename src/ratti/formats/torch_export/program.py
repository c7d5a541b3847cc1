"""Reading the nodes of an exported program: targets by name, arguments by name, places for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...ops.base import Activation

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"
DEQUANTIZE = "quantized_decomposed.dequantize_per_tensor.default"
DEQUANTIZE_CHANNELS = "quantized_decomposed.dequantize_per_channel.default"
BATCH_NORM = "aten.batch_norm.default"
RELU = ("aten.relu.default", "aten.relu_.default")
CLAMPS = ("aten.hardtanh.default", "aten.hardtanh_.default")
RELU6 = ("aten.relu6.default", "aten.relu6_.default")
LINEAR = ("aten.conv2d.default", "aten.conv2d.padding", "aten.linear.default")
SKIPPED = ("aten.sym_size.int", "aten._assert_tensor_metadata.default")
UNCHANGED = ("aten.dropout.default", "aten.clone.default", "aten.contiguous.default")


def target(node: Node) -> str:
    """The name of what a node calls, such as `aten.conv2d.default`."""
    return str(node.target)


def arguments(node: Node, names: tuple[str, ...]) -> dict[str, Any]:
    """Positional arguments under `names`, and the keyword ones; None counts as not given."""
    given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    return {k: v for k, v in given.items() if v is not None}


def activation_of(node: Node) -> Activation:
    """The activation that a node is; NONE where it is none that an op can take in."""
    name = target(node)
    if name in RELU:
        return Activation.RELU
    six = name in CLAMPS and tuple(node.args[1:3]) == (0.0, 6.0)
    return Activation.RELU6 if six or name in RELU6 else Activation.NONE


def only_user(node: Node) -> Node | None:
    """The one node that takes this node's output; None where there are more or none."""
    users = [u for u in node.users if target(u) not in SKIPPED]
    return users[0] if len(users) == 1 else None


def attribute(module: GraphModule, path: Any) -> Any:
    """What a get_attr node refers to."""
    value: Any = module
    for part in str(path).split("."):
        value = getattr(value, part)
    return value


def pair(value: Any) -> tuple[int, int]:
    """One number for both, or two."""
    values = flat(value)
    return int(values[0]), int(values[-1])


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def place(node: Node) -> str:
    """Where a node stands: its module's path, and its name."""
    path = _module_path(node)
    return f"{path} ({node.name})" if path else node.name


def name(node: Node) -> str:
    """The node's name in the graph: its module's path, or torch's name."""
    return _module_path(node).replace(".", "_") or node.name


def _module_path(node: Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return str(paths[-1]) if paths else ""
