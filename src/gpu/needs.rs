//! What a kernel needs of a device, found from its entry in the table and its text, against what the device was opened
//! with.

use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::{BindingKind, KernelSpec};
use crate::target::at_most;

/// Values of overrides, by name.
type Overrides<'a> = &'a [(&'a str, f64)];

impl KernelSpec {
    /// Checks every limit that the layout, the pipeline or a bind group of this kernel could be over. wgpu would report
    /// it to the device's error handler, or not at all where overrides make the workgroup too large. `counted` is a
    /// storage binding beside those of the table (`gpu::trace`).
    pub(crate) fn check_needs(&self, overrides: Overrides<'_>, limits: &wgpu::Limits, counted: bool) -> Result<()> {
        let uniforms = || self.bindings.iter().filter_map(|binding| binding.kind.uniform());
        let count = |n: usize| n as u64;
        let storage = count(self.bindings.len() - uniforms().count()) + u64::from(counted);
        let uniform_size = uniforms().map(|(size, _)| size).max().unwrap_or_default();
        let dynamic = count(uniforms().filter(|&(_, dynamic)| dynamic).count());
        let uniforms = count(uniforms().count());
        let [x, y, z] = self.workgroup_size(overrides).unwrap_or([1; 3]);
        let memory = self.workgroup_memory(overrides).unwrap_or_default();
        let buffers = "max_buffers_and_acceleration_structures_per_shader_stage";
        for (limit, required, available) in [
            ("max_bind_groups", 1, limits.max_bind_groups),
            ("max_bindings_per_bind_group", storage + uniforms, limits.max_bindings_per_bind_group),
            ("max_storage_buffers_per_shader_stage", storage, limits.max_storage_buffers_per_shader_stage),
            ("max_uniform_buffers_per_shader_stage", uniforms, limits.max_uniform_buffers_per_shader_stage),
            (buffers, storage + uniforms, limits.max_buffers_and_acceleration_structures_per_shader_stage),
            (
                "max_dynamic_uniform_buffers_per_pipeline_layout",
                dynamic,
                limits.max_dynamic_uniform_buffers_per_pipeline_layout,
            ),
            ("max_compute_workgroup_size_x", x, limits.max_compute_workgroup_size_x),
            ("max_compute_workgroup_size_y", y, limits.max_compute_workgroup_size_y),
            ("max_compute_workgroup_size_z", z, limits.max_compute_workgroup_size_z),
            ("max_compute_invocations_per_workgroup", x * y * z, limits.max_compute_invocations_per_workgroup),
            ("max_compute_workgroup_storage_size", memory, limits.max_compute_workgroup_storage_size),
        ] {
            at_most(self.label, limit, required, u64::from(available))?;
        }
        at_most(self.label, "max_uniform_buffer_binding_size", uniform_size, limits.max_uniform_buffer_binding_size)
    }

    /// The size of a workgroup, from the text.
    pub(crate) fn workgroup_size(&self, overrides: Overrides<'_>) -> Option<[u64; 3]> {
        let (_, rest) = self.source().split_once("@workgroup_size(")?;
        let (sizes, _) = rest.split_once(')')?;
        let mut size = [1; 3];
        for (axis, text) in size.iter_mut().zip(sizes.split(',')) {
            *axis = self.value(text, overrides)?;
        }
        Some(size)
    }

    /// The bytes of workgroup memory, from the text. `None` for what is computed in a way that is not a product, as
    /// cooperative kernels do: [`Gpu::set_cooperative_matrices`](crate::Gpu::set_cooperative_matrices) knows what they
    /// need.
    pub(crate) fn workgroup_memory(&self, overrides: Overrides<'_>) -> Option<u64> {
        let declared = self.source().lines().filter_map(|line| line.trim_start().strip_prefix("var<workgroup> "));
        declared.map(|line| self.bytes_of_type(line.split_once(": ")?.1.strip_suffix(';')?, overrides)).sum()
    }

    fn bytes_of_type(&self, ty: &str, overrides: Overrides<'_>) -> Option<u64> {
        if let Some(array) = ty.strip_prefix("array<") {
            let (element, length) = array.strip_suffix('>')?.rsplit_once(", ")?;
            return Some(self.bytes_of_type(element, overrides)? * self.value(length, overrides)?);
        }
        match ty {
            "f32" | "u32" | "atomic<u32>" => Some(4),
            // As an element of an array.
            "vec3<f32>" | "vec4<f32>" => Some(16),
            alias => {
                let (_, rest) = self.source().split_once(&format!("\nalias {alias} = "))?;
                self.bytes_of_type(rest.split_once(';')?.0, overrides)
            }
        }
    }

    /// A product of numbers, constants and overrides.
    fn value(&self, text: &str, overrides: Overrides<'_>) -> Option<u64> {
        let factor = |name: &str| {
            if let Ok(number) = name.trim_end_matches('u').parse() {
                return Some(number);
            }
            if let Some((_, value)) = overrides.iter().find(|(known, _)| *known == name) {
                return Some(*value as u64);
            }
            let (_, rest) = self.source().split_once(&format!("\nconst {name}: u32 = "))?;
            rest.split_once("u;")?.0.parse().ok()
        };
        text.split('*').map(|name| factor(name.trim())).product()
    }
}

impl Gpu {
    /// Checks that the device can have these kernels, which have no overrides, before anything is made for them.
    pub(crate) fn check_kernels(&self, specs: &[&'static KernelSpec]) -> Result<()> {
        specs
            .iter()
            .try_for_each(|spec| spec.check_needs(&[], self.limits(), self.counter(spec.is_cooperative()).is_some()))
    }
}

impl BindingKind {
    /// Size in bytes and whether it is chosen dynamically, of a uniform.
    fn uniform(&self) -> Option<(u64, bool)> {
        match *self {
            Self::Uniform { size, dynamic, .. } => Some((size, dynamic)),
            Self::Read | Self::ReadWrite => None,
        }
    }
}
