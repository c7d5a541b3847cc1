//! Softmax over vectors of codes, in fixed point. The output may be the input.

use core::ops::Range;

use crate::kernels::support::fixed_point::{high_multiply, round_shift};

/// A row is `vectors` times `channels` codes. exponentials[d] is exp(-d * scale) in Q0.31 for the difference d to the
/// vector's maximum; differences from `known` on count as 0.
#[inline(always)]
pub fn softmax(
    arena: &mut [i8],
    input: usize,
    output: usize,
    exponentials: &[i32],
    rows: Range<usize>,
    vectors: usize,
    channels: usize,
    known: usize,
) {
    for vector in rows.start * vectors..rows.end * vectors {
        let codes = &arena[input + vector * channels..][..channels];
        let largest = i32::from(codes.iter().copied().max().unwrap_or(0));
        let exponential = |code: i8| {
            let difference = (largest - i32::from(code)) as usize;
            if difference < known {
                exponentials[difference]
            } else {
                0
            }
        };
        let sum: i32 = codes
            .iter()
            .map(|&code| round_shift(exponential(code), 12))
            .sum(); // Q12.19
        let headroom = sum.leading_zeros() as i32;
        let scale = reciprocal(((sum as u32) << headroom).wrapping_sub(1 << 31) as i32);
        for c in 0..channels {
            let exponential = exponential(arena[input + vector * channels + c]);
            let y = round_shift(high_multiply(scale, exponential), 12 - headroom + 31 - 8) - 128;
            arena[output + vector * channels + c] = y.clamp(-128, 127) as i8;
        }
    }
}

fn saturating_shift(x: i32, shift: i32) -> i32 {
    (i64::from(x) << shift).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// 1 / (1 + a) for a in [0, 1), both Q0.31: three Newton-Raphson steps.
fn reciprocal(a: i32) -> i32 {
    let half = ((i64::from(a) + (1 << 31)) >> 1) as i32;
    let mut x = 1_515_870_810 + high_multiply(half, -1_010_580_540); // 48/17 - 32/17 * half, Q2.29
    for _ in 0..3 {
        let error = (1 << 29) - high_multiply(half, x);
        x += saturating_shift(high_multiply(x, error), 2);
    }
    saturating_shift(x, 1)
}
