//! The GRU of [`wgpu_gru`] as a module of [burn], on burn's device and queue, with its gradients.
//!
//! [`Gru`] is made out of burn's own [`burn::nn::Gru`], takes and returns the same tensors, and is trained by burn's
//! optimisers. All steps of a sequence are one operation for burn, forward and backward.
//!
//! ```no_run
//! use burn::nn::GruConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let (device, setup) = Device::wgpu_options().init_with_setup()?;
//! let gpu = wgpu_gru::Gpu::from_device(setup.device, setup.queue);
//! let device = device.autodiff();
//! let gru = burn_bridge::Gru::from_burn(&gpu, &GruConfig::new(8, 64, true).init(&device))?;
//! let x = Tensor::<3>::random([32, 100, 8], Distribution::Default, &device);
//! let gradients = gru.forward(x, None).sum().backward();
//! let d_weight_hh = gru.weight_hh.val().grad(&gradients);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - `module.rs`: the module, out of burn's and back.
//! - `ops.rs`: forward and backward as operations of burn's backends, and the step that autodiff keeps.
//! - `pass.rs`: layers of wgpu-gru laid out for the shapes that come, and the copies from and into burn's buffers.
//!
//! [burn]: https://burn.dev

mod module;
mod ops;
mod pass;

pub use module::Gru;

/// Why a layer cannot be had, or cannot be run on these tensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor does not have the shape that the layer needs.
    #[error("{tensor} has the shape {actual:?}, and {expected:?} is needed")]
    Shape {
        /// Which one.
        tensor: &'static str,
        /// What is needed: a size that is free is shown as it came.
        expected: Vec<usize>,
        /// What it has.
        actual: Vec<usize>,
    },
    /// A tensor does not hold f32.
    #[error("{tensor} holds {actual:?}, and F32 is needed")]
    Type {
        /// Which one.
        tensor: &'static str,
        /// What it holds.
        actual: burn::tensor::DType,
    },
    /// burn's layer has an option that this one does not have.
    #[error("{0} cannot be taken over")]
    Unsupported(&'static str),
    /// Of the layer itself.
    #[error(transparent)]
    Layer(#[from] wgpu_gru::Error),
}
