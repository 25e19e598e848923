//! The device and what is made once for it: pipelines and staging buffers.

use std::collections::HashMap;
#[cfg(not(target_arch = "wasm32"))]
use std::sync::atomic::Ordering::Release;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gpu::kernel::{Kernel, KernelKey};
use crate::gpu::staging::StagingPool;
use crate::gpu::sync::lock;
use crate::target::Target;

/// How long a readback waits by default. See [`Gpu::set_readback_timeout`].
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The features that kernels use where a device has them. None in browsers: WGSL there wants `enable subgroups;`, which
/// naga 30 takes for an error, and wgpu 30 asks no browser for the feature.
pub(super) const OPTIONAL_FEATURES: wgpu::Features =
    if cfg!(target_arch = "wasm32") { wgpu::Features::empty() } else { wgpu::Features::SUBGROUP };

/// A GPU: a device and its queue, with the pipelines and staging buffers that were made for it.
///
/// A clone is another handle to the same thing. An app that owns a device hands it over with [`Gpu::from_device`]; its
/// handlers stay as they are, and nothing is submitted except by the calls that say so.
///
/// ```no_run
/// # fn example(device: wgpu_gru::wgpu::Device, queue: wgpu_gru::wgpu::Queue) -> wgpu_gru::Result<()> {
/// use wgpu_gru::Gpu;
/// let own = Gpu::new_blocking()?;
/// println!("{}", own.describe());
/// let of_the_app = Gpu::from_device(device, queue);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    /// How many invocations a subgroup has, least and most, where kernels may use them.
    subgroups: OnceLock<[u32; 2]>,
    /// For tests: the class of adapter to plan for, in place of the adapter's own.
    #[cfg(feature = "harness")]
    planned_as: OnceLock<wgpu::DeviceType>,
    kernels: Mutex<HashMap<KernelKey, Arc<Kernel>>>,
    staging: StagingPool,
    timeout: Mutex<Duration>,
    lost: Arc<OnceLock<String>>,
    activity: ActivityCounters,
    runtime_checks: AtomicBool,
    /// The rows of the cooperative matrices in use, or 0.
    cooperative_size: AtomicU32,
    pipeline_cache: Mutex<Option<wgpu::PipelineCache>>,
    /// For tests: where kernels count their indices out of range.
    #[cfg(feature = "harness")]
    trace: OnceLock<Trace>,
}

/// Where kernels count.
#[cfg(feature = "harness")]
#[derive(Debug)]
pub(super) struct Trace {
    /// Whole numbers.
    pub(super) counts: wgpu::Buffer,
    /// Which kernel each of them is of.
    pub(super) labels: Mutex<Vec<&'static str>>,
}

#[derive(Debug, Default)]
struct ActivityCounters {
    buffers: AtomicU64,
    bind_groups: AtomicU64,
    pipelines: AtomicU64,
    submissions: AtomicU64,
}

/// What the crate has done on a device since the [`Gpu`] was made. Two of them show what happened in between; a test
/// holds that recording does nothing of this.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// let before = gpu.activity();
/// // a frame of the app
/// assert_eq!(gpu.activity().submissions, before.submissions, "nothing was submitted behind its back");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Buffers created.
    pub buffers: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Pipelines created.
    pub pipelines: u64,
    /// Command buffers submitted.
    pub submissions: u64,
}

