//! Where slopes jump: what is computed in another precision may lie on the other side.

use super::{Forward, clip_limit};
use crate::activation::Activation;
use crate::config::{Cell, Config};

/// How far an argument is from the next kink or jump of an activation.
#[must_use]
pub fn distance_to_kink(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Relu | Activation::LeakyRelu { .. } => x.abs(),
        Activation::ThresholdedRelu { theta } => (x - f64::from(theta)).abs(),
        Activation::HardSigmoid { alpha, beta } => {
            let line = f64::from(alpha) * x + f64::from(beta);
            line.abs().min((line - 1.0).abs()) / f64::from(alpha).abs()
        }
        // The slope is alpha on the left side of 0.
        Activation::Elu { alpha } if f64::from(alpha) != 1.0 => x.abs(),
        // Each by its name, so that the compiler asks about a new one.
        Activation::Sigmoid
        | Activation::Tanh
        | Activation::Softsign
        | Activation::Softplus
        | Activation::Linear
        | Activation::Elu { .. } => f64::INFINITY,
    }
}

impl Forward {
    /// The least distance of what goes into the activations from where a slope jumps: a kink of the activation, or the
    /// clip.
    #[must_use]
    pub fn distance_to_kink(&self, config: &Config) -> f64 {
        let limit = clip_limit(config);
        let distance = |cell: Cell, (row, &sum): (usize, &f64)| {
            let activation = match cell {
                Cell::Rnn { nonlinearity: activation } => activation,
                Cell::Gru { candidate: activation, .. } if row >= 2 * config.hidden_size => activation,
                Cell::Gru { gate: activation, .. } => activation,
            };
            let of_activation = if sum.abs() > limit { f64::INFINITY } else { distance_to_kink(activation, sum) };
            of_activation.min((sum.abs() - limit).abs())
        };
        let mut least = f64::INFINITY;
        for (index, steps) in self.cells.iter().enumerate() {
            let cell = config.cell_of(index % config.directions());
            let sums = steps.iter().flat_map(|step| step.sum.iter().enumerate());
            least = sums.map(|sum| distance(cell, sum)).fold(least, f64::min);
        }
        least
    }
}
