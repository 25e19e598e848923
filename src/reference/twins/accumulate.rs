//! Twin of `shaders/accumulate.wgsl`.

use super::Real;

/// Adds a gradient to those of earlier backward passes, and counts.
///
/// # Panics
/// If `accumulated` is shorter than `gradient`.
pub fn accumulate<R: Real>(gradient: &[R], accumulated: &mut [R], count: &mut R) {
    for i in 0..gradient.len() {
        accumulated[i] += gradient[i];
    }
    *count += R::from_f64(1.0);
}
