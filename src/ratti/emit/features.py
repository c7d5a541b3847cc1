"""C99 of a front end: samples in, the codes of the net's input out. Beside the model's files, not inside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..features import Codes, FrontEnd
from ..features import source as feature_source
from ..features.base import Program as Steps
from ..features.base import Table
from ..kernels import source as kernel_source
from .c import array

COMPILER = "support/compiler.h"


@dataclass(frozen=True)
class FeatureSources:
    """What was emitted: the program's files, and what it needs. Sizes in bytes."""

    name: str
    files: Mapping[str, str]
    samples_bytes: int  # of one input
    step_bytes: int  # of the samples that one step takes
    codes_bytes: int
    work_bytes: int
    sample_ctype: str


def emit(front_end: FrontEnd, codes: Codes, name: str) -> FeatureSources:
    """`<name>_features.h` and `<name>_features.c`."""
    program = front_end.program()
    values_bytes = aligned(2 * program.step_values)
    work_bytes = values_bytes + aligned(program.scratch_bytes)
    codes_bytes = program.steps * program.step_values
    text = "\n".join([
        f'#include "{name}_features.h"\n',
        _plain(kernel_source(COMPILER)),
        *(_plain(feature_source(header)) for header in _headers(program.header)),
        _tables(program, codes, name),
        _functions(front_end, program, codes, name, values_bytes),
    ])
    files = {f"{name}_features.h": _header(front_end, program, name, work_bytes), f"{name}_features.c": text}
    sample_bytes = front_end.sample_type.bytes
    return FeatureSources(name, files, sample_bytes * front_end.samples, sample_bytes * program.step_samples,
                          codes_bytes, work_bytes, ctype(front_end))


def aligned(size_bytes: int) -> int:
    """The next multiple of 4."""
    return -(-size_bytes // 4) * 4


def ctype(front_end: FrontEnd) -> str:
    """The C type of a sample."""
    return f"{front_end.sample_type.value}_t"


def _one_shift(codes: Codes) -> bool:
    return len(set(codes.shift)) == 1


def _plain(header: str) -> str:
    return re.sub(r'#include "[^"]+"\n+', "", header)


def _headers(header: str) -> list[str]:
    """A front end's header behind those of this folder that it includes."""
    shared = re.findall(r'#include "\.\./(\w+\.h)"', feature_source(header))
    return [*shared, header]


def _tables(program: Steps, codes: Codes, name: str) -> str:
    own = {"multipliers": codes.multiplier, "biases": codes.bias}
    own |= {} if _one_shift(codes) else {"shifts": codes.shift}
    tables = (*program.tables, *(Table(k, "int32_t", np.array(v)) for k, v in own.items()))
    return "\n".join(array(f"{name}_{t.name}", t.ctype, t.data) for t in tables)


def _functions(front_end: FrontEnd, program: Steps, codes: Codes, name: str, values_bytes: int) -> str:
    struct, fields = program.sizes
    sizes = ", ".join(f".{k} = {v}" for k, v in fields.items())
    arguments = ["samples", *(["step"] if not program.hop_samples else []), "values"]
    arguments += [f"{name}_{t.name}" for t in program.tables]
    arguments += [f"work + {values_bytes}"] if program.scratch_bytes else []
    channel = "0" if len(codes.multiplier) == 1 else f"i % {len(codes.multiplier)}"
    shift = str(codes.shift[0]) if _one_shift(codes) else f"{name}_shifts[{channel}]"
    own, sample = program.step_values, ctype(front_end)
    at = f"samples + step * {program.hop_samples}" if program.hop_samples else "samples"
    return f"""void {name}_features_step(const {sample} *samples, int32_t step, int8_t *codes, int8_t *work)
{{
    static const {struct} sizes = {{{sizes}}};
    int16_t *values = (int16_t *)(void *)work;
    int32_t i;
    {program.function}({', '.join(arguments)}, sizes);
    codes += step * {own};
    for (i = 0; i < {own}; ++i) {{
        const int32_t code = (values[i] * {name}_multipliers[{channel}] + {name}_biases[{channel}]) >> {shift};
        codes[i] = (int8_t)(code < -128 ? -128 : code > 127 ? 127 : code);
    }}
}}

void {name}_features(const {sample} *samples, int8_t *codes, int8_t *work)
{{
    int32_t step;
    for (step = 0; step < {program.steps}; ++step) {{
        {name}_features_step({at}, step, codes, work);
    }}
}}
"""


def _header(front_end: FrontEnd, program: Steps, name: str, work_bytes: int) -> str:
    prefix, sample = f"{name.upper()}_FEATURES", ctype(front_end)
    how = (f"""Or step by step while samples come in: step k takes
   {program.step_samples} samples from sample k * {program.hop_samples} on, and all {program.steps} fill the codes.
  """ if program.hop_samples else f"""Step k gives row k of {program.steps}, from all samples.
  """)
    return f"""/* {name}: what the sensor gives, to the codes of the net's input. Emitted by ratti; whole numbers only.

   All at once: {name}_features(samples, codes, work). {how} `codes` is the net's input in its arena.
   `work` is aligned to 4 bytes and free between steps; it may lie in the part of the arena beside the input. */
#ifndef {prefix}_H
#define {prefix}_H

#include <stdint.h>

#define {prefix}_SAMPLES {front_end.samples}
#define {prefix}_STEPS {program.steps}
#define {prefix}_STEP_SAMPLES {program.step_samples}
#define {prefix}_HOP_SAMPLES {program.hop_samples}
#define {prefix}_WORK_BYTES {work_bytes}

#ifdef __cplusplus
extern "C" {{
#endif
void {name}_features(const {sample} *samples, int8_t *codes, int8_t *work);
void {name}_features_step(const {sample} *samples, int32_t step, int8_t *codes, int8_t *work);
#ifdef __cplusplus
}}
#endif

#endif
"""
