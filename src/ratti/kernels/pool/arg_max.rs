//! Place of the largest of `count` elements, the first of equal ones, as int32 with the low byte first.

use core::ops::Range;

/// (outer, count, inner) -> (outer, inner); `row_outer` of the outer ones make a row.
#[inline(always)]
pub fn arg_max(
    arena: &mut [i8],
    input: usize,
    output: usize,
    rows: Range<usize>,
    row_outer: usize,
    count: usize,
    inner: usize,
) {
    for o in rows.start * row_outer..rows.end * row_outer {
        for i in 0..inner {
            let from = input + o * count * inner + i;
            let mut best = 0;
            for k in 1..count {
                if arena[from + k * inner] > arena[from + best * inner] {
                    best = k;
                }
            }
            let to = output + (o * inner + i) * 4;
            for (place, byte) in (best as i32).to_le_bytes().into_iter().enumerate() {
                arena[to + place] = byte as i8;
            }
        }
    }
}
