//! 4-bit weights, two to a byte.

/// The code at `index`; the first of two lies in the low half.
#[inline(always)]
pub fn nibble(codes: &[u8], index: usize) -> i32 {
    let half = i32::from(codes[index >> 1] >> ((index & 1) * 4) & 15);
    (half ^ 8) - 8
}
