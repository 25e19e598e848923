//! Opening an adapter, for those who have no device of their own.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::gpu::context::OPTIONAL_FEATURES;

/// The backends that the kernels run on. GL has no place here: it cannot run them, and on Linux its software adapter
/// shadows the Vulkan one.
const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN
    .union(wgpu::Backends::METAL)
    .union(wgpu::Backends::DX12)
    .union(wgpu::Backends::BROWSER_WEBGPU);

/// How [`Gpu::with_options`] chooses an adapter.
///
/// ```no_run
/// # fn example() -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gpu, GpuOptions};
/// let mut options = GpuOptions::from_env();
/// options.adapter_name = Some("llvmpipe".to_owned());
/// let gpu = pollster::block_on(Gpu::with_options(options))?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Take the first adapter whose name holds this text, in any case. Not available in a browser.
    pub adapter_name: Option<String>,
    /// Which adapter to prefer where there are several and no name is given.
    pub power_preference: wgpu::PowerPreference,
    /// Which backends to look at; those that cannot run the kernels (GL) are left out. `None` is all. Where none is
    /// left, opening gives [`Error::NoBackend`].
    pub backends: Option<wgpu::Backends>,
}

impl GpuOptions {
    /// What wgpu's own environment variables say: `WGPU_ADAPTER_NAME`, `WGPU_POWER_PREF`, `WGPU_BACKEND`.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            adapter_name: std::env::var("WGPU_ADAPTER_NAME").ok().filter(|name| !name.is_empty()),
            power_preference: wgpu::PowerPreference::from_env().unwrap_or(wgpu::PowerPreference::HighPerformance),
            // wgpu takes an empty variable for a wrong one.
            backends: wgpu::Backends::from_env()
                .filter(|_| std::env::var("WGPU_BACKEND").is_ok_and(|list| !list.is_empty())),
        }
    }
}

/// Those of the steps by exchange, and one for the tests.
const STORAGE_BUFFERS: u32 = 10;

impl Gpu {
    /// Opens an adapter as the environment says, see [`GpuOptions::from_env`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`], [`Error::NoBackend`], [`Error::RequestDevice`].
    pub async fn new() -> Result<Self> {
        Self::with_options(GpuOptions::from_env()).await
    }

    /// [`Gpu::new`], waiting for the answer.
    ///
    /// # Errors
    /// As [`Gpu::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking() -> Result<Self> {
        pollster::block_on(Self::new())
    }

    /// The limits that make layers larger and faster, out of what the adapter offers ([`wgpu::Adapter::limits`]): WebGPU's
    /// default limits, and as much as there is of the sizes of buffers and bindings, and of what a workgroup holds, so
    /// that more layers can be run by rows ([`Schedule::Rows`](crate::Schedule::Rows)).
    #[must_use]
    pub fn recommended_limits(offered: &wgpu::Limits) -> wgpu::Limits {
        wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_compute_invocations_per_workgroup: offered.max_compute_invocations_per_workgroup,
            max_compute_workgroup_size_x: offered.max_compute_workgroup_size_x,
            max_compute_workgroup_storage_size: offered.max_compute_workgroup_storage_size,
            max_storage_buffers_per_shader_stage: offered.max_storage_buffers_per_shader_stage.min(STORAGE_BUFFERS),
            ..wgpu::Limits::default().or_worse_values_from(offered)
        }
    }

    /// The features that make layers faster, out of what the adapter offers ([`wgpu::Adapter::features`]); none in a
    /// browser. Layers need none of them.
    #[must_use]
    pub fn recommended_features(offered: wgpu::Features) -> wgpu::Features {
        offered & OPTIONAL_FEATURES
    }

    /// Opens an adapter of choice, with the [`recommended_features`](Self::recommended_features), and limits as
    /// [`Config::required_limits`](crate::Config::required_limits) has them.
    ///
    /// # Errors
    /// [`Error::NoAdapter`], [`Error::NoBackend`], [`Error::RequestDevice`].
    pub async fn with_options(options: GpuOptions) -> Result<Self> {
        let wanted = options.backends.unwrap_or(BACKENDS);
        let available = BACKENDS & wgpu::Instance::enabled_backend_features();
        let backends = wanted & available;
        if backends.is_empty() {
            return Err(Error::NoBackend { wanted, available });
        }
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle_from_env()
        });
        let adapter = choose_adapter(&instance, backends, &options).await?;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("wgpu-gru"),
                required_features: Self::recommended_features(adapter.features()),
                required_limits: Self::recommended_limits(&adapter.limits()),
                ..Default::default()
            })
            .await?;
        let lost = Arc::new(OnceLock::new());
        let slot = lost.clone();
        // This device is the crate's own, so its callback may be taken. The first loss is the one that is told.
        device.set_device_lost_callback(move |reason, message| drop(slot.set(format!("{reason:?}: {message}"))));
        Ok(Self::assemble(device, queue, lost))
    }
}

async fn choose_adapter(
    instance: &wgpu::Instance,
    backends: wgpu::Backends,
    options: &GpuOptions,
) -> Result<wgpu::Adapter> {
    if let Some(wanted) = &options.adapter_name {
        let adapters = instance.enumerate_adapters(backends).await;
        let found = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let wanted_lower = wanted.to_lowercase();
        return adapters
            .into_iter()
            .find(|adapter| adapter.get_info().name.to_lowercase().contains(&wanted_lower))
            .ok_or_else(|| Error::NoAdapter { wanted: Some(wanted.clone()), found });
    }
    let request = wgpu::RequestAdapterOptions { power_preference: options.power_preference, ..Default::default() };
    match instance.request_adapter(&request).await {
        Ok(adapter) => Ok(adapter),
        Err(_) => {
            let adapters = instance.enumerate_adapters(backends).await;
            let found = adapters.iter().map(|adapter| adapter.get_info().name).collect();
            Err(Error::NoAdapter { wanted: None, found })
        }
    }
}
