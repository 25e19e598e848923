//! Twin of `shaders/cross_entropy.wgsl` and the sum of its parts.

use super::Real;
use super::sum_weights::sum_weights;

/// The weighted mean over rows of -ln p_t with p = softmax(prediction `[rows, classes]`), where t is the class that is
/// expected, and its gradient in `d_prediction`. A row without a weight counts for nothing, whatever it holds; one whose
/// t is no class is NaN.
///
/// A softmax is the same if all logits are less by their largest. With the sum of the other powers, p_t - 1 is minus
/// their share, and -ln p_t = ln(others + e^x_t) - x_t.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn cross_entropy<R: Real>(
    classes: usize,
    prediction: &[R],
    expected: &[u32],
    weights: &[R],
    d_prediction: &mut [R],
) -> R {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    let all = sum_weights(weights);
    let mut sum = zero;
    for (row, (x, d)) in prediction.chunks_exact(classes).zip(d_prediction.chunks_exact_mut(classes)).enumerate() {
        let (t, weight) = (expected[row] as usize, weights[row]);
        if weight == zero {
            d.fill(zero);
            continue;
        }
        if t >= classes {
            let none = R::from_f64(f64::NAN);
            d.fill(none);
            sum += none;
            continue;
        }
        let highest = x.iter().fold(x[t], |highest, &x| if x > highest { x } else { highest });
        let mut others = zero;
        for (j, &x) in x.iter().enumerate() {
            if j != t {
                others += (x - highest).exp();
            }
        }
        let own = (x[t] - highest).exp();
        for (j, (&x, d)) in x.iter().zip(d).enumerate() {
            let power = if j == t { -others } else { (x - highest).exp() };
            *d = power / (others + own) * weight / all;
        }
        sum += ((others + (own - one)).ln_1p() + (highest - x[t])) * weight;
    }
    sum / all
}
