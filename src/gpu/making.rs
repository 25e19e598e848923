//! Pipelines that are made while the next ones are asked for: drivers compile each for a while, on one thread.

use std::sync::OnceLock;

use crate::error::Result;
use crate::gpu::kernel::Made;
use crate::gpu::pipelines::Order;

/// A pipeline that is being made, on a thread of its own where there are threads. Who builds a program waits for all of its
/// kernels. Nothing here holds the device: a kernel is kept by it.
#[derive(Debug)]
pub(super) struct Making {
    made: OnceLock<Result<Made>>,
    #[cfg(not(target_arch = "wasm32"))]
    thread: threads::Thread,
}

impl Making {
    pub(super) fn has_failed(&self) -> bool {
        self.made.get().is_some_and(Result::is_err)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod threads {
    use std::sync::{Arc, Mutex};
    use std::thread::{Builder, JoinHandle};

    use super::{Made, Making, OnceLock, Order, Result};
    use crate::error::Error;
    use crate::gpu::sync::lock;

    pub(super) type Thread = Mutex<Option<JoinHandle<Result<Made>>>>;

    impl Making {
        /// Begins to make it.
        pub(in crate::gpu) fn begin(order: Order) -> Self {
            let order = Arc::new(order);
            let of_thread = order.clone();
            match Builder::new().name("wgpu-gru pipeline".into()).spawn(move || of_thread.make()) {
                Ok(thread) => Self { made: OnceLock::new(), thread: Mutex::new(Some(thread)) },
                // There are as many threads as there may be.
                Err(_) => Self { made: OnceLock::from(order.make()), thread: Mutex::default() },
            }
        }

        /// Waits for it.
        pub(in crate::gpu) fn made(&self) -> Result<&Made> {
            let ended = || Error::Refused { what: "a pipeline", reason: "the thread that made it has panicked".into() };
            let wait = || match lock(&self.thread).take().map(JoinHandle::join) {
                Some(Ok(made)) => made,
                Some(Err(_)) | None => Err(ended()),
            };
            self.made.get_or_init(wait).as_ref().map_err(Clone::clone)
        }
    }
}

#[cfg(target_arch = "wasm32")]
impl Making {
    /// Makes it.
    pub(super) fn begin(order: Order) -> Self {
        Self { made: OnceLock::from(order.make()) }
    }

    /// What was made.
    pub(super) fn made(&self) -> Result<&Made> {
        match self.made.get() {
            Some(made) => made.as_ref().map_err(Clone::clone),
            None => unreachable!("it was made when it was begun"),
        }
    }
}
