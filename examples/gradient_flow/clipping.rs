//! Training through an exploding gradient, with and without clipping.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Linear, Loss, Sgd, SgdOptions};
use wgpu_gru::{Gpu, Recurrent, Result, RnnConfig, Unroll, Weights};

use crate::norms::recurrent_weights;
use crate::{HIDDEN, LENGTH};

/// The seeds of weights and sequences. There is one run a seed.
pub(crate) const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;
/// What gradients are clipped to.
pub(crate) const MAX_NORM: f32 = 1.0;
/// The step size of the picture.
pub(crate) const RATE: f32 = 0.1;
/// All that `--rates` tries.
pub(crate) const RATES: [f32; 4] = [0.01, 0.03, 0.1, 0.3];
const BATCH: usize = 16;
/// Of the recurrent weights. An input holds the states away from 0, where tanh is less steep, so that more is needed
/// than without one before gradients explode. Chosen after a look at others, at a rate of 0.1 on lavapipe: with 1.1
/// nothing diverges without clipping (2 seeds, 60 steps); with 1.7 four of five do and the fifth learns, and clipped
/// the five end at 0.06 to 0.27; with 2 and 3 the clipped ones have learned little or nothing after 100 steps (2
/// seeds).
const SCALE: f32 = 1.5;

/// One training.
#[derive(Debug)]
pub(crate) struct Run {
    /// The loss at each step, up to the first that is not finite.
    pub(crate) losses: Vec<f32>,
    /// The largest global norm of the gradient, before clipping; infinite where its square has no f32.
    pub(crate) largest_norm: f32,
}

impl Run {
    /// Whether the loss has left the finite numbers, or has grown to more than a hundred times the first.
    pub(crate) fn has_diverged(&self) -> bool {
        let first = self.losses[0];
        self.losses.iter().any(|loss| !loss.is_finite() || *loss > 100.0 * first)
    }

    /// The mean loss of the last 20 steps, or infinity where the run has diverged.
    pub(crate) fn outcome(&self) -> f32 {
        if self.has_diverged() {
            return f32::INFINITY;
        }
        let last = &self.losses[self.losses.len().saturating_sub(20)..];
        last.iter().sum::<f32>() / last.len() as f32
    }
}

/// Random sequences `[LENGTH, BATCH, 1]` and a leaky sum of each up to every step: y = 0.8 y + 0.6 x.
fn sequences(uniform: &mut SplitMix64) -> (Vec<f32>, Vec<f32>) {
    let x = uniform.vec(LENGTH * BATCH, 1.0);
    let mut y = vec![0.0; LENGTH * BATCH];
    for at in 0..y.len() {
        let before = if at < BATCH { 0.0 } else { y[at - BATCH] };
        y[at] = 0.8 * before + 0.6 * x[at];
    }
    (x, y)
}

/// Trains a plain RNN with large recurrent weights by gradient descent, from scratch.
pub(crate) fn train(gpu: &Gpu, seed: u64, steps: usize, learning_rate: f32, max_norm: Option<f32>) -> Result<Run> {
    let config = RnnConfig::new(1, HIDDEN);
    let mut weights = Weights::random(&config, seed);
    let cell = &mut weights.cells[0];
    cell.weight_hh = recurrent_weights(seed + 100, cell.weight_hh.len(), SCALE);
    let layer = Recurrent::with_weights(gpu, config, &weights)?;
    let linear = Linear::new(gpu, HIDDEN, 1, seed + 200)?;
    let mut net = layer.unroll(Unroll::training(LENGTH, BATCH).input_gradient(false))?;
    let head = linear.unroll(net.output(), net.d_output()?)?;
    let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
    let options = SgdOptions { learning_rate, max_norm, ..SgdOptions::default() };
    let sgd = Sgd::new(net.pairs()?.chain(head.pairs()), &options)?;

    let mut uniform = SplitMix64::new(seed + 300);
    let mut run = Run { losses: Vec::new(), largest_norm: 0.0 };
    while run.losses.len() < steps {
        let (x, y) = sequences(&mut uniform);
        net.input().write(&x)?;
        loss.expected().write(&y)?;
        gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            sgd.encode(encoder);
            Ok(())
        })?;
        let loss = loss.loss().read_blocking()?[0];
        run.losses.push(loss);
        run.largest_norm = run.largest_norm.max(sgd.norm().read_blocking()?[0]);
        if !loss.is_finite() {
            break;
        }
    }
    Ok(run)
}
