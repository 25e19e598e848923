//! Twin of `shaders/mse.wgsl` and the sum of its parts.

use super::Real;
use super::mean::mean;

/// The mean of (prediction - expected)^2, of rows that have a weight if there are weights, and its gradient in
/// `d_prediction`.
///
/// # Panics
/// If the three lengths differ.
pub fn mse<R: Real>(prediction: &[R], expected: &[R], weights: Option<&[R]>, d_prediction: &mut [R]) -> R {
    mean(prediction, expected, weights, d_prediction, |p, y| {
        let error = p - y;
        [error * error, R::from_f64(2.0) * error]
    })
}
