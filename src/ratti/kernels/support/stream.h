#include "core.h"

/* A window of rows moves on: its buffer began with row `from` and is to begin with row `first`; rows up to `end` are in
   it. */
static RATTI_NOINLINE void ratti_slide(int8_t *window, int32_t row_bytes, int32_t from, int32_t first, int32_t end)
{
    if (first > from && end > first) {
        ratti_move(window, window + (first - from) * row_bytes, (size_t)((end - first) * row_bytes));
    }
}
