//! Mean over the middle one of three dimensions (outer, count, inner), rescaled.

use core::ops::Range;

use crate::kernels::support::output::Output;

/// `row_outer` of the outer dimension make a row.
pub struct MeanSizes {
    pub row_outer: usize,
    pub count: usize,
    pub inner: usize,
    pub in_zero: i32,
    pub multiplier: i32,
    pub shift: i32,
    pub out: Output,
}

#[inline(always)]
pub fn mean(arena: &mut [i8], input: usize, output: usize, rows: Range<usize>, s: &MeanSizes) {
    for o in rows.start * s.row_outer..rows.end * s.row_outer {
        for i in 0..s.inner {
            let mut sum = -s.in_zero * s.count as i32;
            for k in 0..s.count {
                sum += i32::from(arena[input + (o * s.count + k) * s.inner + i]);
            }
            arena[output + o * s.inner + i] = s.out.code(sum, s.multiplier, s.shift);
        }
    }
}
