//! From the GPU to the host: one copy into a staging buffer that is kept for the next time, and one wait, which ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use crate::error::{Error, Result};
use crate::gpu::tensor::Tensor;

type Mapped = Result<(), wgpu::BufferAsyncError>;

impl Tensor {
    /// Reads the numbers. Submits a copy into a staging buffer, which is kept for the next time, and waits for it.
    ///
    /// # Errors
    /// [`Error::ReadbackTimeout`], [`Error::Readback`], [`Error::DeviceLost`], [`Error::OutOfMemory`],
    /// [`Error::BufferUsage`], [`Error::Refused`].
    pub async fn read(&self) -> Result<Vec<f32>> {
        self.expect_usage("tensor to read", wgpu::BufferUsages::COPY_SRC)?;
        read(self).await
    }

    /// [`Tensor::read`], blocking this thread.
    ///
    /// # Errors
    /// As [`Tensor::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_blocking(&self) -> Result<Vec<f32>> {
        self.expect_usage("tensor to read", wgpu::BufferUsages::COPY_SRC)?;
        read_blocking(self)
    }
}

/// A readback under way.
struct Pending {
    staging: wgpu::Buffer,
    mapped: OneshotReceiver<Mapped>,
    #[cfg(not(target_arch = "wasm32"))]
    called: Arc<AtomicBool>,
    #[cfg(not(target_arch = "wasm32"))]
    submission: wgpu::SubmissionIndex,
}

/// Copies a tensor to a staging buffer, submits that, and asks for the mapping.
fn start(tensor: &Tensor) -> Result<Pending> {
    let gpu = tensor.gpu();
    gpu.expect_alive()?;
    let bytes = tensor.byte_len();
    let staging = match gpu.staging().take(bytes) {
        Some(staging) => staging,
        None => {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            gpu.create_buffer("readback staging", bytes, usage)?
        }
    };
    let mut encoder =
        gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("wgpu-gru readback") });
    encoder.copy_buffer_to_buffer(tensor.buffer(), tensor.byte_offset(), &staging, 0, tensor.byte_len());
    let submitted = gpu.expect_taken("the copy of a tensor to be read", || Ok(gpu.submit_encoder(encoder)));
    let _submission = match submitted {
        Ok(submission) => submission,
        Err(error) => {
            gpu.staging().give_back(staging);
            return Err(error);
        }
    };
    let (sender, mapped) = oneshot_channel();
    let called = Arc::new(AtomicBool::new(false));
    let flag = called.clone();
    // A device that was lost just now has made a staging buffer that cannot be mapped: the caller is to hear of it, not
    // the uncaptured-error handler.
    #[cfg(not(target_arch = "wasm32"))]
    let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
    staging.map_async(wgpu::MapMode::Read, ..tensor.byte_len(), move |result| {
        // A receiver that is gone means that nobody waits any more.
        drop(sender.send(result));
        flag.store(true, Ordering::Release);
    });
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(error) = pollster::block_on(scope.pop()) {
        return Err(gpu.discover_loss().unwrap_or_else(|| gpu.note_loss(error.to_string())));
    }
    Ok(Pending {
        staging,
        mapped,
        #[cfg(not(target_arch = "wasm32"))]
        called,
        #[cfg(not(target_arch = "wasm32"))]
        submission: _submission,
    })
}

/// Takes the numbers out of a mapped staging buffer and gives the buffer back to the pool.
fn finish(tensor: &Tensor, staging: wgpu::Buffer, mapped: Option<Mapped>) -> Result<Vec<f32>> {
    let gpu = tensor.gpu();
    let failed = |error| gpu.discover_loss().unwrap_or(Error::Readback(error));
    // No answer at all: the callback was dropped without a call, because wgpu gave the device up.
    mapped.unwrap_or(Err(wgpu::BufferAsyncError)).map_err(failed)?;
    let host = {
        let view = staging.get_mapped_range(..tensor.byte_len()).map_err(|_| failed(wgpu::BufferAsyncError))?;
        bytemuck::pod_collect_to_vec(&view)
    };
    staging.unmap();
    gpu.staging().give_back(staging);
    Ok(host)
}

/// Reads a tensor. The event loop of the browser drives the mapping.
#[cfg(target_arch = "wasm32")]
async fn read(tensor: &Tensor) -> Result<Vec<f32>> {
    let Pending { staging, mapped } = start(tensor)?;
    let mapped = mapped.receive().await;
    finish(tensor, staging, mapped)
}

#[cfg(not(target_arch = "wasm32"))]
use native::{read, read_blocking};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::gpu::Gpu;

    /// One wait inside the driver. Drivers have been seen to hang on a wait without end, and a lost device may never
    /// signal: so each wait is short, and the loop around it counts the time.
    const SLICE: Duration = Duration::from_millis(100);

    /// Reads a tensor. A thread waits for the device until the mapping is there or the time is over, so that no
    /// executor is blocked and nothing spins.
    pub(super) async fn read(tensor: &Tensor) -> Result<Vec<f32>> {
        let Pending { staging, mapped, called, submission } = start(tensor)?;
        let (sender, waited) = oneshot_channel();
        let gpu = tensor.gpu().clone();
        std::thread::Builder::new()
            .name("wgpu-gru readback".into())
            .spawn(move || drop(sender.send(gpu.poll_until(Some(&submission), &called))))
            .map_err(|_| Error::OutOfMemory { what: "readback thread", bytes: 0 })?;
        waited.receive().await.unwrap_or(Err(Error::Readback(wgpu::BufferAsyncError)))?;
        let mapped = mapped.receive().await;
        finish(tensor, staging, mapped)
    }

    /// Reads a tensor, waiting on this thread.
    pub(super) fn read_blocking(tensor: &Tensor) -> Result<Vec<f32>> {
        let Pending { staging, mapped, called, submission } = start(tensor)?;
        tensor.gpu().poll_until(Some(&submission), &called)?;
        // The callback has run: this does not wait.
        finish(tensor, staging, pollster::block_on(mapped.receive()))
    }

    impl Gpu {
        /// Drives the device until `done` is set or the time is over.
        pub(in crate::gpu) fn poll_until(
            &self,
            submission_index: Option<&wgpu::SubmissionIndex>,
            done: &AtomicBool,
        ) -> Result<()> {
            let (begin, timeout) = (Instant::now(), self.readback_timeout());
            loop {
                let left = timeout.saturating_sub(begin.elapsed());
                let wait = wgpu::PollType::Wait {
                    submission_index: submission_index.cloned(),
                    timeout: Some(left.min(SLICE)),
                };
                // wgpu panics when a device is lost inside a wait; here that is an error like any other.
                let polled = catch_unwind(AssertUnwindSafe(|| self.device().poll(wait)));
                if done.load(Ordering::Acquire) {
                    return Ok(());
                }
                self.expect_alive()?;
                match polled {
                    Ok(Ok(_) | Err(wgpu::PollError::Timeout)) => {}
                    Ok(Err(error)) => return Err(Error::DeviceLost { reason: error.to_string() }),
                    Err(_) => return Err(Error::DeviceLost { reason: "wgpu panicked while it waited".into() }),
                }
                if left.is_zero() {
                    return Err(Error::ReadbackTimeout { waited: timeout });
                }
            }
        }
    }
}
