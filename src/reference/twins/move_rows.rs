//! Twins of `shaders/move_rows.wgsl` and `shaders/number.wgsl`: rows of states that go into their slot, begin anew, or
//! go on from others.

use super::Real;

/// Copies rows of `width`, which lie `strides` apart in source and destination: row b is row b, or with sources row
/// `sources[b]`, and zero where there is no such row.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn move_rows<R: Real>(
    [rows, width]: [usize; 2],
    [source_stride, destination_stride]: [usize; 2],
    source: &[R],
    sources: Option<&[u32]>,
    destination: &mut [R],
) {
    for b in 0..rows {
        let row = sources.map_or(b, |sources| sources[b] as usize);
        for f in 0..width {
            let item = if row < rows { source[row * source_stride + f] } else { R::default() };
            destination[b * destination_stride + f] = item;
        }
    }
}

/// Numbers the rows.
pub fn number(sources: &mut [u32]) {
    for (b, source) in (0..).zip(sources) {
        *source = b;
    }
}
