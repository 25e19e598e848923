//! What the benches share: the adapter, and whether to be quick.

use wgpu_gru::{Error, Gpu, Result};

/// `WGPU_GRU_BENCH=quick`, or `--quick`: few samples, and nothing that takes over about a second on a software adapter.
pub(crate) fn is_quick() -> bool {
    std::env::var("WGPU_GRU_BENCH").is_ok_and(|value| value == "quick")
        || std::env::args_os().skip(1).any(|word| word == "--quick")
}

/// The adapter, opened in a way of the bench's own. Says plainly which one it is. `None` where there is none and the
/// bench can do without.
///
/// # Errors
/// Those of `open`. That there is no adapter is none where `can_do_without`, but that what was asked for is not there
/// is.
#[expect(clippy::print_stderr, reason = "a bench reports")]
pub(crate) fn gpu(can_do_without: bool, open: impl FnOnce() -> Result<Gpu>) -> Result<Option<Gpu>> {
    match open() {
        Ok(gpu) => {
            eprintln!("adapter: {}", gpu.describe());
            if gpu.is_software() {
                eprintln!(
                    "note: a software adapter; its times compare kernels with each other, and say nothing about GPUs"
                );
            }
            Ok(Some(gpu))
        }
        Err(error @ Error::NoAdapter { wanted: None, .. }) if can_do_without => {
            eprintln!("no GPU, so the CPU layer alone is measured: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
