//! Kernels as pipelines of a device, and their bind groups.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::gpu::kernel::{BindingKind, Generate, Kernel, KernelKey, KernelSpec, Made, View};
use crate::gpu::making::Making;
use crate::gpu::sync::lock;

impl Gpu {
    /// The kernel with these values of its overrides, made at the first call and kept. Where a limit of the device is
    /// too low for it, [`ProgramBuilder::build`](crate::gpu::ProgramBuilder::build) says so.
    pub(crate) fn kernel(&self, spec: &'static KernelSpec, overrides: &[(&'static str, f64)]) -> Arc<Kernel> {
        self.kept(spec.name, Vec::new(), overrides, || Kernel::new(self, Spec::OfTable(spec), overrides))
    }

    /// The same of a kernel whose text is made for its sizes: once, like the kernel.
    pub(crate) fn generated(&self, generator: &impl Generate, overrides: &[(&'static str, f64)]) -> Arc<Kernel> {
        let make = || Kernel::new(self, Spec::Generated(KernelSpec::generated(generator)), overrides);
        self.kept(generator.name(), generator.sizes(), overrides, make)
    }

    fn kept(
        &self,
        name: &'static str,
        sizes: Vec<u32>,
        overrides: &[(&'static str, f64)],
        make: impl FnOnce() -> Kernel,
    ) -> Arc<Kernel> {
        let mut overrides: Vec<_> = overrides.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        overrides.sort_unstable();
        let key = KernelKey { name, sizes, overrides, is_checked: self.has_runtime_checks() };
        let mut kernels = lock(self.kernels());
        if let Some(kernel) = kernels.get(&key).filter(|kernel| !kernel.has_failed()) {
            return kernel.clone();
        }
        let kernel = Arc::new(make());
        if kernel.making.is_ok() {
            self.count_pipeline();
            kernels.insert(key, kernel.clone());
        }
        kernel
    }

    /// For tests: the kernels made without checks while they run.
    #[cfg(feature = "harness")]
    pub(crate) fn unchecked_kernels(&self) -> Vec<&'static str> {
        let kernels = lock(self.kernels());
        kernels
            .values()
            .filter(|kernel| {
                kernel.made().is_ok_and(|made| !made.checks.bounds_checks && !made.checks.force_loop_bounding)
            })
            .map(|kernel| kernel.label)
            .collect()
    }

    /// Whether a kernel was made, with any overrides.
    #[cfg(feature = "harness")]
    pub(crate) fn has_made(&self, spec: &'static KernelSpec) -> bool {
        lock(self.kernels()).keys().any(|key| key.name == spec.name)
    }
}

impl Kernel {
    fn new(gpu: &Gpu, spec: Spec, overrides: &[(&'static str, f64)]) -> Self {
        debug_assert_eq!(
            overrides.iter().map(|&(name, _)| name).collect::<BTreeSet<_>>(),
            spec.overrides().collect(),
            "the overrides of {}: those that are given, those that its text declares",
            spec.name
        );
        let (label, bindings, is_cooperative) = (spec.label, spec.bindings, spec.is_cooperative());
        let fits = spec.check_needs(overrides, gpu.limits(), gpu.counter(is_cooperative).is_some());
        let making = fits.map(|()| Making::begin(Order { gpu: gpu.clone(), spec, overrides: overrides.to_vec() }));
        Self { label, bindings, is_cooperative, making }
    }

    /// Whether nothing could be made, as far as that is known.
    fn has_failed(&self) -> bool {
        self.making.as_ref().is_ok_and(Making::has_failed)
    }

    pub(super) fn bind(&self, gpu: &Gpu, views: &[View<'_>]) -> Result<wgpu::BindGroup> {
        let entries: Vec<_> = (0..)
            .zip(views.iter().copied().chain(gpu.counter(self.is_cooperative)))
            .map(|(binding, view)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: view.buffer,
                    offset: view.offset,
                    size: wgpu::BufferSize::new(view.size),
                }),
            })
            .collect();
        Ok(gpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.label),
            layout: &self.made()?.layout,
            entries: &entries,
        }))
    }
}

/// A kernel of the table, or one whose text was made.
#[derive(Debug)]
pub(super) enum Spec {
    OfTable(&'static KernelSpec),
    Generated(KernelSpec),
}

impl Deref for Spec {
    type Target = KernelSpec;

