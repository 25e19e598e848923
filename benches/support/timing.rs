//! How long criterion measures.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;

use crate::support::is_quick;

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
