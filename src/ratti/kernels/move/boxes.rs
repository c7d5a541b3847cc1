//! Copies of boxes: parts of an output whose elements lie at regular steps in an input.

use core::ops::Range;

use crate::kernels::support::source::Source;

/// Operand, in_offset, in_row, row_first, row_step, rows, out_offset; then count, step in the input and step in the
/// output of four nested loops. Rows row_first + k * row_step for k < rows of the output. In elements of one byte.
pub struct MoveBox(
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
    pub i32,
);

/// Copies `boxes` from the inputs; what no box covers takes `fill`.
#[inline(always)]
pub fn move_boxes(
    arena: &mut [i8],
    inputs: &[Source],
    output: usize,
    boxes: &[MoveBox],
    rows: Range<usize>,
    count: usize,
    row_bytes: usize,
    filled: u8,
    fill: i8,
) {
    if filled != 0 {
        arena[output + rows.start * row_bytes..output + rows.end * row_bytes].fill(fill);
    }
    for b in &boxes[..count] {
        let &MoveBox(operand, in_offset, in_row, row_first, row_step, box_rows, out_offset, ..) = b;
        for k in 0..box_rows {
            let row = (row_first + k * row_step) as usize;
            if rows.contains(&row) {
                let place = in_offset + k * in_row;
                let target = output + row * row_bytes;
                move_row(
                    arena,
                    &inputs[operand as usize],
                    place,
                    target as i32 + out_offset,
                    b,
                );
            }
        }
    }
}

/// The part of a box that lies in one row, from `place` in the input to `target` in the arena.
fn move_row(arena: &mut [i8], input: &Source, place: i32, target: i32, b: &MoveBox) {
    let &MoveBox(.., n0, in0, out0, n1, in1, out1, n2, in2, out2, n3, in3, out3) = b;
    for i in 0..n0 {
        for j in 0..n1 {
            for k in 0..n2 {
                let from = place + i * in0 + j * in1 + k * in2;
                let to = target + i * out0 + j * out1 + k * out2;
                if (in3, out3) == (1, 1) {
                    input.copy(arena, from as usize, to as usize, n3 as usize);
                } else {
                    for l in 0..n3 {
                        let code = input.code(arena, (from + l * in3) as usize);
                        arena[(to + l * out3) as usize] = code;
                    }
                }
            }
        }
    }
}
