//! The way from an accumulator to an output code: TFLite's two roundings, or one that is proven equal.

use crate::kernels::support::fixed_point::{high_multiply, round_shift};

/// `floor(accumulator * multiplier / 2^32) + adjust`. The constants were searched for, and proven to give the same code
/// as the two roundings below for every accumulator that the weights allow.
pub const SINGLE: u8 = 0;
/// TFLite's two roundings, for |accumulator| < 2^30 and a shift `adjust` of at least 1 to the right. Any other value of
/// `Output::rounding`: the same for every accumulator and every shift; negative ones are to the left.
pub const DOUBLE: u8 = 1;

/// What all channels of an output share.
pub struct Output {
    pub zero: i32,
    pub low: i32,
    pub high: i32,
    pub rounding: u8,
}

impl Output {
    /// The code of an accumulator.
    #[inline(always)]
    pub fn code(&self, accumulator: i32, multiplier: i32, adjust: i32) -> i8 {
        let code = match self.rounding {
            SINGLE => upper_multiply(accumulator, multiplier) + adjust,
            DOUBLE => divide_by_power(high_multiply(accumulator, multiplier), adjust) + self.zero,
            _ => rescale(accumulator, multiplier, adjust).saturating_add(self.zero),
        };
        code.clamp(self.low, self.high) as i8
    }
}

/// floor(a * b / 2^32)
#[inline(always)]
fn upper_multiply(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// round(x / 2^shift), ties away from zero, for shift >= 1 and |x| < 2^30.
#[inline(always)]
fn divide_by_power(x: i32, shift: i32) -> i32 {
    (x + (x >> 31) + (1 << (shift - 1))) >> shift
}

/// Both roundings for any accumulator and any shift.
pub fn rescale(x: i32, multiplier: i32, shift: i32) -> i32 {
    round_shift(high_multiply(x << (-shift).max(0), multiplier), shift)
}
