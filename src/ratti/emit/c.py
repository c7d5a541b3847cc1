"""C99 from a plan: one header, one source, and a test with vectors. The same plan always gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..graph.builder import unique
from ..kernels import Constant, Struct, Table, source
from ..plan import Patches, Plan, Step
from ..types import Array, TensorType
from . import _stream, blob
from ._text import wrap

LINE = 112


@dataclass(frozen=True)
class Port:
    """An input or output in the arena."""

    name: str
    type: TensorType
    offset_bytes: int


@dataclass(frozen=True)
class CSources:
    """What the emitter made. `entry` is `void entry(int8_t *arena)`: one call per step, in order.

    Where the weights are a block of their own, `weights` holds it, and `entry` takes what `<name>_open` gave as well.
    """

    files: Mapping[str, str]
    entry: str
    arena_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    steps: tuple[str, ...]  # what the entry calls, by the first node of each call
    functions: tuple[str, ...]  # that are called for them
    weights: bytes | None = None


@dataclass
class _Unit:
    """The pieces of the source file, filled step by step."""

    headers: list[str] = field(default_factory=list)
    tables: dict[tuple[str, bytes], str] = field(default_factory=dict)
    table_text: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)  # body -> name
    function_text: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    apart: dict[str, Table] | None = None  # the tables of the block of weights, where there is one
    weights_type: str = ""

    @property
    def parameters(self) -> str:
        """Of functions that call steps."""
        return "int8_t *arena" + (f", const {self.weights_type} *weights" if self.apart is not None else "")

    @property
    def arguments(self) -> str:
        return "arena" if self.apart is None else "arena, weights"

    def knows(self, table: Table) -> bool:
        """Whether functions name the table, instead of being given it."""
        return table.known and self.apart is None


def emit(plan: Plan, name: str | None = None, apart: bool = False) -> CSources:
    """C sources `<name>.h` and `<name>.c` for `plan`; with the weights in a block of their own where they are `apart`
    (see `blob`)."""
    name = name or plan.graph.name
    unit = _Unit(apart={} if apart else None, weights_type=f"{name}_weights")
    for step in plan.steps:
        _include(step.kernel.header, unit.headers)
    if plan.streams:
        _include(_stream.HEADER, unit.headers)
    for group, steps in plan.calls:
        if group is None:
            _step(plan, steps[0], unit)
        elif isinstance(group, Patches):
            _patches(plan, group, steps, unit)
        else:
            _loop(_stream.Loop(plan, group), steps, unit)
    inputs, outputs = _ports(plan, plan.graph.inputs), _ports(plan, plan.graph.outputs)
    header, source_text, weights = _header(name, plan, inputs, outputs), _source(name, unit), None
    if unit.apart is not None:
        header, weights = _apart(name, unit.apart, header, source_text)
    files = {f"{name}.h": header, f"{name}.c": source_text}
    names = tuple(steps[0].node.name for _, steps in plan.calls)
    return CSources(files, f"{name}_run", plan.arena_bytes, inputs, outputs, names, tuple(unit.called), weights)


def _apart(name: str, tables: Mapping[str, Table], header: str, source_text: str) -> tuple[str, bytes]:
    """The header of code whose weights lie apart, and their block."""
    members = blob.members(tables)
    number = blob.interface(header, source_text)
    weights = blob.block(members, number)
    line = f"void {name}_run(int8_t *arena);\n"
    functions = f"""/* Looks at a block, of at most `room` bytes: {name.upper()}_OK and its weights, or why not. */
int {name}_open(const void *block, uint32_t room, const {name}_weights **weights);
void {name}_run(int8_t *arena, const {name}_weights *weights);
"""
    start = header.index("\n#ifdef __cplusplus")
    declared = blob.declarations(name, len(weights), f"0x{number:016x}ull")
    header = header[:start] + declared + header[start:].replace(line, functions)
    return header.replace("_run(arena), read", "_run(arena, weights), read"), weights


def _ports(plan: Plan, names: Sequence[str]) -> tuple[Port, ...]:
    ports: list[Port] = []
    for n in names:  # a graph may name one value twice
        ports.append(Port(unique(n, {p.name for p in ports}), plan.graph.type(n), plan.offsets[n]))
    return tuple(ports)


def headers(header: str) -> tuple[str, ...]:
    """A kernel's header and those that it includes, in order of need."""
    seen: list[str] = []
    _include(header, seen)
    return tuple(seen)


def _include(header: str, seen: list[str]) -> None:
    """Kernel headers in order of need, each once."""
    for included in re.findall(r'#include "([^"]+)"', source(header)):
        path = _resolve(header, included)
        if path not in seen:
            _include(path, seen)
    if header not in seen:
        seen.append(header)


