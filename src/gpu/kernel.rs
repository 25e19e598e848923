//! A compute kernel: what the table says of it, and what is made of that for a device.

use std::sync::OnceLock;

use crate::error::Result;
use crate::gpu::making::Making;

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
    pub(crate) fn generated(generator: &impl Generate) -> Self {
        let (name, source) = (generator.name(), generator.source().into());
        Self { name, label: name, bindings: generator.bindings(), source, make: String::new }
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

    /// Whether it may be built without checks at run time, see `pipelines::unchecked`. Not in a build for
    /// `tests/mutants/run.py`, which changes texts.
    pub(super) fn needs_no_checks(&self) -> bool {
        !self.is_cooperative() && option_env!("WGPU_GRU_MUTANTS").is_none()
    }
}

/// A kernel whose text is made for its sizes.
pub(crate) trait Generate {
    /// The kernel's name and label. No kernel of the table has it.
    fn name(&self) -> &'static str;

    /// The bindings of group 0, in order.
    fn bindings(&self) -> &'static [Binding];

    /// All that the text depends on besides the name.
    fn sizes(&self) -> Vec<u32>;

    /// Makes the WGSL text.
    fn source(&self) -> String;
}

/// One binding of a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding {
    /// The variable's name.
    pub(crate) name: &'static str,
    /// What it binds.
    pub(crate) kind: BindingKind,
}

/// What a binding binds.
#[derive(Debug, Clone, Copy)]
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
    pub(super) is_cooperative: bool,
    /// Or the limit of the device that is too low for it. A program that uses the kernel cannot be built then.
    pub(super) making: Result<Making>,
}

/// A pipeline and the layout of its one bind group.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) pipeline: wgpu::ComputePipeline,
    /// The checks at run time that wgpu was told to put into its module.
    #[cfg_attr(not(feature = "harness"), expect(dead_code, reason = "the harness tells tests of it"))]
    pub(super) checks: wgpu::ShaderRuntimeChecks,
    pub(super) layout: wgpu::BindGroupLayout,
}

impl Kernel {
    /// What was made, once it is, or why nothing could be made.
    pub(super) fn made(&self) -> Result<&Made> {
        self.making.as_ref().map_err(Clone::clone)?.made()
    }
}

/// What a kernel is kept by.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct KernelKey {
    pub(super) name: &'static str,
    /// What the text was made for, if it was made.
    pub(super) sizes: Vec<u32>,
    /// In the order of their names, so that it does not matter in which order they are given.
    pub(super) overrides: Vec<(&'static str, u64)>,
    /// Whether it is checked while it runs.
    pub(super) is_checked: bool,
}
