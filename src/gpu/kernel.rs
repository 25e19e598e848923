//! A compute kernel: what the table says of it, its pipeline, and its bind groups.

#[cfg(not(feature = "harness"))]
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::error::Result;
use crate::gpu::Gpu;

/// What a kernel is: its bindings and its WGSL text, from which layout and pipeline come. `src/kernels/tests.rs` holds the
/// one against the other.
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

    /// Whether whole subgroups multiply matrices. Such a kernel is left as it is: it may have no atomics, so it cannot count
    /// its indices out of range (`gpu::trace`), and what is not counted is never built without checks at run time.
    pub(crate) fn is_cooperative(&self) -> bool {
        self.source().contains("enable wgpu_cooperative_matrix;")
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
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(spec.label),
            source: wgpu::ShaderSource::Wgsl(gpu.source_of(spec)),
        };
        let (module, checks) = if gpu.has_runtime_checks() || spec.is_cooperative() {
            (device.create_shader_module(descriptor), wgpu::ShaderRuntimeChecks::checked())
        } else {
            unchecked(device, descriptor)
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

/// A module without checks at run time, and what wgpu was told of them.
#[expect(unsafe_code, reason = "wgpu skips its checks only if the caller vouches for the shader")]
fn unchecked(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> (wgpu::ShaderModule, wgpu::ShaderRuntimeChecks) {
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: The text is one of this crate's own, from the table in `kernels/table.rs` or from a generator beside it.
    // - Indices: a kernel works on the sizes of its uniform, which come from the shapes that its buffers were made with, in
    //   `ops`. The one index that comes from a storage buffer, a row in `sources`, which shaders of the app may write, is compared
    //   with the number of rows before it is used (`move_rows.wgsl`). What lies past an edge is clamped in the text itself.
    //   `tests/gpu/in_range.rs` runs all kernels over edge shapes with a comparison in front of every index, into buffers and
    //   into workgroup memory: none is out of range (cooperative kernels, which cannot be held to that, do not come here).
    //   Arrays and vectors of an invocation have constant indices, or two bits of a number.
    // - Loops: every loop counts up by at least one to an end that it does not change.
    // - Divisors: numbers of rows, fours and units, which are at least one.
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
        // An array says nothing of its size: 4 bytes or 16 at least, whatever its elements are, which wgpu sees for itself.
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: size },
        count: None,
    }
}
