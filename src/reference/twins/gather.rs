//! Twin of `shaders/gather.wgsl`: rows of a stream that go on from others, in all layers.

use super::Real;
use super::move_rows::{move_rows, number};

/// Copies rows of the layers `[layers, rows, width]`: row b becomes row `sources[b]`, and zero where there is no such row.
/// Then each row is its own source.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gather<R: Real>([rows, width]: [usize; 2], state: &[R], sources: &mut [u32], gathered: &mut [R]) {
    for (from, to) in state.chunks(rows * width).zip(gathered.chunks_mut(rows * width)) {
        move_rows([rows, width], [width; 2], from, Some(sources), to);
    }
    number(sources);
}
