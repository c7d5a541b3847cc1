//! Mean of each window over the positions inside the input, ties away from zero.

use core::ops::Range;

use crate::kernels::pool::geometry::Pool;

#[inline(always)]
pub fn average_pool(arena: &mut [i8], input: usize, output: usize, rows: Range<usize>, s: &Pool) {
    for y in rows {
        for x in 0..s.out_w {
            let count = (s.rows(y).len() * s.columns(x).len()) as i32;
            for c in 0..s.channels {
                let mut sum = 0;
                for row in s.rows(y) {
                    for column in s.columns(x) {
                        sum += i32::from(arena[input + (row * s.in_w + column) * s.channels + c]);
                    }
                }
                let half = if sum > 0 { count / 2 } else { -(count / 2) };
                let mean = (sum + half) / count;
                arena[output + (y * s.out_w + x) * s.channels + c] =
                    mean.clamp(s.low, s.high) as i8;
            }
        }
    }
}
