//! A compute kernel: what the table says of it, its pipeline, and its bind groups.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::error::Result;
use crate::gpu::Gpu;

/// What a kernel is: its bindings and its WGSL text, from which layout and pipeline come. `src/kernels/tests.rs` holds
/// the one against the other.
#[derive(Debug)]
pub(crate) struct KernelSpec {
    /// No two kernels have the same.
    pub(crate) name: &'static str,
    /// What programs, errors and tests call the kernel. Variants of one kernel may share it.
    pub(crate) label: &'static str,
    /// The bindings of group 0, in order.
    pub(crate) bindings: &'static [Binding],
    /// Made when it is first asked for.
    source: OnceLock<String>,
    make: fn() -> String,
}

impl KernelSpec {
    /// `make` makes the WGSL text.
    pub(crate) const fn new(
        name: &'static str,
        label: &'static str,
        bindings: &'static [Binding],
        make: fn() -> String,
    ) -> Self {
        Self { name, label, bindings, source: OnceLock::new(), make }
    }

    /// A kernel with its text made.
    #[cfg(any(test, feature = "harness"))]
    pub(crate) fn generated<G: Generate>(generator: &G) -> Self {
        let (name, source) = (generator.name(), generator.source().into());
        Self { name, label: name, bindings: G::BINDINGS, source, make: String::new }
    }

    /// The whole WGSL text.
    pub(crate) fn source(&self) -> &str {
        self.source.get_or_init(self.make)
    }

    /// The names of the overrides, as the text declares them.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = &str> {
        self.source().lines().filter_map(|line| Some(line.strip_prefix("override ")?.split_once(':')?.0))
    }

    /// Whether whole subgroups multiply matrices. Such a kernel is left as it is: it may have no atomics, so it cannot
    /// count its indices out of range (`gpu::trace`), and what is not counted is never built without checks at run
    /// time.
    pub(crate) fn is_cooperative(&self) -> bool {
        self.source().contains("enable wgpu_cooperative_matrix;")
    }

    /// Whether it may be built without checks at run time, see [`unchecked`]. Not where workgroups wait for each other,
    /// with atomics: when such a loop ends its text alone cannot tell. And not in a build for `tests/mutants/run.py`,
    /// which changes texts.
    fn needs_no_checks(&self) -> bool {
        !self.is_cooperative() && !self.source().contains("atomic<") && option_env!("WGPU_GRU_MUTANTS").is_none()
    }
}

/// A kernel whose text is made for its sizes.
#[cfg(any(test, feature = "harness"))]
pub(crate) trait Generate {
    /// The bindings of group 0, in order.
    const BINDINGS: &'static [Binding];

    /// The kernel's name and label. No kernel of the table has it.
    fn name(&self) -> &'static str;

    /// All that the text depends on besides the name.
    fn sizes(&self) -> Vec<u32>;

    /// Makes the WGSL text.
    fn source(&self) -> String;
}

/// One binding of a kernel.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The variable's name.
    pub(crate) name: &'static str,
    /// What it binds.
    pub(crate) kind: BindingKind,
}

/// What a binding binds.
#[derive(Debug)]
pub(crate) enum BindingKind {
    /// A uniform struct with these fields.
    Uniform {
        /// Its size in bytes.
        size: u64,
        /// Its fields.
        #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold them against the WGSL text"))]
        fields: &'static [Field],
        /// Whether each dispatch chooses its own with a dynamic offset.
        dynamic: bool,
    },
    /// An array that is only read.
    Read,
    /// An array that is read and written.
    ReadWrite,
}

/// One field of a uniform struct.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests hold them against the WGSL text"))]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its offset in bytes.
    pub(crate) offset: usize,
}

/// A range of a buffer, to be bound. Its offset is aligned as the device asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The buffer.
    pub(crate) buffer: &'a wgpu::Buffer,
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// How long it is, in bytes.
    pub(crate) size: u64,
}

/// A kernel with values of its overrides.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(super) label: &'static str,
    pub(super) bindings: &'static [Binding],
    is_cooperative: bool,
    /// Or the limit of the device that is too low for it. A program that uses the kernel cannot be built then.
    made: Result<Made>,
}

/// A pipeline and the layout of its one bind group.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) pipeline: wgpu::ComputePipeline,
    /// The checks at run time that wgpu was told to put into its module.
    #[cfg_attr(not(feature = "harness"), expect(dead_code, reason = "the harness tells tests of it"))]
    pub(super) checks: wgpu::ShaderRuntimeChecks,
    layout: wgpu::BindGroupLayout,
}

impl Kernel {
    pub(super) fn new(gpu: &Gpu, spec: &KernelSpec, overrides: &[(&'static str, f64)]) -> Self {
        debug_assert_eq!(
            overrides.iter().map(|&(name, _)| name).collect::<BTreeSet<_>>(),
            spec.overrides().collect(),
            "the overrides of {}: those that are given, those that its text declares",
            spec.name
        );
        let is_cooperative = spec.is_cooperative();
        let made = spec
            .check_needs(overrides, gpu.limits(), gpu.counter(is_cooperative).is_some())
            .map(|()| Made::new(gpu, spec, overrides));
        Self { label: spec.label, bindings: spec.bindings, is_cooperative, made }
    }

    /// What was made, or which limit forbids it.
    pub(super) fn made(&self) -> Result<&Made> {
        self.made.as_ref().map_err(Clone::clone)
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
    //   storage buffer is an index, with one exception: `move_rows.wgsl` takes a row of `source` from `sources`, where
    //   shaders of the app may write anything, and compares it with `params.rows`, the rows of `source`, before it
    //   reads there. Lengths of rows, which lie in a storage buffer as well, are compared with a step and nothing else.
    //   Arrays, matrices and vectors of one invocation have constant indices, or the lowest two bits of a number into
    //   four. `tests/gpu/in_range.rs` looks for what this overlooks: it runs every kernel that comes here over edge
    //   shapes, with each index into a buffer or into workgroup memory compared with the length of that, and finds none
    //   out of range.
    // - Loops. None is infinite: each either halves a number until it is 0, or adds at least 1 and at most 2^20 to a
    //   number that it compares with a bound, which it does not change and which is at most INDICES = 2^32 - 2^20, so
    //   that the sum does not wrap around.
    // - Divisors of integers. All integers that are divided are unsigned. A divisor is a constant that is not 0, or the
    //   size of something that the invocation at hand is a part of (rows of the batch, fours in a row, units that
    //   remain), and so at least 1.
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
