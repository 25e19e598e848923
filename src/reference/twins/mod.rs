//! For each kernel its twin with the same argument names, in plain loops, in the file of the kernel's name, except that
//! `matmul` has all products and `move_rows` has `number`. They work in f32, as the kernels do, and in f64, and know
//! nothing of offsets, tiles and chunks. `run` executes a plan by them.

pub mod accumulate;
pub mod activation;
pub mod adam;
pub mod adam_prepare;
pub mod arrange;
pub mod bce;
pub mod count;
pub mod cross_entropy;
pub mod embedding;
pub mod embedding_backward;
pub mod find_non_finite;
pub mod frame;
pub mod gates_f16;
pub mod gather;
pub mod gru_gates;
pub mod gru_reset;
pub mod gru_reset_backward;
pub mod gru_step;
pub mod gru_step_backward;
pub mod matmul;
mod mean;
pub mod move_rows;
pub mod mse;
pub mod pack;
pub mod rnn_step;
pub mod rnn_step_backward;
pub(crate) mod run;
pub mod sgd;
pub mod sort_indices;
pub mod sum_rows;
pub mod sum_squares;
pub mod sum_weights;

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// f32 or f64.
pub trait Real:
    Copy
    + PartialOrd
    + Default
    + Into<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// The nearest number.
    #[must_use]
    fn from_f64(value: f64) -> Self;
    /// e to this power.
    #[must_use]
    fn exp(self) -> Self;
    /// e to this power, less 1.
    #[must_use]
    fn exp_m1(self) -> Self;
    /// The natural logarithm of 1 more than this.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The absolute value.
    #[must_use]
    fn abs(self) -> Self;
}

macro_rules! real {
    ($($ty:ty),*) => {$(
        impl Real for $ty {
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn exp_m1(self) -> Self {
                self.exp_m1()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn abs(self) -> Self {
                self.abs()
            }
        }
    )*};
}
real!(f32, f64);
