//! Twin of `shaders/widen.wgsl`.

use super::half::from_half;

/// `gates` `[rows, 4, H]` from the `halves` `[rows, 2, H]` that [`halve`](super::halve::halve) made of them.
pub fn widen(hidden: usize, halves: &[u32], gates: &mut [f32]) {
    for (row, numbers) in gates.chunks_mut(4 * hidden).enumerate() {
        for (place, number) in numbers.iter_mut().enumerate() {
            let (gate, unit) = (place / hidden, place % hidden);
            let word = halves[(row * 2 + gate / 2) * hidden + unit];
            *number = from_half((word >> (gate % 2 * 16)) as u16);
        }
    }
}
