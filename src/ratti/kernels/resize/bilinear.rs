//! Linear interpolation in both directions.

use core::ops::Range;

/// For a row or column of the output: first and second input position, and the weight of the second in 1/1024.
pub struct Between(pub usize, pub usize, pub i32);

/// Ties of the mean go away from zero.
#[inline(always)]
pub fn resize_bilinear(
    arena: &mut [i8],
    input: usize,
    output: usize,
    ys: &[Between],
    xs: &[Between],
    rows: Range<usize>,
    in_w: usize,
    out_w: usize,
    channels: usize,
) {
    for y in rows {
        let Between(upper, lower, dy) = ys[y];
        for x in 0..out_w {
            let Between(left, right, dx) = xs[x];
            for c in 0..channels {
                let mean = |row: usize| {
                    let code = |column: usize| {
                        i32::from(arena[input + (row * in_w + column) * channels + c])
                    };
                    code(left) * (1024 - dx) + code(right) * dx
                };
                let total = mean(upper) * (1024 - dy) + mean(lower) * dy;
                let half = if total > 0 { 1 << 19 } else { -(1 << 19) };
                arena[output + (y * out_w + x) * channels + c] = ((total + half) / (1 << 20)) as i8;
            }
        }
    }
}
