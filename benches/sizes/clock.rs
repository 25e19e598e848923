//! The clock: microseconds of one pass.

use std::time::{Duration, Instant};

use wgpu_gru::reference::twins::matmul::MatmulParams;
use wgpu_gru::{Gpu, MatmulKernel, Program, Result, Tensor, harness, wgpu};

use crate::device::Stamps;
use crate::support::is_quick;

/// Keeps the device busy until it has raised its clocks, of which an H100 has a sixth when it was idle.
pub(crate) struct Warmth {
    program: Program,
    gpu: Gpu,
}

impl Warmth {
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        const SIZE: usize = 1024;
        let params =
            MatmulParams { m: SIZE, n: SIZE, k: SIZE, transpose_a: false, transpose_b: true, accumulate: false };
        let [a, b, c] = [(); 3].map(|()| Tensor::zeros(gpu, &[SIZE, SIZE]));
        let program = harness::matmul(MatmulKernel::Tiled, &params, &a?, &b?, None, &c?)?;
        Ok(Self { program, gpu: gpu.clone() })
    }

    /// Before anything is timed: while a kernel is compiled the device has gone to sleep again.
    pub(crate) fn raise(&self) -> Result<()> {
        let (begin, least) = (Instant::now(), if self.gpu.is_software() { 0 } else { 300 });
        while begin.elapsed() < Duration::from_millis(least) {
            self.gpu.submit(|encoder| {
                (0..200).for_each(|_| self.program.encode(encoder));
                Ok(())
            })?;
            self.gpu.wait_blocking()?;
        }
        Ok(())
    }
}

/// Microseconds of what is recorded by the GPU's clock: the median over rounds of as many in one submission as take some
/// milliseconds. By the host's clock where the device has no timestamps.
pub(crate) fn on_gpu(warmth: &Warmth, mut record: impl FnMut(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<f64> {
    let gpu = &warmth.gpu;
    let stamps = Stamps::new(gpu);
    let time = |record: &mut dyn FnMut(&mut wgpu::CommandEncoder) -> Result<()>, count: usize| -> Result<f64> {
        let mut all = |encoder: &mut wgpu::CommandEncoder| (0..count).try_for_each(|_| record(encoder));
        let stamped = stamps.as_ref().map(|stamps| stamps.time(gpu, &mut all)).transpose()?.flatten();
        if let Some(nanoseconds) = stamped {
            return Ok(nanoseconds / 1e3 / count as f64);
        }
        let begin = Instant::now();
        gpu.submit(all)?;
        gpu.wait_blocking()?;
        Ok(1e6 * begin.elapsed().as_secs_f64() / count as f64)
    };
    time(&mut record, 1)?;
    warmth.raise()?;
    let count = ((if is_quick() { 2e3 } else { 1e4 }) / time(&mut record, 1)?).ceil().clamp(1.0, 200.0) as usize;
    let rounds = if is_quick() { 3 } else { 7 };
    let times: Result<Vec<f64>> = (0..rounds).map(|_| time(&mut record, count)).collect();
    Ok(median(times?))
}

/// Microseconds until the host has what a pass in a submission of its own leaves for it.
pub(crate) fn alone(mut pass: impl FnMut() -> Result<()>) -> Result<f64> {
    let rounds = if is_quick() { 3 } else { 15 };
    let times: Result<Vec<f64>> = (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            pass()?;
            Ok(1e6 * begin.elapsed().as_secs_f64())
        })
        .collect();
    Ok(median(times?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
