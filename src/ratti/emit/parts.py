"""What a project for a build system is made from, and what several of them hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..types import Array
from . import c_example
from .c import CSources
from .rust import RustCrate


@dataclass(frozen=True)
class Parts:
    """A model's sources and one test vector: an input's codes for each input, the interpreter's for each output."""

    name: str
    sources: CSources | RustCrate
    inputs: Sequence[Array]
    outputs: Sequence[Array]

    @property
    def c(self) -> CSources:
        assert isinstance(self.sources, CSources)
        return self.sources

    @property
    def header(self) -> str:
        """The text of `<name>.h`."""
        return self.c.files[f"{self.name}.h"]

    @property
    def source(self) -> str:
        """The text of `<name>.c`."""
        return self.c.files[f"{self.name}.c"]

    def example(self, folder: str) -> dict[str, str]:
        """`<name>_example.h` and `.c`, which run the vector, in `folder`."""
        files = c_example.emit(self.c, self.name, self.inputs, self.outputs)
        return {f"{folder}/{path}": text for path, text in files.items()}


@dataclass(frozen=True)
class Prebuilt:
    """A shared library to be compiled from C `sources` for an Android `abi`, and its place in the project."""

    path: str
    abi: str
    sources: Mapping[str, str]


def main(name: str, function: str = "int main(void)", prints: str = "printf", include: str = "<stdio.h>") -> str:
    """A program that runs the example once and says how it went; 0 where all codes are as expected."""
    return f"""#include {include}

#include "{name}_example.h"

{function}
{{
    const int differ = {name}_example();
    {prints}(differ ? "{name}: %d codes differ\\n" : "{name}: the test vector is equal\\n", differ);
    {"return differ != 0;" if function.startswith("int") else ""}
}}
""".replace("    \n}", "}")