impl Gpu {
    /// Takes a device and queue that an app made. It needs no feature, and no more than WebGPU's default limits;
    /// `SUBGROUP` makes some products faster. No handler of the device is replaced.
    #[must_use]
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::assemble(device, queue, Arc::new(OnceLock::new()))
    }

    pub(super) fn assemble(device: wgpu::Device, queue: wgpu::Queue, lost: Arc<OnceLock<String>>) -> Self {
        let (info, subgroups) = (device.adapter_info(), OnceLock::new());
        if (device.features() & OPTIONAL_FEATURES).contains(wgpu::Features::SUBGROUP) {
            subgroups.get_or_init(|| [info.subgroup_min_size, info.subgroup_max_size]);
        }
        #[cfg_attr(
            target_arch = "wasm32",
            expect(
                clippy::arc_with_non_send_sync,
                reason = "wgpu's handles are not Send in a browser; Arc is for native"
            )
        )]
        let inner = Arc::new(Inner {
            info,
            limits: device.limits(),
            subgroups,
            #[cfg(feature = "harness")]
            planned_as: OnceLock::new(),
            device,
            queue,
            kernels: Mutex::default(),
            staging: StagingPool::default(),
            timeout: Mutex::new(DEFAULT_TIMEOUT),
            lost,
            activity: ActivityCounters::default(),
            runtime_checks: AtomicBool::new(false),
            cooperative_size: AtomicU32::new(0),
            pipeline_cache: Mutex::default(),
            #[cfg(feature = "harness")]
            trace: OnceLock::new(),
        });
        Self { inner }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    /// The adapter's name, driver and kind.
    #[must_use]
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }

    /// The limits that the device was opened with.
    #[must_use]
    pub fn limits(&self) -> &wgpu::Limits {
        &self.inner.limits
    }

    /// Whether the adapter is a CPU that plays a GPU (lavapipe, SwiftShader, WARP). Its times say nothing about GPUs.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.inner.info.device_type == wgpu::DeviceType::Cpu
    }

    /// The class of adapter that kernels, tiles and schedules are chosen for.
    pub(crate) fn adapter_class(&self) -> wgpu::DeviceType {
        #[cfg(feature = "harness")]
        if let Some(&class) = self.inner.planned_as.get() {
            return class;
        }
        self.inner.info.device_type
    }

    /// What a plan has to know of this device.
    pub(crate) fn target(&self) -> Target {
        Target {
            limits: self.limits().clone(),
            class: self.adapter_class(),
            subgroups: self.inner.subgroups.get().copied(),
            cooperative: self.cooperative_matrices(),
            compiles_slowly: self.is_software(),
            resident: resident_workgroups(self.info()),
            // It compiles SPIR-V, which has pointers to components.
            exact_stores: self.info().backend == wgpu::Backend::Vulkan,
        }
    }

    /// For tests: plan for another class of adapter than this one is.
    #[cfg(feature = "harness")]
    pub(crate) fn plan_as(&self, class: wgpu::DeviceType) {
        self.inner.planned_as.get_or_init(|| class);
    }

    /// For tests: subgroups of 8 that wgpu does not know of.
    #[cfg(feature = "harness")]
    pub(crate) fn assume_subgroups_of_8(&self) {
        self.inner.subgroups.get_or_init(|| [8, 8]);
    }

    /// One line that says which adapter and driver this is, and plainly when it is software.
    #[must_use]
    pub fn describe(&self) -> String {
        let info = self.info();
        // Browsers tell neither, to keep people from being recognised.
        let name = if info.name.is_empty() { "an adapter without a name" } else { &info.name };
        let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ");
        let driver = if driver.trim().is_empty() { String::new() } else { format!(", driver {}", driver.trim()) };
        let software = if self.is_software() { " (SOFTWARE: a CPU plays the GPU)" } else { "" };
        format!("{name}, {:?}{driver}{software}", info.backend)
    }

    /// Whether two handles are clones of one. Two that were made apart count as two devices, even if both were made
    /// [from](Self::from_device) one: wgpu's own comparison takes devices of two instances for the same one.
    #[must_use]
    pub fn is_same_device(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// What the crate has done on the device so far.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let counters = &self.inner.activity;
        Activity {
            buffers: counters.buffers.load(Relaxed),
            bind_groups: counters.bind_groups.load(Relaxed),
            pipelines: counters.pipelines.load(Relaxed),
            submissions: counters.submissions.load(Relaxed),
        }
    }

    /// How long a readback waits before it gives up, by default 60 seconds. It has
    /// no effect in a browser, where no timer is at hand.
    pub fn set_readback_timeout(&self, timeout: Duration) {
        *lock(&self.inner.timeout) = timeout;
    }

    /// Records commands with `record` and submits them. For apps that own an encoder there are the `encode_*` calls.
    ///
    /// # Errors
    /// Those of `record`; then nothing is submitted. [`Error::Refused`] where wgpu does not take the commands, as when
    /// a buffer of the app was destroyed or is mapped.
    pub fn submit<T>(&self, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<T>) -> Result<T> {
        self.expect_taken("the commands of a submission", || {
            let mut encoder =
                self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("wgpu-gru") });
            let value = record(&mut encoder)?;
            self.submit_encoder(encoder);
            Ok(value)
        })
    }

    /// Does something that wgpu may refuse, and gives that as an error: it is the caller's to hear of, not the
    /// uncaptured-error handler's.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn expect_taken<T>(&self, what: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal];
        let [outer, inner] = filters.map(|filter| self.device().push_error_scope(filter));
        let value = work();
        let refused = [inner, outer].map(|scope| pollster::block_on(scope.pop())).into_iter().flatten().next();
        let value = value?;
        let Some(error) = refused else { return Ok(value) };
        Err(self.discover_loss().unwrap_or_else(|| Error::Refused { what, reason: error.to_string() }))
    }

    /// In a browser, where the answer would come later, it goes to the device's handlers.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn expect_taken<T>(&self, _: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        work()
    }

    /// Waits until the GPU has done everything that was submitted.
    ///
    /// # Errors
    /// [`Error::ReadbackTimeout`], [`Error::DeviceLost`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait_blocking(&self) -> Result<()> {
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        self.queue().on_submitted_work_done(move || flag.store(true, Release));
        self.poll_until(None, &done)?;
        // On a lost device wgpu calls everything done.
        self.expect_alive()
    }

    /// Whether kernels are checked while they run, by default no: every index against the end of what it points into,
    /// every loop against running forever. Without that a pass of single steps took 0.66 to 0.98 of its time on an NVIDIA
    /// H100, and 0.91 to 1.11 on lavapipe (`benches/RECORD.md`); a driver may have checks of its own. It acts on what is
    /// unrolled from now on, and not in a browser, which always checks.
    ///
    /// Nothing that a caller can do makes a kernel leave its range: each works on the sizes that its buffers were made
    /// with, and no number in a buffer is an index, but those in
    /// [`Stream::gather_indices`](crate::Stream::gather_indices), which the kernel compares itself.
    /// `tests/gpu/in_range.rs` holds the kernels to that over edge shapes: there each compares every index with the
    /// length of what it points into, and counts.
    pub fn set_runtime_checks(&self, wanted: bool) {
        self.inner.runtime_checks.store(wanted, Relaxed);
    }

    /// Whether kernels that are made now are checked while they run.
    #[must_use]
    pub fn has_runtime_checks(&self) -> bool {
        self.inner.runtime_checks.load(Relaxed)
    }

    pub(super) fn cooperative_size(&self) -> &AtomicU32 {
        &self.inner.cooperative_size
    }

    /// Pipelines that are made from now on are looked for in this cache, and kept there: what the app stores of it
    /// ([`wgpu::PipelineCache::get_data`]) spares the next start their compilation. The app makes it, of the data of a
    /// former run that it trusts, on a device with `PIPELINE_CACHE` (Vulkan):
    ///
    /// ```no_run
    /// # fn example(gpu: &wgpu_gru::Gpu, stored: Option<Vec<u8>>) -> wgpu_gru::Result<()> {
    /// use wgpu_gru::wgpu;
    /// // SAFETY: the data is what `get_data` gave before, or nothing.
    /// let cache = unsafe {
    ///     gpu.device().create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
    ///         label: None,
    ///         data: stored.as_deref(),
    ///         fallback: true,
    ///     })
    /// };
    /// gpu.set_pipeline_cache(Some(cache))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] for a cache of another device; then the former one stays.
    pub fn set_pipeline_cache(&self, cache: Option<wgpu::PipelineCache>) -> Result<()> {
        if cache.is_some() {
            self.expect_taken("the pipeline cache", || {
                let source = wgpu::ShaderSource::Wgsl("@compute @workgroup_size(1) fn main() {}".into());
                let module = self.device().create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
                let _pipeline = self.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some("a try of the pipeline cache"),
                    layout: None,
                    module: &module,
                    entry_point: Some("main"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    cache: cache.as_ref(),
                });
                Ok(())
            })?;
        }
        *lock(&self.inner.pipeline_cache) = cache;
        Ok(())
    }

    pub(super) fn pipeline_cache(&self) -> Option<wgpu::PipelineCache> {
        lock(&self.inner.pipeline_cache).clone()
    }

    #[cfg(feature = "harness")]
    pub(super) fn trace(&self) -> &OnceLock<Trace> {
        &self.inner.trace
    }

    pub(super) fn submit_encoder(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.inner.activity.submissions.fetch_add(1, Relaxed);
        self.queue().submit([encoder.finish()])
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn readback_timeout(&self) -> Duration {
        *lock(&self.inner.timeout)
    }

    /// What was made so far.
    pub(super) fn kernels(&self) -> &Mutex<HashMap<KernelKey, Arc<Kernel>>> {
        &self.inner.kernels
    }

    /// Counts one more pipeline.
    pub(super) fn count_pipeline(&self) {
        self.inner.activity.pipelines.fetch_add(1, Relaxed);
    }

    pub(super) fn staging(&self) -> &StagingPool {
        &self.inner.staging
    }

    /// Gives the error where it is known that the device was lost. Of a device that an app owns it is not known: the
    /// app's callback hears of it.
    pub(crate) fn expect_alive(&self) -> Result<()> {
        self.lost().map_or(Ok(()), Err)
    }

    /// What is known of a loss of the device.
    pub(super) fn lost(&self) -> Option<Error> {
        self.inner.lost.get().map(|reason| Error::DeviceLost { reason: reason.clone() })
    }

    /// Remembers a loss that showed in another way than by the callback.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn note_loss(&self, reason: String) -> Error {
        Error::DeviceLost { reason: self.inner.lost.get_or_init(|| reason).clone() }
    }

    /// Checks that a buffer may be this large.
    pub(super) fn check_buffer_size(&self, what: &'static str, bytes: u64) -> Result<()> {
        let available = self.limits().max_buffer_size;
        if bytes > available {
            return Err(Error::LimitExceeded { what, limit: "max_buffer_size", required: bytes, available });
        }
        Ok(())
    }

    /// [`Gpu::lost`], after something has failed. wgpu tells of a loss when it is polled, not before.
    pub(super) fn discover_loss(&self) -> Option<Error> {
        // Whether this poll succeeds says nothing about why something failed before it.
        #[cfg(not(target_arch = "wasm32"))]
        drop(self.device().poll(wgpu::PollType::Poll));
        self.lost()
    }

    /// Makes a buffer. The one place where the crate does.
    pub(crate) fn create_buffer(
        &self,
        what: &'static str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        self.create_buffer_with(what, bytes, usage, None)
    }

    /// Makes a buffer, with what it holds at first.
    pub(crate) fn create_buffer_with(
        &self,
        what: &'static str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        contents: Option<&[u8]>,
    ) -> Result<wgpu::Buffer> {
        self.check_buffer_size(what, bytes)?;
        self.expect_alive()?;
        self.inner.activity.buffers.fetch_add(1, Relaxed);
        let descriptor =
            wgpu::BufferDescriptor { label: Some(what), size: bytes, usage, mapped_at_creation: contents.is_some() };
        // Memory that cannot be had is the caller's to hear of, not the uncaptured-error handler's.
        #[cfg(not(target_arch = "wasm32"))]
        let scope = self.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device().create_buffer(&descriptor);
        #[cfg(not(target_arch = "wasm32"))]
        if pollster::block_on(scope.pop()).is_some() {
            return Err(Error::OutOfMemory { what, bytes });
        }
        if let Some(contents) = contents {
            match buffer.get_mapped_range_mut(..) {
                Ok(mut mapped) => mapped.slice(..contents.len()).copy_from_slice(contents),
                Err(_) => return Err(self.discover_loss().unwrap_or(Error::OutOfMemory { what, bytes })),
            }
            buffer.unmap();
        }
        Ok(buffer)
    }

    /// What wgpu has against binding a buffer, which has the usage `STORAGE`: it is one of another device, or was
    /// destroyed. wgpu says neither in another way.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn refusal_to_bind(&self, buffer: &wgpu::Buffer) -> Option<String> {
        let scope = self.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let ty = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: true },
            has_dynamic_offset: false,
            min_binding_size: None,
        };
        let entry = wgpu::BindGroupLayoutEntry { binding: 0, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None };
        let layout = wgpu::BindGroupLayoutDescriptor { label: None, entries: &[entry] };
        let layout = self.device().create_bind_group_layout(&layout);
        let part = wgpu::BufferBinding { buffer, offset: 0, size: std::num::NonZeroU64::new(4) };
        let entries = [wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(part) }];
        drop(self.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries }));
        pollster::block_on(scope.pop()).map(|error| error.to_string())
    }

    /// In a browser the answer would come later: there the browser finds it.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn refusal_to_bind(&self, _: &wgpu::Buffer) -> Option<String> {
        None
    }

    /// Makes a bind group. The one place where the crate does.
    pub(super) fn create_bind_group(&self, descriptor: &wgpu::BindGroupDescriptor<'_>) -> wgpu::BindGroup {
        self.inner.activity.bind_groups.fetch_add(1, Relaxed);
        self.device().create_bind_group(descriptor)
    }
}

/// Adapters on which exchanging workgroups were measured, by a part of their name, with the number of multiprocessors.
const EXCHANGING: [(&str, u32); 2] = [("NVIDIA H100 80GB HBM3", 132), ("NVIDIA H200", 132)];

/// How many workgroups of 256 invocations with all registers run at a time, where that is known.
fn resident_workgroups(info: &wgpu::AdapterInfo) -> Option<u32> {
    EXCHANGING.iter().find(|(name, _)| info.name.contains(name)).map(|&(_, count)| count)
}
