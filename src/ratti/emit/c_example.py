"""One inference in C: what a first program looks like, and whether the codes are those of ratti's interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import Array
from .c import CSources, array, port_macro


def emit(sources: CSources, name: str, inputs: Sequence[Array], outputs: Sequence[Array]) -> Mapping[str, str]:
    """`<name>_example.h` and `<name>_example.c` with `int <name>_example(void)`: how many bytes of the outputs differ.

    No library functions, so that it runs wherever the model does.
    """
    prefix = name.upper()
    tables, writes, reads = [], [], []
    for kind, ports, values in (("input", sources.inputs, inputs), ("output", sources.outputs, outputs)):
        for k, value in enumerate(values):
            symbol, macro = f"{kind}_{k}", port_macro(prefix, kind.upper(), ports, k)
            tables.append(array(symbol, "int8_t", np.ravel(value).view(np.int8)))
            if kind == "input":
                writes += [
                    f"    for (k = 0; k < {macro}_BYTES; ++k)",
                    f"        codes[{macro}_OFFSET + k] = {symbol}[k];",
                ]
            else:
                reads += [
                    f"    for (k = 0; k < {macro}_BYTES; ++k)",
                    f"        differ += codes[{macro}_OFFSET + k] != {symbol}[k];",
                ]
    body = "\n".join([*writes, f"    {name}_run(codes);", *reads])
    guard = f"{prefix}_EXAMPLE_H"
    header = f"""/* One inference of {name} on a test vector. */
#ifndef {guard}
#define {guard}

#ifdef __cplusplus
extern "C" {{
#endif
/* How many bytes of the outputs differ from those that ratti's interpreter computed: 0 where all is well. */
int {name}_example(void);
#ifdef __cplusplus
}}
#endif

#endif
"""
    return {
        f"{name}_example.h": header,
        f"{name}_example.c": f"""#include "{name}_example.h"

#include "{name}.h"

{"".join(tables)}
static int32_t arena[{prefix}_ARENA_BYTES / 4];

int {name}_example(void)
{{
    int8_t *codes = (int8_t *)arena;
    int k, differ = 0;
{body}
    return differ;
}}
""",
    }
