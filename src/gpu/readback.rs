//! From the GPU to the host: copies into a staging buffer that is kept for the next time, and one wait, which ends.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor};

type Mapped = Result<(), wgpu::BufferAsyncError>;

impl Tensor {
    /// Reads the numbers. Submits a copy into a staging buffer, which is kept for the next time, and waits for it.
    ///
    /// # Errors
    /// [`Error::ReadbackTimeout`], [`Error::Readback`], [`Error::DeviceLost`], [`Error::OutOfMemory`],
    /// [`Error::BufferUsage`], [`Error::Refused`].
    pub async fn read(&self) -> Result<Vec<f32>> {
        Ok(Self::read_all(&[self]).await?.pop().unwrap_or_default())
    }

    /// [`Tensor::read`], blocking this thread.
    ///
    /// # Errors
    /// As [`Tensor::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_blocking(&self) -> Result<Vec<f32>> {
        Ok(Self::read_all_blocking(&[self])?.pop().unwrap_or_default())
    }

    /// Reads the numbers of many tensors with one submission and one wait, all of them as they are when this is first
    /// polled: what is submitted later changes none of them. What is awaited here blocks nothing, so an app draws its
    /// frames meanwhile.
    ///
    /// # Errors
    /// Those of [`Tensor::read`], and [`Error::ForeignDevice`] for one that is not on the device of the first.
    pub async fn read_all(tensors: &[&Self]) -> Result<Vec<Vec<f32>>> {
        match start(tensors)? {
            Some(pending) => read(pending).await,
            None => Ok(Vec::new()),
        }
    }

    /// [`Tensor::read_all`], blocking this thread.
    ///
    /// # Errors
    /// As [`Tensor::read_all`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_all_blocking(tensors: &[&Self]) -> Result<Vec<Vec<f32>>> {
        start(tensors)?.map_or(Ok(Vec::new()), read_blocking)
    }
}

/// A readback under way.
struct Pending {
    gpu: Gpu,
    parts: Vec<Part>,
    #[cfg(not(target_arch = "wasm32"))]
    submission: wgpu::SubmissionIndex,
}

/// The tensors that lie in one staging buffer.
struct Part {
    staging: wgpu::Buffer,
    /// The bytes of each tensor.
    places: Vec<Range<u64>>,
    mapped: OneshotReceiver<Mapped>,
    #[cfg(not(target_arch = "wasm32"))]
    called: Arc<AtomicBool>,
}

impl Part {
    fn bytes(places: &[Range<u64>]) -> u64 {
        places.last().map_or(0, |place| place.end)
    }
}

/// Where each tensor comes to lie: one behind the other, in as few buffers as hold them.
fn places(tensors: &[&Tensor], largest: u64) -> Vec<Vec<Range<u64>>> {
    let mut parts: Vec<Vec<Range<u64>>> = Vec::new();
    for tensor in tensors {
        let bytes = tensor.byte_len();
        let fits = |part: &Vec<_>| Part::bytes(part).saturating_add(bytes) <= largest;
        if !parts.last().is_some_and(fits) {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            let begin = Part::bytes(part);
            part.push(begin..begin + bytes);
        }
    }
    parts
}

/// Copies tensors to staging buffers, submits that, and asks for the mappings; nothing where there is no tensor.
fn start(tensors: &[&Tensor]) -> Result<Option<Pending>> {
    let Some(gpu) = tensors.first().map(|first| first.gpu()) else { return Ok(None) };
    for tensor in tensors {
        tensor.expect_on(gpu, "tensor to read")?;
        tensor.expect_usage("tensor to read", wgpu::BufferUsages::COPY_SRC)?;
    }
    gpu.expect_alive()?;
    let places = places(tensors, gpu.limits().max_buffer_size);
    let staging = |places: &Vec<Range<u64>>| {
        let bytes = Part::bytes(places);
        gpu.staging().take(bytes).map_or_else(
            || {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                gpu.create_buffer("readback staging", bytes, usage)
            },
            Ok,
        )
    };
    let buffers = places.iter().map(staging).collect::<Result<Vec<_>>>()?;
    let mut encoder =
        gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("wgpu-gru readback") });
    let all = buffers.iter().zip(&places).flat_map(|(buffer, places)| places.iter().map(move |place| (buffer, place)));
    for (tensor, (buffer, place)) in tensors.iter().zip(all) {
        encoder.copy_buffer_to_buffer(tensor.buffer(), tensor.byte_offset(), buffer, place.start, tensor.byte_len());
    }
    let submitted = gpu.expect_taken("the copy of a tensor to be read", || Ok(gpu.submit_encoder(encoder)));
    let _submission = match submitted {
        Ok(submission) => submission,
        Err(error) => {
            buffers.into_iter().for_each(|buffer| gpu.staging().give_back(buffer));
            return Err(error);
        }
    };
    let parts = buffers.into_iter().zip(places).map(|(staging, places)| map(gpu, staging, places));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    Ok(Some(Pending {
        gpu: gpu.clone(),
        parts,
        #[cfg(not(target_arch = "wasm32"))]
        submission: _submission,
    }))
}

