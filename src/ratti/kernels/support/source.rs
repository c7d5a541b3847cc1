//! Where an operand of a kernel lies that takes constants as well.

/// In the arena from an offset on, or among the constants.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Arena(usize),
    Constant(&'a [i8]),
}

impl Source<'_> {
    /// Its code at `place`.
    #[inline(always)]
    pub fn code(&self, arena: &[i8], place: usize) -> i8 {
        match self {
            Source::Arena(offset) => arena[offset + place],
            Source::Constant(codes) => codes[place],
        }
    }

    /// Copies `count` codes from `place` on to `target` in the arena.
    #[inline(always)]
    pub fn copy(&self, arena: &mut [i8], place: usize, target: usize, count: usize) {
        match self {
            Source::Arena(offset) => {
                arena.copy_within(offset + place..offset + place + count, target)
            }
            Source::Constant(codes) => {
                arena[target..target + count].copy_from_slice(&codes[place..place + count])
            }
        }
    }
}
