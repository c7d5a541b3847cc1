"""An ESP-IDF project: the model as a component, and the example as the application."""

from __future__ import annotations

from collections.abc import Mapping

from ..parts import Parts, main

LANGUAGE = "c"
BUILD = ("idf.py set-target esp32c3", "idf.py build flash monitor")


def files(parts: Parts) -> Mapping[str, str]:
    name = parts.name
    component = f"components/{name}"
    return {
        "CMakeLists.txt": _PROJECT.format(name=name),
        "main/CMakeLists.txt": (
            f'idf_component_register(SRCS "main.c" "{name}_example.c" INCLUDE_DIRS "." PRIV_REQUIRES {name})\n'
        ),
        "main/main.c": main(name, "void app_main(void)"),
        **parts.example("main"),
        f"{component}/CMakeLists.txt": _COMPONENT.format(name=name),
        f"{component}/idf_component.yml": 'version: "0.1.0"\ndescription: An int8 neural network, emitted by ratti\n',
        f"{component}/include/{name}.h": parts.header,
        f"{component}/{name}.c": parts.source,
    }


_PROJECT = """cmake_minimum_required(VERSION 3.16)
include($ENV{{IDF_PATH}}/tools/cmake/project.cmake)
project({name}_example)
"""

_COMPONENT = """idf_component_register(SRCS "{name}.c" INCLUDE_DIRS "include")
# The kernels rely on the optimizer: sizes are constants of calls that are inlined.
target_compile_options(${{COMPONENT_LIB}} PRIVATE -O2)
"""
