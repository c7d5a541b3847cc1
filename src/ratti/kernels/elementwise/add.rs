//! Sum of two tensors of one shape, each with its own scale. The output may be either operand.

use core::ops::Range;

use crate::kernels::support::fixed_point::{high_multiply, round_shift};
use crate::kernels::support::output::Output;

pub struct AddSizes {
    pub row_elements: usize,
    pub in_zero: i32,
    pub in_multiplier: i32,
    pub in_shift: i32,
    pub other_zero: i32,
    pub other_multiplier: i32,
    pub other_shift: i32,
    pub out_multiplier: i32,
    pub out_shift: i32,
    pub out: Output,
}

#[inline(always)]
pub fn add(
    arena: &mut [i8],
    input: usize,
    other: usize,
    output: usize,
    rows: Range<usize>,
    s: &AddSizes,
) {
    for i in rows.start * s.row_elements..rows.end * s.row_elements {
        // 20 bits of headroom before scaling; 2^28 bounds each operand, 2^29 the sum.
        let a = (i32::from(arena[input + i]) - s.in_zero) << 20;
        let b = (i32::from(arena[other + i]) - s.other_zero) << 20;
        let sum =
            scaled(a, s.in_multiplier, s.in_shift) + scaled(b, s.other_multiplier, s.other_shift);
        arena[output + i] = s.out.code(sum, s.out_multiplier, s.out_shift);
    }
}

#[inline(always)]
fn scaled(x: i32, multiplier: i32, shift: i32) -> i32 {
    round_shift(high_multiply(x, multiplier), shift)
}
