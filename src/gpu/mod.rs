//! What the crate needs of wgpu, and nothing of recurrences: a device, tensors of f32, kernels, programs, readback.

mod context;
mod cooperative;
mod kernel;
mod needs;
mod open;
mod program;
mod readback;
mod tensor;
mod trace;
mod written;

pub use context::{Activity, Gpu};
pub use open::GpuOptions;
pub use program::Program;
pub use readback::DEFAULT_TIMEOUT;
pub use tensor::Tensor;

pub(crate) use tensor::{in_elements, side_by_side, view_of_parts};

pub(crate) use kernel::{Binding, BindingKind, Field, Generate, Kernel, KernelSpec, View};
pub(crate) use program::{INDEX, INDICES, ProgramBuilder};
