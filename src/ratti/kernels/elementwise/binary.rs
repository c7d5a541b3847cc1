//! Any op of two tensors, element by element, each with steps of its own: 0 where it is repeated. Which op it is, is a
//! constant, so that a compiler keeps one of them. The output may be an operand that is not repeated.

use core::ops::Range;

use crate::kernels::support::output::{rescale, Output};
use crate::kernels::support::source::Source;

pub const ADD: u8 = 0;
pub const SUBTRACT: u8 = 1;
pub const SQUARED_DIFFERENCE: u8 = 2;
pub const MULTIPLY: u8 = 3;
pub const MAXIMUM: u8 = 4;
pub const MINIMUM: u8 = 5;
pub const PRELU: u8 = 6;

pub struct BinarySizes {
    pub op: u8,
    /// Sums: headroom before scaling.
    pub left_shift: u32,
    pub in_zero: i32,
    pub in_multiplier: i32,
    pub in_shift: i32,
    pub other_zero: i32,
    pub other_multiplier: i32,
    pub other_shift: i32,
    pub multiplier: i32,
    pub shift: i32,
    pub out: Output,
    /// Which input is the first operand, and which the second.
    pub first: usize,
    pub second: usize,
    /// Elements of a row.
    pub n0: usize,
    pub n1: usize,
    pub n2: usize,
    pub in_row: usize,
    pub in0: usize,
    pub in1: usize,
    pub in2: usize,
    pub other_row: usize,
    pub other0: usize,
    pub other1: usize,
    pub other2: usize,
}

impl BinarySizes {
    #[inline(always)]
    fn code(&self, x: i8, y: i8) -> i8 {
        let (a, b) = (i32::from(x) - self.in_zero, i32::from(y) - self.other_zero);
        let result = match self.op {
            MAXIMUM => return x.max(y),
            MINIMUM => return x.min(y),
            PRELU if a >= 0 => return self.out.code(a, self.in_multiplier, self.in_shift),
            PRELU | MULTIPLY => a * b,
            ADD => self.scaled(a) + self.other_scaled(b),
            SUBTRACT => self.scaled(a) - self.other_scaled(b),
            _ => {
                let difference = self.scaled(a) - self.other_scaled(b);
                difference * difference
            }
        };
        self.out.code(result, self.multiplier, self.shift)
    }

    #[inline(always)]
    fn scaled(&self, a: i32) -> i32 {
        rescale(a << self.left_shift, self.in_multiplier, self.in_shift)
    }

    #[inline(always)]
    fn other_scaled(&self, b: i32) -> i32 {
        rescale(
            b << self.left_shift,
            self.other_multiplier,
            self.other_shift,
        )
    }
}

#[inline(always)]
pub fn binary(
    arena: &mut [i8],
    inputs: &[Source],
    output: usize,
    rows: Range<usize>,
    s: &BinarySizes,
) {
    let (first, second) = (inputs[s.first], inputs[s.second]);
    let mut out = output + rows.start * s.n0 * s.n1 * s.n2;
    for row in rows {
        for i in 0..s.n0 {
            for j in 0..s.n1 {
                let a = row * s.in_row + i * s.in0 + j * s.in1;
                let b = row * s.other_row + i * s.other0 + j * s.other1;
                for k in 0..s.n2 {
                    let x = first.code(arena, a + k * s.in2);
                    let y = second.code(arena, b + k * s.other2);
                    arena[out] = s.code(x, y);
                    out += 1;
                }
            }
        }
    }
}
