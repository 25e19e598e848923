//! What an unrolled layer takes of the GPU's memory, beside what its plan said.

use serde::Serialize;
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Unroll};

use crate::case::Size;

/// Bytes of one training unroll.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    #[serde(skip)]
    pub(crate) size: Size,
    /// `Plan::bytes`.
    pub(crate) planned: u64,
    /// What wgpu counts as buffer memory more than before: it knows of alignment and uniforms too. 0 where it does not
    /// count.
    pub(crate) counted: i64,
    /// The same by the allocator's report, where the backend has one.
    pub(crate) reported: Option<i64>,
}

/// Unrolls a layer of this size for training, and lets it go again.
pub(crate) fn measure(gpu: &Gpu, size: Size) -> Result<Memory> {
    let gru = Gru::new(gpu, GruConfig::new(size.input, size.hidden), 1)?;
    let unroll = Unroll::training(size.seq_len, size.batch);
    // What went before is really gone after a wait.
    gpu.wait_blocking()?;
    let before = taken(gpu);
    let net = gru.unroll(unroll)?;
    let after = taken(gpu);
    let planned = net.plan().bytes();
    Ok(Memory {
        size,
        planned,
        counted: after.0 - before.0,
        reported: after.1.zip(before.1).map(|(after, before)| after - before),
    })
}

/// Bytes by wgpu's counter, and by the allocator's report.
fn taken(gpu: &Gpu) -> (i64, Option<i64>) {
    let device = gpu.device();
    let counted = device.get_internal_counters().hal.buffer_memory.read() as i64;
    (counted, device.generate_allocator_report().map(|report| report.total_allocated_bytes as i64))
}

impl Memory {
    /// What wgpu counted over the plan, as a share of the plan; None where it does not count.
    pub(crate) fn over_plan(&self) -> Option<f64> {
        (self.counted > 0).then(|| self.counted as f64 / self.planned as f64 - 1.0)
    }
}
