//! Comparisons that remember how much of their budgets was used. A test that compares calls these.

use std::cell::Cell;

use wgpu_gru::verify::{Batch, Report};
use wgpu_gru::{Error, Recurrent, Tolerance, Unrolled, verify};

#[path = "../support/mod.rs"]
mod common;

pub(crate) use common::{expectation, wide};

thread_local! {
    /// The largest share of a budget that a comparison on this thread has used, of those that passed.
    static LARGEST_SHARE: Cell<f64> = const { Cell::new(0.0) };
}

/// The largest share since the last call.
pub(crate) fn take_largest_share() -> f64 {
    LARGEST_SHARE.replace(0.0)
}

/// A share over 1 is a failure, or what a test of the comparisons wants to see.
fn note(share: f64) {
    if share <= 1.0 {
        LARGEST_SHARE.with(|largest| largest.set(largest.get().max(share)));
    }
}

/// Fails unless every element of a tensor is within its bound, and says which is furthest out and by how much.
#[track_caller]
pub(crate) fn assert_close<A, E>(tensor: &str, actual: &[A], expected: &[E], tolerance: Tolerance)
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    note(tolerance.compare(actual, expected).share);
    common::assert_close(tensor, actual, expected, tolerance);
}

/// [`verify::verify_batch`].
pub(crate) async fn verify_batch<C: Copy + Into<wgpu_gru::Cell>>(
    layer: &Recurrent<C>,
    net: &mut Unrolled,
    batch: &Batch,
) -> Result<Report, Error> {
    let report = verify::verify_batch(layer, net, batch).await;
    if let Ok(report) = &report {
        note(report.worst_share());
    }
    report
}
