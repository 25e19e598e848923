//! Layers on a GPU from models of ONNX.

use crate::config::Cell;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::layer::Recurrent;
use crate::onnx::{Layer, Linear as OnnxLinear};
use crate::train::Linear;

impl<C: Copy + Into<Cell>> Recurrent<C> {
    /// A recurrent layer of a [model of ONNX](crate::onnx).
    ///
    /// # Errors
    /// Those of [`Recurrent::with_weights`].
    pub fn from_onnx(gpu: &Gpu, layer: &Layer<C>) -> Result<Self> {
        Self::with_weights(gpu, layer.config.clone(), &layer.weights)
    }
}

impl Linear {
    /// A linear layer of a [model of ONNX](crate::onnx).
    ///
    /// # Errors
    /// Those of [`Linear::with_weights`].
    pub fn from_onnx(gpu: &Gpu, layer: &OnnxLinear) -> Result<Self> {
        let &[out_features, in_features] = layer.weight.shape() else {
            let (expected, actual) = (vec![1, 1], layer.weight.shape().to_vec());
            return Err(crate::Error::ShapeMismatch { tensor: "weight".into(), expected, actual });
        };
        let bias = layer.bias.as_ref().map_or(&[][..], |bias| bias.values());
        Self::with_weights(gpu, [out_features, in_features], layer.weight.values(), bias)
    }
}
