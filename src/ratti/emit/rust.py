"""A Rust crate from a plan: `no_std`, no heap, no `unsafe`, Rust 1.63. The same plan always gives the same bytes.

Kernels come as they are from the `.rs` files beside their C headers: the same tables, constants, scratch and order of
reads and writes, over one arena and offsets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .. import kernels
from ..errors import InputError, UnsupportedError
from ..graph.builder import unique
from ..graph.ir import Graph
from ..kernels import FEATURES, Constant, Kernel, Struct, Table, Work
from ..plan import Plan, Step
from ..types import Array, DType, TensorType
from ._crate import library, manifest, readme
from ._text import wrap
from .c import Port, input_names

LINE = 100
FEATURE_SET = "portable"  # what Rust kernels are chosen for
ELEMENTS = {"int8_t": "i8", "int16_t": "i16", "int32_t": "i32", "uint8_t": "u8", "uint16_t": "u16", "uint32_t": "u32"}
PORTS = {"input": (DType.INT8,), "output": (DType.INT8, DType.INT32)}
RESERVED = (  # keywords, and crates that every compiler has
    "abstract alloc as async await become box break const continue core crate do dyn else enum extern false final fn "
    "for if impl in let loop macro match mod move mut override priv proc_macro pub ref return self static std struct "
    "super test trait true try type typeof unsafe unsized use virtual where while yield"
)


@dataclass(frozen=True)
class RustCrate:
    """What the emitter made: files by path inside the crate's folder. Ports carry Rust names, as in `input_<name>`."""

    name: str
    files: Mapping[str, str]
    arena_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass
class _Unit:
    """The pieces of the crate, filled step by step."""

    sources: dict[str, str] = field(default_factory=dict)  # kernel files by path
    used: set[str] = field(default_factory=set)  # names that steps.rs takes from them
    tables: dict[tuple[str, bytes], str] = field(default_factory=dict)
    table_text: list[str] = field(default_factory=list)
    functions: dict[tuple[str, ...], str] = field(default_factory=dict)  # parameters and body -> name
    function_text: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)


def choose(graph: Graph) -> dict[str, Kernel]:
    """For each node that a kernel computes the fastest one that has a Rust form.

    UnsupportedError where kernels compute a node and none of them has one.
    """
    chosen: dict[str, Kernel] = {}
    for node in graph.nodes:
        work = Work.of(graph, node, FEATURES[FEATURE_SET])
        found = kernels.candidates(work)
        narrow = all(t.dtype is not DType.INT16 for t in (*work.types, *work.outputs))  # the arena is one of bytes
        written = [k for k in found if narrow and kernels.rust_form(k) is not None]
        if written:
            chosen[node.name] = written[0]
        elif found:
            shapes = ", ".join("x".join(map(str, t.shape)) for t in work.types)
            raise UnsupportedError(
                f"no Rust kernel computes {node.op.name} '{node.name}' ({shapes}): {node.op}; export C or C++, which do"
            )
    return chosen


def crate_name(name: str) -> str:
    """`name` in Rust's case. InputError for names that cargo refuses."""
    name = _snake(name)
    if name in RESERVED.split():
        raise InputError(f"the name '{name}' means something else to Rust; choose another (--name)")
    return name


def emit(plan: Plan, name: str | None = None) -> RustCrate:
    """The crate `name` for `plan`, whose kernels are those of `choose`."""
    name = crate_name(name or plan.graph.name)
    unit = _Unit()
    for step in plan.steps:
        _step(plan, step, unit)
    inputs = _ports(plan, "input", plan.graph.inputs)
    outputs = _ports(plan, "output", plan.graph.outputs)
    files = {
        "Cargo.toml": manifest(name),
        "README.md": readme(name, inputs, outputs),
        "src/lib.rs": library(name, plan, inputs, outputs, unit.calls, bool(unit.tables)),
        "src/steps.rs": _steps(unit),
        **({"src/constants.rs": _constants(unit)} if unit.tables else {}),
        "src/kernels/mod.rs": _modules(unit.sources),
        **{f"src/kernels/{path}": text for path, text in unit.sources.items()},
    }
    return RustCrate(name, files, plan.arena_bytes, inputs, outputs)


