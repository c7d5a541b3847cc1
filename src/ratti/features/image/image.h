#include "../../kernels/support/compiler.h"

/* One row of a picture, from a whole frame: means of areas, rounded. __init__.py is its definition.

   rows, columns: the frame's rows and columns that each row and column of the picture covers. reciprocals: 2^24 over the
   pixels of an area, by its rows (from low_y) and its columns (from low_x). format: 0 gray, 1 RGB, 2 RGB565 with the high
   byte first, 3 with the low byte first. */
typedef struct {
    uint16_t first, count;
} ratti_span;

typedef struct {
    int32_t width, format, columns, channels, low_y, low_x, counts_x;
} ratti_image_sizes;

RATTI_INLINE void ratti_image(const uint8_t *frame, int32_t row, int16_t *values, const ratti_span *rows,
                              const ratti_span *columns, const uint32_t *reciprocals, const ratti_image_sizes s)
{
    const int32_t pixel = s.format == 0 ? 1 : s.format == 1 ? 3 : 2;
    const ratti_span down = rows[row];
    int32_t column;
    for (column = 0; column < s.columns; ++column) {
        const ratti_span across = columns[column];
        const uint32_t share = reciprocals[(down.count - s.low_y) * s.counts_x + across.count - s.low_x];
        const uint8_t *line = frame + (down.first * s.width + across.first) * pixel;
        uint32_t red = 0, green = 0, blue = 0;
        int32_t y, x;
        for (y = 0; y < down.count; ++y) {
            const uint8_t *p = line;
            for (x = 0; x < across.count; ++x) {
                if (s.format == 0) {
                    red += p[0];
                } else if (s.format == 1) {
                    red += p[0];
                    green += p[1];
                    blue += p[2];
                } else {
                    const uint32_t high = p[s.format == 2 ? 0 : 1], low = p[s.format == 2 ? 1 : 0];
                    const uint32_t word = high << 8 | low, g = (word >> 5) & 63u, b = word & 31u;
                    red += (word >> 11) << 3 | word >> 13;
                    green += g << 2 | g >> 4;
                    blue += b << 3 | b >> 2;
                }
                p += pixel;
            }
            line += s.width * pixel;
        }
        red = (red * share + (1u << 23)) >> 24;
        if (s.format == 0) {
            *values++ = (int16_t)red;
            continue;
        }
        green = (green * share + (1u << 23)) >> 24;
        blue = (blue * share + (1u << 23)) >> 24;
        if (s.channels == 1) {
            *values++ = (int16_t)((red * 77u + green * 150u + blue * 29u + 128u) >> 8);
        } else {
            *values++ = (int16_t)red;
            *values++ = (int16_t)green;
            *values++ = (int16_t)blue;
        }
    }
}
