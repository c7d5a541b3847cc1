"""A PlatformIO project: the model as a library in `lib`, and the example as the program."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..parts import Parts, main

LANGUAGE = "c"
BUILD = ("pio run -e native -t exec",)


def files(parts: Parts) -> Mapping[str, str]:
    name = parts.name
    return {
        "platformio.ini": _SETTINGS.format(name=name),
        f"lib/{name}/library.json": json.dumps(_library(name), indent=2) + "\n",
        f"lib/{name}/include/{name}.h": parts.header,
        f"lib/{name}/src/{name}.c": parts.source,
        "src/main.c": main(name),
        **parts.example("src"),
    }


def _library(name: str) -> dict[str, object]:
    return {
        "name": name,
        "version": "0.1.0",
        "description": "An int8 neural network, emitted by ratti",
        "frameworks": "*",
        "platforms": "*",
        # The kernels rely on the optimizer: sizes are constants of calls that are inlined.
        "build": {"unflags": ["-Os", "-O0"], "flags": ["-O2"]},
    }


_SETTINGS = """; {name} on this computer: pio run -e native -t exec
; On a board, add its environment beside this one (https://docs.platformio.org/en/latest/boards), and call
; {name}_example() from setup() where its framework has no main.
[platformio]
default_envs = native

[env:native]
platform = native
build_flags = -O2
"""
