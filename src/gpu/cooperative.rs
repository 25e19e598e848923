//! Matrices that whole subgroups multiply: what an adapter has of them. The device cannot be asked, so the app tells.

use std::sync::atomic::Ordering::Relaxed;

use wgpu::CooperativeScalarType::{F16, F32};

use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// What the kernels need of the device.
const FEATURES: [(wgpu::Features, &str); 3] = [
    (
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
        "the device was opened without Features::EXPERIMENTAL_COOPERATIVE_MATRIX",
    ),
    (wgpu::Features::SHADER_F16, "the device was opened without Features::SHADER_F16"),
    (wgpu::Features::SUBGROUP, "the device was opened without Features::SUBGROUP"),
];

/// Subgroups of a workgroup.
const SUBGROUPS: u64 = 4;

/// Bytes of workgroup memory of a workgroup with matrices of `size` rows: two slabs of f16 numbers, and a quarter of
/// the tile.
fn workgroup_memory(size: u64) -> u64 {
    let (tile, depth, quarter) = (4 * size, 32, 2 * size);
    let slab = (tile * (depth + 8)).max(depth * (tile + 8));
    2 * slab * 2 + quarter * (quarter + 4) * 4
}

impl Gpu {
    /// Tells what the adapter says of its cooperative matrices (tensor cores and the like), from
    /// [`wgpu::Adapter::cooperative_matrix_properties`]; a device does not tell. Of those that multiply f16 numbers
    /// into sums of 32 bits, matrices of 16 x 16 x 16 are taken, or else 8 x 8 x 8. From then on
    /// [`Unroll::f16_products`](crate::Unroll::f16_products) can be had; what is unrolled already stays as it is.
    /// Nothing else may be told than what this device's adapter said.
    ///
    /// The device needs [`EXPERIMENTAL_COOPERATIVE_MATRIX`](wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
    /// [`SHADER_F16`](wgpu::Features::SHADER_F16) and [`SUBGROUP`](wgpu::Features::SUBGROUP). wgpu opens one with an
    /// experimental feature only for an app that says so in unsafe code of its own:
    ///
    /// ```no_run
    /// # use wgpu_gru::{Gpu, wgpu};
    /// # async fn open(adapter: wgpu::Adapter) -> Result<Gpu, Box<dyn std::error::Error>> {
    /// use wgpu::Features;
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_features: Features::EXPERIMENTAL_COOPERATIVE_MATRIX | Features::SHADER_F16 | Features::SUBGROUP,
    ///     // SAFETY: the app accepts that an experimental feature of wgpu may be wrong.
    ///     experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
    ///     ..Default::default()
    /// };
    /// let (device, queue) = adapter.request_device(&descriptor).await?;
    /// let gpu = Gpu::from_device(device, queue);
    /// gpu.set_cooperative_matrices(&adapter.cooperative_matrix_properties())?;
    /// # Ok(gpu) }
    /// ```
    ///
    /// Kernels with such matrices are checked while they run whatever [`Gpu::set_runtime_checks`] says.
    ///
    /// # Errors
    /// [`Error::OptionUnavailable`] where the device lacks a feature, no such matrix is among them, or subgroups have
    /// no fixed size; [`Error::LimitExceeded`]. Then everything is as it was.
    pub fn set_cooperative_matrices(&self, properties: &[wgpu::CooperativeMatrixProperties]) -> Result<()> {
        let unavailable = |because| Err(Error::OptionUnavailable { option: "cooperative matrices", because });
        let features = self.device().features();
        if let Some((_, because)) = FEATURES.into_iter().find(|&(feature, _)| !features.contains(feature)) {
            return unavailable(because);
        }
        let has = |size: u32| {
            properties.iter().any(|one| {
                [one.m_size, one.n_size, one.k_size] == [size; 3] && (one.ab_type, one.cr_type) == (F16, F32)
            })
        };
        let Some(size) = [16, 8].into_iter().find(|&size| has(size)) else {
            return unavailable("the adapter has none of 16x16x16 or 8x8x8 that multiply f16 into f32");
        };
        let info = self.info();
        let lanes = info.subgroup_min_size;
        if lanes != info.subgroup_max_size {
            return unavailable("the subgroups of the adapter have no fixed size");
        }
        let (limits, invocations) = (self.limits(), SUBGROUPS * u64::from(lanes));
        for (limit, required, available) in [
            ("max_compute_invocations_per_workgroup", invocations, limits.max_compute_invocations_per_workgroup),
            ("max_compute_workgroup_size_x", invocations, limits.max_compute_workgroup_size_x),
            (
                "max_compute_workgroup_storage_size",
                workgroup_memory(u64::from(size)),
                limits.max_compute_workgroup_storage_size,
            ),
        ] {
            let available = u64::from(available);
            if required > available {
                return Err(Error::LimitExceeded { what: "cooperative matrices", limit, required, available });
            }
        }
        self.cooperative_size().store(size, Relaxed);
        Ok(())
    }

    /// The rows of the cooperative matrices that are in use, 16 or 8, if the app has told of any.
    #[must_use]
    pub fn cooperative_matrices(&self) -> Option<u32> {
        Some(self.cooperative_size().load(Relaxed)).filter(|&size| size > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::workgroup_memory;

    /// The least that a device may have.
    #[test]
    fn every_device_has_the_workgroup_memory() {
        let least = wgpu::Limits::downlevel_defaults().max_compute_workgroup_storage_size;
        for size in [8, 16] {
            assert!(workgroup_memory(size) <= u64::from(least), "{size}: {} of {least}", workgroup_memory(size));
        }
    }
}
