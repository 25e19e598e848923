//! What the benches share: the sizes, the adapter, how long to measure.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use wgpu_gru::Gpu;

/// The sizes of a layer and of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub seq_len: usize,
    pub batch: usize,
    pub input: usize,
    pub hidden: usize,
}

/// (T, B, I, H): three of growing width, a short stream, one large step, a long stream.
pub const SIZES: [Size; 6] = [
    size(64, 32, 128, 128),
    size(128, 32, 256, 256),
    size(64, 64, 512, 512),
    size(100, 1, 64, 64),
    size(32, 64, 1024, 1024),
    size(480, 1, 64, 96),
];

const fn size(seq_len: usize, batch: usize, input: usize, hidden: usize) -> Size {
    Size { seq_len, batch, input, hidden }
}

impl Size {
    /// The name in reports.
    pub fn label(&self) -> String {
        format!("T{}_B{}_I{}_H{}", self.seq_len, self.batch, self.input, self.hidden)
    }
}

/// `WGPU_GRU_BENCH=quick`: few samples, and nothing that takes over about a second on a software adapter.
pub fn is_quick() -> bool {
    std::env::var("WGPU_GRU_BENCH").is_ok_and(|value| value == "quick")
}

/// Floating-point operations over which a case is left out when quick.
pub const QUICK_FLOPS: u64 = 2_000_000_000;

/// The adapter, or why there is none. Says plainly which one it is.
#[expect(clippy::print_stderr, reason = "a bench reports")]
pub fn gpu() -> Option<Gpu> {
    match Gpu::new_blocking() {
        Ok(gpu) => {
            eprintln!("adapter: {}", gpu.describe());
            if gpu.is_software() {
                eprintln!(
                    "note: a software adapter; its times compare kernels with each other, and say nothing about GPUs"
                );
            }
            Some(gpu)
        }
        Err(error) => {
            eprintln!("no GPU, so the CPU layer alone is measured: {error}");
            None
        }
    }
}

/// How long to measure.
pub fn configure(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10);
    if is_quick() {
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    } else {
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    }
}
