"""The texts of a Rust crate that say the same for every network: manifest, README and the public interface."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from ..plan import Plan
from ..types import DType
from .c import Port

EDITION, RUST_VERSION = "2021", "1.63"


def manifest(name: str) -> str:
    """`Cargo.toml`."""
    return f"""[package]
name = "{name}"
version = "0.1.0"
edition = "{EDITION}"
rust-version = "{RUST_VERSION}"
description = "An int8 network, emitted by ratti"
license = "Apache-2.0" # this crate is yours: choose what you like
publish = false

# Big loops want optimizing even where overflow is to be checked.
[profile.test]
opt-level = 2
"""


def readme(name: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """`README.md`: a few lines."""
    given = ", ".join("x".join(map(str, p.type.shape)) for p in inputs)
    got = ", ".join("x".join(map(str, p.type.shape)) for p in outputs)
    what = textwrap.fill(f"An int8 network, emitted by ratti: {given} codes in, {got} out.", 100)
    return f"""# {name}

{what}
`no_std`, no heap, no `unsafe`, no dependencies, Rust {RUST_VERSION} and later.
Make a `{name}::Model`, write `model.{inputs[0].name}()`, call `model.run()`, read `model.{outputs[0].name}()`.
`cargo test` runs it on vectors that ratti's interpreter computed.
"""


def library(
    name: str, plan: Plan, inputs: Sequence[Port], outputs: Sequence[Port], calls: Sequence[str], tables: bool
) -> str:
    """`src/lib.rs`: the calls of the steps, and the types around them; `tables`: whether there are constants."""
    ports = (*inputs, *outputs)
    accessors = [_accessor(p, True) for p in inputs] + [_accessor(p, False) for p in outputs]
    return _LIBRARY.format(
        name=name,
        macs=f"{plan.graph.macs():,}",
        steps=len(plan.steps),
        arena=plan.arena_bytes,
        example="\n".join(f"//! model.{p.name}().fill({p.name.upper()}.quantize(0.0));" for p in inputs),
        result=f"model.{outputs[0].name}()",
        imports=", ".join(["Model", *(p.name.upper() for p in inputs)]),
        tensors="\n".join(_tensor(p) for p in ports),
        numbers=_NUMBERS if any(p.type.dtype is DType.INT32 for p in ports) else "",
        accessors="\n".join(accessors),
        calls="".join(calls),
        modules="#[rustfmt::skip]\nmod constants;\n" if tables else "",
        uses="use constants::*;\n\n" if tables else "",
    )


def _tensor(port: Port) -> str:
    shape = ", ".join(map(str, port.type.shape))
    if port.type.dtype is DType.INT32:
        return f"""pub const {port.name.upper()}: Numbers<{port.type.elements}> = Numbers {{
    shape: &[{shape}],
    offset: {port.offset_bytes},
}};
"""
    scale = str(np.float32(port.type.scale))
    return f"""pub const {port.name.upper()}: Tensor = Tensor {{
    shape: &[{shape}],
    offset: {port.offset_bytes},
    bytes: {port.type.bytes},
    scale: {scale},
    zero_point: {port.type.zero_point},
}};
"""


def _accessor(port: Port, mutable: bool) -> str:
    constant, reference = port.name.upper(), "&mut " if mutable else "&"
    if port.type.dtype is DType.INT32:
        return f"""
    /// The numbers of [`{constant}`].
    pub fn {port.name}(&self) -> [i32; {port.type.elements}] {{
        {constant}.read(&self.arena)
    }}"""
    what = "Where to write the codes of" if mutable else "The codes of"
    slice_ = f"{constant}.codes{'_mut' if mutable else ''}({reference}self.arena)"
    return f"""
    /// {what} [`{constant}`].
    pub fn {port.name}({"&mut " if mutable else "&"}self) -> {reference}[i8; {constant}.bytes] {{
        {slice_}.try_into().unwrap()
    }}"""


_NUMBERS = """/// An output of whole numbers, which lie in the arena with the low byte first.
pub struct Numbers<const N: usize> {
    pub shape: &'static [usize],
    pub offset: usize,
}

impl<const N: usize> Numbers<N> {
    /// Its numbers in `arena`.
    pub fn read(&self, arena: &[i8; ARENA_BYTES]) -> [i32; N] {
        let mut numbers = [0; N];
        for (number, b) in numbers.iter_mut().zip(arena[self.offset..].chunks_exact(4)) {
            *number = i32::from_le_bytes([b[0] as u8, b[1] as u8, b[2] as u8, b[3] as u8]);
        }
        numbers
    }
}

"""

_LIBRARY = """//! {name}: an int8 network, emitted by ratti. {macs} multiply-accumulates in {steps} steps.
//!
//! ```
//! use {name}::{{{imports}}};
//!
//! let mut model = Model::new();
{example}
//! model.run();
//! let codes = {result};
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![allow(clippy::too_many_arguments, clippy::needless_range_loop)]

{modules}mod kernels;
#[rustfmt::skip]
mod steps;

{uses}/// Bytes of memory that [`run`] needs, inputs and outputs included.
pub const ARENA_BYTES: usize = {arena};

{tensors}
/// An input or output: where its codes lie in the arena, and what they mean: real = scale * (code - zero_point).
pub struct Tensor {{
    pub shape: &'static [usize],
    pub offset: usize,
    pub bytes: usize,
    pub scale: f32,
    pub zero_point: i32,
}}

impl Tensor {{
    /// Its codes in `arena`.
    pub fn codes<'a>(&self, arena: &'a [i8; ARENA_BYTES]) -> &'a [i8] {{
        &arena[self.offset..self.offset + self.bytes]
    }}

    /// Its codes in `arena`, to be written.
    pub fn codes_mut<'a>(&self, arena: &'a mut [i8; ARENA_BYTES]) -> &'a mut [i8] {{
        &mut arena[self.offset..self.offset + self.bytes]
    }}

    /// The nearest code, halves away from zero, saturated.
    pub fn quantize(&self, real: f32) -> i8 {{
        let scaled = real / self.scale;
        let whole = scaled as i32; // toward zero, saturated
        let rest = scaled - whole as f32;
        let away = i32::from(rest >= 0.5) - i32::from(rest <= -0.5);
        let code = whole.saturating_add(away).saturating_add(self.zero_point);
        code.clamp(-128, 127) as i8
    }}

    /// The real value of `code`.
    pub fn dequantize(&self, code: i8) -> f32 {{
        (i32::from(code) - self.zero_point) as f32 * self.scale
    }}
}}

{numbers}/// The network with an arena of its own.
pub struct Model {{
    arena: [i8; ARENA_BYTES],
}}

impl Model {{
    pub const fn new() -> Self {{
        Model {{
            arena: [0; ARENA_BYTES],
        }}
    }}
{accessors}

    /// One inference. Overwrites the inputs.
    pub fn run(&mut self) {{
        run(&mut self.arena)
    }}
}}

impl Default for Model {{
    fn default() -> Self {{
        Self::new()
    }}
}}

/// One inference in an arena of yours, which is free for other use between calls. Overwrites the inputs.
#[rustfmt::skip]
pub fn run(arena: &mut [i8; ARENA_BYTES]) {{
{calls}}}
"""
