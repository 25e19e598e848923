//! The GPU's numbers and times beside those of the CPU.

use std::time::{Duration, Instant};

use wgpu_gru::cpu::CpuGru;
use wgpu_gru::verify::{Batch, Report, verify_batch};
use wgpu_gru::{Result, Unroll};

use crate::features::WINDOW;
use crate::model::{BATCH, HIDDEN, Trainer};

/// Median times of one training step, and of its forward and backward pass through the GRU alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) gpu_step: Duration,
    pub(crate) gpu_passes: Duration,
    pub(crate) cpu_passes: Duration,
}

impl Trainer {
    /// Holds the GRU, with its weights of now, against the CPU in f64: the output and all gradients on a training
    /// batch, with the gradient that the loss really sends back.
    pub(crate) fn verify(&mut self, x: &[f32], y: &[f32]) -> Result<Report> {
        self.net.input().write(x)?;
        self.loss.expected().write(y)?;
        self.gpu.submit(|encoder| {
            self.net.encode_forward(encoder)?;
            self.head.encode_forward(encoder);
            self.loss.encode(encoder);
            self.head.encode_backward(encoder)
        })?;
        let mut d_output = self.net.d_output()?.read_blocking()?;
        // The error budget of a gradient is absolute below 1: make the largest number 1, so that it means something.
        let largest = d_output.iter().fold(f32::MIN_POSITIVE, |most, d| most.max(d.abs()));
        d_output.iter_mut().for_each(|d| *d /= largest);
        let zeros = vec![0.0; BATCH * HIDDEN];
        let (x, h0) = (x.to_vec(), zeros.clone());
        let (seq_len, batch, d_h_n) = (WINDOW, BATCH, zeros);
        let batch =
            Batch { seq_len, batch, lengths: None, episode_starts: None, x, h0, d_output, d_h_n, dropout_seed: 0 };
        pollster::block_on(verify_batch(&self.gru, &mut self.net, &batch))
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
