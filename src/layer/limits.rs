//! What a device has to be opened with for a layer.

use crate::config::{Cell, Config};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::plan::Plan;
use crate::unroll::Unroll;

impl Gpu {
    /// The limits to open a device with on which this layer is to run, out of what the adapter offers
    /// ([`wgpu::Adapter::limits`]): WebGPU's default limits, and of the sizes of buffers and bindings as much as there is, since
    /// the plan can use more than it needs. An app joins them with what it needs itself:
    ///
    /// ```no_run
    /// # fn example(adapter: &wgpu_gru::wgpu::Adapter, own: wgpu_gru::wgpu::Limits) -> wgpu_gru::Result<()> {
    /// use wgpu_gru::{Gpu, GruConfig, wgpu};
    /// let limits = Gpu::required_limits(&GruConfig::new(8, 64), &adapter.limits())?;
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_features: Gpu::recommended_features(adapter.features()),
    ///     required_limits: limits.or_better_values_from(&own),
    ///     ..Default::default()
    /// };
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Config::validate`], and [`Error::LimitExceeded`](crate::Error::LimitExceeded), which names the limit, where
    /// the adapter offers too little for one step of one row.
    pub fn required_limits<C: Copy + Into<Cell>>(config: &Config<C>, offered: &wgpu::Limits) -> Result<wgpu::Limits> {
        let limits = Self::recommended_limits(offered);
        Plan::new(config, &Unroll::inference(1, 1), &limits, wgpu::DeviceType::Other)?;
        Ok(limits)
    }
}
