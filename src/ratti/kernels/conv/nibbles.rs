//! Convolution with 4-bit weights, two to a byte, straight from its definition; they are taken apart as they are used.

use core::ops::Range;

use crate::kernels::conv::geometry::Conv;
use crate::kernels::support::channel::Channel;
use crate::kernels::support::nibbles::nibble;

/// weights: [out_c][kernel_h][kernel_w][in_c / groups].
#[inline(always)]
pub fn conv_nibbles(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[u8],
    channels: &[Channel],
    rows: Range<usize>,
    s: &Conv,
) {
    let group_in = s.group_in();
    for y in rows {
        for x in 0..s.out_w {
            let pixel = output + (y * s.out_w + x) * s.out_c;
            let mut w = 0;
            for o in 0..s.out_c {
                let group = input + s.first(o);
                let Channel(bias, multiplier, adjust) = channels[o];
                let mut sum = bias;
                for ky in 0..s.kernel_h {
                    for kx in 0..s.kernel_w {
                        let (row, column) = (s.row(y, ky), s.column(x, kx));
                        let inside = row < s.in_h && column < s.in_w;
                        for c in 0..group_in {
                            let code = if inside {
                                arena[group + (row * s.in_w + column) * s.in_c + c]
                            } else {
                                s.in_zero
                            };
                            sum += nibble(weights, w) * i32::from(code);
                            w += 1;
                        }
                    }
                }
                arena[pixel + o] = s.out.code(sum, multiplier, adjust);
            }
        }
    }
}
