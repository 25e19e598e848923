//! Twin of `shaders/bce.wgsl` and the sum of its parts.

use super::Real;
use super::activation::{sigmoid, softplus};
use super::mean::mean;

/// The mean of -(y ln s + (1 - y) ln(1 - s)), where s is the sigmoid of a prediction x and y what is expected, of rows
/// that have a weight if there are weights, and its gradient in `d_prediction`. -ln s is softplus(-x) and -ln(1 - s) is
/// softplus(x), whose slope is s.
///
/// # Panics
/// If the three lengths differ.
pub fn bce<R: Real>(prediction: &[R], expected: &[R], weights: Option<&[R]>, d_prediction: &mut [R]) -> R {
    let one = R::from_f64(1.0);
    mean(prediction, expected, weights, d_prediction, |x, y| {
        [y * softplus(-x) + (one - y) * softplus(x), (one - y) * sigmoid(x) - y * sigmoid(-x)]
    })
}
