"""A C program that runs a front end on test vectors and says whether every code is as expected."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..types import Array
from .c import array
from .features import FeatureSources


def emit(sources: FeatureSources, samples: Array, codes: Array) -> Mapping[str, str]:
    """`<name>_features_test.c` for `samples` (N, …) and their `codes`, int8 (N, …): exits with 0 where all are as
    expected.
    """
    name, count = sources.name, len(samples)
    prefix = f"{name.upper()}_FEATURES"
    text = f"""/* Test of {name}_features: {count} vectors, computed by the front end's definition.
   cc -std=c99 -O2 {name}_features.c {name}_features_test.c -o {name}_features_test && ./{name}_features_test */
#include <stdio.h>
#include <string.h>

#include "{name}_features.h"

{array("samples", sources.sample_ctype, samples.reshape(-1))}
{array("wanted", "int8_t", np.ascontiguousarray(codes, np.int8).reshape(-1))}
static int8_t codes[{sources.codes_bytes}];
static int32_t work[({prefix}_WORK_BYTES + 3) / 4];

int main(void)
{{
    int i, failed = 0;
    for (i = 0; i < {count}; ++i) {{
        {name}_features(samples + i * {prefix}_SAMPLES, codes, (int8_t *)work);
        if (memcmp(codes, wanted + i * {sources.codes_bytes}, {sources.codes_bytes}) != 0) {{
            printf("vector %d: the codes differ\\n", i);
            failed = 1;
        }}
    }}
    puts(failed ? "FAILED" : "{count} vectors equal");
    return failed;
}}
"""
    return {f"{name}_features_test.c": text}
