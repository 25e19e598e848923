//! Twin of `shaders/halve.wgsl`.

use super::half::to_half;

/// `gates` `[rows, 4, H]` as `halves` `[rows, 2, H]`: the first and second of a unit in a word, then the third and fourth.
pub fn halve(hidden: usize, gates: &[f32], halves: &mut [u32]) {
    for (row, words) in halves.chunks_mut(2 * hidden).enumerate() {
        for (place, word) in words.iter_mut().enumerate() {
            let (pair, unit) = (place / hidden, place % hidden);
            let half = |gate: usize| u32::from(to_half(gates[(row * 4 + gate) * hidden + unit]));
            *word = half(2 * pair) | half(2 * pair + 1) << 16;
        }
    }
}
