//! Transposed convolution, gathered: an output pixel sums over the input pixels whose windows cover it.

use core::ops::Range;

use crate::kernels::support::channel::Channel;
use crate::kernels::support::output::Output;

pub struct TransposeSizes {
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub top: usize,
    pub left: usize,
    pub in_zero: i32,
    pub out: Output,
}

/// weights: [out_c][kernel_h][kernel_w][in_c]; the biases hold no zero point.
#[inline(always)]
pub fn conv_transpose(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    rows: Range<usize>,
    s: &TransposeSizes,
) {
    for y in rows {
        for x in 0..s.out_w {
            let pixel = output + (y * s.out_w + x) * s.out_c;
            for (o, &Channel(bias, multiplier, adjust)) in channels.iter().enumerate() {
                let mut sum = bias;
                for (ky, row) in taps(y + s.top, s.kernel_h, s.stride_h, s.in_h) {
                    for (kx, column) in taps(x + s.left, s.kernel_w, s.stride_w, s.in_w) {
                        let from = input + (row * s.in_w + column) * s.in_c;
                        let w = &weights[((o * s.kernel_h + ky) * s.kernel_w + kx) * s.in_c..];
                        for (&w, &code) in w.iter().zip(&arena[from..from + s.in_c]) {
                            sum += i32::from(w) * (i32::from(code) - s.in_zero);
                        }
                    }
                }
                arena[pixel + o] = s.out.code(sum, multiplier, adjust);
            }
        }
    }
}

/// The taps that bring something to a position, each with the input position that it comes from.
#[inline(always)]
fn taps(
    position: usize,
    kernel: usize,
    stride: usize,
    size: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (position % stride..kernel.min(position + 1))
        .step_by(stride)
        .map(move |tap| (tap, (position - tap) / stride))
        .filter(move |&(_, from)| from < size)
}
