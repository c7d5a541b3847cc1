"""The C function of a stream: a loop over bands, with the rows of each band in one table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..plan import Plan, Step, Stream
from ..types import Array

HEADER = "support/stream.h"


class Rows(NamedTuple):
    """The table: a line for each band and one before the first; by step the rows done, by window its first row."""

    ctype: str
    data: Array  # (bands + 1, width)


@dataclass(frozen=True)
class Loop:
    """The text of a stream's function, given its steps' calls."""

    plan: Plan
    stream: Stream

    @property
    def rows(self) -> Rows:
        ends = [list(e) for e in self.stream.ends]
        firsts = [[w.first[0], *w.first] for w in self.stream.windows.values()]
        data = np.array([*ends, *firsts], np.int64).T
        small = data.min() >= -128 and data.max() <= 127
        return Rows("int8_t" if small else "int16_t", data)

    def place(self, name: str) -> str:
        """The address of row 0 of a value, as if the value were whole."""
        window = self.stream.windows.get(name)
        if window is None:
            return f"arena + {self.plan.offsets[name]}"
        return f"arena + ({self.plan.offsets[name]} - next[{self._column(name)}] * {window.row_bytes})"

    def range(self, step: Step) -> tuple[str, str]:
        k = self._step(step.output)
        return f"rows[{k}]", f"next[{k}]"

    def may_be_empty(self, step: Step) -> bool:
        ends = self.stream.ends[self._step(step.output)]
        return any(a == b for a, b in pairwise(ends))

    def text(self, name: str, table: str, calls: list[str], parameters: str) -> str:
        """The function; `calls` as they stand in the body of the loop."""
        rows = self.rows
        slides = [self._slide(w) for w, window in self.stream.windows.items() if window.slides]
        return "\n".join(
            [
                f"static RATTI_NOINLINE void {name}({parameters})",
                "{",
                f"    const {rows.ctype} *rows = {table}, *next;",
                f"    for (; rows < {table} + {self.stream.bands * rows.data.shape[1]}; rows = next) {{",
                f"        next = rows + {rows.data.shape[1]};",
                *slides,
                *calls,
                "    }",
                "}\n",
            ]
        )

    def _slide(self, name: str) -> str:
        window, column = self.stream.windows[name], self._column(name)
        place, done = self.plan.offsets[name], self._step(name)
        return (
            f"        ratti_slide(arena + {place}, {window.row_bytes}, rows[{column}], next[{column}], rows[{done}]);"
        )

    def _step(self, output: str) -> int:
        """The column of the rows that a step has done."""
        outputs = [s.output for s in self.plan.steps[self.stream.begin : self.stream.end]]
        return outputs.index(output)

    def _column(self, name: str) -> int:
        """The column of the first row of a window."""
        return len(self.stream.ends) + list(self.stream.windows).index(name)
