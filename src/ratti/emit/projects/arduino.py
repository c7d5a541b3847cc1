"""An Arduino library in the layout of library specification 1.5 and later, with an example sketch."""

from __future__ import annotations

from collections.abc import Mapping

from ..parts import Parts

LANGUAGE = "c"
BUILD = (
    "copy this folder into the sketchbook's libraries folder",
    "File > Examples > {name} > {name}_example, then Upload",
)


def files(parts: Parts) -> Mapping[str, str]:
    name = parts.name
    sketch = f"examples/{name}_example"
    return {
        "library.properties": _PROPERTIES.format(name=name),
        "keywords.txt": f"{name}_run\tKEYWORD2\n{name.upper()}_ARENA_BYTES\tLITERAL1\n",
        f"src/{name}.h": parts.header,
        f"src/{name}.c": parts.source,
        f"{sketch}/{name}_example.ino": _SKETCH.format(name=name),
        **parts.example(sketch),
    }


# https://arduino.github.io/arduino-cli/latest/library-specification
_PROPERTIES = """name={name}
version=0.1.0
author=ratti
maintainer=ratti
sentence=An int8 neural network as plain C.
paragraph=No heap, no interpreter, no floating point. Emitted by ratti.
category=Data Processing
url=
architectures=*
includes={name}.h
"""

_SKETCH = """#include <{name}.h>

#include "{name}_example.h"

void setup()
{{
    Serial.begin(115200);
    while (!Serial) {{
    }}
    const unsigned long start = micros();
    const int differ = {name}_example();
    const unsigned long taken = micros() - start;
    Serial.print(differ ? "{name}: codes differ: " : "{name}: the test vector is equal: ");
    Serial.print(differ);
    Serial.print(", microseconds: ");
    Serial.println(taken);
}}

void loop()
{{
}}
"""
