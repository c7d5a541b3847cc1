//! Depthwise convolution, one channel at a time on a padded copy of its plane: no output meets a border, and the output
//! may lie exactly over the input where every row is computed in one call.

use core::ops::Range;

use crate::kernels::depthwise::geometry::Depthwise;
use crate::kernels::support::channel::Channel;

/// weights: [in_c][kernel_h][kernel_w]; dilation and multiplier are 1.
/// plane: scratch for the (rows, columns) bytes that all windows cover.
#[inline(always)]
pub fn depthwise_plane(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    plane: usize,
    rows: Range<usize>,
    s: &Depthwise,
) {
    let width = (s.out_w - 1) * s.stride_w + s.kernel_w;
    let height = (rows.len() - 1) * s.stride_h + s.kernel_h;
    let columns = s.in_w.min(width - s.pad_left);
    arena[plane..plane + height * width].fill(s.in_zero);
    for (c, w) in weights.chunks_exact(s.kernel_h * s.kernel_w).enumerate() {
        for y in 0..height {
            let row = (rows.start * s.stride_h + y).wrapping_sub(s.pad_top);
            if row < s.in_h {
                let (from, to) = (
                    input + row * s.in_w * s.in_c + c,
                    plane + y * width + s.pad_left,
                );
                for x in 0..columns {
                    arena[to + x] = arena[from + x * s.in_c];
                }
            }
        }
        let Channel(bias, multiplier, adjust) = channels[c];
        let mut pixel = output + rows.start * s.out_w * s.in_c + c;
        for y in 0..rows.len() {
            for x in 0..s.out_w {
                let mut sum = bias;
                for ky in 0..s.kernel_h {
                    let from = plane + (y * s.stride_h + ky) * width + x * s.stride_w;
                    let taps = &w[ky * s.kernel_w..(ky + 1) * s.kernel_w];
                    for (&w, &code) in taps.iter().zip(&arena[from..from + s.kernel_w]) {
                        sum += i32::from(w) * i32::from(code);
                    }
                }
                arena[pixel] = s.out.code(sum, multiplier, adjust);
                pixel += s.in_c;
            }
        }
    }
}
