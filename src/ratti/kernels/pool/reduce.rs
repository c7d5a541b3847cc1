//! Largest element or rescaled sum over any dimensions.

use core::ops::Range;

use crate::kernels::support::output::Output;

/// n counts the dimensions that stay, r those that are reduced, each with its step in the input.
pub struct ReduceSizes {
    /// 1: the largest element; 0: the sum of the elements less the zero point, rescaled.
    pub largest: u8,
    pub in_row: usize,
    pub n0: usize,
    pub n1: usize,
    pub n2: usize,
    pub in0: usize,
    pub in1: usize,
    pub in2: usize,
    pub r0: usize,
    pub r1: usize,
    pub step0: usize,
    pub step1: usize,
    pub in_zero: i32,
    pub multiplier: i32,
    pub shift: i32,
    pub out: Output,
}

impl ReduceSizes {
    /// The result for the elements of `codes` that are reduced to one.
    #[inline(always)]
    fn one(&self, codes: &[i8]) -> i8 {
        let (mut largest, mut sum) = (codes[0], 0);
        for i in 0..self.r0 {
            for j in 0..self.r1 {
                let code = codes[i * self.step0 + j * self.step1];
                largest = largest.max(code);
                sum += i32::from(code) - self.in_zero;
            }
        }
        if self.largest == 1 {
            largest
        } else {
            self.out.code(sum, self.multiplier, self.shift)
        }
    }
}

#[inline(always)]
pub fn reduce(arena: &mut [i8], input: usize, output: usize, rows: Range<usize>, s: &ReduceSizes) {
    let mut out = output + rows.start * s.n0 * s.n1 * s.n2;
    for row in rows {
        for i in 0..s.n0 {
            for j in 0..s.n1 {
                for k in 0..s.n2 {
                    let from = input + row * s.in_row + i * s.in0 + j * s.in1 + k * s.in2;
                    arena[out] = s.one(&arena[from..]);
                    out += 1;
                }
            }
        }
    }
}
