//! What the benches share: the adapter, and how long to measure.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use wgpu_gru::Gpu;

/// `WGPU_GRU_BENCH=quick`: few samples, and nothing that takes over about a second on a software adapter.
pub(crate) fn is_quick() -> bool {
    std::env::var("WGPU_GRU_BENCH").is_ok_and(|value| value == "quick")
}

/// Floating-point operations over which a case is left out when quick.
pub(crate) const QUICK_FLOPS: u64 = 2_000_000_000;

/// The adapter, or why there is none. Says plainly which one it is.
#[expect(clippy::print_stderr, reason = "a bench reports")]
pub(crate) fn gpu() -> Option<Gpu> {
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
pub(crate) fn configure(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10);
    if is_quick() {
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    } else {
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    }
}
