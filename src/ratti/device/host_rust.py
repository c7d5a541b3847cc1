"""A Rust crate on this computer, in a process of its own that takes inputs and gives outputs through pipes."""

from __future__ import annotations

import os
import shutil
import subprocess
import weakref
from collections.abc import Sequence
from functools import cache as memoize
from pathlib import Path

import numpy as np

from ..emit._crate import EDITION
from ..emit.rust import RustCrate
from ..errors import EmulationError, ToolchainError
from ..types import Array
from . import cache, toolchain


class RustModel:
    """A crate, compiled with `RUSTC` or the `rustc` of the path, and running until it is closed, left as a context, or
    collected."""

    def __init__(self, crate: RustCrate, flags: Sequence[str] = ("-O",)) -> None:
        self._crate = crate
        command = [build_executable(crate, flags)]
        self._process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1)
        self._end = weakref.finalize(self, _end, self._process)

    def __enter__(self) -> RustModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, values: Sequence[Array]) -> list[Array]:
        """One inference: an array with as many bytes as its port for each input; the outputs' bytes as uint8."""
        assert self._process.stdin is not None and self._process.stdout is not None
        data = b"".join(np.ascontiguousarray(value).tobytes() for value in values)
        want = sum(p.type.bytes for p in self._crate.inputs)
        if len(data) != want:
            raise ValueError(f"inputs of {len(data)} bytes where the crate takes {want}")
        sizes = [p.type.bytes for p in self._crate.outputs]
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()
        result = self._process.stdout.read(sum(sizes))
        if len(result) != sum(sizes):
            self._died()
        return list(np.split(np.frombuffer(result, np.uint8), np.cumsum(sizes)[:-1]))

    def close(self) -> None:
        """End the process."""
        self._end()

    def _died(self) -> None:
        _, said = self._process.communicate()
        raise EmulationError(f"the crate '{self._crate.name}' ended:\n{toolchain.short(said.decode(errors='replace'))}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def build_executable(crate: RustCrate, flags: Sequence[str] = ("-O",)) -> Path:
    """A program that reads the inputs of one inference after the other and writes their outputs, cached by content.

    `flags` go to the compilation of the crate. ToolchainError where the compiler refuses, or there is none.
    """
    files = {**crate.files, "main.rs": _main(crate)}
    common = ["--edition", EDITION, "-C", "debuginfo=0"]
    library = [*common, *flags, "--crate-type", "rlib", "--crate-name", crate.name, "src/lib.rs"]
    program = [*common, "--extern", f"{crate.name}=lib{crate.name}.rlib", "main.rs", "-o", "program"]

    def make(work: Path) -> None:
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text, encoding="utf-8")
        for arguments in (library, program):
            result = subprocess.run([compiler(), *arguments], cwd=work, capture_output=True, text=True, check=False)
            if result.returncode:
                raise ToolchainError(f"rustc refused the crate:\n{toolchain.short(result.stderr)}")

    key = cache.key({"compiler": version(compiler()), "arguments": [library, program], "sources": files})
    return cache.publish("rust", key, make, "program") / "program"


def compiler() -> str:
    """The Rust compiler, by cargo's rule. ToolchainError where there is none."""
    name = os.environ.get("RUSTC", "rustc")
    if shutil.which(name) is None:
        raise ToolchainError(f"no Rust compiler '{name}': install rustc from your system's packages or with rustup")
    return name


@memoize
def version(compiler: str) -> str:
    return subprocess.run([compiler, "-vV"], capture_output=True, text=True, check=False).stdout


def _main(crate: RustCrate) -> str:
    writes = [f"        fill(model.{p.name}(), &mut codes);" for p in crate.inputs]
    reads = [
        f"        result.extend(model.{p.name}().iter().flat_map(|code| code.to_le_bytes()));" for p in crate.outputs
    ]
    return _MAIN.format(
        name=crate.name,
        size=sum(p.type.bytes for p in crate.inputs),
        writes="\n".join(writes),
        reads="\n".join(reads),
    )


_MAIN = """use std::io::{{Read, Write}};

fn fill(slot: &mut [i8], codes: &mut std::slice::Iter<u8>) {{
    slot.fill_with(|| *codes.next().unwrap() as i8);
}}

fn main() -> std::io::Result<()> {{
    let mut model = Box::new({name}::Model::new());
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut sample, mut result) = (vec![0u8; {size}], Vec::<u8>::new());
    while input.read_exact(&mut sample).is_ok() {{
        let mut codes = sample.iter();
{writes}
        model.run();
        result.clear();
{reads}
        output.write_all(&result)?;
        output.flush()?;
    }}
    Ok(())
}}
"""
