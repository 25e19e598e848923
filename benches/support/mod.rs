//! What the benches share: the adapter, and whether to be quick.

use wgpu_gru::{Gpu, Result};

/// `WGPU_GRU_BENCH=quick`: few samples, and nothing that takes over about a second on a software adapter.
pub(crate) fn is_quick() -> bool {
    std::env::var("WGPU_GRU_BENCH").is_ok_and(|value| value == "quick")
}

/// The adapter, opened in a way of the bench's own, or why there is none. Says plainly which one it is.
#[expect(clippy::print_stderr, reason = "a bench reports")]
pub(crate) fn gpu(open: impl FnOnce() -> Result<Gpu>) -> Option<Gpu> {
    match open() {
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
