//! The clock: microseconds of one pass.

use std::time::{Duration, Instant};

use wgpu_gru::{Gpu, Result, wgpu};

use crate::device::Stamps;
use crate::support::is_quick;

/// Runs what is to be timed until the device has raised its clocks: an H100 begins at a sixth of them.
fn warm_up(gpu: &Gpu, mut record: impl FnMut(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(if gpu.is_software() { 0 } else { 250 }) {
        gpu.submit(|encoder| (0..10).try_for_each(|_| record(encoder)))?;
        gpu.wait_blocking()?;
    }
    Ok(())
}

/// Microseconds of what is recorded by the GPU's clock: the median over rounds of as many in one submission as take some
/// milliseconds. By the host's clock where the device has no timestamps.
pub(crate) fn on_gpu(gpu: &Gpu, mut record: impl FnMut(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<f64> {
    let stamps = Stamps::new(gpu);
    let time = |record: &mut dyn FnMut(&mut wgpu::CommandEncoder) -> Result<()>, count: usize| -> Result<f64> {
        let mut all = |encoder: &mut wgpu::CommandEncoder| (0..count).try_for_each(|_| record(encoder));
        if let Some(stamps) = &stamps {
            if let Some(nanoseconds) = stamps.time(gpu, &mut all)? {
                return Ok(nanoseconds / 1e3 / count as f64);
            }
        }
        let begin = Instant::now();
        gpu.submit(all)?;
        gpu.wait_blocking()?;
        Ok(1e6 * begin.elapsed().as_secs_f64() / count as f64)
    };
    warm_up(gpu, &mut record)?;
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
