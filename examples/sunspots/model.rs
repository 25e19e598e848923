//! A GRU with a linear head, trained wholly on the GPU.

use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, UnrolledLinear};
use wgpu_gru::verify::{Batch, Report, verify_batch};
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Tensor, Unroll, UnrolledGru};

use crate::features::{HORIZONS, INPUTS, WARM_UP, WINDOW};

/// The layers, laid out over a training batch, and the optimiser.
#[derive(Debug)]
pub struct Trainer {
    gpu: Gpu,
    pub gru: Gru,
    linear: Linear,
    pub net: UnrolledGru,
    head: UnrolledLinear,
    loss: MeanSquaredError,
    adam: Adam,
}

impl Trainer {
    /// Makes everything that training needs.
    pub fn new(gpu: &Gpu, hidden: usize, batch: usize, seed: u64) -> Result<Self> {
        let gru = Gru::new(gpu, GruConfig::new(INPUTS, hidden), seed)?;
        let linear = Linear::new(gpu, hidden, HORIZONS, seed.wrapping_add(1))?;
        let net = gru.unroll(Unroll::training(WINDOW, batch).input_gradient(false))?;
        // The head sees the output after the warm-up; the gradient of the output before it stays zero.
        let asked = WARM_UP..WINDOW;
        let head = linear.unroll(&net.output().outer(asked.clone())?, &net.d_output()?.outer(asked)?)?;
        let loss = MeanSquaredError::new(head.output(), head.d_output())?;
        let mut pairs: Vec<(&Tensor, &Tensor)> = Vec::new();
        pairs.extend(gru.parameters().tensors().into_iter().zip(net.gradients()?.parameters.tensors()));
        pairs.extend(linear.parameters().into_iter().zip(head.gradients()));
        let adam = Adam::new(&pairs, &AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() })?;
        Ok(Self { gpu: gpu.clone(), gru, linear, net, head, loss, adam })
    }

    /// One training step, one submission. Nothing is waited for.
    pub fn step(&mut self, x: &[f32], y: &[f32], learning_rate: f32) -> Result<()> {
        self.net.input().write(x)?;
        self.loss.expected().write(y)?;
        self.adam.set_learning_rate(learning_rate)?;
        self.gpu.submit(|encoder| {
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            self.loss.encode(encoder);
            self.head.encode_backward(encoder);
            self.net.encode_backward(encoder)?;
            self.adam.encode(encoder);
            Ok(())
        })
    }

    /// The loss of the last step.
    pub fn loss(&self) -> Result<f32> {
        Ok(self.loss.loss().read_blocking()?[0])
    }

    /// The forecasts `[B, HORIZONS]` behind windows `[WINDOW, B, INPUTS]`.
    pub fn forecast(&self, windows: &[f32]) -> Result<Vec<f32>> {
        let batch = windows.len() / (WINDOW * INPUTS);
        let mut net = self.gru.unroll(Unroll::inference(WINDOW, batch))?;
        let unused = Tensor::zeros(&self.gpu, net.h_n().shape())?;
        let head = self.linear.unroll(net.h_n(), &unused)?;
        net.input().write(windows)?;
        self.gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            Ok(())
        })?;
        head.output().read_blocking()
    }
}
