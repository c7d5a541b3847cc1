"""A Zephyr module, and the example as an application that uses it."""

from __future__ import annotations

from collections.abc import Mapping

from ..parts import Parts, main

LANGUAGE = "c"
BUILD = ("west build -b BOARD example", "west flash")


def files(parts: Parts) -> Mapping[str, str]:
    name, option = parts.name, parts.name.upper()
    return {
        "zephyr/module.yml": f"name: {name}\nbuild:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\n",
        "zephyr/Kconfig": f'config {option}\n\tbool "{name}, an int8 neural network"\n',
        "zephyr/CMakeLists.txt": _MODULE.format(name=name, option=option),
        f"include/{name}.h": parts.header,
        f"src/{name}.c": parts.source,
        "example/CMakeLists.txt": _APPLICATION.format(name=name),
        "example/prj.conf": f"CONFIG_{option}=y\nCONFIG_PRINTK=y\n",
        "example/src/main.c": main(name, "int main(void)", "printk", "<zephyr/sys/printk.h>"),
        **parts.example("example/src"),
    }


_MODULE = """if(CONFIG_{option})
  zephyr_include_directories(../include)
  zephyr_library()
  zephyr_library_sources(../src/{name}.c)
  # The kernels rely on the optimizer: sizes are constants of calls that are inlined.
  zephyr_library_compile_options(-O2)
endif()
"""

_APPLICATION = """cmake_minimum_required(VERSION 3.20.0)
list(APPEND ZEPHYR_EXTRA_MODULES ${{CMAKE_CURRENT_SOURCE_DIR}}/..)
find_package(Zephyr REQUIRED HINTS $ENV{{ZEPHYR_BASE}})
project({name}_example C)
target_sources(app PRIVATE src/main.c src/{name}_example.c)
"""
