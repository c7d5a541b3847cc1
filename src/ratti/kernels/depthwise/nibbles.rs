//! Depthwise convolution with 4-bit weights, two to a byte, straight from its definition.

use core::ops::Range;

use crate::kernels::depthwise::geometry::Depthwise;
use crate::kernels::support::channel::Channel;
use crate::kernels::support::nibbles::nibble;

/// weights: [kernel_h][kernel_w][in_c * multiplier].
#[inline(always)]
pub fn depthwise_nibbles(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[u8],
    channels: &[Channel],
    rows: Range<usize>,
    s: &Depthwise,
) {
    let out_c = s.in_c * s.multiplier;
    for y in rows {
        for x in 0..s.out_w {
            let pixel = output + (y * s.out_w + x) * out_c;
            for o in 0..out_c {
                let plane = input + o / s.multiplier;
                let Channel(bias, multiplier, adjust) = channels[o];
                let mut sum = bias;
                for ky in 0..s.kernel_h {
                    let row = (y * s.stride_h + ky * s.dilation_h).wrapping_sub(s.pad_top);
                    for kx in 0..s.kernel_w {
                        let column = (x * s.stride_w + kx * s.dilation_w).wrapping_sub(s.pad_left);
                        let code = if row < s.in_h && column < s.in_w {
                            arena[plane + (row * s.in_w + column) * s.in_c]
                        } else {
                            s.in_zero
                        };
                        let w = nibble(weights, (ky * s.kernel_w + kx) * out_c + o);
                        sum += w * i32::from(code);
                    }
                }
                arena[pixel + o] = s.out.code(sum, multiplier, adjust);
            }
        }
    }
}
