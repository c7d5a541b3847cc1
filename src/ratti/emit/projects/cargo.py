"""The Rust crate, with an example program beside its tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .._text import wrap
from ..parts import Parts
from ..rust import LINE, RustCrate

LANGUAGE = "rust"
BUILD = ("cargo run --release --example one",)


def files(parts: Parts) -> Mapping[str, str]:
    crate = parts.sources
    assert isinstance(crate, RustCrate)
    tables, copies, counts = [], [], []
    for port, value in zip(crate.inputs, parts.inputs, strict=True):
        tables.append(_table(port.name, value))
        copies.append(f"    *model.{port.name}() = {port.name.upper()};")
    for port, value in zip(crate.outputs, parts.outputs, strict=True):
        tables.append(_table(port.name, value))
        pairs = f"model.{port.name}().iter().zip({port.name.upper()})"
        counts.append(f"    differ += {pairs}.filter(|(a, b)| *a != b).count();")
    text = _EXAMPLE.format(
        name=crate.name, tables="\n".join(tables), copies="\n".join(copies), counts="\n".join(counts)
    )
    return {**crate.files, "examples/one.rs": text}


def _table(name: str, value: object) -> str:
    row = np.ravel(value)  # type: ignore[call-overload]
    body = wrap("    ", row.tolist(), ",", LINE)
    return f"#[rustfmt::skip]\nstatic {name.upper()}: [i{8 * row.itemsize}; {row.size}] = [\n{body}\n];\n"


_EXAMPLE = """//! One inference on a test vector that ratti's interpreter computed.

use {name}::Model;

fn main() {{
    let mut model = Box::new(Model::new());
{copies}
    model.run();
    let mut differ = 0;
{counts}
    if differ > 0 {{
        eprintln!("{name}: {{differ}} codes differ");
        std::process::exit(1);
    }}
    println!("{name}: the test vector is equal");
}}

{tables}"""
