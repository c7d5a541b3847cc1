//! Sizes of a convolution, and the copy of one window.

use crate::kernels::support::output::Output;

/// A convolution over (in_h, in_w, in_c); a fully connected layer is a 1x1 convolution over one column.
pub struct Conv {
    pub in_h: usize,
    pub in_w: usize,
    pub in_c: usize,
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub kernel_h: usize,
    pub kernel_w: usize,
    pub stride_h: usize,
    pub stride_w: usize,
    pub dilation_h: usize,
    pub dilation_w: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub groups: usize,
    pub interleaved: usize,
    pub in_zero: i8,
    pub out: Output,
}

impl Conv {
    /// Input channels of one group.
    #[inline(always)]
    pub fn group_in(&self) -> usize {
        self.in_c / self.groups
    }

    /// Elements of one window of one group.
    #[inline(always)]
    pub fn depth(&self) -> usize {
        self.kernel_h * self.kernel_w * self.group_in()
    }

    /// Where output channel o of a pixel begins to read.
    #[inline(always)]
    pub fn first(&self, o: usize) -> usize {
        let group = if self.interleaved == 0 {
            o / (self.out_c / self.groups)
        } else {
            o % self.groups
        };
        group * self.group_in()
    }

    /// From one output channel of a group to the next.
    #[inline(always)]
    pub fn step(&self) -> usize {
        if self.interleaved == 0 {
            1
        } else {
            self.groups
        }
    }

    /// The place of group g's first output channel in its pixel.
    #[inline(always)]
    pub fn place(&self, g: usize) -> usize {
        if self.interleaved == 0 {
            g * (self.out_c / self.groups)
        } else {
            g
        }
    }

    /// True where output pixel p reads exactly the channels of input pixel p.
    #[inline(always)]
    pub fn is_pointwise(&self) -> bool {
        (self.kernel_h, self.kernel_w) == (1, 1)
            && (self.stride_h, self.stride_w) == (1, 1)
            && (self.in_h, self.in_w) == (self.out_h, self.out_w)
    }

    /// The input row of kernel row `ky` for output row `y`: at least `in_h` where it lies outside, above or below.
    #[inline(always)]
    pub fn row(&self, y: usize, ky: usize) -> usize {
        (y * self.stride_h + ky * self.dilation_h).wrapping_sub(self.pad_top)
    }

    /// The input column of kernel column `kx` for output column `x`: at least `in_w` where it lies outside.
    #[inline(always)]
    pub fn column(&self, x: usize, kx: usize) -> usize {
        (x * self.stride_w + kx * self.dilation_w).wrapping_sub(self.pad_left)
    }

    /// Copies the window of output pixel (y, x) to `window`, with `input` at the first channel of
    /// its group; positions outside the input take the zero point.
    #[inline(always)]
    pub fn copy_window(&self, arena: &mut [i8], input: usize, window: usize, y: usize, x: usize) {
        let tap = self.group_in();
        let run = self.kernel_w * tap;
        let left = self.column(x, 0);
        let inside = self.groups == 1
            && self.dilation_w == 1
            && left < self.in_w
            && left + self.kernel_w <= self.in_w;
        for ky in 0..self.kernel_h {
            let (row, to) = (self.row(y, ky), window + ky * run);
            if row >= self.in_h {
                arena[to..to + run].fill(self.in_zero);
            } else if inside {
                let from = input + (row * self.in_w + left) * self.in_c;
                arena.copy_within(from..from + run, to);
            } else {
                for kx in 0..self.kernel_w {
                    let (column, to) = (self.column(x, kx), to + kx * tap);
                    if column < self.in_w {
                        let from = input + (row * self.in_w + column) * self.in_c;
                        arena.copy_within(from..from + tap, to);
                    } else {
                        arena[to..to + tap].fill(self.in_zero);
                    }
                }
            }
        }
    }
}
