//! Twins of `shaders/gather.wgsl` and `shaders/number.wgsl`: rows of a stream that begin anew or go on from others.

use super::Real;

/// Copies rows of `width`: row b of `destination` is row `sources[b]` of `source`, or zero where there is no such row.
///
/// # Panics
/// If `destination` is shorter than the rows.
pub fn gather<R: Real>(width: usize, source: &[R], sources: &[u32], destination: &mut [R]) {
    for (b, &from) in sources.iter().enumerate() {
        for f in 0..width {
            let there = (from as usize) < sources.len();
            destination[b * width + f] = if there { source[from as usize * width + f] } else { R::default() };
        }
    }
}

/// Numbers the rows.
pub fn number(sources: &mut [u32]) {
    for (b, source) in (0..).zip(sources) {
        *source = b;
    }
}
