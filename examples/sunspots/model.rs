//! A GRU with a linear head, trained wholly on the GPU, and the same GRU on the CPU.

use std::time::{Duration, Instant};

use wgpu_gru::cpu::CpuGru;
use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, UnrolledLinear};
use wgpu_gru::verify::{Batch, Report, verify_batch};
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Tensor, Unroll, Unrolled};

use crate::features::{Features, HORIZONS, INPUTS, WARM_UP, WINDOW};

/// Units of the GRU.
pub(crate) const HIDDEN: usize = 32;
/// Windows of a training batch.
pub(crate) const BATCH: usize = 32;

/// The layers, laid out over a training batch, and the optimiser. Every buffer is made here.
#[derive(Debug)]
pub(crate) struct Trainer {
    gpu: Gpu,
    gru: Gru,
    linear: Linear,
    net: Unrolled,
    head: UnrolledLinear,
    loss: MeanSquaredError,
    adam: Adam,
}

/// Median times of one training step, and of its forward and backward pass through the GRU alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) gpu_step: Duration,
    pub(crate) gpu_passes: Duration,
    pub(crate) cpu_passes: Duration,
}

impl Trainer {
    pub(crate) fn new(gpu: &Gpu, seed: u64) -> Result<Self> {
        let gru = Gru::new(gpu, GruConfig::new(INPUTS, HIDDEN), seed)?;
        let linear = Linear::new(gpu, HIDDEN, HORIZONS, seed.wrapping_add(1))?;
        let net = gru.unroll(Unroll::training(WINDOW, BATCH).input_gradient(false))?;
        // The head looks at the steps after the warm-up; before it the gradient of the output stays zero.
        let asked = WARM_UP..WINDOW;
        let head = linear.unroll(&net.output().outer(asked.clone())?, &net.d_output()?.outer(asked)?)?;
        let loss = MeanSquaredError::new(head.output(), head.d_output())?;
        let mut pairs: Vec<(&Tensor, &Tensor)> = Vec::new();
        pairs.extend(gru.parameters().tensors().zip(net.gradients()?.parameters.tensors()));
        pairs.extend(linear.parameters().into_iter().zip(head.gradients()));
        let adam = Adam::new(&pairs, &AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() })?;
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
            self.head.encode_backward(encoder);
            self.net.encode_backward(encoder)?;
            self.adam.encode(encoder);
            Ok(())
        })
    }

    /// Waits for the last step, and reads its loss.
    pub(crate) fn loss(&self) -> Result<f32> {
        Ok(self.loss.loss().read_blocking()?[0])
    }

    /// Holds the GRU, with its weights of now, against the CPU in f64: the output and all gradients on a training batch,
    /// with the gradient that the loss really sends back.
    pub(crate) fn verify(&mut self, x: &[f32], y: &[f32]) -> Result<Report> {
        self.net.input().write(x)?;
        self.loss.expected().write(y)?;
        self.gpu.submit(|encoder| {
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            self.loss.encode(encoder);
            self.head.encode_backward(encoder);
            Ok(())
        })?;
        let mut d_output = self.net.d_output()?.read_blocking()?;
        // The error budget of a gradient is absolute below 1: make the largest number 1, so that it means something.
        let largest = d_output.iter().fold(f32::MIN_POSITIVE, |most, d| most.max(d.abs()));
        d_output.iter_mut().for_each(|d| *d /= largest);
        let zeros = vec![0.0; BATCH * HIDDEN];
        let (x, h0) = (x.to_vec(), zeros.clone());
        let (seq_len, batch, d_h_n) = (WINDOW, BATCH, zeros);
        let batch = Batch { seq_len, batch, lengths: None, x, h0, d_output, d_h_n, dropout_seed: 0 };
        pollster::block_on(verify_batch(&self.gru, &mut self.net, &batch))
    }

    /// The standardised roots that are forecast from each of `origins`, `[origins, HORIZONS]`.
    pub(crate) fn forecast(&self, features: &Features, origins: &[usize]) -> Result<Vec<f64>> {
        let mut net = self.gru.unroll(Unroll::inference(WINDOW, origins.len()))?;
        let no_gradient = Tensor::zeros(&self.gpu, net.h_n().shape())?;
        let head = self.linear.unroll(net.h_n(), &no_gradient)?;
        net.input().write(&features.windows(origins))?;
        self.gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            Ok(())
        })?;
        let differences = head.output().read_blocking()?;
        let with_level = |(&origin, ahead): (&usize, &[f32])| {
            let level = features.level(origin, 1.0);
            ahead.iter().map(|difference| f64::from(level + difference)).collect::<Vec<_>>()
        };
        Ok(origins.iter().zip(differences.chunks_exact(HORIZONS)).flat_map(with_level).collect())
    }

    /// Times the training step, and the GRU's share of it on both sides. The optimiser runs with a rate of 0, so the
    /// weights stay.
    pub(crate) fn times(&mut self, x: &[f32], y: &[f32]) -> Result<Times> {
        let gpu = self.gpu.clone();
        let gpu_step = median(|| {
            self.step(x, y, 0.0)?;
            gpu.wait_blocking()
        })?;
        let gpu_passes = median(|| {
            self.net.input().write(x)?;
            gpu.submit(|encoder| {
                self.net.encode_forward(encoder)?;
                self.net.encode_backward(encoder)
            })?;
            gpu.wait_blocking()
        })?;
        let d_output = self.net.d_output()?.read_blocking()?;
        let cpu = CpuGru::new(self.gru.config().clone(), &pollster::block_on(self.gru.read_weights())?)?;
        let mut cpu = cpu.unroll(Unroll::training(WINDOW, BATCH).input_gradient(false))?;
        let cpu_passes = median(|| {
            cpu.forward(x, None)?;
            cpu.backward(Some(&d_output), None)
        })?;
        Ok(Times { gpu_step, gpu_passes, cpu_passes })
    }
}

/// The median time of a few runs, after one to warm up.
fn median(mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    run()?;
    let mut times = Vec::new();
    for _ in 0..9 {
        let begin = Instant::now();
        run()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
