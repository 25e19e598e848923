//! Whether what a backward pass reads again is as its forward pass has seen it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::{Error, Result};

/// The newest write that the last forward pass has seen, of what the backward pass reads again. Versions grow with every
/// write of any tensor ([`Tensor::version`](crate::Tensor)), so the newest of several tells of a change of any.
#[derive(Debug)]
pub(super) struct Seen(AtomicU64);

/// The version that stands for no forward pass at all.
const NEVER: u64 = u64::MAX;

impl Seen {
    /// Before the first forward pass.
    pub(super) fn nothing() -> Self {
        Self(AtomicU64::new(NEVER))
    }

    /// Notes what a forward pass sees.
    pub(super) fn note(&self, newest: u64) {
        self.0.store(newest, Relaxed);
    }

    /// Checks that there was a forward pass, and that nothing was written since; `tensor` is the one of the newest write.
    pub(super) fn expect(&self, newest: u64, tensor: &'static str) -> Result<()> {
        match self.0.load(Relaxed) {
            NEVER => Err(Error::BackwardWithoutForward),
            seen if newest > seen => Err(Error::ChangedSinceForward { tensor: tensor.into() }),
            _ => Ok(()),
        }
    }
}
