//! What several test binaries share.

use wgpu_gru::tolerance::Comparison;
use wgpu_gru::verify::Batch;
use wgpu_gru::{GruConfig, Tolerance, Weights};

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

/// The expectations of a plain layer, `output`, `h_n`, `d_input`, `d_h0` and the four gradients of the parameters, as arrays.
pub(crate) fn expectation(config: &GruConfig, weights: &Weights, batch: &Batch) -> ([Vec<f64>; 8], [Tolerance; 8]) {
    let mut list = wgpu_gru::verify::expectation(config, weights, batch);
    list.truncate(8);
    let tolerances = list.iter().map(|expected| expected.tolerance).collect::<Vec<_>>();
    let values = list.into_iter().map(|expected| expected.values).collect::<Vec<_>>();
    (values.try_into().expect("eight tensors"), tolerances.try_into().expect("eight tensors"))
}
