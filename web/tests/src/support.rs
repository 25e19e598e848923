//! What the shared checks need of the crate around them.

use wgpu_gru::{Gpu, Result};

#[path = "../../../tests/support/adam.rs"]
pub(crate) mod adam;
#[expect(dead_code, reason = "the native tests use the rest")]
#[path = "../../../tests/support/error.rs"]
mod error;
#[expect(dead_code, reason = "the native tests use the rest")]
#[path = "../../../tests/support/numbers.rs"]
mod numbers;

pub(crate) use error::shape;
pub(crate) use numbers::{ACTIVATIONS, close, from_bits, kinds, largest, note, take_largest_share, to_bits, wide};

/// Another device of the same adapter.
pub(crate) async fn own_device(_: &Gpu) -> Result<Gpu> {
    Gpu::new().await
}
