//! What a plan has to know of a device: limits, class, features; and the arithmetic of bindings that follows from the
//! limits.

use wgpu::{DeviceType, Limits};

use crate::error::{Error, Result};

/// A device, as far as a plan depends on it. No device is needed to plan: an app can ask what a layer would take on a
/// GPU that it has not opened.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) limits: Limits,
    pub(crate) class: DeviceType,
    /// The sizes of its subgroups, least and most, where kernels may use them.
    pub(crate) subgroups: Option<[u32; 2]>,
    /// Rows of the cooperative matrices in use, if the app has told of any.
    pub(crate) cooperative: Option<u32>,
    /// Its compiler is that of a software rasteriser, whatever is planned for.
    pub(crate) compiles_slowly: bool,
    /// How many workgroups of 256 invocations with all registers run at a time, where that was measured.
    pub(crate) resident: Option<u32>,
    /// A store to one component of a vector leaves the others alone.
    pub(crate) exact_stores: bool,
}

impl Target {
    /// A device of which no more is known than this: without subgroups and cooperative matrices.
    pub(crate) fn new(limits: &Limits, class: DeviceType) -> Self {
        let compiles_slowly = class == DeviceType::Cpu;
        let limits = limits.clone();
        Self { limits, class, subgroups: None, cooperative: None, compiles_slowly, resident: None, exact_stores: false }
    }

    /// Whether this is a CPU that plays a GPU.
    pub(crate) fn is_software(&self) -> bool {
        self.class == DeviceType::Cpu
    }

    /// Whether kernels may use subgroups, and all of them have at least 8 invocations.
    pub(crate) fn has_subgroups(&self) -> bool {
        self.subgroups.is_some_and(|[least, _]| least >= 8)
    }

    /// Whether kernels may use subgroups, and all of them have exactly 8 invocations.
    pub(crate) fn has_subgroups_of_8(&self) -> bool {
        self.subgroups == Some([8, 8])
    }
}

/// What [`Error::LimitExceeded`] calls the limit of [`INDICES`].
pub(crate) const INDEX: &str = "32-bit index";

/// Elements of a binding at most: kernels count them by numbers of 32 bits, and a loop may look as far ahead as its
/// invocations go in one round.
pub(crate) const INDICES: u64 = (1 << 32) - (1 << 20);

/// Tensors of a shape in one buffer, each at a multiple of the alignment of bindings: how many elements each begins
/// behind the one before it, and how many all of them take. What does not fit saturates.
pub(crate) fn side_by_side(count: usize, shape: &[usize], limits: &Limits) -> [usize; 2] {
    let len = shape.iter().fold(1_usize, |len, &size| len.saturating_mul(size));
    let alignment = in_elements(limits);
    let stride = len.div_ceil(alignment).saturating_mul(alignment);
    [stride, stride.saturating_mul(count.saturating_sub(1)).saturating_add(len)]
}

/// The alignment of bindings in elements.
pub(crate) fn in_elements(limits: &Limits) -> usize {
    (limits.min_storage_buffer_offset_alignment as usize / 4).max(1)
}

/// Checks a need against a limit.
pub(crate) fn at_most(what: &'static str, limit: &'static str, required: u64, available: u64) -> Result<()> {
    if required > available { Err(Error::LimitExceeded { what, limit, required, available }) } else { Ok(()) }
}

/// Bytes of f32 numbers. What does not fit 64 bits saturates, and is over every limit.
pub(crate) fn bytes(sizes: &[usize]) -> u64 {
    sizes.iter().fold(4_u64, |bytes, &size| bytes.saturating_mul(size as u64))
}
