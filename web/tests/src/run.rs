//! What checks have in common: the device, what it complained of, and what came out so far.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use wgpu_gru::{Gpu, Tensor, harness, wgpu};

use crate::checks::{Failure, Outcome};
use crate::support::take_largest_share;

/// A check that only browsers have.
pub(crate) type BrowserCheck = for<'a> fn(&'a Run) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// The checks of a module that only browsers have, by name.
macro_rules! browser_checks {
    ($($check:ident),* $(,)?) => {
        pub(crate) const CHECKS: &[(&str, crate::run::BrowserCheck)] =
            &[$((stringify!($check), |run| Box::pin($check(run)))),*];
    };
}
pub(crate) use browser_checks;

/// What a device has of which wgpu does not know.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beyond {
    /// Of 8 invocations: `harness::assume_subgroups_of_8`.
    pub subgroups: bool,
}

/// A run of the checks.
pub(crate) struct Run {
    gpu: Gpu,
    beyond: Beyond,
    /// Errors that nobody caught, from whenever on.
    complaints: Arc<Mutex<Vec<String>>>,
    /// What the check that runs has to say.
    notes: RefCell<Vec<String>>,
}

impl Run {
    /// Checks on this device, whose uncaught errors are heard from now on.
    pub(crate) fn new(gpu: Gpu, beyond: Beyond) -> Self {
        if beyond.subgroups {
            harness::assume_subgroups_of_8(&gpu);
        }
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let heard = complaints.clone();
        gpu.device().on_uncaptured_error(Arc::new(move |error| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
        }));
        Self { gpu, beyond, complaints, notes: RefCell::default() }
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(crate) fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// Every kernel, and whether it was made.
    pub(crate) fn kernels(&self) -> Vec<(&'static str, bool)> {
        harness::kernels(&self.gpu)
    }

    /// Says something of a check that passes.
    pub(crate) fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }

    /// Runs a check; gives what it has to say, or why it failed.
    pub(crate) async fn check(&self, check: impl Future<Output = Outcome>) -> Result<String, String> {
        take_largest_share();
        let outcome = check.await;
        // Every error of a command that was submitted before is there when its numbers are.
        let flushed = self.flush().await;
        let complaints = std::mem::take(&mut *self.complaints.lock().unwrap_or_else(PoisonError::into_inner));
        let notes = self.notes.take();
        let failures = [outcome, flushed].into_iter().filter_map(Result::err);
        let wrong: Vec<String> = failures.map(|failure: Failure| failure.describe()).chain(complaints).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        let share = take_largest_share();
        let compared = (share > 0.0).then(|| format!("{:.2} % of a budget at most", 100.0 * share));
        Ok(compared.into_iter().chain(notes).collect::<Vec<_>>().join("; "))
    }

    async fn flush(&self) -> Outcome {
        Tensor::zeros(&self.gpu, &[1])?.read().await?;
        Ok(())
    }
}

/// A device as an app opens it.
pub(crate) async fn open(required_limits: wgpu::Limits) -> Outcome<Gpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = adapter.request_device(&descriptor).await?;
    Ok(Gpu::from_device(device, queue))
}
