//! The norm of the gradient of the state, going back in time.

use plotters::style::RGBColor;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Cell, Config, Gpu, GruConfig, Recurrent, Result, RnnConfig, Tensor, Unroll, Weights};

use crate::{HIDDEN, LENGTH};

const BATCH: usize = 8;

/// What arrives of a gradient in one layer.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    pub(crate) color: RGBColor,
    /// The norm of d_h' after each step, that of the last step being 1.
    pub(crate) norms: Vec<f64>,
}

/// Recurrent weights of U(-1, 1) sqrt(3 / H) scale: the largest factor of a step is about `scale`.
pub(crate) fn recurrent_weights(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    SplitMix64::new(seed).vec(len, scale * (3.0 / HIDDEN as f32).sqrt())
}

fn flow<C: Copy + Into<Cell>>(
    gpu: &Gpu,
    config: Config<C>,
    (name, color): (&'static str, RGBColor),
    scale: f32,
    update_bias: f32,
) -> Result<Flow> {
    let mut weights = Weights::random(&config, 1);
    let cell = &mut weights.cells[0];
    cell.weight_hh = recurrent_weights(2, cell.weight_hh.len(), scale);
    cell.bias_ih.fill(0.0);
    cell.bias_hh.fill(0.0);
    if cell.bias_ih.len() == 3 * HIDDEN {
        cell.bias_ih[HIDDEN..2 * HIDDEN].fill(update_bias);
    }
    let layer = Recurrent::with_weights(gpu, config, &weights)?;
    let mut net = layer.unroll(Unroll::training(LENGTH, BATCH).gradient_norms(true))?;
    // Without an input the state stays at 0, where every activation is steepest: what is seen is the recurrent weights'
    // doing.
    let x = Tensor::zeros(gpu, &[LENGTH, BATCH, 1])?;
    net.forward(&x, None)?;
    let d_h_n = Tensor::from_slice(gpu, &[1, BATCH, HIDDEN], &SplitMix64::new(4).vec(BATCH * HIDDEN, 1.0))?;
    let gradients = net.backward(None, Some(&d_h_n))?;
    let norms = match &gradients.norms {
        Some(norms) => norms.read_blocking()?,
        None => Vec::new(),
    };
    let last = norms.last().copied().map_or(1.0, f64::from);
    Ok(Flow { name, color, norms: norms.into_iter().map(|norm| f64::from(norm) / last).collect() })
}

/// Plain RNNs and GRUs, the largest gradient first.
pub(crate) fn flows(gpu: &Gpu) -> Result<[Flow; 4]> {
    let rnn = || RnnConfig::new(1, HIDDEN);
    let gru = || GruConfig::new(1, HIDDEN);
    Ok([
        flow(gpu, rnn(), ("plain RNN, large recurrent weights: explodes", RGBColor(220, 38, 38)), 1.1, 0.0)?,
        flow(gpu, gru(), ("GRU, update gate open (bias 5): survives", RGBColor(234, 88, 12)), 0.7, 5.0)?,
        flow(gpu, gru(), ("GRU, update gate half open (bias 0)", RGBColor(15, 118, 110)), 0.7, 0.0)?,
        flow(gpu, rnn(), ("plain RNN, small recurrent weights: vanishes", RGBColor(59, 130, 246)), 0.7, 0.0)?,
    ])
}
