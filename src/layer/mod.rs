//! The GRU layer on the GPU: its parameters, and its unrolled forms.

mod parameters;
mod unrolled;

pub use parameters::GruParameters;
pub use unrolled::{GruGradients, GruOutput, UnrolledGru};

use crate::config::{GruConfig, Unroll};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor};
use crate::weights::GruWeights;

/// A GRU layer whose parameters live on a GPU: the gated recurrent unit of Cho et al. (2014), with the reset gate applied
/// after the product as cuDNN and PyTorch do. The equations are in the [crate's documentation](crate).
///
/// A clone is another handle to the same parameters.
#[derive(Debug, Clone)]
pub struct Gru {
    gpu: Gpu,
    config: GruConfig,
    parameters: GruParameters,
}

impl Gru {
    /// A layer with random weights, see [`GruWeights::random`].
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(gpu: &Gpu, config: GruConfig, seed: u64) -> Result<Self> {
        config.validate()?;
        GruParameters::check_sizes(gpu, &config)?;
        let weights = GruWeights::random(&config, seed);
        Self::with_weights(gpu, config, &weights)
    }

    /// A layer with given weights.
    ///
    /// # Errors
    /// Those of [`Gru::new`], and [`Error::ShapeMismatch`].
    pub fn with_weights(gpu: &Gpu, config: GruConfig, weights: &GruWeights) -> Result<Self> {
        weights.validate(&config)?;
        let parameters = GruParameters::new(gpu, &config, Some(weights))?;
        Ok(Self { gpu: gpu.clone(), config, parameters })
    }

    /// The GPU that it lives on.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The sizes.
    #[must_use]
    pub fn config(&self) -> &GruConfig {
        &self.config
    }

    /// The weights and biases on the GPU.
    #[must_use]
    pub fn parameters(&self) -> &GruParameters {
        &self.parameters
    }

    /// Replaces the weights, before the next submission's commands run. Everything that was unrolled uses the new ones.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`]; then no weight has changed.
    pub fn set_weights(&self, weights: &GruWeights) -> Result<()> {
        weights.validate(&self.config)?;
        self.parameters.write(weights)
    }

    /// Reads the weights.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub async fn read_weights(&self) -> Result<GruWeights> {
        self.parameters.read().await
    }

    /// Lays the layer out over time: plans, and makes every buffer, bind group and pipeline, once.
    ///
    /// # Errors
    /// Those of [`Plan::new`](crate::plan::Plan::new) before anything is made;
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn unroll(&self, unroll: Unroll) -> Result<UnrolledGru> {
        UnrolledGru::new(self, &unroll)
    }

    /// Runs x `[T, B, I]` through the layer from `h0` `[B, H]`, or from zero. It makes an inference unroll for the shape
    /// of x, submits, and does not wait. In a loop keep one [`UnrolledGru`] instead: it makes its buffers once.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], and
    /// those of [`Gru::unroll`].
    pub fn forward(&self, x: &Tensor, h0: Option<&Tensor>) -> Result<GruOutput> {
        let (seq_len, batch) = match *x.shape() {
            [seq_len, batch, input_size] if input_size == self.config.input_size() => (seq_len, batch),
            // The sizes that are free are shown as they came, or as 1.
            ref shape => {
                let size = |axis: usize| shape.get(axis).copied().unwrap_or(1);
                let expected = vec![size(0), size(1), self.config.input_size()];
                return Err(Error::ShapeMismatch { tensor: "x", expected, actual: shape.to_vec() });
            }
        };
        self.unroll(Unroll::inference(seq_len, batch))?.forward(x, h0)
    }
}
