//! Convolution straight from its definition, with groups: the smallest code and no scratch.

use core::ops::Range;

use crate::kernels::conv::geometry::Conv;
use crate::kernels::support::channel::Channel;

/// weights: [out_c][kernel_h][kernel_w][in_c / groups].
#[inline(always)]
pub fn conv_direct(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    rows: Range<usize>,
    s: &Conv,
) {
    let group_in = s.group_in();
    let filter = s.kernel_h * s.kernel_w * group_in;
    for y in rows {
        for x in 0..s.out_w {
            let pixel = output + (y * s.out_w + x) * s.out_c;
            for (o, w) in weights.chunks_exact(filter).enumerate() {
                let group = input + s.first(o);
                let Channel(bias, multiplier, adjust) = channels[o];
                let mut sum = bias;
                for (tap, w) in w.chunks_exact(group_in).enumerate() {
                    let row = s.row(y, tap / s.kernel_w);
                    let column = s.column(x, tap % s.kernel_w);
                    if row < s.in_h && column < s.in_w {
                        let from = group + (row * s.in_w + column) * s.in_c;
                        for (&w, &code) in w.iter().zip(&arena[from..from + group_in]) {
                            sum += i32::from(w) * i32::from(code);
                        }
                    } else {
                        for &w in w {
                            sum += i32::from(w) * i32::from(s.in_zero);
                        }
                    }
                }
                arena[pixel + o] = s.out.code(sum, multiplier, adjust);
            }
        }
    }
}
