//! How criterion is started, and how long it measures.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};

use crate::support::is_quick;

/// Runs a bench. With `--help` it says first what the bench is; then criterion lists its options, and refuses others
/// with exit code 2. An error is one line.
pub(crate) fn main(help: &str, run: impl FnOnce(&mut Criterion) -> Result<(), Box<dyn Error>>) -> ExitCode {
    if std::env::args_os().any(|word| word == "--help" || word == "-h") {
        // Whoever closes the pipe has read enough.
        drop(writeln!(std::io::stdout(), "{help}\n"));
    }
    let mut criterion = Criterion::default().configure_from_args();
    if let Err(error) = run(&mut criterion) {
        drop(writeln!(std::io::stderr(), "error: {error}"));
        return ExitCode::FAILURE;
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Floating-point operations over which a case is left out when quick.
pub(crate) const QUICK_FLOPS: u64 = 2_000_000_000;

/// How long to measure.
pub(crate) fn configure(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10);
    if is_quick() {
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    } else {
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    }
}
