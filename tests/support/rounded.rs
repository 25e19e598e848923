//! Recurrent weights as a device may round them to 16 bits, and as none may.

use wgpu_gru::Weights;

/// The weights with every recurrent one changed.
pub(crate) fn recurrent(weights: &Weights, change: impl Fn(f32) -> f32) -> Weights {
    let mut changed = weights.clone();
    changed.cells.iter_mut().flat_map(|cell| &mut cell.weight_hh).for_each(|weight| *weight = change(*weight));
    changed
}

/// Mistakes of a kernel that reads weights of 16 bits, by name: too few bits, and numbers that are not where they
/// belong.
pub(crate) fn mistakes(weights: &Weights) -> Vec<(&'static str, Weights)> {
    let in_the_middle = |change: fn(&mut [f32])| {
        let mut changed = weights.clone();
        let weights = &mut changed.cells[0].weight_hh;
        let middle = weights.len() / 2;
        change(&mut weights[middle..]);
        changed
    };
    vec![
        // An f16 has 11, with the one that is not written.
        ("8 bits, the rest cut off", recurrent(weights, |weight| f32::from_bits(weight.to_bits() & !0xffff))),
        ("a pair swapped", in_the_middle(|weights| weights.swap(0, 1))),
    ]
}
