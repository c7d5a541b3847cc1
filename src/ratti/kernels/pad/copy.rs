//! Padding of a (in_h, in_w, in_c) map with `fill`, row by row.

use core::ops::Range;

pub struct PadSizes {
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub top: usize,
    pub left: usize,
    pub front: usize,
    pub fill: i8,
}

#[inline(always)]
pub fn pad(arena: &mut [i8], input: usize, output: usize, rows: Range<usize>, s: &PadSizes) {
    let row_bytes = s.out_w * s.out_c;
    for y in rows {
        let to = output + y * row_bytes;
        arena[to..to + row_bytes].fill(s.fill);
        let row = y.wrapping_sub(s.top);
        if row < s.in_h {
            for x in 0..s.in_w {
                let from = input + (row * s.in_w + x) * s.in_c;
                arena.copy_within(from..from + s.in_c, to + (x + s.left) * s.out_c + s.front);
            }
        }
    }
}
