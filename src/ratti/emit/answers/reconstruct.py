"""The anomaly score: the squared differences of input and output, in fixed point (`data.goals.reconstruct`).

With reals r = scale (code - zero point), the mean squared difference over N elements is above a threshold T where the
sum of (m_out (c_out - z_out) - m_in (c_in - z_in))^2 is above T N 4^k, with m = round(scale 2^k). k is such that the
larger m has 15 bits: a difference then has 24 bits, its square 48, and the sum of 2^15 elements fits in 64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...graph.ir import Graph
from ...types import TensorType
from . import Answer, ends

BITS = 15
MOST_ELEMENTS = 1 << 15
THRESHOLD = "threshold"  # what `settings` call it


@dataclass(frozen=True)
class Scale:
    """Multipliers of the codes of output and input, and what a sum is in units of the mean squared difference."""

    output: int
    input: int
    unit: float  # of the mean, for one in the sum

    @classmethod
    def of(cls, output: TensorType, input: TensorType) -> Scale:
        shift = BITS - math.frexp(max(output.scale, input.scale))[1]
        factor = math.ldexp(1.0, shift)
        return cls(round(output.scale * factor), round(input.scale * factor), 1 / (factor * factor * output.elements))


def answer(name: str, graph: Graph, classes: list[str], settings: Mapping[str, float]) -> Answer | None:
    found = ends(graph)
    if found is None or found[0].elements != found[1].elements or found[0].elements > MOST_ELEMENTS:
        return None
    output, image = found
    scale, prefix = Scale.of(output, image), name.upper()
    limit = settings.get(THRESHOLD)
    bound = "" if limit is None else (f"\n#define {prefix}_THRESHOLD {round(limit / scale.unit)}ull "
                                      f"/* {limit:.6g}, the one with the highest balanced accuracy on validation */")
    return Answer(f"""
#define {prefix}_SCORE_UNIT {scale.unit!r} /* times a score: the mean squared difference of the real values */{bound}

/* How far `output`, arena + {prefix}_OUTPUT_OFFSET, is from `input`: above a threshold, `input` is an anomaly.
   Running the model overwrites its input: keep a copy of the codes. */
uint64_t {name}_score(const int8_t *input, const int8_t *output);
""", f"""
uint64_t {name}_score(const int8_t *input, const int8_t *output)
{{
    uint64_t sum = 0;
    int32_t k;
    for (k = 0; k < {output.elements}; ++k) {{
        const int32_t gap = (output[k] - ({output.zero_point})) * {scale.output}
            - (input[k] - ({image.zero_point})) * {scale.input};
        const uint32_t size = (uint32_t)(gap < 0 ? -gap : gap);
        sum += (uint64_t)size * size;
    }}
    return sum;
}}
""")
