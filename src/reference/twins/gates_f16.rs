//! Twin of `shaders/gates_f16.wgsl`: gates as f16, and back.

use crate::f16::{from_f16, to_f16};

/// `gates` `[rows, 4, H]` as `packed` `[rows, 2, H]`: the first and second of a unit in a word, then the third and
/// fourth.
pub fn f16_from_gates(hidden: usize, gates: &[f32], packed: &mut [u32]) {
    for (row, words) in packed.chunks_mut(2 * hidden).enumerate() {
        for (place, word) in words.iter_mut().enumerate() {
            let (pair, unit) = (place / hidden, place % hidden);
            let bits = |gate: usize| u32::from(to_f16(gates[(row * 4 + gate) * hidden + unit]));
            *word = bits(2 * pair) | bits(2 * pair + 1) << 16;
        }
    }
}

/// `gates` `[rows, 4, H]` from the `packed` `[rows, 2, H]` that [`f16_from_gates`] made of them.
pub fn gates_from_f16(hidden: usize, packed: &[u32], gates: &mut [f32]) {
    for (row, numbers) in gates.chunks_mut(4 * hidden).enumerate() {
        for (place, number) in numbers.iter_mut().enumerate() {
            let (gate, unit) = (place / hidden, place % hidden);
            let word = packed[(row * 2 + gate / 2) * hidden + unit];
            *number = from_f16((word >> (gate % 2 * 16)) as u16);
        }
    }
}
