//! Sizes of a depthwise convolution.

use crate::kernels::support::output::Output;

/// `multiplier` output channels for each input channel.
pub struct Depthwise {
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub multiplier: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub in_zero: i8,
    pub out: Output,
}