def _resolve(header: str, included: str) -> str:
    parts = header.split("/")[:-1] + included.split("/")
    while ".." in parts:
        k = parts.index("..")
        del parts[k - 1 : k + 1]
    return "/".join(parts)


def _step(plan: Plan, step: Step, unit: _Unit) -> None:
    """The call of a step."""
    places = [f"arena + {plan.offsets[n]}" for n in (*step.inputs, step.output)]
    function, call = _call(step, places, ("0", str(step.kernel.rows(step.work))), "    ", unit)
    unit.calls.append(f"    /* {step.node.name}: {_shapes(step)} */\n{call}")
    unit.called.append(function)


def _patches(plan: Plan, patches: Patches, steps: Sequence[Step], unit: _Unit) -> None:
    """A function for the steps of all patches, and its call."""
    first, last = plan.ends_of(patches)
    name, inner = f"patches_{first}", replace(unit, calls=[], called=[])
    for step in steps:
        _step(plan, step, inner)
    text = "\n".join(inner.calls)
    unit.function_text.append(f"static RATTI_NOINLINE void {name}(int8_t *arena)\n{{\n{text}\n}}\n")
    unit.calls.append(f"    /* {first} to {last}, patch by patch */\n    {name}(arena);")
    unit.called.append(name)


def _loop(loop: _stream.Loop, steps: Sequence[Step], unit: _Unit) -> None:
    """A function for a stream, and its call."""
    name = f"stream_{steps[0].node.name}"
    calls = []
    for step in steps:
        places = [loop.place(n) for n in (*step.inputs, step.output)]
        calls.append(f"        /* {step.node.name}: {_shapes(step)} */")
        if loop.may_be_empty(step):
            _, call = _call(step, places, loop.range(step), "            ", unit)
            begin, end = loop.range(step)
            call = f"        if ({begin} < {end}) {{\n{call}\n        }}"
        else:
            _, call = _call(step, places, loop.range(step), "        ", unit)
        calls.append(call)
    table = f"{name}_rows"
    rows = loop.rows
    unit.table_text.append(array(table, rows.ctype, rows.data.ravel()))
    unit.function_text.append(loop.text(name, table, calls, unit.parameters))
    span = f"{steps[0].node.name} to {steps[-1].node.name}"
    unit.calls.append(f"    /* {span}, band by band */\n    {name}({unit.arguments});")
    unit.called.append(name)


def _call(
    step: Step, places: Sequence[str], rows: tuple[str, str], indent: str, unit: _Unit
) -> tuple[str, str]:
    """The function for a step, and its call with the addresses of operands and result."""
    function = _function(step, unit)
    arguments = [*places, *(_table(step.node.name, t, unit) for t in step.call.tables if not unit.knows(t))]
    if step.call.scratch_bytes:
        arguments.append(f"arena + {step.scratch_offset}")
    return function, wrap(f"{indent}{function}(", [*arguments, *rows], ");", LINE)


def _shapes(step: Step) -> str:
    return " -> ".join(_shape(t) for t in (step.work.types[0], step.work.output))


def _function(step: Step, unit: _Unit) -> str:
    """The name of the function for the step's kernel, shape and flags; emits it if it is new."""
    call, work = step.call, step.work
    pointers = input_names(len(step.inputs))
    parameters = [f"const int8_t *{p}" for p in pointers] + ["int8_t *output"]
    parameters += [f"const {t.ctype} *{t.role}" for t in call.tables if not unit.knows(t)]
    names = {t.role: _table(step.node.name, t, unit) if unit.knows(t) else t.role for t in call.tables}
    arguments = [*pointers, "output", *names.values()]
    body = []
    if call.inputs_as_array:
        constants = [t.role for t in call.tables if t.role.startswith("operand_")]
        held = [_as_bytes(t) for t in call.tables if t.role in constants]
        body.append(wrap("    const int8_t *const inputs[] = {", [*pointers, *held], "};", LINE))
        arguments = ["inputs", "output", *(n for role, n in names.items() if role not in constants)]
    if call.scratch_bytes:
        parameters.append("int8_t *scratch")
        arguments.append("scratch")
    elif call.scratch_bytes is not None:
        arguments.append("/* scratch */ 0")
    parameters += ["int32_t row_begin", "int32_t row_end"]
    arguments += ["row_begin", "row_end"]
    for key, constant in call.constants.items():
        if isinstance(constant, int):
            arguments.append(f"/* {key} */ {constant}")
        else:
            body.append(f"    static const {constant[0]} {key} = {_initializer(constant, 1)};")
            arguments.append(key)
    body.append(wrap(f"    {call.function}(", arguments, ");", LINE))
    text = "\n{\n" + "\n".join(body) + "\n}\n"
    if text not in unit.functions:
        shapes = "_to_".join(_shape(t) for t in (work.types[0], work.output))
        name = f"{step.kernel.name}_{shapes}"
        taken = set(unit.functions.values())
        unit.functions[text] = unique(name, taken)
        signature = wrap(f"static RATTI_NOINLINE void {unit.functions[text]}(", parameters, ")", LINE, hang=4)
        unit.function_text.append(signature + text)
    return unit.functions[text]


