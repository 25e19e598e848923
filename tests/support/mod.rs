//! What several test binaries share.

use wgpu_gru::Tolerance;
use wgpu_gru::tolerance::Comparison;

/// Fails unless every element of a tensor is within its bound, and says which is furthest out and by how much.
#[track_caller]
pub(crate) fn assert_close<A, E>(tensor: &str, actual: &[A], expected: &[E], tolerance: Tolerance)
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    let worst = tolerance.compare(actual, expected);
    let Comparison { index, actual, expected, share, max_error } = worst;
    assert!(
        worst.passed(),
        "{tensor}[{index}] is {actual:e}, expected {expected:e}: {:.1} % of the budget {tolerance:?}, largest error of \
         the tensor {max_error:e}",
        share * 100.0
    );
}

/// The same numbers in f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
