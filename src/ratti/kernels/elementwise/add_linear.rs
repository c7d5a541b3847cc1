//! Sum of two tensors of one shape as one linear form: (a * in_factor + b * other_factor + bias) >> shift. The
//! constants were searched for, and proven to give TFLite's code for all 65,536 pairs of codes. The output may be
//! either operand.

use core::ops::Range;

pub struct AddLinearSizes {
    pub row_elements: usize,
    pub in_factor: i32,
    pub other_factor: i32,
    pub bias: i32,
    pub shift: i32,
    pub low: i32,
    pub high: i32,
}

#[inline(always)]
pub fn add_linear(
    arena: &mut [i8],
    input: usize,
    other: usize,
    output: usize,
    rows: Range<usize>,
    s: &AddLinearSizes,
) {
    for i in rows.start * s.row_elements..rows.end * s.row_elements {
        let (a, b) = (i32::from(arena[input + i]), i32::from(arena[other + i]));
        let sum = s.bias + a * s.in_factor + b * s.other_factor;
        arena[output + i] = (sum >> s.shift).clamp(s.low, s.high) as i8;
    }
}
