//! Convolution in tiles of output channels by pixels, so that each loaded weight and each loaded input serve several
//! products.

use core::ops::Range;

use crate::kernels::conv::geometry::Conv;
use crate::kernels::support::channel::Channel;

/// Output channels by pixels; at most 4 by 4.
pub struct Tile {
    pub o: usize,
    pub p: usize,
}

/// weights: for each group, tiles of [depth][tile.o], then the remaining channels one by one as [depth].
/// channels: group by group.
/// columns: scratch for [groups][tile.p] windows of `depth` bytes; unused where the convolution is
/// pointwise and has one group.
#[inline(always)]
pub fn conv_scalar(
    arena: &mut [i8],
    input: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    columns: usize,
    rows: Range<usize>,
    s: &Conv,
    tile: &Tile,
) {
    let (mut pixel, end) = (rows.start * s.out_w, rows.end * s.out_w);
    let group_out = s.out_c / s.groups;
    let single = Tile { o: tile.o, p: 1 };
    while pixel < end {
        let count = if end - pixel < tile.p { 1 } else { tile.p };
        let mut window = input + pixel * s.in_c;
        if s.groups > 1 || !s.is_pointwise() {
            for g in 0..s.groups {
                for p in 0..count {
                    let (y, x) = ((pixel + p) / s.out_w, (pixel + p) % s.out_w);
                    let to = columns + (g * tile.p + p) * s.depth();
                    s.copy_window(arena, input + g * s.group_in(), to, y, x);
                }
            }
            window = columns;
        }
        for g in 0..s.groups {
            let from = window + g * tile.p * s.depth();
            let out = output + pixel * s.out_c + s.place(g);
            let whole = g * group_out..(g + 1) * group_out;
            let w = &weights[whole.start * s.depth()..whole.end * s.depth()];
            let tile = if count == tile.p { tile } else { &single };
            pixels(arena, from, out, w, &channels[whole], s, tile);
        }
        pixel += count;
    }
}

/// All output channels of one group of `tile.p` pixels.
#[inline(always)]
fn pixels(
    arena: &mut [i8],
    window: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    s: &Conv,
    tile: &Tile,
) {
    let tiled = channels.len() / tile.o * tile.o;
    let (many, single) = weights.split_at(tiled * s.depth());
    let mut o = 0;
    for w in many.chunks_exact(tile.o * s.depth()) {
        channels_of_pixels(
            arena,
            window,
            output + o * s.step(),
            w,
            &channels[o..o + tile.o],
            s,
            tile,
        );
        o += tile.o;
    }
    for w in single.chunks_exact(s.depth()) {
        channels_of_pixels(
            arena,
            window,
            output + o * s.step(),
            w,
            &channels[o..o + 1],
            s,
            &Tile { o: 1, p: tile.p },
        );
        o += 1;
    }
}

/// `tile.o` channels of `tile.p` pixels, whose windows lie `depth` bytes apart.
#[inline(always)]
fn channels_of_pixels(
    arena: &mut [i8],
    window: usize,
    output: usize,
    weights: &[i8],
    channels: &[Channel],
    s: &Conv,
    tile: &Tile,
) {
    let mut bias = [0; 4];
    for o in 0..tile.o {
        bias[o] = channels[o].0;
    }
    let mut sums = [bias; 4]; // [pixel][channel]
    let windows = &arena[window..window + tile.p * s.depth()];
    if tile.o == 4 {
        for (sums, pair) in sums.chunks_mut(2).zip(windows.chunks(2 * s.depth())) {
            match (sums, pair.split_at(s.depth())) {
                ([a, b], (first, second)) if !second.is_empty() => {
                    four_channels_of_two(weights, first, second, a, b)
                }
                (sums, (window, _)) => four_channels(weights, window, &mut sums[0]),
            }
        }
    } else {
        for (sums, window) in sums.iter_mut().zip(windows.chunks_exact(s.depth())) {
            for (w, &x) in weights.chunks_exact(tile.o).zip(window) {
                for o in 0..tile.o {
                    sums[o] += i32::from(w[o]) * i32::from(x);
                }
            }
        }
    }
    for o in 0..tile.o {
        let Channel(_, multiplier, adjust) = channels[o];
        for p in 0..tile.p {
            arena[output + p * s.out_c + o * s.step()] = s.out.code(sums[p][o], multiplier, adjust);
        }
    }
}

fn four_channels(weights: &[i8], window: &[i8], sums: &mut [i32; 4]) {
    let mut a = *sums;
    for (w, &x) in weights.chunks_exact(4).zip(window) {
        add(&mut a, w, x);
    }
    *sums = a;
}

/// Each loaded weight serves two windows.
fn four_channels_of_two(
    weights: &[i8],
    first: &[i8],
    second: &[i8],
    sums: &mut [i32; 4],
    others: &mut [i32; 4],
) {
    let (mut a, mut b) = (*sums, *others);
    for ((w, &x), &y) in weights.chunks_exact(4).zip(first).zip(second) {
        add(&mut a, w, x);
        add(&mut b, w, y);
    }
    (*sums, *others) = (a, b);
}

/// Written out, because compilers that save space unroll nothing.
#[inline(always)]
fn add(sums: &mut [i32; 4], w: &[i8], x: i8) {
    let x = i32::from(x);
    sums[0] += i32::from(w[0]) * x;
    sums[1] += i32::from(w[1]) * x;
    sums[2] += i32::from(w[2]) * x;
    sums[3] += i32::from(w[3]) * x;
}
