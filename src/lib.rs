//! The gated recurrent unit, forward and backward through time, as WGSL compute kernels on wgpu.

pub mod config;
pub mod cpu;
pub mod error;
pub mod gpu;
#[doc(hidden)]
pub mod harness;
mod kernels;
pub mod layer;
mod ops;
pub mod plan;
pub mod reference;
pub mod tolerance;
pub mod train;
pub mod verify;
pub mod weights;

pub use config::{GruConfig, Mode, Unroll};
pub use error::{Error, Result};
pub use gpu::{Gpu, GpuOptions, Tensor};
pub use layer::{Gru, GruGradients, GruOutput, GruParameters, UnrolledGru};
pub use tolerance::Tolerance;
pub use verify::verify;
pub use weights::{GruWeights, Uniform};
pub use wgpu;
