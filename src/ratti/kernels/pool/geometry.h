#include "../support/core.h"

typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t low, high;
} ratti_pool;

/* First and last + 1 tap of a window that lie inside the input. */
RATTI_INLINE int32_t ratti_pool_first(int32_t start)
{
    return start < 0 ? -start : 0;
}

RATTI_INLINE int32_t ratti_pool_last(int32_t start, int32_t taps, int32_t size)
{
    return start + taps > size ? size - start : taps;
}