def _as_bytes(table: Table) -> str:
    return table.role if table.ctype == "int8_t" else f"(const int8_t *)(const void *){table.role}"


def input_names(count: int) -> list[str]:
    """What the operands of a step are called in the function for it."""
    return ["input", "other"][:count] if count < 3 else [f"input_{k}" for k in range(count)]


def _shape(type: TensorType) -> str:
    return "x".join(map(str, type.shape[1:])) or "1"


def _initializer(struct: Struct, depth: int) -> str:
    lines: list[str] = []
    simple: list[str] = []
    pad = "    " * (depth + 1)
    for key, value in struct[1].items():
        if isinstance(value, int):
            simple.append(f".{key} = {value}")
        else:
            lines.append(f"{pad}.{key} = {_inline(value)},")
    packed = wrap(pad, simple, ",", LINE)
    return "{\n" + "\n".join([packed, *lines]) + "\n" + "    " * depth + "}"


def _inline(constant: Constant) -> str:
    if isinstance(constant, int):
        return str(constant)
    return "{" + ", ".join(f".{k} = {_inline(v)}" for k, v in constant[1].items()) + "}"


def _table(node: str, table: Table, unit: _Unit) -> str:
    key = (table.ctype, table.data.tobytes())
    if key not in unit.tables:
        name = f"{node}_{table.role}"
        unit.tables[key] = name if unit.apart is None else f"weights->{name}"
        if unit.apart is None:
            unit.table_text.append(array(name, table.ctype, table.data))
        else:
            unit.apart[name] = table
    return unit.tables[key]


def array(name: str, ctype: str, data: Array) -> str:
    suffix = "u" if ctype.startswith("uint") else ""
    if data.ndim == 2:
        items = ["{" + ", ".join(map(str, row)) + "}" for row in data.tolist()]
    elif suffix:
        items = [f"0x{v:08x}u" for v in data.tolist()]
    else:
        items = [str(v) for v in data.tolist()]
    return f"static const {ctype} {name}[{len(items)}] = {{\n" + wrap("    ", items, ",", LINE) + "\n};\n"


def _header(name: str, plan: Plan, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    prefix, graph = name.upper(), plan.graph
    lines = [
        f"/* {name}: an int8 network, emitted by ratti.",
        f"   {graph.macs():,} multiply-accumulates in {len(plan.steps)} steps.",
        "",
        f"   Write the input's codes to arena + {port_macro(prefix, 'INPUT', inputs, 0)}_OFFSET,",
        f"   call {name}_run(arena), read the output's codes. real = SCALE * (code - ZERO_POINT).",
        "   The arena is aligned to 4 bytes; between calls it is free for other use. Running overwrites the inputs.",
        "   No heap, no static data, no floating point. */",
        f"#ifndef {prefix}_H",
        f"#define {prefix}_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define {prefix}_ARENA_BYTES {plan.arena_bytes}",
    ]
    for kind, ports in (("INPUT", inputs), ("OUTPUT", outputs)):
        for k, port in enumerate(ports):
            macro = port_macro(prefix, kind, ports, k)
            shape = "x".join(map(str, port.type.shape))
            lines += [
                "",
                f"/* {port.name}: {shape} {port.type.dtype.value} */",
                f"#define {macro}_OFFSET {port.offset_bytes}",
                f"#define {macro}_BYTES {port.type.bytes}",
            ]
            if port.type.quant is not None:
                lines += [
                    f"#define {macro}_SCALE {port.type.scale!r}f",
                    f"#define {macro}_ZERO_POINT ({port.type.zero_point})",
                ]
    lines += [
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        f"void {name}_run(int8_t *arena);",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def port_macro(prefix: str, kind: str, ports: Sequence[Port], k: int) -> str:
    return f"{prefix}_{kind}" if len(ports) == 1 else f"{prefix}_{kind}_{ports[k].name.upper()}"


def _source(name: str, unit: _Unit) -> str:
    headers = [re.sub(r'#include "[^"]+"\n+', "", source(h)) for h in unit.headers]
    parts = [
        f'#include "{name}.h"\n',
        *headers,
        "/* Constants. */\n",
        *([] if unit.apart is None else [blob.opening(name, blob.members(unit.apart))]),
        *unit.table_text,
        "/* One function for each kernel, shape and flags. */\n",
        *unit.function_text,
        f"void {name}_run({unit.parameters})\n{{\n" + "\n".join(unit.calls) + "\n}\n",
    ]
    return "\n".join(parts)
