//! The app's own device.

use std::error::Error;

use wgpu_gru::{Gpu, GruConfig, wgpu};

use crate::world::{HIDDEN, SENSES};

/// Opens a device with what the crate likes to have, for a surface to draw on if there is one.
pub(crate) async fn open(
    instance: &wgpu::Instance,
    compatible_surface: Option<&wgpu::Surface<'_>>,
) -> Result<(wgpu::Adapter, Gpu), Box<dyn Error>> {
    let adapter = match wgpu_gru::GpuOptions::from_env().adapter_name {
        None => instance
            .request_adapter(&wgpu::RequestAdapterOptions { compatible_surface, ..Default::default() })
            .await
            .map_err(|error| format!("{error}; WGPU_BACKEND chooses what is requested"))?,
        Some(name) => {
            let lower = name.to_lowercase();
            let fits = |adapter: &wgpu::Adapter| {
                adapter.get_info().name.to_lowercase().contains(&lower)
                    && compatible_surface.is_none_or(|surface| adapter.is_surface_supported(surface))
            };
            let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
            adapters.into_iter().find(fits).ok_or_else(|| format!("no adapter has {name:?} in its name"))?
        }
    };
    let (device, queue) = adapter
        .request_device(&wgpu::DeviceDescriptor {
            label: Some("flock"),
            required_features: Gpu::recommended_features(adapter.features()),
            required_limits: GruConfig::new(SENSES, HIDDEN).required_limits(&adapter.limits())?,
            ..Default::default()
        })
        .await?;
    Ok((adapter, Gpu::from_device(device, queue)))
}