/// Asks for the mapping of a staging buffer.
#[cfg_attr(
    target_arch = "wasm32",
    expect(unused_variables, reason = "a browser has no error scope that is popped at once")
)]
fn map(gpu: &Gpu, staging: wgpu::Buffer, places: Vec<Range<u64>>) -> Result<Part> {
    let (sender, mapped) = oneshot_channel();
    let called = Arc::new(AtomicBool::new(false));
    let flag = called.clone();
    // A device that was lost just now has made a staging buffer that cannot be mapped: the caller is to hear of it, not
    // the uncaptured-error handler.
    #[cfg(not(target_arch = "wasm32"))]
    let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
    staging.map_async(wgpu::MapMode::Read, ..Part::bytes(&places), move |result| {
        // A receiver that is gone means that nobody waits any more.
        drop(sender.send(result));
        flag.store(true, Ordering::Release);
    });
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(error) = pollster::block_on(scope.pop()) {
        return Err(gpu.discover_loss().unwrap_or_else(|| gpu.note_loss(error.to_string())));
    }
    Ok(Part {
        staging,
        places,
        mapped,
        #[cfg(not(target_arch = "wasm32"))]
        called,
    })
}

/// Takes the numbers out of a mapped staging buffer and gives the buffer back to the pool.
fn finish(gpu: &Gpu, staging: wgpu::Buffer, places: &[Range<u64>], mapped: Option<Mapped>) -> Result<Vec<Vec<f32>>> {
    let failed = |error| gpu.discover_loss().unwrap_or(Error::Readback(error));
    // No answer at all: the callback was dropped without a call, because wgpu gave the device up.
    mapped.unwrap_or(Err(wgpu::BufferAsyncError)).map_err(failed)?;
    let hosts = {
        let view = staging.get_mapped_range(..Part::bytes(places)).map_err(|_| failed(wgpu::BufferAsyncError))?;
        let of = |place: &Range<u64>| bytemuck::pod_collect_to_vec(&view[place.start as usize..place.end as usize]);
        places.iter().map(of).collect()
    };
    staging.unmap();
    gpu.staging().give_back(staging);
    Ok(hosts)
}

/// Reads tensors. The event loop of the browser drives the mappings.
#[cfg(target_arch = "wasm32")]
async fn read(pending: Pending) -> Result<Vec<Vec<f32>>> {
    let mut hosts = Vec::new();
    for Part { staging, places, mapped } in pending.parts {
        let mapped = mapped.receive().await;
        hosts.extend(finish(&pending.gpu, staging, &places, mapped)?);
    }
    Ok(hosts)
}

#[cfg(not(target_arch = "wasm32"))]
use native::{read, read_blocking};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    use super::*;

    /// One wait inside the driver. Drivers have been seen to hang on a wait without end, and a lost device may never
    /// signal: so each wait is short, and the loop around it counts the time.
    const SLICE: Duration = Duration::from_millis(100);

    /// Reads tensors. A thread waits for the device until the mappings are there or the time is over, so that no
    /// executor is blocked and nothing spins.
    pub(super) async fn read(pending: Pending) -> Result<Vec<Vec<f32>>> {
        let Pending { gpu, parts, submission } = pending;
        let (sender, waited) = oneshot_channel();
        let (own, called) = (gpu.clone(), parts.iter().map(|part| part.called.clone()).collect::<Vec<_>>());
        std::thread::Builder::new()
            .name("wgpu-gru readback".into())
            .spawn(move || {
                let all = called.iter().try_for_each(|called| own.poll_until(Some(&submission), called));
                drop(sender.send(all));
            })
            .map_err(|_| Error::OutOfMemory { what: "readback thread", bytes: 0 })?;
        waited.receive().await.unwrap_or(Err(Error::Readback(wgpu::BufferAsyncError)))?;
        let mut hosts = Vec::new();
        for Part { staging, places, mapped, .. } in parts {
            let mapped = mapped.receive().await;
            hosts.extend(finish(&gpu, staging, &places, mapped)?);
        }
        Ok(hosts)
    }

    /// Reads tensors, waiting on this thread.
    pub(super) fn read_blocking(pending: Pending) -> Result<Vec<Vec<f32>>> {
        let Pending { gpu, parts, submission } = pending;
        let mut hosts = Vec::new();
        for Part { staging, places, mapped, called } in parts {
            gpu.poll_until(Some(&submission), &called)?;
            // The callback has run: this does not wait.
            hosts.extend(finish(&gpu, staging, &places, pollster::block_on(mapped.receive()))?);
        }
        Ok(hosts)
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
