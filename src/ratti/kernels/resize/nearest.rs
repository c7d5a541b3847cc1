//! Resize by the nearest element.

use core::ops::Range;

/// ys and xs: the input row and column of each output row and column.
#[inline(always)]
pub fn resize_nearest(
    arena: &mut [i8],
    input: usize,
    output: usize,
    ys: &[i16],
    xs: &[i16],
    rows: Range<usize>,
    in_w: usize,
    out_w: usize,
    pixel_bytes: usize,
) {
    for y in rows {
        for x in 0..out_w {
            let from = input + (ys[y] as usize * in_w + xs[x] as usize) * pixel_bytes;
            let to = output + (y * out_w + x) * pixel_bytes;
            arena.copy_within(from..from + pixel_bytes, to);
        }
    }
}
