"""A CMake project: the model as a static library, and the example as a test."""

from __future__ import annotations

from collections.abc import Mapping

from ..parts import Parts, main

LANGUAGE = "c"
BUILD = ("cmake -B build", "cmake --build build", "ctest --test-dir build")


def files(parts: Parts) -> Mapping[str, str]:
    name = parts.name
    return {
        "CMakeLists.txt": _LISTS.format(name=name),
        f"include/{name}.h": parts.header,
        f"src/{name}.c": parts.source,
        "example/main.c": main(name),
        **parts.example("example"),
    }


_LISTS = """cmake_minimum_required(VERSION 3.13)
project({name} C)

# The kernels rely on the optimizer: sizes are constants of calls that are inlined.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library({name} STATIC src/{name}.c)
target_include_directories({name} PUBLIC include)
set_target_properties({name} PROPERTIES C_STANDARD 99)

# Only where this is the project itself, not a part of yours (add_subdirectory).
if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
  enable_testing()
  add_executable({name}_example example/main.c example/{name}_example.c)
  target_link_libraries({name}_example PRIVATE {name})
  add_test(NAME {name}_example COMMAND {name}_example)
endif()
"""
