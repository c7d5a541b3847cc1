"""`net.yaml`: a NetSpec as text, and back, checked field by field.

    schema: ratti.net/1
    name: micro-1.0-8
    input: [8, 8, 1]                      # H, W, C
    numbers: 2                            # beside the input; left out where there are none
    blocks:
      - conv: {width: 12, kernel: 3, stride: 2, activation: relu}
      - separable: {width: 24}
      - mean: {}
      - fc: {width: 10}

A pair (kernel, stride, dilation) is one number for both or [height, width]. Fields at their defaults are not written,
and widths have no default.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from .. import registry
from ..errors import FormatError, InputError
from ._blocks import BLOCKS, Block
from ._layers import SpecError
from ._spec import KIND_OF, NetSpec

SCHEMA = "ratti.net/1"
FIELDS = {"schema", "name", "input", "blocks"}
OPTIONAL = {"numbers"}
_KINDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number with a point"}


def to_yaml(spec: NetSpec) -> str:
    """The text of `net.yaml`; `from_yaml` gives the same spec back."""
    lines = [f"schema: {SCHEMA}", f"name: {_flow(spec.name)}", f"input: {_flow(list(spec.input_shape))}"]
    lines += [f"numbers: {spec.numbers}"] if spec.numbers else []
    lines.append("blocks:")
    for block in spec.blocks:
        lines.append(f"  - {KIND_OF[type(block)]}: {_flow(_fields(block))}")
    return "\n".join(lines) + "\n"


def from_yaml(text: str, where: str = "net.yaml") -> NetSpec:
    """The spec in `text`.

    Raises:
        FormatError: not YAML, or not a net.
        InputError: a field or block that does not exist, has a wrong value or does not fit its place.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FormatError(f"{where}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise FormatError(f"{where}: not a net; its first line must be 'schema: {SCHEMA}'")
    _check_names(set(raw), FIELDS | OPTIONAL, where)
    missing = sorted(FIELDS - set(raw))
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    shape = raw["input"]
    if not isinstance(shape, list) or len(shape) != 3 or any(not _is_int(d) for d in shape):
        raise InputError(f"{where}: input must be [H, W, C], not {shape!r}")
    numbers = raw.get("numbers", 0)
    if not _is_int(numbers):
        raise InputError(f"{where}: numbers must be a whole number, not {numbers!r}")
    if not isinstance(raw["blocks"], list):
        raise InputError(f"{where}: blocks must be a list")
    blocks = tuple(_block(entry, f"{where}, block {n}") for n, entry in enumerate(raw["blocks"], 1))
    return NetSpec(str(raw["name"]), tuple(shape), blocks, numbers)


def read(path: Path) -> NetSpec:
    """The spec in the file at `path`; errors as `from_yaml`, and FormatError where there is no readable file."""
    try:
        return from_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read ({error})") from None


def _block(entry: Any, where: str) -> Block:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise InputError(f"{where}: a block is one name with its fields, such as 'fc: {{width: 10}}', not {entry!r}")
    ((kind, values),) = entry.items()
    if kind not in BLOCKS:
        raise InputError(f"{where}: {registry.unknown('block', str(kind), BLOCKS)}")
    where = f"{where} ({kind})"
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(f"{where}: fields must be a mapping, not {values!r}")
    cls = BLOCKS[kind]
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    _check_names(set(values), {f.name for f in fields}, where)
    absent = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in values]
    if absent:
        raise InputError(f"{where}: {', '.join(absent)} missing")
    try:
        block: Block = cls(**{name: _value(value, hints[name], f"{where}: {name}") for name, value in values.items()})
    except SpecError as error:
        raise InputError(f"{where}: {error}") from None
    return block


def _value(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type that the field declares."""
    if isinstance(hint, types.UnionType):  # X | None
        return None if value is None else _value(value, typing.get_args(hint)[0], where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        allowed = [e.value for e in hint]
        if value not in allowed:
            raise InputError(f"{where} must be one of {', '.join(allowed)}, not {value!r}")
        return hint(value)
    if typing.get_origin(hint) is tuple:
        count = len(typing.get_args(hint))
        values = [value] * count if _is_int(value) else value
        if not isinstance(values, list) or len(values) != count or any(not _is_int(v) for v in values):
            raise InputError(f"{where} must be a whole number or a list of {count}, not {value!r}")
        return tuple(values)
    if hint is bool and isinstance(value, bool):
        return value
    if (hint is int and _is_int(value)) or (hint is float and isinstance(value, float)):
        return value
    raise InputError(f"{where} must be {_KINDS[hint]}, not {value!r}")


def _fields(block: Block) -> dict[str, Any]:
    values = {}
    for f in dataclasses.fields(block):  # type: ignore[arg-type]
        value = getattr(block, f.name)
        if f.default is dataclasses.MISSING or value != f.default:
            values[f.name] = _plain(value)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return value[0] if len(set(value)) == 1 else list(value)
    return value


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip()


def _check_names(given: set[Any], allowed: set[str], where: str) -> None:
    for name in sorted(map(str, given - allowed)):
        raise InputError(f"{where}: {registry.unknown('field', name, allowed)}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
