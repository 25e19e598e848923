//! The device with timestamp queries, made here as an app would make its own, and what the GPU's own clock says.

use wgpu::Features;
use wgpu_gru::{Gpu, Result};

/// Opens the adapter that [`Gpu::new_blocking`] takes, with the same features and limits and, where it has them,
/// timestamp queries.
///
/// # Errors
/// Those of [`Gpu::new_blocking`].
pub(crate) fn open() -> Result<Gpu> {
    let plain = Gpu::new_blocking()?;
    let info = plain.info();
    let backends = wgpu::Backends::from(info.backend);
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle_from_env()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let same = |adapter: &wgpu::Adapter| {
        let other = adapter.get_info();
        (&other.name, other.device, &other.device_pci_bus_id) == (&info.name, info.device, &info.device_pci_bus_id)
    };
    let found = adapters.into_iter().find(same);
    let Some(adapter) = found.filter(|adapter| adapter.features().contains(Features::TIMESTAMP_QUERY)) else {
        return Ok(plain);
    };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("bench"),
        required_features: plain.device().features() | Features::TIMESTAMP_QUERY,
        required_limits: plain.limits().clone(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    Ok(Gpu::from_device(device, queue))
}

/// Whether the device can write timestamps.
pub(crate) fn has_stamps(gpu: &Gpu) -> bool {
    gpu.device().features().contains(Features::TIMESTAMP_QUERY)
}

/// Two timestamps around what an encoder records.
#[derive(Debug)]
pub(crate) struct Stamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl Stamps {
    /// None where the device cannot.
    pub(crate) fn new(gpu: &Gpu) -> Option<Self> {
        if !has_stamps(gpu) {
            return None;
        }
        let buffer =
            |usage| wgpu::BufferDescriptor { label: Some("stamps"), size: 16, usage, mapped_at_creation: false };
        let [queries, copies] = [wgpu::BufferUsages::QUERY_RESOLVE, wgpu::BufferUsages::COPY_DST];
        let device = gpu.device();
        Some(Self {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("stamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: device.create_buffer(&buffer(queries | wgpu::BufferUsages::COPY_SRC)),
            staging: device.create_buffer(&buffer(copies | wgpu::BufferUsages::MAP_READ)),
        })
    }

    /// Submits what `record` records and returns the nanoseconds between its begin and its end, by the GPU's clock. The
    /// stamps lie in passes of their own that do nothing else. None where the stamps cannot be used, as some drivers
    /// write none in such a pass.
    pub(crate) fn time(
        &self,
        gpu: &Gpu,
        record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<()>,
    ) -> Result<Option<f64>> {
        gpu.submit(|encoder| {
            self.stamp(encoder, 0);
            record(encoder)?;
            self.stamp(encoder, 1);
            encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
            encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, 16);
            Ok(())
        })?;
        self.staging.map_async(wgpu::MapMode::Read, .., |_| {});
        gpu.wait_blocking()?;
        let stamps: Option<Vec<u64>> =
            self.staging.get_mapped_range(..).ok().map(|view| bytemuck::pod_collect_to_vec(&view));
        self.staging.unmap();
        let ticks = stamps.filter(|stamps| stamps[0] > 0).and_then(|stamps| stamps[1].checked_sub(stamps[0]));
        Ok(ticks.map(|ticks| ticks as f64 * f64::from(gpu.queue().get_timestamp_period())))
    }

    fn stamp(&self, encoder: &mut wgpu::CommandEncoder, index: u32) {
        let at = (index == 0).then_some(index);
        let writes = wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: at,
            end_of_pass_write_index: at.is_none().then_some(index),
        };
        drop(
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("stamp"),
                timestamp_writes: Some(writes),
            }),
        );
    }
}
