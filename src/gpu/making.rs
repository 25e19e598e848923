//! Pipelines that are made while the next ones are asked for: drivers compile each for a while, on one thread.

use std::sync::OnceLock;

use crate::error::Result;
use crate::gpu::kernel::Made;
use crate::gpu::pipelines::Order;

/// A pipeline that is being made, on a thread of its own where there are threads. Who builds a program waits for all of its
/// kernels.
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
    use crate::gpu::sync::lock;

    #[derive(Debug)]
    pub(super) struct Thread {
        order: Arc<Order>,
        handle: Mutex<Option<JoinHandle<Result<Made>>>>,
    }

    impl Making {
        /// Begins to make it.
        pub(in crate::gpu) fn begin(order: Order) -> Self {
            let order = Arc::new(order);
            let of_thread = order.clone();
            // Where no thread can be had, who asks for the pipeline makes it.
            let handle = Builder::new().name("wgpu-gru pipeline".into()).spawn(move || of_thread.make()).ok();
            Self { made: OnceLock::new(), thread: Thread { order, handle: Mutex::new(handle) } }
        }

        /// Waits for it.
        pub(in crate::gpu) fn made(&self) -> Result<&Made> {
            let wait = || match lock(&self.thread.handle).take() {
                Some(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                None => self.thread.order.make(),
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
