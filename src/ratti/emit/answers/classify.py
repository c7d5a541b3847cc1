"""The class with the largest code, and the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping

from ...graph.ir import Graph
from . import Answer, ends


def answer(name: str, graph: Graph, classes: list[str], settings: Mapping[str, float]) -> Answer | None:
    found, macro = ends(graph), f"{name.upper()}_CLASSES"
    if found is None or found[0].elements != len(classes):
        return None
    names = ",\n".join(f"    {_quoted(c)}" for c in classes)
    return Answer(f"""
#define {macro} {len(classes)}
extern const char *const {name}_class_names[{macro}]; /* UTF-8 */

/* The class with the largest code, of equal ones the first; `output` is arena + {name.upper()}_OUTPUT_OFFSET. */
int32_t {name}_class(const int8_t *output);
""", f"""
const char *const {name}_class_names[{macro}] = {{
{names},
}};

int32_t {name}_class(const int8_t *output)
{{
    int32_t best = 0, k;
    for (k = 1; k < {macro}; ++k) {{
        best = output[k] > output[best] ? k : best;
    }}
    return best;
}}
""")


def _quoted(text: str) -> str:
    """A C string; what is not plain in octal, which ends after three digits."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\\\?' else f"\\{b:03o}" for b in text.encode()) + '"'