def _ports(plan: Plan, kind: str, names: Sequence[str]) -> tuple[Port, ...]:
    ports: list[Port] = []
    for n in names:  # a graph may name one value twice
        type = plan.graph.type(n)
        if type.dtype not in PORTS[kind]:
            raise UnsupportedError(f"{kind} '{n}' is {type.dtype.value}; Rust crates take int8 and give int8 or int32")
        own = kind if len(names) == 1 else unique(_snake(f"{kind}_{n}"), {p.name for p in ports})
        ports.append(Port(own, type, plan.offsets[n]))
    return tuple(ports)


def _raw(name: str) -> str:
    """A family's name as a module's: some mean something else to Rust."""
    return f"r#{name}" if name in RESERVED.split() else name


def _snake(name: str) -> str:
    return re.sub(r"_+", "_", name.lower()).strip("_") or "n"


def _camel(ctype: str) -> str:
    """`ratti_add_sizes` is `AddSizes`."""
    return "".join(part.capitalize() for part in ctype.removeprefix("ratti_").split("_"))


def _include(path: str, unit: _Unit, text: str) -> None:
    """A kernel file, and what it uses of others."""
    if path in unit.sources:
        return
    unit.sources[path] = text
    for module in re.findall(r"^use crate::kernels::(\w+::\w+)", text, re.M):
        other = module.replace("::", "/") + ".rs"
        _include(other, unit, kernels.source(other))


def _step(plan: Plan, step: Step, unit: _Unit) -> None:
    function = _function(step, unit)
    arguments = ["arena", *(str(plan.offsets[n]) for n in (*step.inputs, step.output))]
    arguments += [f"&{_table(step.node.name, t, unit)}" for t in step.call.tables]
    if step.call.scratch_bytes:
        arguments.append(str(step.scratch_offset))
    arguments.append(f"0..{step.kernel.rows(step.work)}")
    shapes = " -> ".join(_shape(t) for t in (step.work.types[0], step.work.output))
    call = wrap(f"    steps::{function}(", arguments, ");", LINE, hang=8)
    unit.calls.append(f"    // {step.node.name}: {shapes}\n{call}\n")


def _function(step: Step, unit: _Unit) -> str:
    """The name of the function for the step's kernel, shape and flags; emits it if it is new."""
    call, work = step.call, step.work
    text = kernels.rust_form(step.kernel)
    assert text is not None, f"{step.kernel.name} has no Rust form"
    _include(kernels.rust_path(step.kernel), unit, text)
    inputs = input_names(len(step.inputs))
    parameters = ["arena: &mut [i8]", *(f"{name}: usize" for name in (*inputs, "output"))]
    parameters += [f"{t.role}: &[{_element(t)}; {len(t.data)}]" for t in call.tables]
    arguments = ["arena", *inputs, "output", *(t.role for t in call.tables)]
    body = []
    if call.inputs_as_array:
        constants = [t.role for t in call.tables if t.role.startswith("operand_")]
        sources = [*(f"Source::Arena({n})" for n in inputs), *(f"Source::Constant({n})" for n in constants)]
        body.append(wrap("    let inputs = [", sources, "];", LINE, hang=8))
        arguments = ["arena", "&inputs", "output", *(t.role for t in call.tables if t.role not in constants)]
        unit.used.add("Source")
    if call.scratch_bytes:
        parameters.append("scratch: usize")
        arguments.append("scratch")
    elif call.scratch_bytes is not None:
        arguments.append("0")
    parameters.append("rows: Range<usize>")
    arguments.append("rows")
    for key, constant in call.constants.items():
        if isinstance(constant, int):
            arguments.append(str(constant))
        else:
            body.append(_constant(key, constant, unit))
            arguments.append(f"&{key.upper()}")
    unit.used |= {_camel(t.ctype) for t in call.tables if t.data.ndim == 2}
    kernel = call.function.removeprefix("ratti_")
    unit.used.add(kernel)
    body.append(wrap(f"    {kernel}(", arguments, ");", LINE, hang=8))
    called = (*parameters, *body)
    if called not in unit.functions:
        shapes = "_to_".join(_shape(t) for t in (work.types[0], work.output))
        unit.functions[called] = name = unique(f"{step.kernel.name}_{shapes}", set(unit.functions.values()))
        lines = ["#[inline(never)]", f"pub fn {name}(", *(f"    {p}," for p in parameters), ") {", *body, "}", ""]
        unit.function_text.append("\n".join(lines))
    return unit.functions[called]