    fn deref(&self) -> &KernelSpec {
        match self {
            Self::OfTable(spec) => spec,
            Self::Generated(spec) => spec,
        }
    }
}

/// What is to be made.
#[derive(Debug)]
pub(super) struct Order {
    gpu: Gpu,
    spec: Spec,
    overrides: Vec<(&'static str, f64)>,
}

impl Order {
    /// Makes it on this thread. What wgpu has against it is the caller's to hear of, not the uncaptured-error handler's.
    pub(super) fn make(&self) -> Result<Made> {
        self.gpu.expect_taken(self.spec.label, || Ok(Made::new(&self.gpu, &self.spec, &self.overrides)))
    }
}

impl Made {
    fn new(gpu: &Gpu, spec: &KernelSpec, overrides: &[(&'static str, f64)]) -> Self {
        let device = gpu.device();
        let kinds = spec.bindings.iter().map(|binding| &binding.kind);
        let counter = gpu.counter(spec.is_cooperative()).map(|_| &BindingKind::ReadWrite);
        let entries: Vec<_> =
            (0..).zip(kinds.chain(counter)).map(|(binding, kind)| layout_entry(binding, kind)).collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(spec.label), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let (module, checks) = match gpu.source_of(spec) {
            Cow::Borrowed(_) if !gpu.has_runtime_checks() && spec.needs_no_checks() => unchecked(device, spec),
            // A text that was changed for a test is not the one that is known to need no checks.
            text => {
                let source = wgpu::ShaderSource::Wgsl(text);
                let descriptor = wgpu::ShaderModuleDescriptor { label: Some(spec.label), source };
                (device.create_shader_module(descriptor), wgpu::ShaderRuntimeChecks::checked())
            }
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // Every kernel writes its workgroup memory before it reads it.
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: overrides,
                zero_initialize_workgroup_memory: false,
            },
            cache: gpu.pipeline_cache().as_ref(),
        });
        Self { pipeline, checks, layout }
    }
}

/// A module of a kernel that [needs no checks](KernelSpec::needs_no_checks), without any, and what wgpu was told of
/// them.
#[expect(unsafe_code, reason = "wgpu skips its checks only if the caller vouches for the shader")]
fn unchecked(device: &wgpu::Device, spec: &KernelSpec) -> (wgpu::ShaderModule, wgpu::ShaderRuntimeChecks) {
    let source = wgpu::ShaderSource::Wgsl(spec.source().into());
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(spec.label), source };
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: The text is word for word one of this crate's own (`kernels/table.rs`, or a generator beside
    // it), with values of its overrides that `lower` and `train` choose. What wgpu then leaves to it, check by check:
    // - Bounds. An index is made of invocation and workgroup numbers, constants, and sizes, strides and offsets of the
    //   uniform. Those are of the very tensors that are bound (`lower`, `train`, by way of `Tensor::view_of`), whose
    //   bindings have at most INDICES elements (`ProgramBuilder::build`), so that an index does not wrap around; an
    //   edge that a tile or a block of four reaches over is compared with or clamped in the text. No number of a
    //   storage buffer is an index, with one exception: `move_rows.wgsl` and `gather.wgsl` take the row that they copy from
    //   `sources`, where shaders of the app may write anything, and compare it with `params.rows`, how many there are,
    //   before they read there. Lengths of rows, which lie in a storage buffer as well, are compared with a step and
    //   nothing else.
    //   Arrays, matrices and vectors of one invocation have constant indices, or the lowest two bits of a number into
    //   four, or that of a loop up to their length. `tests/gpu/in_range.rs` looks for what this overlooks: it runs
    //   every kernel that comes here over edge shapes, with each index into a buffer or into workgroup memory
    //   compared with the length of that, and finds none out of range.
    // - Loops. None is infinite: each either halves a number until it is 0, or adds at least 1 and at most 2^20 to a
    //   number that it compares with a bound, which it does not change and which is at most INDICES = 2^32 - 2^20, so
    //   that the sum does not wrap around; or doubles a number until it is a constant below 2^31. Where workgroups
    //   wait for each other (`exchange.wgsl`) each look counts, up to a bound. One loop has none, in which an
    //   exchange of a word is tried again when another workgroup has counted itself there in between: each does that
    //   once.
    // - Divisors of integers. All integers that are divided are unsigned. A divisor is a constant that is not 0, or the
    //   size of something that the invocation at hand is a part of (rows of the batch, fours in a row, units that
    //   remain, numbers that a loop counts), and so at least 1.
    // - There are no rays, and neither task nor mesh shaders.
    let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
    (module, checks)
}

/// Without the harness a kernel is its text and counts nothing.
#[cfg(not(feature = "harness"))]
impl Gpu {
    pub(super) fn counter(&self, _: bool) -> Option<View<'_>> {
        None
    }

    fn source_of<'a>(&self, spec: &'a KernelSpec) -> Cow<'a, str> {
        spec.source().into()
    }
}

fn layout_entry(binding: u32, kind: &BindingKind) -> wgpu::BindGroupLayoutEntry {
    let (ty, has_dynamic_offset, size) = match *kind {
        BindingKind::Uniform { size, dynamic, .. } => {
            (wgpu::BufferBindingType::Uniform, dynamic, wgpu::BufferSize::new(size))
        }
        BindingKind::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false, None),
        BindingKind::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false, None),
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        // An array says nothing of its size: 4 bytes or 16 at least, whatever its elements are, which wgpu sees for
        // itself.
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: size },
        count: None,
    }
}
