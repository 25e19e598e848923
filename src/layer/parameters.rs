//! Weights and biases on the GPU, or their gradients.

use crate::config::GruConfig;
use crate::error::Result;
use crate::gpu::{Gpu, Tensor};
use crate::weights::GruWeights;

/// The weights and biases of a layer on the GPU, or their gradients. Shapes as in [`GruWeights`].
#[derive(Debug, Clone)]
pub struct GruParameters {
    /// `[3H, I]`
    pub weight_ih: Tensor,
    /// `[3H, H]`
    pub weight_hh: Tensor,
    /// `[3H]`
    pub bias_ih: Tensor,
    /// `[3H]`
    pub bias_hh: Tensor,
}

impl GruParameters {
    /// Checks that buffers can hold the parameters, before arrays of them are made on the host.
    pub(crate) fn check_sizes(gpu: &Gpu, config: &GruConfig) -> Result<()> {
        let shapes = GruWeights::shapes(config);
        GruWeights::NAMES.into_iter().zip(&shapes).try_for_each(|(name, shape)| Tensor::check_size(gpu, name, shape))
    }

    /// Zeros, or a copy of weights of the right shapes.
    pub(crate) fn new(gpu: &Gpu, config: &GruConfig, weights: Option<&GruWeights>) -> Result<Self> {
        let shapes = GruWeights::shapes(config);
        let make = |index: usize| {
            let host = weights.map(|weights| weights.arrays()[index]);
            Tensor::named(gpu, GruWeights::NAMES[index], &shapes[index], host)
        };
        Ok(Self { weight_ih: make(0)?, weight_hh: make(1)?, bias_ih: make(2)?, bias_hh: make(3)? })
    }

    /// The four tensors, in the order of [`GruWeights::NAMES`].
    #[must_use]
    pub fn tensors(&self) -> [&Tensor; 4] {
        [&self.weight_ih, &self.weight_hh, &self.bias_ih, &self.bias_hh]
    }

    pub(crate) fn write(&self, weights: &GruWeights) -> Result<()> {
        for (tensor, host) in self.tensors().into_iter().zip(weights.arrays()) {
            tensor.write(host)?;
        }
        Ok(())
    }

    /// Reads all four.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub async fn read(&self) -> Result<GruWeights> {
        Ok(GruWeights {
            weight_ih: self.weight_ih.read().await?,
            weight_hh: self.weight_hh.read().await?,
            bias_ih: self.bias_ih.read().await?,
            bias_hh: self.bias_hh.read().await?,
        })
    }
}
