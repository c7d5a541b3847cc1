//! Any function of one int8 code. The output may be the input.

use core::ops::Range;

/// results: 256 codes, first that of -128.
#[inline(always)]
pub fn table(
    arena: &mut [i8],
    input: usize,
    output: usize,
    results: &[i8; 256],
    rows: Range<usize>,
    row_elements: usize,
) {
    for i in rows.start * row_elements..rows.end * row_elements {
        let code = arena[input + i];
        arena[output + i] = results[usize::from(code as u8 ^ 0x80)]; // code + 128
    }
}
