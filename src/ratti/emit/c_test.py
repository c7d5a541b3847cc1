"""A C program that runs a model on test vectors and says whether every code is as expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import Array
from .c import CSources, array, port_macro


def emit(
    sources: CSources, name: str, inputs: Sequence[Sequence[Array]], outputs: Sequence[Sequence[Array]]
) -> Mapping[str, str]:
    """`<name>_test.c`: exits with 0 where all outputs are equal, with 1 otherwise. One vector per inference."""
    prefix, count = name.upper(), len(inputs)
    apart = sources.weights is not None
    units = f"{name}.c {name}_weights.c {name}_test.c" if apart else f"{name}.c {name}_test.c"
    lines = [
        f"/* Test of {name}: {count} vectors, computed by ratti's interpreter.",
        f"   cc -std=c99 -O2 {units} -o {name}_test && ./{name}_test */",
        "#include <stdio.h>",
        "#include <string.h>",
        "",
        f'#include "{name}.h"',
        "",
    ]
    copies, compares = [], []
    for kind, ports, rows in (("input", sources.inputs, inputs), ("output", sources.outputs, outputs)):
        for k, port in enumerate(ports):
            symbol = f"{kind}_{k}"
            data = np.stack([np.ravel(row[k]) for row in rows]).ravel().view(np.int8)
            lines.append(array(symbol, "int8_t", data))
            m = port_macro(prefix, kind.upper(), ports, k)
            place = f"(int8_t *)arena + {m}_OFFSET"
            if kind == "input":
                copies.append(f"        memcpy({place}, {symbol} + i * {m}_BYTES, {m}_BYTES);")
            else:
                compares += [
                    f"        if (memcmp({place}, {symbol} + i * {m}_BYTES, {m}_BYTES) != 0) {{",
                    f'            printf("vector %d: output {port.name} differs\\n", i);',
                    "            failed = 1;",
                    "        }",
                ]
    lines += [
        f"static int32_t arena[{prefix}_ARENA_BYTES / 4];",
        *([f"extern const uint64_t {name}_block[];"] if apart else []),
        "",
        "int main(void)",
        "{",
        "    int i, failed = 0;",
        *(_opened(name) if apart else []),
        f"    for (i = 0; i < {count}; ++i) {{",
        *copies,
        f"        {name}_run((int8_t *)arena{', weights' if apart else ''});",
        *compares,
        "    }",
        f'    puts(failed ? "FAILED" : "{count} vectors equal");',
        "    return failed;",
        "}",
        "",
    ]
    return {f"{name}_test.c": "\n".join(lines)}


def _opened(name: str) -> list[str]:
    return [
        f"    const {name}_weights *weights;",
        f"    const int status = {name}_open({name}_block, {name.upper()}_WEIGHTS_BYTES, &weights);",
        f"    if (status != {name.upper()}_OK) {{",
        '        printf("the weights are refused: %d\\n", status);',
        "        return 1;",
        "    }",
    ]
