"""The test of a crate: vectors, and the codes that the interpreter gives for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import Array
from ._text import wrap
from .rust import LINE, RustCrate


def emit(crate: RustCrate, inputs: Sequence[Sequence[Array]], outputs: Sequence[Sequence[Array]]) -> Mapping[str, str]:
    """`tests/vectors.rs`: `cargo test` passes where all outputs are equal. One vector per inference."""
    tables, copies, compares = [], [], []
    for k, port in enumerate(crate.inputs):
        tables.append(_table(port.name, [row[k] for row in inputs]))
        copies.append(f"        *model.{port.name}() = {port.name.upper()}[i];")
    for k, port in enumerate(crate.outputs):
        tables.append(_table(port.name, [row[k] for row in outputs]))
        compares.append(f'        assert_eq!(model.{port.name}()[..], {port.name.upper()}[i][..], "vector {{i}}");')
    lines = [
        f"//! {len(inputs)} vectors, computed by ratti's interpreter.",
        "",
        f"use {crate.name}::Model;",
        "",
        "#[test]",
        "fn outputs_are_equal_to_the_last_bit() {",
        "    let mut model = Box::new(Model::new());",
        f"    for i in 0..{len(inputs)} {{",
        *copies,
        "        model.run();",
        *compares,
        "    }",
        "}",
        "",
        *tables,
    ]
    return {"tests/vectors.rs": "\n".join(lines)}


def _table(name: str, rows: Sequence[Array]) -> str:
    texts = ["    [\n" + wrap("        ", np.ravel(row).tolist(), ",", LINE) + "\n    ],\n" for row in rows]
    type = f"[[i{8 * rows[0].itemsize}; {rows[0].size}]; {len(rows)}]"
    return f"#[rustfmt::skip]\nstatic {name.upper()}: {type} = [\n" + "".join(texts) + "];\n"
