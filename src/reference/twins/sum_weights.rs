//! Twin of `shaders/sum_weights.wgsl` and the sum of its parts.

use super::Real;

/// The weight of each row: 1 without a mask; 0 for a row whose class is to be ignored.
pub fn weights<R: Real>(rows: usize, mask: Option<&[R]>, ignored: Option<(&[u32], u32)>) -> Vec<R> {
    let weight = |row: usize| match ignored {
        Some((classes, ignored)) if classes[row] == ignored => R::default(),
        _ => mask.map_or(R::from_f64(1.0), |mask| mask[row]),
    };
    (0..rows).map(weight).collect()
}

/// Their sum.
pub fn sum_weights<R: Real>(weights: &[R]) -> R {
    let mut sum = R::default();
    for &weight in weights {
        sum += weight;
    }
    sum
}
