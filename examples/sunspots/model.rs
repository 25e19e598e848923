//! A GRU with a linear head, trained wholly on the GPU. The page in `web/page` has the same, so nothing here blocks.

use wgpu_gru::train::{Adam, AdamOptions, Linear, LinearInference, Loss, UnrolledLinear};
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Unroll, Unrolled};

use crate::features::{Features, HORIZONS, INPUTS, WARM_UP, WINDOW};

/// Units of the GRU.
pub(crate) const HIDDEN: usize = 32;
/// Windows of a training batch.
pub(crate) const BATCH: usize = 32;

/// The learning rate rises to this, and falls to a hundredth along a cosine.
const LEARNING_RATE: f32 = 0.008;
/// Steps of the rise.
const RISE: usize = 20;

/// The learning rate of a step.
pub(crate) fn learning_rate(step: usize, steps: usize) -> f32 {
    let rise = ((step + 1) as f32 / RISE as f32).min(1.0);
    let fall = 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / steps as f32).cos());
    LEARNING_RATE * rise * fall.max(0.01)
}

/// The layers, laid out over a training batch, and the optimiser. Every buffer is made here.
#[derive(Debug)]
pub(crate) struct Trainer {
    pub(crate) gpu: Gpu,
    pub(crate) gru: Gru,
    pub(crate) linear: Linear,
    pub(crate) net: Unrolled,
    pub(crate) head: UnrolledLinear,
    pub(crate) loss: Loss,
    adam: Adam,
}

impl Trainer {
    pub(crate) fn new(gpu: &Gpu, seed: u64) -> Result<Self> {
        let gru = Gru::new(gpu, GruConfig::new(INPUTS, HIDDEN), seed)?;
        let linear = Linear::new(gpu, HIDDEN, HORIZONS, seed.wrapping_add(1))?;
        let net = gru.unroll(Unroll::training(WINDOW, BATCH).input_gradient(false))?;
        // The head looks at the steps after the warm-up; before it the gradient of the output stays zero.
        let asked = WARM_UP..WINDOW;
        let head = linear.unroll(&net.output().outer(asked.clone())?, &net.d_output()?.outer(asked)?)?;
        let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
        let options = AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(net.pairs()?.chain(head.pairs()), &options)?;
        Ok(Self { gpu: gpu.clone(), gru, linear, net, head, loss, adam })
    }

    pub(crate) fn explain(&self) -> String {
        self.net.explain()
    }

    /// One training step, one submission. Nothing is waited for.
    pub(crate) fn step(&mut self, x: &[f32], y: &[f32], learning_rate: f32) -> Result<()> {
        self.net.input().write(x)?;
        self.loss.expected().write(y)?;
        self.adam.set_learning_rate(learning_rate)?;
        self.gpu.submit(|encoder| {
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            self.loss.encode(encoder);
            self.head.encode_backward(encoder)?;
            self.net.encode_backward(encoder)?;
            self.adam.encode(encoder);
            Ok(())
        })
    }

    /// Waits for the last step, and reads its loss.
    pub(crate) async fn loss(&self) -> Result<f32> {
        Ok(self.loss.loss().read().await?[0])
    }

    /// What is needed to forecast from each of `origins`, made once.
    pub(crate) fn forecaster(&self, features: &Features, origins: &[usize]) -> Result<Forecaster> {
        let net = self.gru.unroll(Unroll::inference(WINDOW, origins.len()))?;
        let head = self.linear.unroll_inference(net.h_n())?;
        net.input().write(&features.windows(origins))?;
        let levels = origins.iter().map(|&origin| features.level(origin, 1.0)).collect();
        Ok(Forecaster { gpu: self.gpu.clone(), net, head, levels })
    }
}

/// Forecasts from some origins, with the weights of now.
#[derive(Debug)]
pub(crate) struct Forecaster {
    gpu: Gpu,
    net: Unrolled,
    head: LinearInference,
    levels: Vec<f32>,
}

impl Forecaster {
    /// The standardised roots that are forecast from each origin, `[origins, HORIZONS]`.
    pub(crate) async fn run(&mut self) -> Result<Vec<f64>> {
        self.gpu.submit(|encoder| {
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            Ok(())
        })?;
        let differences = self.head.output().read().await?;
        let with_level = |(level, ahead): (&f32, &[f32])| {
            ahead.iter().map(|difference| f64::from(level + difference)).collect::<Vec<_>>()
        };
        Ok(self.levels.iter().zip(differences.chunks_exact(HORIZONS)).flat_map(with_level).collect())
    }
}
