//! What the crate needs of wgpu, and nothing of recurrences: a device, tensors of f32, kernels, programs, readback.

mod context;
mod cooperative;
mod kernel;
mod making;
mod needs;
mod open;
mod pipelines;
mod program;
mod readback;
mod staging;
mod sync;
mod tensor;
#[cfg(feature = "harness")]
mod trace;
mod written;

pub use context::{Activity, Gpu};
pub use open::GpuOptions;
pub use program::Program;
pub use tensor::Tensor;

pub(crate) use kernel::{Binding, BindingKind, Field, Generate, Kernel, KernelSpec, View};
pub(crate) use program::ProgramBuilder;
pub(crate) use tensor::view_of_parts;
