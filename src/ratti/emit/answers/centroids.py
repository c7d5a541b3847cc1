"""Centers of objects: neighboring cells of one class are one object, in their middle (`data.goals.centroids`)."""

from __future__ import annotations

from collections.abc import Mapping

from ...graph.ir import Graph
from . import Answer, ends

CELL = 8  # pixels of an input


def answer(name: str, graph: Graph, classes: list[str], settings: Mapping[str, float]) -> Answer | None:
    found = ends(graph)
    if found is None:
        return None
    output, image = found
    rows, columns = -(-image.shape[1] // CELL), -(-image.shape[2] // CELL)
    cells = rows * columns
    if len(classes) > 255 or output.elements != cells * len(classes):
        return None
    return Answer(f"""
typedef struct {{
    int16_t row, column; /* pixels of the input */
    int16_t kind; /* a class from 1 on: 0 is the background */
}} {name}_center;

/* Objects in `output`, arena + {name.upper()}_OUTPUT_OFFSET: at most `room` of them into `centers`; gives how many
   there are, which may be more. They come in the order of their first cells, row by row. Takes {3 * cells:,} bytes
   of stack. */
int32_t {name}_centers(const int8_t *output, {name}_center *centers, int32_t room);
""", f"""
enum {{ ROWS = {rows}, COLUMNS = {columns}, CELL = {CELL}, KINDS = {len(classes)} }};

int32_t {name}_centers(const int8_t *output, {name}_center *centers, int32_t room)
{{
    uint8_t kinds[ROWS * COLUMNS]; /* 0: background, or counted already */
    uint16_t todo[ROWS * COLUMNS];
    int32_t cell, k, count = 0;
    for (cell = 0; cell < ROWS * COLUMNS; ++cell, output += KINDS) {{
        int32_t best = 0;
        for (k = 1; k < KINDS; ++k) {{
            best = output[k] > output[best] ? k : best;
        }}
        kinds[cell] = (uint8_t)best;
    }}
    for (cell = 0; cell < ROWS * COLUMNS; ++cell) {{
        const uint8_t kind = kinds[cell];
        int32_t first = 0, last = 0, down = 0, right = 0;
        if (kind == 0) {{
            continue;
        }}
        todo[last++] = (uint16_t)cell;
        kinds[cell] = 0;
        while (first < last) {{
            const int32_t row = todo[first] / COLUMNS, column = todo[first] % COLUMNS;
            int32_t r, c;
            first += 1;
            down += row;
            right += column;
            for (r = row > 0 ? row - 1 : 0; r <= row + 1 && r < ROWS; ++r) {{
                for (c = column > 0 ? column - 1 : 0; c <= column + 1 && c < COLUMNS; ++c) {{
                    if (kinds[r * COLUMNS + c] == kind) {{
                        kinds[r * COLUMNS + c] = 0;
                        todo[last++] = (uint16_t)(r * COLUMNS + c);
                    }}
                }}
            }}
        }}
        if (count < room) {{
            centers[count].row = (int16_t)(CELL * down / last + CELL / 2);
            centers[count].column = (int16_t)(CELL * right / last + CELL / 2);
            centers[count].kind = kind;
        }}
        count += 1;
    }}
    return count;
}}
""")
