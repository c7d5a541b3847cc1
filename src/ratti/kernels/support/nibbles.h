#include "multiply.h"

/* The 4-bit code at `index` among codes two to a byte, the first in the low half. */
RATTI_INLINE int32_t ratti_nibble(const uint8_t *codes, int32_t index)
{
    const int32_t half = codes[index >> 1] >> (index & 1) * 4 & 15;
    return (half ^ 8) - 8;
}
