"""A C++17 program that runs a model on test vectors and says whether every code is as expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import Array
from .c import CSources, array
from .cpp import names


def emit(
    sources: CSources, name: str, inputs: Sequence[Sequence[Array]], outputs: Sequence[Sequence[Array]]
) -> Mapping[str, str]:
    """`<name>_test.cpp`: exits with 0 where all outputs are equal, with 1 otherwise. One vector per inference."""
    tables, copies, compares = [], [], []
    for kind, ports, rows in (("input", sources.inputs, inputs), ("output", sources.outputs, outputs)):
        for k, accessor in enumerate(names(kind, ports)):
            data = np.concatenate([np.ravel(row[k]) for row in rows])
            tables.append(array(f"{kind}_{k}", "int8_t", data).replace("const int8_t", "const std::int8_t", 1))
            codes, vector = f"model.{accessor}()", f"{kind}_{k} + i * {ports[k].type.bytes}"
            if kind == "input":
                copies.append(f"        std::copy_n({vector}, {codes}.size(), {codes}.begin());")
            else:
                compares += [
                    f"        if (!std::equal({codes}.begin(), {codes}.end(), {vector})) {{",
                    f'            std::printf("vector %d: {accessor} differs\\n", i);',
                    "            failed = 1;",
                    "        }",
                ]
    lines = [
        f"/* Test of {name}: {len(inputs)} vectors, computed by ratti's interpreter.",
        f"   cc -O2 -c {name}.c && c++ -std=c++17 -O2 {name}_test.cpp {name}.o -o {name}_test && ./{name}_test */",
        "#include <algorithm>",
        "#include <cstdio>",
        "",
        f'#include "{name}.hpp"',
        "",
        *tables,
        f"static ratti::{name}::Model model;",
        "",
        "int main()",
        "{",
        "    int failed = 0;",
        f"    for (int i = 0; i < {len(inputs)}; ++i) {{",
        *copies,
        "        model.run();",
        *compares,
        "    }",
        f'    std::puts(failed ? "FAILED" : "{len(inputs)} vectors equal");',
        "    return failed;",
        "}",
        "",
    ]
    return {f"{name}_test.cpp": "\n".join(lines)}
