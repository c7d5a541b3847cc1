//! Sizes of a pool, and the taps of a window that lie inside the input.

use core::ops::Range;

pub struct Pool {
    pub in_h: usize,
    pub in_w: usize,
    pub channels: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub low: i32,
    pub high: i32,
}

impl Pool {
    /// The input rows that the windows of output row `y` see.
    #[inline(always)]
    pub fn rows(&self, y: usize) -> Range<usize> {
        inside(y * self.stride_h, self.kernel_h, self.pad_top, self.in_h)
    }

    /// The input columns that the windows of output column `x` see.
    #[inline(always)]
    pub fn columns(&self, x: usize) -> Range<usize> {
        inside(x * self.stride_w, self.kernel_w, self.pad_left, self.in_w)
    }
}

#[inline(always)]
fn inside(start: usize, taps: usize, pad: usize, size: usize) -> Range<usize> {
    start.saturating_sub(pad)..(start + taps - pad).min(size)
}
