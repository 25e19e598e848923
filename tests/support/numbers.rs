//! Arrays of numbers, and the comparison that all tests make. It remembers how much of their budgets was used.

use std::cell::Cell;

use wgpu_gru::Comparison;
use wgpu_gru::{Activation, Tolerance};

/// Every activation.
pub(crate) const ACTIVATIONS: [Activation; 11] = [
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Relu,
    Activation::HARD_SIGMOID_ONNX,
    Activation::HARD_SIGMOID_KERAS,
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::Elu { alpha: 0.7 },
    Activation::ThresholdedRelu { theta: 0.1 },
    Activation::Softsign,
    Activation::Softplus,
    Activation::Linear,
];

/// The same numbers in f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The bits of the numbers, so that NaN equals itself.
pub(crate) fn to_bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The numbers of these bits: words as a tensor holds them.
pub(crate) fn from_bits(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

/// What kind of number each is.
pub(crate) fn kinds(values: &[f64]) -> Vec<&'static str> {
    let kind = |value: &f64| match (value.is_nan(), value.is_infinite()) {
        (true, _) => "NaN",
        (_, true) => "inf",
        _ => "",
    };
    values.iter().map(kind).collect()
}

/// The largest absolute value.
pub(crate) fn largest<R: Copy + Into<f64>>(values: &[R]) -> f64 {
    values.iter().fold(0.0, |most, &value| most.max(value.into().abs()))
}

thread_local! {
    /// The largest share of a budget that a comparison on this thread has used, of those that passed.
    static LARGEST_SHARE: Cell<f64> = const { Cell::new(0.0) };
}

/// The largest share since the last call.
pub(crate) fn take_largest_share() -> f64 {
    LARGEST_SHARE.replace(0.0)
}

/// Remembers a share. One over 1 is a failure, or what a test of the comparisons wants to see.
pub(crate) fn note(share: f64) {
    if share <= 1.0 {
        LARGEST_SHARE.with(|largest| largest.set(largest.get().max(share)));
    }
}

/// Whether every element of a tensor is within its bound; if not, which is furthest out and by how much.
pub(crate) fn close<A, E>(tensor: &str, actual: &[A], expected: &[E], tolerance: Tolerance) -> Result<(), String>
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    if actual.len() != expected.len() {
        return Err(format!("{tensor} has {} elements, expected {}", actual.len(), expected.len()));
    }
    let worst = tolerance.compare(actual, expected);
    note(worst.share);
    if worst.passed() {
        return Ok(());
    }
    let Comparison { index, actual, expected, share, max_error } = worst;
    Err(format!(
        "{tensor}[{index}] is {actual:e}, expected {expected:e}: {:.1} % of the budget {tolerance:?}, largest error of \
         the tensor {max_error:e}",
        share * 100.0
    ))
}

/// Fails unless every element of a tensor is within its bound, and says which is furthest out and by how much.
#[track_caller]
pub(crate) fn assert_close<A, E>(tensor: &str, actual: &[A], expected: &[E], tolerance: Tolerance)
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    if let Err(why) = close(tensor, actual, expected, tolerance) {
        panic!("{why}");
    }
}
