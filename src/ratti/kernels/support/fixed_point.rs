//! The two roundings that everything is built on.

/// round(a * b / 2^31), ties upward, for 0 <= b or -2^31 < a.
#[inline(always)]
pub fn high_multiply(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// round(x / 2^shift), ties away from zero; x where `shift` is not above 0.
#[inline(always)]
pub fn round_shift(x: i32, shift: i32) -> i32 {
    if shift <= 0 {
        return x;
    }
    ((i64::from(x) + (1 << (shift - 1)) - i64::from(x < 0)) >> shift) as i32
}
