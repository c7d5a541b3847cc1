//! Products of matrices, each with steps of its own: 0 where one is repeated, swapped where one is transposed.

use core::ops::Range;

use crate::kernels::support::output::Output;
use crate::kernels::support::source::Source;

pub struct MatmulSizes {
    /// Of a row of the output.
    pub batches: usize,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub in_row: usize,
    pub in_batch: usize,
    pub in_m: usize,
    pub in_k: usize,
    pub in_zero: i32,
    pub other_row: usize,
    pub other_batch: usize,
    pub other_n: usize,
    pub other_k: usize,
    pub other_zero: i32,
    /// Which input is the first operand, and which the second.
    pub first: usize,
    pub second: usize,
    pub multiplier: i32,
    pub shift: i32,
    pub out: Output,
}

#[inline(always)]
pub fn matmul(
    arena: &mut [i8],
    inputs: &[Source],
    output: usize,
    rows: Range<usize>,
    s: &MatmulSizes,
) {
    let (first, second) = (inputs[s.first], inputs[s.second]);
    let mut out = output + rows.start * s.batches * s.m * s.n;
    for row in rows {
        for batch in 0..s.batches {
            for m in 0..s.m {
                for n in 0..s.n {
                    let a = row * s.in_row + batch * s.in_batch + m * s.in_m;
                    let b = row * s.other_row + batch * s.other_batch + n * s.other_n;
                    let mut sum = 0;
                    for k in 0..s.k {
                        let x = i32::from(first.code(arena, a + k * s.in_k)) - s.in_zero;
                        let y = i32::from(second.code(arena, b + k * s.other_k)) - s.other_zero;
                        sum += x * y;
                    }
                    arena[out] = s.out.code(sum, s.multiplier, s.shift);
                    out += 1;
                }
            }
        }
    }
}