def _shape(type: TensorType) -> str:
    return "x".join(map(str, type.shape[1:])) or "1"


def _element(table: Table) -> str:
    return _camel(table.ctype) if table.data.ndim == 2 else ELEMENTS[table.ctype]


def _constant(key: str, struct: Struct, unit: _Unit) -> str:
    type, whole = _camel(struct[0]), _value(struct, unit)
    line = f"    const {key.upper()}: {type} = {whole};"
    if len(line) <= LINE:
        return line
    items = [f"{k}: {_value(v, unit)}" for k, v in struct[1].items()]
    return f"    const {key.upper()}: {type} = {type} {{\n" + wrap(" " * 8, items, ",", LINE) + "\n    };"


def _value(constant: Constant, unit: _Unit) -> str:
    if isinstance(constant, int):
        return str(constant)
    unit.used.add(_camel(constant[0]))
    fields = ", ".join(f"{k}: {_value(v, unit)}" for k, v in constant[1].items())
    return f"{_camel(constant[0])} {{ {fields} }}"


def _table(node: str, table: Table, unit: _Unit) -> str:
    key = (table.ctype, table.data.tobytes())
    if key not in unit.tables:
        unit.tables[key] = name = f"{node}_{table.role}".upper()
        unit.table_text.append(_array(f"pub static {name}", _element(table), table.data))
    return unit.tables[key]


def _array(declared: str, element: str, data: Array) -> str:
    """`<declared>: [element; n] = [...];` with rows of a 2-D array as tuple structs."""
    if data.ndim == 2:
        items = [f"{element}({', '.join(map(str, row))})" for row in data.tolist()]
    else:
        items = [str(v) for v in data.tolist()]
    return f"{declared}: [{element}; {len(items)}] = [\n" + wrap("    ", items, ",", LINE) + "\n];\n"


def _uses(unit: _Unit, names: set[str]) -> list[str]:
    """`use` lines for what the kernel files define of `names`."""
    lines = []
    for path, text in sorted(unit.sources.items()):
        defined = sorted(names & set(re.findall(r"^pub (?:fn|struct|enum) (\w+)", text, re.M)), key=str.swapcase)
        if defined:
            what = defined[0] if len(defined) == 1 else "{" + ", ".join(defined) + "}"
            family, name = path.removesuffix(".rs").split("/")
            lines.append(f"use crate::kernels::{_raw(family)}::{name}::{what};")
    return lines


def _steps(unit: _Unit) -> str:
    head = ["//! One function for each kernel, shape and flags.", "", "use core::ops::Range;", ""]
    return "\n".join([*head, *_uses(unit, unit.used), "", *unit.function_text])


def _constants(unit: _Unit) -> str:
    head = "//! Weights, constants per channel and tables.\n"
    uses = _uses(unit, {_camel(ctype) for ctype, _ in unit.tables})
    return "\n".join([head, *uses, *([""] if uses else []), *unit.table_text])


def _modules(sources: Mapping[str, str]) -> str:
    families: dict[str, list[str]] = {}
    for path in sorted(sources):
        family, name = path.removesuffix(".rs").split("/")
        families.setdefault(family, []).append(name)
    lines = ["//! The kernels that this network uses: whole files, of which it may need a part."]
    lines += ["#![allow(dead_code)]", ""]
    for family, names in families.items():
        lines += [f"pub mod {_raw(family)} {{", *(f"    pub mod {name};" for name in names), "}"]
    return "\n".join([*lines, ""])
