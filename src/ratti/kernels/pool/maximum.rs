//! Largest code of each window.

use core::ops::Range;

use crate::kernels::pool::geometry::Pool;

#[inline(always)]
pub fn max_pool(arena: &mut [i8], input: usize, output: usize, rows: Range<usize>, s: &Pool) {
    for y in rows {
        for x in 0..s.out_w {
            for c in 0..s.channels {
                let mut largest = i8::MIN;
                for row in s.rows(y) {
                    for column in s.columns(x) {
                        largest =
                            largest.max(arena[input + (row * s.in_w + column) * s.channels + c]);
                    }
                }
                arena[output + (y * s.out_w + x) * s.channels + c] =
                    i32::from(largest).clamp(s.low, s.high) as i8;
            }
        }
    }
}
