//! The mean of a loss over predictions, by a loss and its slope.

use super::Real;
use super::sum_weights::sum_weights;

/// The mean over all elements, or with the weights of rows that of the rows that have one, and its gradient in
/// `d_prediction`. `of` gives the loss of a prediction and what is expected, and its slope.
///
/// # Panics
/// If the three lengths differ.
pub(super) fn mean<R: Real>(
    prediction: &[R],
    expected: &[R],
    weights: Option<&[R]>,
    d_prediction: &mut [R],
    of: impl Fn(R, R) -> [R; 2],
) -> R {
    assert!(prediction.len() == expected.len() && expected.len() == d_prediction.len(), "three equal lengths");
    let len = prediction.len();
    let columns = weights.map_or(len, |weights| len / weights.len());
    let all = weights.map_or(R::from_f64(1.0), sum_weights) * R::from_f64(columns as f64);
    let mut sum = R::default();
    for i in 0..len {
        let weight = weights.map_or(R::from_f64(1.0), |weights| weights[i / columns]);
        if weight == R::default() {
            d_prediction[i] = weight;
            continue;
        }
        let [loss, slope] = of(prediction[i], expected[i]);
        d_prediction[i] = slope * weight / all;
        sum += loss * weight;
    }
    sum / all
}
